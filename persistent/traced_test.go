package persistent_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// counts is a tracer that counts what was acquired, failed or not, and released.
type counts struct {
	started, acquired, failed, released atomic.Int64
	at                                  int64 // which TraceAcquireEnd calls do
	do                                  func()
}

func (c *counts) TraceAcquireStart(ctx context.Context, _ *pool.Pool, _ pool.TraceAcquireStartData) context.Context {
	c.started.Add(1)
	return ctx
}

func (c *counts) TraceAcquireEnd(_ context.Context, _ *pool.Pool, data pool.TraceAcquireEndData) {
	if data.Err != nil {
		c.failed.Add(1)
		return
	}
	if c.acquired.Add(1) == c.at {
		c.do()
	}
}

func (c *counts) TraceRelease(_ *pool.Pool, data pool.TraceReleaseData) {
	if data.Conn != nil { // each tells of a connection
		c.released.Add(1)
	}
}

func (*counts) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (*counts) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// agree checks that whatever was acquired is released, once nothing is lent.
func (c *counts) agree(t *testing.T, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.released.Load() == c.acquired.Load() }, wide, tick,
		"%s: %d acquired, %d released", what, c.acquired.Load(), c.released.Load())
	require.Equal(t, c.started.Load(), c.acquired.Load()+c.failed.Load(), what)
}

// However a lease ends, a tracer is told of its begin and of its end, once. A gauge of
// connections in use does not drift.
func TestTracersSeeEveryAcquireAndItsRelease(t *testing.T) {
	for what, use := range map[string]struct {
		acquired int // by what it does
		do       func(t *testing.T, p *persistent.Pool, a *admin)
	}{
		"the verbs": {8, func(t *testing.T, p *persistent.Pool, _ *admin) {
			eachVerb(as(t, "me"), p, func(verb string, err error) { require.NoError(t, err, verb) })
		}},
		"the verbs, nested": {9, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx := as(t, "me")
			c := get(t, p, ctx)
			eachVerb(ctx, p, func(verb string, err error) { require.NoError(t, err, verb) })
			eachVerb(ctx, c, func(verb string, err error) { require.NoError(t, err, verb) })
			c.Release()
			c.Release()
		}},
		"the verbs, held": {9, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx, release := p.Hold(as(t, "me"))
			eachVerb(ctx, p, func(verb string, err error) { require.NoError(t, err, verb) })
			release()
		}},
		"verbs that fail": {3, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx := as(t, "me")
			_, err := p.Exec(ctx, "select 1/0")
			require.Error(t, err)
			require.Error(t, p.QueryRow(ctx, "select 1/0").Scan(new(int)))
			rows, err := p.Query(ctx, "select 1/0")
			if err == nil {
				rows.Close()
				err = rows.Err()
			}
			require.Error(t, err)
			ended, end := ending(t, "me")
			end()
			_, err = p.Exec(ended, "select 1")
			require.Equal(t, context.Canceled, err)
		}},
		"verbs that are busy": {3, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx := as(t, "me")
			rows, err := p.Query(ctx, "select 1")
			require.NoError(t, err)
			isBusy(t, p.Ping(ctx), openRows)
			_, err = p.Query(ctx, "select 1")
			isBusy(t, err, openRows)
			rows.Close()
		}},
		"PutConn and Put": {3, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx := as(t, "me")
			c := get(t, p, ctx)
			get(t, p, ctx)
			require.NoError(t, p.Put(ctx))
			require.NoError(t, p.PutConn(c))
			require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
			require.ErrorIs(t, p.Put(ctx), pool.ErrNotLeased)
			require.NoError(t, p.PutConn(get(t, p, ctx), pool.WithClose()))
		}},
		"the end of a context": {5, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx, end := ending(t, "me")
			c := get(t, p, ctx)
			get(t, p, ctx)
			begin(t, p, ctx)
			held, release := p.Hold(ctx)
			require.NoError(t, p.Ping(held))
			end()
			awaitQuiet(t, p)
			require.NoError(t, p.PutConn(c))
			require.NoError(t, p.Put(ctx))
			release()
		}},
		"a transaction that its holder leaves": {2, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx := as(t, "me")
			ended, cancel := context.WithCancel(ctx)
			cancel()
			require.NoError(t, begin(t, p, ctx).Rollback(ended))
			require.NoError(t, begin(t, p, ctx).Commit(ctx))
		}},
		"a hijack": {1, func(t *testing.T, p *persistent.Pool, _ *admin) {
			require.NoError(t, get(t, p, as(t, "me")).Hijack().Close(background(t)))
		}},
		"a kill by EndGrace": {2, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx, end := ending(t, "me")
			c := get(t, p, ctx)
			p.QueryRow(ctx, "select 1") // never scanned
			end()
			require.Eventually(t, func() bool { return p.Pool().Stat().RevokedCount() == 1 }, wide, tick)
			require.NoError(t, p.PutConn(c))
		}},
		"a kill by MaxLeaseTime": {3, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx := as(t, "me")
			c := get(t, p, ctx)
			held, release := p.Hold(ctx)
			require.NoError(t, p.Ping(held))
			require.Eventually(t, func() bool { return p.Pool().Stat().RevokedCount() == 1 }, wide, tick)
			require.ErrorIs(t, p.PutConn(c), pool.ErrRevoked)
			release()
		}},
		"a connection that dies": {2, func(t *testing.T, p *persistent.Pool, a *admin) {
			ctx := as(t, "me")
			c := get(t, p, ctx)
			a.exec("select pg_terminate_backend($1)", pid(t, c, ctx))
			_, err := p.Exec(ctx, "select pg_sleep(3600)")
			require.Error(t, err)
			require.NoError(t, p.PutConn(c))
		}},
		"an OnBind that fails": {0, func(t *testing.T, p *persistent.Pool, _ *admin) {
			failing, err := persistent.Over(p.Pool(), profile(fails, nil))
			require.NoError(t, err)
			_, err = failing.GetConn(as(t, "me"))
			require.ErrorIs(t, err, errHook)
		}},
		"gets that wait, and give up": {2, func(t *testing.T, p *persistent.Pool, _ *admin) {
			c := get(t, p, as(t, "you"))
			ctx, end := ending(t, "me")
			errs := make(chan error)
			for range 3 {
				go func() {
					_, err := p.GetConn(ctx)
					errs <- err
				}()
			}
			awaitWaiting(t, p, 3)
			end()
			for range 3 {
				require.ErrorIs(t, <-errs, errGone)
			}
			c.Release()
			require.NoError(t, p.Ping(as(t, "me")))
		}},
		"CloseAll that waits": {1, func(t *testing.T, p *persistent.Pool, _ *admin) {
			c := get(t, p, as(t, "me"))
			closed := make(chan error)
			go func() { closed <- p.CloseAll(background(t)) }()
			require.Eventually(t, func() bool { return errors.Is(p.Put(as(t, "nobody")), pool.ErrClosed) }, wide, tick)
			require.ErrorIs(t, p.Ping(as(t, "me")), pool.ErrClosed)
			require.NoError(t, p.PutConn(c))
			require.NoError(t, <-closed)
		}},
		"CloseAll that does not": {4, func(t *testing.T, p *persistent.Pool, _ *admin) {
			ctx, end := ending(t, "me")
			c := get(t, p, ctx)
			get(t, p, ctx)
			held, release := p.Hold(ctx)
			require.NoError(t, p.Ping(held))
			ended, cancel := context.WithCancel(context.Background())
			cancel()
			require.Error(t, p.CloseAll(ended))
			require.ErrorIs(t, p.PutConn(c), pool.ErrClosed)
			release()
			end()
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			counts := &counts{}
			p, a := configured(t, func(c *pool.Config) {
				c.MaxConns, c.ConnConfig.Tracer = 1, counts
				if what == "a kill by MaxLeaseTime" {
					c.MaxLeaseTime = time.Second
				}
			})
			a.exec("create table copied (i int)")
			use.do(t, p, a)
			counts.agree(t, what)
			require.EqualValues(t, use.acquired, counts.acquired.Load())
		})
	}
}
