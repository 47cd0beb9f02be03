package pool_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

func TestCloseAll(t *testing.T) {
	p, a := threaded(t, 2, 2)
	require.NoError(t, p.CloseAll(background(t)))
	require.Zero(t, a.backends(), "the server has seen the end of each before CloseAll returns")
	require.ErrorIs(t, p.CloseAll(background(t)), pool.ErrClosed)
	_, err := p.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrClosed)
}

func TestCloseAllWaitsForBorrowers(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	c := get(t, p)
	waiter, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.GetConn(background(t))
		waiter <- err
	}()
	awaitWaiting(t, p, 1)
	go func() { closed <- p.CloseAll(background(t)) }()
	require.ErrorIs(t, <-waiter, pool.ErrClosed, "who waits fails now")
	require.NoError(t, c.Ping(background(t)), "who has a connection may finish")
	require.NoError(t, p.PutConn(c))
	require.NoError(t, <-closed)
}

// psycopg2's closeall reaches the connections that are lent.
func TestCloseAllRevokes(t *testing.T) {
	p, a := threaded(t, 0, 2)
	c := get(t, p)
	keyed := get(t, p, pool.WithKey("report"))
	running := make(chan error)
	go func() {
		_, err := c.Exec(background(t), "select pg_sleep(3600)")
		running <- err
	}()
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, a.conn.QueryRow(background(t), "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()").Scan(&n))
		return n == 1
	}, wide, 2*time.Millisecond)

	err := p.CloseAll(ended())
	var left *pool.CloseError
	require.ErrorAs(t, err, &left)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, left.Leases, 2)
	require.ErrorContains(t, err, "key report")
	require.Error(t, <-running, "the socket was closed under the statement")
	require.ErrorIs(t, p.PutConn(c), pool.ErrClosed)
	require.ErrorIs(t, p.PutConn(keyed), pool.ErrClosed)
	require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
}
