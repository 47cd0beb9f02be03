package pool_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
)

// outagePool makes a pool of 2 connections that opens none by itself.
func outagePool(t *testing.T, connString string, policy pool.OutagePolicy) *pool.Pool {
	config, err := pool.ParseConfig(connString)
	require.NoError(t, err)
	config.MaxConns = 2
	config.OutagePolicy = policy
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.CloseAll(background(t))) })
	return p
}

// The server stops and comes back, under both policies.
func TestServerRestart(t *testing.T) {
	own, err := pooltest.Start(background(t), pooltest.AllowInstall())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Close()) })
	fast := outagePool(t, own.ConnString(), pool.FailFast)
	patient := outagePool(t, own.ConnString(), pool.WaitForServer)
	get(t, fast).Release()
	get(t, patient).Release()

	require.NoError(t, own.Stop(background(t)))
	_, err = fast.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrUnavailable)
	require.ErrorContains(t, err, "connection refused")

	waiter := make(chan error)
	go func() {
		c, err := patient.GetConn(background(t))
		if err == nil {
			err = c.Ping(background(t))
			c.Release()
		}
		waiter <- err
	}()
	require.Eventually(t, func() bool { return pool.StatOf(patient).Failures > 2 }, wide, time.Millisecond, "it probes")
	short, cancel := context.WithCancel(background(t))
	go func() {
		_, err := patient.GetConn(short)
		waiter <- err
	}()
	awaitWaiting(t, patient, 2)
	cancel()
	err = <-waiter
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, pool.ErrUnavailable, "the cause")
	require.ErrorContains(t, err, "connection refused", "and its explanation")

	require.NoError(t, own.Restart(background(t)))
	require.NoError(t, <-waiter)
	require.Eventually(t, func() bool {
		c, err := fast.GetConn(background(t))
		if err != nil {
			require.ErrorIs(t, err, pool.ErrUnavailable, "until its backoff has passed")
			return false
		}
		c.Release()
		return true
	}, wide, time.Millisecond)
}

// What waiting cannot heal is refused even by a pool that waits for its server.
func TestPermanentFailureIsNotWaitedFor(t *testing.T) {
	u, err := url.Parse(server.ConnString())
	require.NoError(t, err)
	u.Path = "/nosuchdatabase"
	p := outagePool(t, u.String(), pool.WaitForServer)
	_, err = p.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrUnavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "does not exist")
}
