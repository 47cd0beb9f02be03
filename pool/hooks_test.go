package pool_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// configured makes a pool on a database of its own, and closes it at the end.
func configured(t *testing.T, change func(c *pool.Config)) (*pool.Pool, *admin) {
	a := newAdmin(t)
	c, err := pool.ParseConfig(a.url)
	require.NoError(t, err)
	change(c)
	p, err := pool.NewWithConfig(background(t), c)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := p.CloseAll(background(t)); err != nil {
			require.ErrorIs(t, err, pool.ErrClosed)
		}
		a.await(0)
	})
	return p, a
}

var errHook = errors.New("the hook says no")

// PrepareConn's four outcomes, and a panic, on a pool of one connection: where
// the connection is not there afterwards, the next get would wait for ever.
func TestPrepareConn(t *testing.T) {
	type outcome struct {
		ok  bool
		err error
	}
	for name, o := range map[string]struct {
		outcome
		fails, keeps bool
	}{
		"true, nil":    {outcome{true, nil}, false, true},
		"true, error":  {outcome{true, errHook}, true, true},
		"false, error": {outcome{false, errHook}, true, false},
		"false, nil":   {outcome{false, nil}, false, false},
	} {
		for with, opts := range map[string][]pool.GetOption{"": nil, " with a key": {pool.WithKey("k")}} {
			t.Run(name+with, func(t *testing.T) {
				next := make(chan outcome, 1)
				p, _ := configured(t, func(c *pool.Config) {
					c.MaxConns = 1
					c.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) {
						select {
						case o := <-next:
							return o.ok, o.err
						default:
							return true, nil
						}
					}
				})
				c := get(t, p)
				was := pid(c)
				c.Release()
				next <- o.outcome
				c, err := p.GetConn(background(t), opts...)
				if o.fails {
					require.ErrorIs(t, err, errHook)
					c = get(t, p)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, o.keeps, pid(c) == was)
				c.Release()
			})
		}
	}
	t.Run("a panic", func(t *testing.T) {
		panics := true
		p, _ := configured(t, func(c *pool.Config) {
			c.MaxConns = 1
			c.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) {
				if panics {
					panic("in PrepareConn")
				}
				return true, nil
			}
		})
		require.PanicsWithValue(t, "in PrepareConn", func() { _, _ = p.Acquire(background(t)) })
		panics = false
		get(t, p).Release()
	})
	t.Run("always false", func(t *testing.T) {
		p, _ := configured(t, func(c *pool.Config) {
			c.MaxConns = 2
			c.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) { return false, nil }
		})
		_, err := p.Acquire(background(t))
		require.ErrorIs(t, err, pool.ErrUnavailable)
	})
}

// A connection put inside a transaction is rolled back, and AfterRelease sees it
// after that; false closes it.
func TestAfterRelease(t *testing.T) {
	keep := make(chan bool, 1)
	status := make(chan byte, 1)
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns = 1
		c.AfterRelease = func(c *pgx.Conn) bool {
			status <- c.PgConn().TxStatus()
			return <-keep
		}
	})
	c := get(t, p)
	was := pid(c)
	_, err := c.Begin(background(t))
	require.NoError(t, err)
	keep <- true
	c.Release()
	require.Equal(t, byte('I'), <-status)
	c = get(t, p)
	require.Equal(t, was, pid(c))
	keep <- false
	c.Release()
	<-status
	c = get(t, p)
	require.NotEqual(t, was, pid(c))
	keep <- true
	c.Release()
	<-status
}

// With CloseDirty an open transaction closes the connection, as in pgxpool.
func TestCloseDirty(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.DirtyPolicy = 1, pool.CloseDirty })
	c := get(t, p)
	was := pid(c)
	c.Release()
	c = get(t, p)
	require.Equal(t, was, pid(c), "a clean one is kept")
	_, err := c.Begin(background(t))
	require.NoError(t, err)
	c.Release()
	c = get(t, p)
	require.NotEqual(t, was, pid(c))
	c.Release()
}

// BeforeClose sees every connection before it is closed, and one that panics
// still loses its connection.
func TestBeforeClose(t *testing.T) {
	seen := make(chan uint32, 2)
	p, a := configured(t, func(c *pool.Config) {
		c.BeforeClose = func(c *pgx.Conn) {
			seen <- c.PgConn().PID()
			panic("in BeforeClose")
		}
	})
	c := get(t, p)
	was := pid(c)
	require.NoError(t, p.PutConn(c, pool.WithClose()))
	require.Equal(t, was, <-seen)
	a.await(0)
}

// ShouldPing says when a connection is pinged before it is lent: one that a
// ping finds dead is replaced.
func TestShouldPing(t *testing.T) {
	asked := make(chan pool.ShouldPingParams, 1)
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns, c.PingTimeout = 1, wide
		c.ShouldPing = func(_ context.Context, params pool.ShouldPingParams) bool {
			asked <- params
			return true
		}
	})
	c := get(t, p)
	was := c.Conn()
	c.Release()
	c = get(t, p)
	params := <-asked
	require.Same(t, was, params.Conn)
	require.Same(t, was, c.Conn(), "the ping found it alive")
	require.GreaterOrEqual(t, params.IdleDuration, time.Duration(0))
	require.Less(t, params.IdleDuration, wide)
	c.Release()
	require.Empty(t, asked)
	for _, c := range p.AcquireAllIdle(background(t)) {
		require.Same(t, was, c.Conn())
		c.Release()
	}
	require.Empty(t, asked, "AcquireAllIdle asks nobody")
}

// A limit of MaxInt32 takes no memory to match.
func TestMaxConnsWithoutLimit(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns = 1<<31 - 1 })
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
	get(t, p).Release()
	require.EqualValues(t, 1<<31-1, p.Stat().MaxConns())
}

// An acquire that is cancelled while it dials leaves the connection to the
// pool.
func TestAcquireCancelledWhileDialing(t *testing.T) {
	dialing, goOn := make(chan struct{}), make(chan struct{})
	var dials atomic.Int32
	p, _ := configured(t, func(c *pool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			dials.Add(1)
			close(dialing)
			<-goOn
			return nil
		}
	})
	ctx, cancel := context.WithCancel(background(t))
	failed := make(chan error)
	go func() {
		_, err := p.Acquire(ctx)
		failed <- err
	}()
	<-dialing
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	close(goOn)
	get(t, p).Release()
	require.EqualValues(t, 1, dials.Load())
	require.EqualValues(t, 1, p.Stat().NewConnsCount())
}

// Who gives up during a ping leaves the connection to the pool, or to its end.
func TestShouldPingGivenUp(t *testing.T) {
	for name, end := range map[string]func(p *pool.Pool, was uint32){
		"and the next gets it": func(p *pool.Pool, was uint32) {
			c := get(t, p)
			require.Equal(t, was, pid(c))
			c.Release()
		},
		"and the pool closes": func(p *pool.Pool, _ uint32) { require.NoError(t, p.CloseAll(background(t))) },
	} {
		t.Run(name, func(t *testing.T) {
			var cancel atomic.Pointer[context.CancelFunc]
			p, _ := configured(t, func(c *pool.Config) {
				c.MaxConns = 1
				c.ShouldPing = func(context.Context, pool.ShouldPingParams) bool {
					if f := cancel.Swap(nil); f != nil {
						(*f)()
					}
					return true
				}
			})
			c := get(t, p)
			was := pid(c)
			c.Release()
			for range 20 { // the ping may be faster
				ctx, f := context.WithCancel(background(t))
				cancel.Store(&f)
				if c, err := p.Acquire(ctx); err == nil {
					c.Release()
				} else {
					require.ErrorIs(t, err, context.Canceled)
				}
			}
			end(p, was)
		})
	}
}
