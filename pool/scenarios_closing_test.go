package pool_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Scenarios: the end of a connection, and of the pool.

// A connection is being closed and that does not come to an end: others are lent
// meanwhile, and before long there is a new one in its place.
func TestScenario29CloseHangs(t *testing.T) {
	t.Run("nobody hears the goodbye", func(t *testing.T) {
		proxy := server.Proxy(t)
		p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 2 })
		closeHangs(t, p, func(c *pool.Conn) { proxied(t, proxy, c).BlackHole(pooltest.BothWays) })
	})
	t.Run("BeforeClose", func(t *testing.T) {
		release, hangs := make(chan struct{}), make(chan struct{}, 1)
		returned := make(chan struct{}, 10)
		p, _ := configured(t, func(c *pool.Config) {
			c.MaxConns = 2
			c.BeforeClose = func(*pgx.Conn) {
				select {
				case <-hangs:
					<-release
					returned <- struct{}{}
				default:
				}
			}
		})
		defer close(release)
		closeHangs(t, p, func(*pool.Conn) { hangs <- struct{}{} })
		assert.Empty(t, returned, "all that while it hung")
	})
}

// closeHangs closes one connection of two, and hang has that hang.
func closeHangs(t *testing.T, p *pool.Pool, hang func(c *pool.Conn)) {
	closing, other := get(t, p), get(t, p)
	gone, stays := pid(closing), pid(other)
	hang(closing)
	require.NoError(t, p.PutConn(closing, pool.WithClose()))
	require.NoError(t, p.PutConn(other))
	for range 100 {
		c := get(t, p)
		require.Equal(t, stays, pid(c))
		c.Release()
	}
	other = get(t, p)
	next := get(t, p)
	assert.Equal(t, stays, pid(other))
	assert.NotEqual(t, gone, pid(next))
	assert.NoError(t, next.Ping(background(t)))
	next.Release()
	other.Release()
}

// CloseAll waits for borrowers until its context ends. Then it takes from them what
// they have, and says from whom.
func TestScenario30CloseAllWithLeasesOut(t *testing.T) {
	p, a := threaded(t, 0, 3)
	prompt, slow, keyed := get(t, p), get(t, p), get(t, p, pool.WithKey("report"))
	running := make(chan error)
	go func() {
		_, err := slow.Exec(background(t), sleeps)
		running <- err
	}()
	a.awaitStatement(pid(slow))
	ctx, deadline := context.WithCancel(background(t))
	defer deadline()
	closed := make(chan error, 1)
	go func() { closed <- p.CloseAll(ctx) }()
	awaitClosing(t, p)
	require.NoError(t, prompt.Ping(background(t)), "a borrower may finish")
	require.NoError(t, p.PutConn(prompt))
	a.await(2)
	require.Empty(t, closed, "it does not wait")

	deadline()
	err := <-closed
	var left *pool.CloseError
	require.ErrorAs(t, err, &left)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Len(t, left.Leases, 2)
	assert.ErrorContains(t, err, "key report")
	assert.Empty(t, left.Hooks)
	assert.Error(t, <-running, "its connection was taken")
	assert.ErrorIs(t, p.PutConn(slow), pool.ErrClosed)
	assert.ErrorIs(t, p.PutConn(keyed), pool.ErrClosed)
	a.await(0)
}

// awaitClosing waits until CloseAll has begun.
func awaitClosing(t *testing.T, p *pool.Pool) {
	require.Eventually(t, func() bool {
		_, err := p.TryGetConn()
		return err == pool.ErrClosed
	}, wide, time.Millisecond)
}

// A connection is being opened when the pool is closed: the dial is cancelled. If it
// comes to its end all the same, however late, the connection is closed.
func TestScenario31CloseAllWhileDialing(t *testing.T) {
	t.Run("cancelled", func(t *testing.T) {
		proxy := server.Proxy(t)
		require.NoError(t, proxy.AcceptOnly())
		p := made(t, proxy.ConnString(), nil)
		waiter := ask(background(t), p)
		require.Eventually(t, func() bool { return proxy.Stat().Open == 1 }, wide, time.Millisecond)
		require.NoError(t, p.CloseAll(background(t)))
		assert.ErrorIs(t, (<-waiter).err, pool.ErrClosed)
		require.Eventually(t, func() bool { return proxy.Stat().Open == 0 }, wide, time.Millisecond, "the dial goes on")
	})
	t.Run("late", func(t *testing.T) {
		connected, goOn := make(chan struct{}), make(chan struct{})
		p, a := configured(t, func(c *pool.Config) {
			c.AfterConnect = func(context.Context, *pgx.Conn) error {
				close(connected)
				<-goOn // whatever the context says
				return nil
			}
		})
		waiter := ask(background(t), p)
		<-connected
		var late *pool.CloseError
		err := p.CloseAll(background(t))
		require.ErrorAs(t, err, &late)
		assert.Equal(t, []string{"Open"}, late.Hooks)
		assert.ErrorIs(t, (<-waiter).err, pool.ErrClosed)
		assert.Equal(t, 1, a.backends())
		close(goOn)
		a.await(0)
		awaitEnd(t, p)
	})
}

// Whoever comes after CloseAll is told so at once, also while it still waits for a
// borrower.
func TestScenario32GetAfterCloseAll(t *testing.T) {
	p, _ := threaded(t, 0, 2)
	c := get(t, p, pool.WithKey("k"))
	closed := make(chan error)
	go func() { closed <- p.CloseAll(background(t)) }()
	awaitClosing(t, p)
	everythingIsClosed(t, p)
	require.NoError(t, c.Ping(background(t)), "a borrower may finish")
	require.NoError(t, p.PutConn(c))
	require.NoError(t, <-closed)
	awaitEnd(t, p)
	everythingIsClosed(t, p)
	assert.ErrorIs(t, p.CloseAll(background(t)), pool.ErrClosed)
	p.Close()
}

func everythingIsClosed(t *testing.T, p *pool.Pool) {
	t.Helper()
	ctx := background(t)
	var b pgx.Batch
	b.Queue("select 1")
	for name, call := range map[string]func() error{
		"GetConn":     func() error { _, err := p.GetConn(ctx); return err },
		"WithKey":     func() error { _, err := p.GetConn(ctx, pool.WithKey("k")); return err },
		"a new key":   func() error { _, err := p.GetConn(ctx, pool.WithKey("new")); return err },
		"TryGetConn":  func() error { _, err := p.TryGetConn(); return err },
		"Acquire":     func() error { _, err := p.Acquire(ctx); return err },
		"AcquireFunc": func() error { return p.AcquireFunc(ctx, func(*pool.Conn) error { return nil }) },
		"Exec":        func() error { _, err := p.Exec(ctx, "select 1"); return err },
		"Query":       func() error { _, err := p.Query(ctx, "select 1"); return err },
		"QueryRow":    func() error { return p.QueryRow(ctx, "select 1").Scan(nil) },
		"SendBatch":   func() error { return p.SendBatch(ctx, &b).Close() },
		"Begin":       func() error { _, err := p.Begin(ctx); return err },
		"Ping":        func() error { return p.Ping(ctx) },
		"WaitReady":   func() error { return p.WaitReady(ctx) },
		"Pause":       func() error { return p.Pause(ctx) },
	} {
		assert.ErrorIs(t, call(), pool.ErrClosed, name)
	}
	assert.Empty(t, p.AcquireAllIdle(ctx))
}
