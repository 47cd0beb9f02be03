package pool_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// Waits that a deadline has ended are so for pgconn.Timeout, whatever type their error has.
func TestDeadlinesOfWaitsAreTimeouts(t *testing.T) {
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(background(t), 100*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	p, _ := configured(t, func(c *pool.Config) { c.MinConns, c.MaxConns = 1, 1 })
	require.NoError(t, p.WaitReady(background(t)))
	c := get(t, p)
	for name, wait := range map[string]func(ctx context.Context) error{
		"get":           func(ctx context.Context) error { _, err := p.GetConn(ctx); return err },
		"get with key":  func(ctx context.Context) error { _, err := p.GetConn(ctx, pool.WithKey("k")); return err },
		"Pause":         p.Pause,
		"get in a view": func(ctx context.Context) error { return view(t, p).Ping(ctx) },
	} {
		err := wait(soon())
		if err == context.DeadlineExceeded {
			continue // the machine has stalled, and it had ended before
		}
		require.True(t, pgconn.Timeout(err), "%s: %v", name, err)
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		_, isWait := err.(*pool.WaitError)
		require.True(t, isWait, "%s: %T", name, err)
		require.False(t, pgconn.SafeToRetry(err))
	}
	err := p.CloseAll(soon())
	require.True(t, pgconn.Timeout(err), "%v", err)
	_, isClose := err.(*pool.CloseError)
	require.True(t, isClose)
	require.ErrorIs(t, p.PutConn(c), pool.ErrRevoked)

	hung := serverless(t)
	hung.MinConns, hung.AcquireTimeout = 1, 100*time.Millisecond
	q, err := pool.NewWithConfig(background(t), hang(hung))
	require.NoError(t, err)
	defer q.Close()
	err = q.WaitReady(soon())
	require.True(t, pgconn.Timeout(err), "%v", err)
	_, err = q.GetConn(background(t))
	require.True(t, pgconn.Timeout(err), "%v", err)
	require.ErrorIs(t, err, pool.ErrAcquireTimeout)
}

// view returns a view of p with one key.
func view(t *testing.T, p *pool.Pool) *pool.Keyed {
	k, err := p.Keyed(pool.Keying{Key: func(context.Context) (any, error) { return "v", nil }})
	require.NoError(t, err)
	return k
}

// hang has connects not come to an end.
func hang(c *pool.Config) *pool.Config {
	c.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error { <-ctx.Done(); return ctx.Err() }
	return c
}

// An error that has nothing to do with a deadline stays as it is.
func TestOtherErrorsAreNoTimeouts(t *testing.T) {
	p, _ := configured(t, func(*pool.Config) {})
	ctx, cancel := context.WithTimeout(background(t), wide)
	defer cancel()
	_, err := p.Exec(ctx, "select 1/0")
	require.False(t, pgconn.Timeout(err))
	_, plain := err.(*pgconn.PgError)
	require.True(t, plain, "%T", err)
	_, err = p.Exec(ended(), "select 1")
	require.False(t, pgconn.Timeout(err))
	require.False(t, errors.Is(err, context.DeadlineExceeded))
}

// A connection whose deadline closes it: its end looks like any other.
type closesAtDeadline struct{ net.Conn }

func (c closesAtDeadline) SetDeadline(at time.Time) error {
	if !at.IsZero() {
		time.AfterFunc(time.Until(at), func() { _ = c.Close() })
	}
	return nil
}

// A statement that loses its connection to the end of its time fails with that end.
func TestADeadlineThatCostsTheConnectionIsOne(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) {
		dial, dials := c.ConnConfig.DialFunc, atomic.Int64{}
		c.MaxConns, c.ConnConfig.DialFunc = 1, func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) > 1 {
				return nil, errors.New("no cancel request") // nor another connection
			}
			conn, err := dial(ctx, network, addr)
			return closesAtDeadline{conn}, err
		}
	})
	c := get(t, p)
	defer c.Release()
	require.NoError(t, c.Ping(background(t)))
	ctx, cancel := context.WithTimeout(background(t), 200*time.Millisecond)
	defer cancel()
	_, err := c.Exec(ctx, "select pg_sleep(2)") // the server hears of no cancel
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, pgconn.Timeout(err), "%v", err)
	require.True(t, c.Conn().IsClosed())
	_, err = c.Exec(background(t), "select 1")
	require.False(t, pgconn.Timeout(err), "%v", err)
	require.ErrorIs(t, err, pgconn.ErrConnClosed)
}
