package pool_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Scenarios: what users' hooks do. What it takes until one is given up shows in
// virtual time.

// A reset that hangs has 5 seconds: then its connection is closed, and who waits gets
// another one.
func TestScenario28ResetHangs(t *testing.T) {
	hangs := true
	inBubble(t, func(c *pool.Config) {
		c.MaxConns = 1
		c.ResetSession = func(ctx context.Context, _ *pgx.Conn) error {
			if !hangs {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
	}, func(b *bubble) {
		c := b.get()
		first := c.Conn()
		began := time.Now()
		require.NoError(b, b.PutConn(c))
		assert.Zero(b, time.Since(began), "who puts does not wait for it")
		c = b.get()
		assert.Equal(b, 5*time.Second, time.Since(began))
		assert.NotSame(b, first, c.Conn())
		assert.True(b, first.IsClosed())
		assert.EqualValues(b, 1, b.open.Load(), "the server knows")
		hangs = false
		second := c.Conn()
		c.Release()
		c = b.get()
		assert.Same(b, second, c.Conn())
		c.Release()
	})
}

// A hook is one of the hooks of a Config. Those that have no context are given one that
// does not end.
type hook struct {
	name      string
	borrowers bool // it is called in the borrower's goroutine, who has the place until it returns
	set       func(c *pool.Config, f func(context.Context))
}

var hooks = []hook{
	{"BeforeConnect", false, func(c *pool.Config, f func(context.Context)) {
		c.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error { f(ctx); return nil }
	}},
	{"AfterConnect", false, func(c *pool.Config, f func(context.Context)) {
		c.AfterConnect = func(ctx context.Context, _ *pgx.Conn) error { f(ctx); return nil }
	}},
	{"PrepareConn", true, func(c *pool.Config, f func(context.Context)) {
		c.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) { f(ctx); return true, nil }
	}},
	{"BeforeAcquire", true, func(c *pool.Config, f func(context.Context)) {
		c.BeforeAcquire = func(ctx context.Context, _ *pgx.Conn) bool { f(ctx); return true }
	}},
	{"ShouldPing", true, func(c *pool.Config, f func(context.Context)) {
		c.ShouldPing = func(ctx context.Context, _ pool.ShouldPingParams) bool { f(ctx); return true }
	}},
	{"ResetSession", false, func(c *pool.Config, f func(context.Context)) {
		c.ResetSession = func(ctx context.Context, _ *pgx.Conn) error { f(ctx); return nil }
	}},
	{"AfterRelease", false, func(c *pool.Config, f func(context.Context)) {
		c.AfterRelease = func(*pgx.Conn) bool { f(context.Background()); return true }
	}},
	{"BeforeClose", false, func(c *pool.Config, f func(context.Context)) {
		c.BeforeClose = func(*pgx.Conn) { f(context.Background()) }
	}},
}

// Whatever a hook does, its connection's place is free after a while, and the
// supervisor answers.
func TestScenario40HookPanicsOrBlocks(t *testing.T) {
	for way, f := range map[string]func(context.Context){
		"panics": func(context.Context) { panic("out of luck") },
		"exits":  func(context.Context) { runtime.Goexit() },
	} {
		for _, h := range hooks {
			t.Run(h.name+" "+way, func(t *testing.T) { hookComesToGrief(t, h, f) })
		}
	}
	for _, h := range hooks {
		t.Run(h.name+" blocks", func(t *testing.T) { hookBlocks(t, h) })
	}
}

// cycle has all hooks called, in turn: each of its steps is a borrower.
var cycle = [][]pool.PutOption{
	nil,                // PrepareConn, ShouldPing; ResetSession, AfterRelease
	{pool.WithClose()}, // BeforeClose
	nil,                // BeforeConnect, AfterConnect
}

// hookComesToGrief has a hook do so once in a pool of one, on a real server.
func hookComesToGrief(t *testing.T, h hook, f func(context.Context)) {
	once := make(chan struct{}, 1)
	p := made(t, server.ConnString(), func(c *pool.Config) {
		c.MaxConns, c.OutagePolicy = 1, pool.WaitForServer
		h.set(c, func(ctx context.Context) {
			select {
			case <-once:
				f(ctx)
			default:
			}
		})
	})
	get(t, p).Release()
	once <- struct{}{}
	for _, opts := range cycle {
		crowd(1, func(int) {
			defer func() { _ = recover() }() // a borrower's hook panics in the borrower
			c, err := p.GetConn(background(t))
			if assert.NoError(t, err) {
				assert.NoError(t, p.PutConn(c, opts...))
			}
		})
		assert.EqualValues(t, 1, p.Stat().MaxConns(), "the supervisor answers")
	}
	c := get(t, p)
	assert.Empty(t, once, "the hook was not called")
	assert.NoError(t, c.Ping(background(t)))
	c.Release()
}

// hookBlocks has a hook ignore its context for as long as it likes, in a pool of two:
// others are served, and its place is free, before it returns.
func hookBlocks(t *testing.T, h hook) {
	var once, blocked, release chan struct{}
	inBubble(t, func(c *pool.Config) {
		once, blocked, release = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
		c.MaxConns, c.OutagePolicy = 2, pool.WaitForServer
		h.set(c, func(context.Context) {
			select {
			case <-once:
				close(blocked)
				<-release
			default:
			}
		})
	}, func(b *bubble) {
		b.get().Release()
		once <- struct{}{}
		user := make(chan struct{})
		go func() {
			defer close(user)
			for _, opts := range cycle {
				assert.NoError(b, b.PutConn(b.get(), opts...))
				synctest.Wait()
			}
		}()
		<-blocked
		began := time.Now()
		b.get().Release()
		assert.LessOrEqual(b, time.Since(began), time.Second, "the other place is free")
		assert.EqualValues(b, 2, b.Stat().MaxConns(), "the supervisor answers")
		if !h.borrowers {
			one, two := b.get(), b.get()
			b.Logf("its place was free after %v", time.Since(began))
			assert.Less(b, time.Since(began), 3*time.Minute)
			one.Release()
			two.Release()
		}
		close(release)
		<-user
		one, two := b.get(), b.get()
		assert.Len(b, b.Leases(), 2)
		one.Release()
		two.Release()
	})
}
