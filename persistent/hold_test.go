package persistent_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted is a profile that counts its binds and unbinds.
func counted() (opt persistent.Option, binds, unbinds *atomic.Int32) {
	binds, unbinds = new(atomic.Int32), new(atomic.Int32)
	return profile(
		func(context.Context, any, *pgx.Conn) error { binds.Add(1); return nil },
		func(context.Context, any, *pgx.Conn) error { unbinds.Add(1); return nil },
	), binds, unbinds
}

func TestHoldKeepsTheConnectionBetweenStatements(t *testing.T) {
	opt, binds, unbinds := counted()
	p, _ := persisting(t, 4, opt)
	ctx := persistent.NewIdentity(background(t))
	for range 100 {
		exec(t, p, ctx, "select 1")
	}
	require.EqualValues(t, 100, binds.Load(), "what Hold is for")
	awaitQuiet(t, p)
	require.EqualValues(t, 100, unbinds.Load())

	binds.Store(0)
	unbinds.Store(0)
	held, release := p.Hold(ctx)
	first := pid(t, p, held)
	for range 33 {
		exec(t, p, held, "select 1")
		require.Equal(t, first, pid(t, p, context.WithValue(held, wide, "derived")))
		require.Equal(t, first, pid(t, p, ctx), "also without Hold's context, while it is bound")
	}
	require.EqualValues(t, 1, binds.Load())
	require.Zero(t, unbinds.Load())
	require.EqualValues(t, 1, p.Pool().Leases()[0].Holders)
	release()
	awaitQuiet(t, p)
	require.EqualValues(t, 1, unbinds.Load())
	exec(t, p, held, "select 1") // as without Hold
	awaitQuiet(t, p)
	require.EqualValues(t, 2, binds.Load())
	release()
	release()
}

// Temporary tables, settings and advisory locks of identities that share a few
// connections: each has its own for as long as it holds, and none after.
func TestHoldKeepsWhatIsTheSessions(t *testing.T) {
	const identities, rounds = 8, 20
	p, _ := persisting(t, 4, profile(says("select 1"), nil)) // a reset at each release
	var all sync.WaitGroup
	for i := range identities {
		all.Go(func() {
			ctx, release := p.Hold(persistent.NewIdentity(background(t)))
			defer release()
			for range rounds {
				_, err := p.Exec(ctx, "create temporary table if not exists mine (id int)")
				assert.NoError(t, err)
				_, err = p.Exec(ctx, "insert into mine values ($1)", i)
				assert.NoError(t, err)
				_, err = p.Exec(ctx, "select pg_advisory_lock($1), set_config('my.id', $2, false)", i, fmt.Sprint(i))
				assert.NoError(t, err)
			}
			var rows, ids, locks int
			var setting string
			assert.NoError(t, p.QueryRow(ctx, "select count(*), count(distinct id), current_setting('my.id') from mine").
				Scan(&rows, &ids, &setting))
			assert.NoError(t, p.QueryRow(ctx, "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()").
				Scan(&locks))
			assert.Equal(t, []any{rounds, 1, fmt.Sprint(i), 1}, []any{rows, ids, setting, locks})
		})
	}
	all.Wait()
	for range 4 {
		ctx := background(t)
		c, err := p.Pool().GetConn(ctx)
		require.NoError(t, err)
		defer c.Release()
		require.False(t, ask[bool](t, c, ctx, "select to_regclass('mine') is not null or "+locked))
	}
}

func TestHoldTakesNothingBeforeAStatement(t *testing.T) {
	p, a := persisting(t, 1)
	ctx, release := p.Hold(as(t, "me"))
	require.Empty(t, p.Pool().Leases())
	require.ErrorIs(t, p.Put(ctx), pool.ErrNotLeased)
	other, releaseOther := p.Hold(as(t, "you")) // the pool has one connection
	exec(t, p, other, "select 1")
	releaseOther()
	awaitQuiet(t, p)
	release()
	a.await(1)
	require.EqualValues(t, 1, p.Pool().Stat().NewConnsCount())
}

// Two that hold take the one connection in turn, and meet nothing of each other.
func TestHoldInTurn(t *testing.T) {
	p, a := persisting(t, 1, profile(says("select 1"), nil))
	mine, release := p.Hold(as(t, "me"))
	yours, releaseYours := p.Hold(as(t, "you"))
	for range 3 {
		exec(t, p, mine, "create temporary table mine (i int)")
		backend := pid(t, p, mine)
		got := make(chan uint32)
		go func() {
			var other uint32
			assert.NoError(t, p.QueryRow(yours, "select pg_backend_pid() where to_regclass('mine') is null").Scan(&other))
			got <- other
		}()
		awaitWaiting(t, p, 1)
		require.Empty(t, got)
		exec(t, p, mine, "insert into mine values (1)")
		release()
		require.Equal(t, backend, <-got)
		exec(t, p, yours, "select 1")
		releaseYours()
		mine, release = p.Hold(as(t, "me"))
		yours, releaseYours = p.Hold(as(t, "you"))
	}
	a.await(1)
}

// The end of the context of Hold gives the connection back, not that of the statement.
func TestHoldEndsWithItsContext(t *testing.T) {
	p, _ := persisting(t, 1)
	request, end := ending(t, "me")
	held, release := p.Hold(request)
	statement, cancel := context.WithCancel(held)
	exec(t, p, statement, "create temporary table mine (i int)")
	cancel()
	exec(t, p, held, "insert into mine values (1)")
	exec(t, p, held, "begin; insert into mine values (2)")
	end()
	awaitQuiet(t, p)
	_, err := p.Exec(held, "select 1")
	require.Equal(t, context.Canceled, err)
	late := context.WithoutCancel(held)
	require.Equal(t, 1, ask[int](t, p, late, "select count(*) from mine"), "the transaction is rolled back")
	awaitQuiet(t, p) // it is no longer held
	release()
	exec(t, p, as(t, "you"), "drop table mine")
}

// A context that ends while the first statement runs.
func TestHoldEndsDuringTheFirstStatement(t *testing.T) {
	p, a := persisting(t, 1)
	for name, end := range map[string]func(cancel, release func()){
		"by its context": func(cancel, _ func()) { cancel() },
		"by release":     func(_, release func()) { release() },
	} {
		request, cancel := ending(t, "me")
		held, release := p.Hold(request)
		errs := make(chan error)
		go func() {
			_, err := p.Exec(held, "select pg_sleep(0.3)")
			errs <- err
		}()
		a.awaitSleep(1)
		end(cancel, release)
		if err := <-errs; name == "by its context" {
			require.ErrorIs(t, err, errGone, name)
		} else {
			require.NoError(t, err, name)
		}
		awaitQuiet(t, p)
		release()
	}
}

// Each of several keeps the connection, whatever the order of their ends, and whichever
// context it was first got with.
func TestHoldNested(t *testing.T) {
	for name, order := range map[string][]int{"the inner first": {2, 1, 0}, "the outer first": {0, 1, 2}, "the middle first": {1, 0, 2}} {
		for first := range 3 {
			t.Run(fmt.Sprint(name, ", got by ", first), func(t *testing.T) {
				opt, binds, _ := counted()
				p, _ := persisting(t, 2, opt)
				var contexts [3]context.Context
				var releases [3]func()
				ctx := as(t, "me")
				for i := range contexts {
					ctx, releases[i] = p.Hold(ctx)
					contexts[i] = ctx
				}
				exec(t, p, contexts[first], "select 1")
				require.EqualValues(t, first+1, p.Pool().Leases()[0].Holders, "those around it")
				exec(t, p, contexts[2], "create temporary table mine (i int)")
				require.EqualValues(t, 3, p.Pool().Leases()[0].Holders)
				for left, i := range order {
					exec(t, p, contexts[i], "insert into mine values (1)")
					releases[i]()
					if left < 2 {
						awaitHolders(t, p, 2-left)
					}
				}
				awaitQuiet(t, p)
				require.EqualValues(t, 1, binds.Load())
			})
		}
	}
}

// A hold is for the identity of its context, and for its pool.
func TestHoldIsForOneIdentityAndPool(t *testing.T) {
	p, _ := persisting(t, 2)
	other, err := persistent.Over(p.Pool())
	require.NoError(t, err)
	held, release := p.Hold(as(t, "me"))
	defer release()
	exec(t, p, held, "select 1")
	awaitHolders(t, p, 1)
	inner := persistent.WithIdentity(held, "audit")
	exec(t, p, inner, "select 1")
	awaitHolders(t, p, 1)
	exec(t, other, held, "select 1")
	awaitHolders(t, p, 1)
	exec(t, p, persistent.WithIdentity(inner, "me"), "select 1") // again, within the other
	awaitHolders(t, p, 1)
	release()
	awaitQuiet(t, p)

	held, release = p.Hold(as(t, "me"))
	exec(t, p, persistent.WithIdentity(persistent.WithIdentity(held, "audit"), "me"), "select 1")
	awaitHolders(t, p, 1)
	release()
}

func TestHoldWithoutAnIdentity(t *testing.T) {
	p, a := persisting(t, 1)
	ctx := background(t)
	held, release := p.Hold(ctx)
	require.Equal(t, ctx, held)
	release()
	_, err := p.Exec(held, "select 1")
	require.ErrorIs(t, err, persistent.ErrNoIdentity)
	bad := persistent.WithIdentity[any](ctx, []int{1})
	held, release = p.Hold(bad)
	require.Equal(t, bad, held)
	release()
	_, err = p.Exec(held, "select 1")
	var key *pool.KeyError
	require.ErrorAs(t, err, &key)
	a.await(0)
}

// Handles, rows, transactions, Put and Hijack are as ever beside it.
func TestHoldBesideHandles(t *testing.T) {
	p, a, sum := ledger(t)
	ctx, release := p.Hold(as(t, "me"))
	tx := begin(t, p, ctx)
	exec(t, p, ctx, "insert into n values (1)")
	require.NoError(t, tx.Commit(ctx))
	c := get(t, p, ctx)
	_, err := p.Pool().TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted, "there is one connection for all of it")
	require.PanicsWithValue(t, "cannot hijack: "+actor.ErrShared.Error(), func() { c.Hijack() })
	require.NoError(t, p.Put(ctx), "the handle's")
	require.ErrorIs(t, c.Ping(ctx), pool.ErrNotLeased)
	require.ErrorIs(t, p.Put(ctx), pool.ErrNotLeased, "Hold's is nobody's to put")
	rows, err := p.Query(ctx, "select 1")
	require.NoError(t, err)
	isBusy(t, p.Ping(ctx), openRows)
	release() // the rows keep what they have
	require.True(t, rows.Next())
	rows.Close()
	require.NoError(t, rows.Err())
	awaitQuiet(t, p)
	require.Equal(t, 1, sum())
	a.await(1)
}

// A transaction begun by a statement lasts as the session does.
func TestHoldAndATransactionOfStatements(t *testing.T) {
	p, _, sum := ledger(t)
	for _, end := range []string{"commit", "release"} {
		ctx, release := p.Hold(as(t, "me"))
		exec(t, p, ctx, "begin")
		exec(t, p, ctx, "insert into n values (1)")
		require.Equal(t, map[string]int{"commit": 0, "release": 1}[end], sum(), "as before it began")
		if end == "commit" {
			exec(t, p, ctx, "commit")
		}
		release()
		awaitQuiet(t, p)
		require.Equal(t, 1, sum(), end)
	}
}

func TestHoldAndCloseAll(t *testing.T) {
	t.Run("that waits", func(t *testing.T) {
		p, a := persisting(t, 1)
		ctx, release := p.Hold(as(t, "me"))
		exec(t, p, ctx, "select 1")
		closed := make(chan error)
		go func() { closed <- p.CloseAll(background(t)) }()
		require.Eventually(t, func() bool { _, err := p.Exec(ctx, "select 1"); return err != nil }, wide, tick)
		_, err := p.Exec(ctx, "select 1")
		require.ErrorIs(t, err, pool.ErrClosed)
		select {
		case err := <-closed:
			require.Fail(t, "it waits for the release", "%v", err)
		case <-time.After(50 * time.Millisecond):
		}
		release()
		require.NoError(t, <-closed)
		a.await(0)
	})
	t.Run("at once", func(t *testing.T) {
		p, a := persisting(t, 1)
		ctx, release := p.Hold(as(t, "me"))
		exec(t, p, ctx, "select 1")
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		var left *pool.CloseError
		require.ErrorAs(t, p.CloseAll(ended), &left)
		require.Len(t, left.Leases, 1)
		a.await(0)
		release()
		_, err := p.Exec(ctx, "select 1")
		require.ErrorIs(t, err, pool.ErrClosed)
	})
}

// What is held for longer than MaxLeaseTime is revoked. Until its release, or for
// MaxLeaseTime again, the identity is refused; then it has another one, which is held too.
func TestHoldAndMaxLeaseTime(t *testing.T) {
	for name, wait := range map[string]bool{"released": false, "not released": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.MaxLeaseTime = 1, time.Second })
			ctx, release := p.Hold(as(t, "me"))
			first := pid(t, p, ctx)
			require.Eventually(t, func() bool { return p.Pool().Stat().RevokedCount() == 1 }, wide, tick)
			a.awaitDeath(first)
			_, err := p.Exec(ctx, "select 1")
			require.ErrorIs(t, err, pool.ErrRevoked)
			if wait {
				require.Eventually(t, func() bool { _, err := p.Exec(ctx, "select 1"); return err == nil }, wide, tick)
			} else {
				release()
				ctx, release = p.Hold(as(t, "me"))
			}
			require.NotEqual(t, first, pid(t, p, ctx))
			exec(t, p, ctx, "create temporary table mine (i int)")
			exec(t, p, ctx, "insert into mine values (1)")
			awaitHolders(t, p, 1)
			release()
		})
	}
}

// A request whose connection is gone is not served by another one, which has nothing of
// its session.
func TestHoldOfAConnectionThatDies(t *testing.T) {
	p, a := persisting(t, 2)
	ctx, release := p.Hold(as(t, "me"))
	exec(t, p, ctx, "create temporary table mine (i int)")
	backend := pid(t, p, ctx)
	a.exec("select pg_terminate_backend($1)", backend)
	a.awaitDeath(backend)
	for range 3 {
		_, err := p.Exec(ctx, "select 1")
		require.Error(t, err)
	}
	release()
	require.NotEqual(t, backend, pid(t, p, as(t, "me")))
}

// Many statements at once under one hold, beside its release: one reference at most is
// left, and that goes.
func TestHoldRaces(t *testing.T) {
	p, a := persisting(t, 2)
	for range 30 {
		ctx, end := context.WithCancel(persistent.NewIdentity(background(t)))
		held, release := p.Hold(ctx)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 5 {
					if _, err := p.Exec(held, "select 1"); err != nil && ctx.Err() == nil {
						assert.ErrorIs(t, err, pool.ErrBusy)
					}
				}
			})
		}
		all.Go(release)
		all.Go(func() { time.Sleep(time.Millisecond); end() })
		all.Wait()
		awaitQuiet(t, p)
	}
	require.LessOrEqual(t, a.count("select count(*)"+backends, a.name), 2)
}

// A tracer sees that the connection is in use for as long as it is held.
func TestHoldIsTraced(t *testing.T) {
	counts := &counts{}
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.Tracer = 1, counts })
	ctx, release := p.Hold(as(t, "me"))
	for i := range 3 {
		exec(t, p, ctx, "select 1")
		require.EqualValues(t, i+2, counts.acquired.Load())
		require.EqualValues(t, i+1, counts.released.Load())
	}
	release()
	require.EqualValues(t, 4, counts.released.Load())
	exec(t, p, ctx, "select 1")
	require.EqualValues(t, 5, counts.started.Load(), "nothing more after the release")

	request, end := ending(t, "me")
	ctx, release = p.Hold(request)
	end()
	exec(t, p, context.WithoutCancel(ctx), "select 1")
	require.EqualValues(t, 6, counts.started.Load(), "nor after the end of its context")
	release()
}

// A release in the moment in which Hold gets its reference.
func TestHoldIsReleasedAsItBegins(t *testing.T) {
	counts := &counts{}
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.Tracer = 1, counts })
	ctx, release := p.Hold(persistent.WithIdentity(context.Background(), "me"))
	counts.at, counts.do = 2, release
	exec(t, p, ctx, "select 1")
	require.Empty(t, p.Pool().Leases())
	require.EqualValues(t, 2, counts.released.Load())
}

// Whoever panics in a tracer gives all back.
func TestHoldAndATracerThatPanics(t *testing.T) {
	counts := &counts{}
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.Tracer = 1, counts })
	ctx, release := p.Hold(as(t, "me"))
	counts.at, counts.do = 2, func() { panic("in TraceAcquireEnd") } // of Hold's own
	require.Panics(t, func() { _, _ = p.Exec(ctx, "select 1") })
	awaitQuiet(t, p)
	exec(t, p, ctx, "select 1")
	awaitHolders(t, p, 1)
	release()
	awaitQuiet(t, p)
	require.Equal(t, counts.acquired.Load(), counts.released.Load())
}

// Leases names the code that brought the connection.
func TestHoldIsTracked(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.TrackLeases = 1, true })
	ctx, release := p.Hold(pool.WithLabel(as(t, "me"), "request 7"))
	exec(t, p, ctx, "select 1")
	leases := p.Pool().Leases()
	require.Len(t, leases, 1)
	require.Contains(t, leases[0].Holder, "persistent_test.exec rig_test.go:")
	require.Equal(t, "request 7", leases[0].Label)
	release()
	awaitQuiet(t, p)
}
