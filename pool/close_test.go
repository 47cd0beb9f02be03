package pool_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

func closesEverything(t *testing.T) {
	p, a := threaded(t, 2, 2)
	require.NoError(t, p.CloseAll(background(t)))
	require.Zero(t, a.backends(), "the server has seen the end of each before CloseAll returns")
	require.ErrorIs(t, p.CloseAll(background(t)), pool.ErrClosed)
}

func closedPoolLendsNothing(t *testing.T) {
	p, a := threaded(t, 1, 2)
	require.NoError(t, p.CloseAll(background(t)))
	_, err := p.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrClosed)
	_, err = p.GetConn(background(t), pool.WithKey("k"))
	require.ErrorIs(t, err, pool.ErrClosed)
	require.Zero(t, a.backends())
}

func borrowersMayFinish(t *testing.T) {
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
func reachesLentConnections(t *testing.T) {
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
	awaitEnd(t, p)
	require.ErrorIs(t, p.PutConn(c), pool.ErrClosed)
	require.ErrorIs(t, p.PutConn(keyed), pool.ErrClosed)
	require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
}

// A cancelled statement has pgx cancel it in the background, for 15 seconds if
// the server does not answer. That goroutine ends with the pool too.
func TestCloseAllEndsCancelRequests(t *testing.T) {
	door := newDoor(t)
	p, err := pool.NewThreaded(background(t), 1, 1, door.url)
	require.NoError(t, err)
	<-door.knocked
	c := get(t, p)
	ctx, cancel := context.WithCancel(background(t))
	go func() {
		time.Sleep(time.Millisecond) // any moment will do
		cancel()
	}()
	_, err = c.Exec(ctx, "select pg_sleep(3600)")
	require.ErrorIs(t, err, context.Canceled)
	<-door.knocked // the cancel request, that nobody answers
	require.Contains(t, stacks(), "(*PgConn).CancelRequest")
	require.NoError(t, p.PutConn(c))
	require.NoError(t, p.CloseAll(background(t)))
	require.Eventually(t, func() bool { return !strings.Contains(stacks(), "(*PgConn).CancelRequest") }, 5*time.Second, time.Millisecond)
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}
