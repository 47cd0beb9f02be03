package persistent_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type hook = func(ctx context.Context, id any, c *pgx.Conn) error

func profile(bind, unbind hook) persistent.Option {
	return persistent.WithProfile(persistent.Profile{OnBind: bind, OnUnbind: unbind})
}

// says is a hook that runs statements.
func says(sql string) hook {
	return func(ctx context.Context, _ any, c *pgx.Conn) error {
		return c.PgConn().Exec(ctx, sql).Close()
	}
}

func fails(context.Context, any, *pgx.Conn) error { return errHook }

// Once for a binding, whoever asks: not for the next reference, and again for the
// next binding. The hooks get the identity, and OnBind the values of a context.
func TestProfileHooks(t *testing.T) {
	said := make(chan string, 10)
	tell := func(what string) hook {
		return func(ctx context.Context, id any, c *pgx.Conn) error {
			said <- fmt.Sprintf("%s %v %v", what, id, ctx.Value(errHook))
			_, hasDeadline := ctx.Deadline()
			assert.True(t, hasDeadline)
			assert.Contains(t, []any{7, "seven"}, id, "itself, not wrapped")
			assert.False(t, c.IsClosed())
			return nil
		}
	}
	p, _ := persisting(t, 1, profile(tell("bind"), tell("unbind")))
	ctx, cancel := context.WithCancel(context.WithValue(as(t, 7), errHook, "value"))
	defer cancel()
	outer, inner := get(t, p, ctx), get(t, p, ctx)
	eachVerb(ctx, noBegin{p}, func(string, error) {})
	require.Equal(t, "bind 7 value", <-said)
	require.Empty(t, said)
	require.NoError(t, p.PutConn(outer))
	require.NoError(t, inner.Ping(ctx))
	require.Empty(t, said)
	cancel() // the last reference is given back by the end of its context
	require.Equal(t, "unbind 7 <nil>", <-said)

	exec(t, p, as(t, "seven"), "select 1")
	require.Equal(t, "bind seven <nil>", <-said)
	require.Equal(t, "unbind seven <nil>", <-said)
	c, err := p.Pool().GetConn(background(t))
	require.NoError(t, err)
	c.Release()
	awaitQuiet(t, p)
	require.Empty(t, said, "ordinary borrowers have no profile")
}

// OnBind is done before anybody has the connection.
func TestOnBindComesFirst(t *testing.T) {
	binding, goOn := make(chan struct{}), make(chan struct{})
	p, a := persisting(t, 3, profile(func(ctx context.Context, id any, c *pgx.Conn) error {
		close(binding)
		<-goOn
		_, err := c.Exec(ctx, "set my.mark = 'bound'")
		return err
	}, nil))
	ctx := as(t, "me")
	marks := make(chan string)
	const crowd = 5
	for range crowd {
		go func() {
			c, err := p.GetConn(ctx)
			assert.NoError(t, err)
			defer c.Release()
			var mark string
			for {
				err := c.QueryRow(ctx, "select current_setting('my.mark', true)").Scan(&mark)
				if _, busy := err.(*pool.BusyError); !busy {
					assert.NoError(t, err)
					break
				}
			}
			marks <- mark
		}()
	}
	<-binding
	awaitWaiting(t, p, crowd-1) // one fetches
	close(goOn)
	for range crowd {
		require.Equal(t, "bound", <-marks)
	}
	a.await(1)
}

// stains are what an identity can leave in a session: how it is left, and whether
// it is there.
var stains = map[string]struct{ leave, find string }{
	"a role":                {"set role persistent_tenant", "current_user = 'persistent_tenant'"},
	"a session's user":      {"set session authorization persistent_tenant", "session_user = 'persistent_tenant'"},
	"a setting":             {"set my.mark = 'left'", marked},
	"a search_path":         {"set search_path = pg_catalog", "current_setting('search_path') = 'pg_catalog'"},
	"a temporary table":     {"create temporary table left_behind (i int)", "to_regclass('left_behind') is not null"},
	"a sequence's position": {"create temporary sequence s; select nextval('s')", "to_regclass('s') is not null"},
	"an advisory lock":      {"select pg_advisory_lock(4711)", locked},
	"a shared lock, twice":  {"select pg_advisory_lock_shared(4711), pg_advisory_lock_shared(4711)", locked},
	"a subscription":        {"listen left_behind", "exists (select from pg_listening_channels())"},
	"a prepared statement": {"prepare left_behind as select 1",
		"exists (select from pg_prepared_statements where from_sql)"},
	"a cursor": {"declare left_behind cursor with hold for select 1",
		"exists (select from pg_cursors where is_holdable)"},
	"an open transaction": {"begin; set my.mark = 'left'", marked},
	"a savepoint":         {"begin; savepoint s; set my.mark = 'left'", marked},
}

const (
	marked = "coalesce(current_setting('my.mark', true), '') <> ''"
	locked = "exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())"
)

// However OnUnbind goes, nothing that an identity leaves reaches the next borrower.
func TestProfileLeavesNothing(t *testing.T) {
	closed := map[string]bool{"OnUnbind panics": true, "OnUnbind closes": true, "OnUnbind leaves rows": true}
	for name, opt := range map[string]persistent.Option{
		"no OnUnbind":     profile(says("select 1"), nil),
		"OnUnbind fails":  profile(nil, fails),
		"OnUnbind panics": profile(nil, func(context.Context, any, *pgx.Conn) error { panic("in OnUnbind") }),
		"OnUnbind fails, in a transaction": profile(nil, func(ctx context.Context, _ any, c *pgx.Conn) error {
			_, err := c.Exec(ctx, "begin; select 1/0")
			return err
		}),
		"OnUnbind begins": profile(nil, says("begin; set role persistent_tenant")),
		"OnUnbind closes": profile(nil, func(ctx context.Context, _ any, c *pgx.Conn) error { return c.Close(ctx) }),
		"OnUnbind leaves rows": profile(nil, func(ctx context.Context, _ any, c *pgx.Conn) error {
			_, err := c.Query(ctx, "select generate_series(1, 10000)")
			return err
		}),
		"OnUnbind resets": profile(nil, func(ctx context.Context, _ any, c *pgx.Conn) error {
			if err := c.DeallocateAll(ctx); err != nil {
				return err
			}
			return says("discard all")(ctx, nil, c)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			p, a := persisting(t, 1, opt)
			a.tenant()
			for what, stain := range stains {
				found := func(d db, ctx context.Context) bool { return ask[bool](t, d, ctx, "select "+stain.find) }
				me := as(t, "me")
				c := get(t, p, me)
				require.NoError(t, c.Conn().PgConn().Exec(me, stain.leave).Close(), what)
				require.True(t, found(c, me), what)
				require.NoError(t, p.PutConn(c))

				ctx := background(t)
				ordinary, err := p.Pool().GetConn(ctx)
				require.NoError(t, err)
				require.False(t, found(ordinary, ctx), "%s reaches an ordinary borrower", what)
				ordinary.Release()

				c = get(t, p, me)
				require.NoError(t, c.Conn().PgConn().Exec(me, stain.leave).Close(), what)
				require.NoError(t, p.PutConn(c))
				you := as(t, "you")
				require.False(t, found(p, you), "%s reaches another identity", what)
			}
			kept := p.Pool().Stat().NewConnsCount() == 1
			require.Equal(t, !closed[name], kept)
		})
	}
}

// tenant makes a role for the test.
func (a *admin) tenant() {
	a.exec("drop role if exists persistent_tenant; create role persistent_tenant")
	a.t.Cleanup(func() { a.exec("drop owned by persistent_tenant; drop role persistent_tenant") })
}

// An OnBind that fails midway: those who wait get its error, and nobody meets what
// it had done by then.
func TestOnBindFails(t *testing.T) {
	for name, row := range map[string]struct {
		bind hook
		says string
		kept bool
	}{
		"midway": {func(ctx context.Context, id any, c *pgx.Conn) error {
			if err := says("set my.mark = 'left'; create temporary table left_behind (i int)")(ctx, id, c); err != nil {
				return err
			}
			return errHook
		}, errHook.Error(), true},
		"in a transaction":      {says("begin; set my.mark = 'left'"), "in a transaction", true},
		"in a failed statement": {says("set my.mark = 'left'; select 1/0"), "division by zero", true},
		"by a panic": {func(ctx context.Context, id any, c *pgx.Conn) error {
			_ = says("set my.mark = 'left'")(ctx, id, c)
			panic("in OnBind")
		}, "in OnBind", false},
		"closing": {func(ctx context.Context, _ any, c *pgx.Conn) error { return c.Close(ctx) }, "closed", false},
		"leaving rows": {func(ctx context.Context, _ any, c *pgx.Conn) error {
			_, err := c.Query(ctx, "select generate_series(1, 100000)")
			return err
		}, "busy", false},
	} {
		for unbinds, unbind := range map[string]hook{"": nil, ", and OnUnbind too": fails} {
			t.Run(name+unbinds, func(t *testing.T) {
				p, _ := persisting(t, 1, profile(row.bind, unbind))
				first := pid(t, p.Pool(), background(t))
				require.ErrorContains(t, caught(func() error {
					_, err := p.GetConn(as(t, "me"))
					return err
				}), row.says)
				require.ErrorContains(t, caught(func() error {
					_, err := p.Exec(as(t, "you"), "select 1")
					return err
				}), row.says)
				ctx := background(t)
				require.False(t, ask[bool](t, p.Pool(), ctx,
					"select "+marked+" or to_regclass('left_behind') is not null"))
				require.Equal(t, row.kept, first == pid(t, p.Pool(), ctx))
			})
		}
	}
}

// Everybody who waits for the identity gets the error, and the next is asked anew.
func TestOnBindFailsForAll(t *testing.T) {
	var calls atomic.Int32
	binding, goOn := make(chan struct{}), make(chan struct{})
	p, _ := persisting(t, 2, profile(func(context.Context, any, *pgx.Conn) error {
		if calls.Add(1) == 1 {
			close(binding)
			<-goOn
			return errHook
		}
		return nil
	}, nil))
	errs := make(chan error)
	for range 3 {
		go func() {
			_, err := p.GetConn(as(t, "me"))
			errs <- err
		}()
	}
	<-binding
	awaitWaiting(t, p, 2) // for the one that fetches
	close(goOn)
	for range 3 {
		require.ErrorIs(t, <-errs, errHook)
	}
	exec(t, p, as(t, "me"), "select 1")
	require.EqualValues(t, 2, calls.Load())
}

// The context of the get that fetches ends during OnBind, and with it those of the gets
// that wait: what OnBind did is undone before the connection is lent again.
func TestOnBindForNobody(t *testing.T) {
	for name, unbind := range map[string]hook{"OnUnbind": says("reset my.mark"), "a reset": nil} {
		t.Run(name, func(t *testing.T) {
			binding, goOn := make(chan struct{}, 1), make(chan struct{})
			p, a := persisting(t, 1, profile(func(ctx context.Context, _ any, c *pgx.Conn) error {
				err := says("set my.mark = 'left'")(ctx, nil, c)
				binding <- struct{}{}
				<-goOn
				return err
			}, unbind))
			ctx, cancel := context.WithCancel(as(t, "me"))
			errs := make(chan error)
			for range 3 {
				go func() {
					_, err := p.GetConn(ctx)
					errs <- err
				}()
			}
			<-binding
			awaitWaiting(t, p, 2)
			cancel()
			for range 2 {
				require.ErrorIs(t, <-errs, context.Canceled)
			}
			got := make(chan bool)
			go func() { // an ordinary one waits already
				var left bool
				assert.NoError(t, p.Pool().QueryRow(background(t),
					"select "+marked).Scan(&left))
				got <- left
			}()
			awaitWaiting(t, p, 1)
			close(goOn)
			require.ErrorIs(t, <-errs, context.Canceled, "of the one that fetched")
			require.False(t, <-got)
			a.await(1)
			require.EqualValues(t, 1, p.Pool().Stat().NewConnsCount(), "and it is kept")
		})
	}
}

// DISCARD ALL alone would leave pgx with the names of statements that are gone.
func TestStatementsAfterReset(t *testing.T) {
	p, _ := persisting(t, 1, profile(says("select 1"), nil))
	const query = "select pg_backend_pid() from (select $1::int) n"
	me, you := as(t, "me"), as(t, "you")
	first := ask[uint32](t, p, me, query, 1)
	for range 3 {
		require.Equal(t, first, ask[uint32](t, p, me, query, 1), "by the identity")
		require.Equal(t, first, ask[uint32](t, p, you, query, 1), "by another")
		require.Equal(t, first, ask[uint32](t, p.Pool(), background(t), query, 1), "by an ordinary borrower")
	}
	c := get(t, p, me)
	_, err := c.Conn().Prepare(me, "named", query)
	require.NoError(t, err)
	require.NoError(t, p.PutConn(c))
	c = get(t, p, you)
	_, err = c.Conn().Prepare(you, "named", "select 1")
	require.NoError(t, err, "the name is free")
	require.Equal(t, first, pid(t, c, you))
	require.NoError(t, p.PutConn(c))
}

// What AfterConnect sets up is there again after a reset, and so are the settings of
// the connection string.
func TestAfterConnectAfterReset(t *testing.T) {
	var calls atomic.Int32
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConns = 1
		c.ConnConfig.RuntimeParams["my.given"] = "given"
		c.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			calls.Add(1)
			if err := says("set my.mark = 'ours'; create temporary table ours (i int)")(ctx, nil, c); err != nil {
				return err
			}
			_, err := c.Prepare(ctx, "ours", "select 'prepared'")
			return err
		}
	}, profile(says("set my.mark = 'theirs'; set my.given = 'theirs'"), nil))
	me, ctx := as(t, "me"), background(t)
	for range 3 {
		require.Equal(t, "theirs", ask[string](t, p, me, "select current_setting('my.mark')"))
		require.Equal(t, "prepared", ask[string](t, p, me, "ours"))
		require.Equal(t, "ours", ask[string](t, p.Pool(), ctx, "select current_setting('my.mark')"))
		require.Equal(t, "given", ask[string](t, p.Pool(), ctx, "select current_setting('my.given')"))
		require.Equal(t, a.name, ask[string](t, p.Pool(), ctx, "show search_path"))
		require.True(t, ask[bool](t, p.Pool(), ctx, "select to_regclass('pg_temp.ours') is not null"))
	}
	require.EqualValues(t, 7, calls.Load(), "for the one connection, and after each of the identity's")
	require.EqualValues(t, 1, p.Pool().Stat().NewConnsCount())
}

// An AfterConnect that fails after a reset, or leaves the connection unfit, costs the
// connection.
func TestAfterConnectFailsAfterReset(t *testing.T) {
	for name, fail := range map[string]hook{
		"an error":         fails,
		"a transaction":    says("begin"),
		"a panic":          func(context.Context, any, *pgx.Conn) error { panic("in AfterConnect") },
		"a closed session": func(ctx context.Context, _ any, c *pgx.Conn) error { return c.Close(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			var fresh sync.Map
			p, a := configured(t, func(c *pool.Config) {
				c.MaxConns = 1
				c.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
					if _, again := fresh.LoadOrStore(c, true); again {
						return fail(ctx, nil, c)
					}
					return nil
				}
			}, profile(says("set my.mark = 'left'"), nil))
			first := pid(t, p, as(t, "me"))
			require.NotEqual(t, first, pid(t, p.Pool(), background(t)))
			a.awaitDeath(first)
		})
	}
}

// Notifications that pgx has received, and nobody asked for, are of the session that
// was: they do not reach the next borrower.
func TestNotificationsAfterReset(t *testing.T) {
	p, a := persisting(t, 1, profile(says("listen news_of_mine"), nil))
	me := as(t, "me")
	c := get(t, p, me)
	first := pid(t, c, me)
	for range 3 {
		a.exec("notify news_of_mine, 'secret'")
	}
	exec(t, c, me, "select 1") // they come with it
	require.NoError(t, p.PutConn(c))

	ctx := background(t)
	next, err := p.Pool().GetConn(ctx)
	require.NoError(t, err)
	defer next.Release()
	require.Equal(t, first, next.Conn().PgConn().PID())
	exec(t, next, ctx, "listen news_of_yours; notify news_of_yours")
	n, err := next.Conn().WaitForNotification(ctx)
	require.NoError(t, err)
	require.Equal(t, "news_of_yours", n.Channel, "the first to come")
}

// Two persistent pools over one: what an identity is in the one says nothing in the
// other, and each undoes what is its own.
func TestTwoProfiles(t *testing.T) {
	a := newAdmin(t)
	shared, err := pool.NewWithConfig(background(t), a.config(func(c *pool.Config) { c.MaxConns = 2 }))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, shared.CloseAll(background(t))) })
	red, err := persistent.Over(shared, profile(says("set my.mark = 'red'"), says("set my.mark = ''")))
	require.NoError(t, err)
	blue, err := persistent.Over(shared, profile(says("set my.mark = 'blue'"), nil))
	require.NoError(t, err)
	plain, err := persistent.Over(shared)
	require.NoError(t, err)
	require.Same(t, shared, red.Pool())

	const mark = "select coalesce(current_setting('my.mark', true), '')"
	ctx := as(t, "me")
	r, b := get(t, red, ctx), get(t, blue, ctx)
	require.NotEqual(t, pid(t, r, ctx), pid(t, b, ctx), "the same identity, and another pool")
	require.Equal(t, "red", ask[string](t, r, ctx, mark))
	require.Equal(t, "blue", ask[string](t, b, ctx, mark))
	require.Len(t, shared.Leases(), 2)
	require.NoError(t, blue.Put(ctx))
	require.ErrorIs(t, blue.Put(ctx), pool.ErrNotLeased, "the other one is red's")
	require.ErrorIs(t, plain.Put(ctx), pool.ErrNotLeased)
	require.Empty(t, ask[string](t, plain, ctx, mark))
	require.NoError(t, r.Ping(ctx))
	require.NoError(t, blue.PutConn(r), "a handle says where it belongs")
	for range 5 {
		require.Equal(t, "red", ask[string](t, red, ctx, mark))
		require.Empty(t, ask[string](t, shared, ctx, mark))
		require.Equal(t, "blue", ask[string](t, blue, ctx, mark))
		require.Empty(t, ask[string](t, plain, ctx, mark))
	}
	a.await(2)
}

// Keyed and ordinary borrowers side by side, all in each other's way.
func TestProfileBesideOrdinary(t *testing.T) {
	p, a := persisting(t, 3, profile(func(ctx context.Context, id any, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "select set_config('my.mark', $1, false)", fmt.Sprint(id))
		return err
	}, nil))
	const mark = "select coalesce(current_setting('my.mark', true), '')"
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			for range 15 {
				ctx, want := context.Background(), ""
				var d db = p.Pool()
				if i%2 == 0 {
					ctx, want, d = persistent.WithIdentity(ctx, i), fmt.Sprint(i), p
				}
				ctx, cancel := context.WithTimeout(ctx, wide)
				var got string
				assert.NoError(t, d.QueryRow(ctx, mark).Scan(&got))
				assert.Equal(t, want, got)
				cancel()
			}
		})
	}
	all.Wait()
	awaitQuiet(t, p)
	a.await(3)
}

// A connection that is closed instead of kept is not unbound.
func TestOnUnbindOfAClosed(t *testing.T) {
	var calls atomic.Int32
	p, a := persisting(t, 1, profile(nil, func(context.Context, any, *pgx.Conn) error { calls.Add(1); return nil }))
	ctx := as(t, "me")
	c := get(t, p, ctx)
	first := pid(t, c, ctx)
	require.NoError(t, p.PutConn(c, pool.WithClose()))
	a.awaitDeath(first)
	c = get(t, p, ctx)
	p.Pool().Reset()
	require.NoError(t, p.PutConn(c))
	a.await(0)
	require.Zero(t, calls.Load())
}

// OnUnbind has its time. After that the connection is closed.
func TestOnUnbindHangs(t *testing.T) {
	t.Parallel()
	p, a := persisting(t, 1, profile(nil, func(ctx context.Context, _ any, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "select pg_sleep(3600)")
		return err
	}))
	first := pid(t, p, as(t, "me"))
	begun := time.Now()
	require.NotEqual(t, first, pid(t, p.Pool(), background(t)))
	require.Greater(t, time.Since(begun), time.Second)
	a.awaitDeath(first)
}

// caught is the error of f, or what it panics with: a hook's panic goes on in the get.
func caught(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	return f()
}
