package pool_test

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Scenarios: the server's bad days.

// Only what is in flight fails, once for each connection at most; then everybody is
// served again.
func TestScenario01ServerRestartUnderLoad(t *testing.T) {
	const limit = 10
	s := own(t)
	for name, down := range map[string]func(*pooltest.Server, context.Context) error{
		"shut down": (*pooltest.Server).Stop,
		"crashed":   (*pooltest.Server).Crash,
	} {
		t.Run(name, func(t *testing.T) {
			p := made(t, s.ConnString(), patient(limit))
			w := work(2*limit, p)
			w.awaitEach(t, 5)
			require.NoError(t, down(s, background(t)))
			require.NoError(t, s.Restart(background(t)))
			w.awaitEach(t, 5)
			errs := w.end()
			t.Logf("%d statements failed", len(errs))
			assert.LessOrEqual(t, len(errs), limit)
			for _, err := range errs {
				assert.NotErrorIs(t, err, pool.ErrUnavailable, "a get failed")
				assert.NotErrorIs(t, err, context.DeadlineExceeded, "somebody waited in vain")
			}
		})
	}
}

// A backend is terminated while its connection rests: whatever the next borrower
// does with the pool, it does not notice.
func TestScenario02TerminatedWhileIdle(t *testing.T) {
	p, a := threaded(t, 0, 1)
	ctx := background(t)
	for name, use := range map[string]func() error{
		"Exec":     func() error { _, err := p.Exec(ctx, "select 1"); return err },
		"QueryRow": func() error { return p.QueryRow(ctx, "select 1").Scan(new(int)) },
		"Ping":     func() error { return p.Ping(ctx) },
		"SendBatch": func() error {
			var b pgx.Batch
			b.Queue("select 1")
			return p.SendBatch(ctx, &b).Close()
		},
		"Begin": func() error {
			tx, err := p.Begin(ctx)
			if err != nil {
				return err
			}
			return tx.Commit(ctx)
		},
		"CopyFrom": func() error {
			_, err := p.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"n"}, pgx.CopyFromRows([][]any{{1}}))
			return err
		},
		"AcquireFunc": func() error { return p.AcquireFunc(ctx, func(c *pool.Conn) error { return c.Ping(ctx) }) },
		"WithKey": func() error {
			c, err := p.GetConn(ctx, pool.WithKey("k"))
			if err != nil {
				return err
			}
			defer c.Release()
			return c.Ping(ctx)
		},
	} {
		_, err := p.Exec(ctx, "create table if not exists t (n int)")
		require.NoError(t, err)
		dead := backend(t, p)
		a.terminate(uint32(dead))
		<-time.After(2 * time.Millisecond) // what rested for less than one is lent as it is
		assert.NoError(t, use(), name)
		assert.NotEqual(t, dead, backend(t, p), name)
	}
}

// The statement's error says what happened, and who waits has the place.
func TestScenario03TerminatedMidQuery(t *testing.T) {
	p, a := threaded(t, 0, 1)
	c := get(t, p)
	dead := pid(c)
	waiter := ask(background(t), p)
	awaitWaiting(t, p, 1)
	err := a.fail(c)
	assert.Equal(t, "57P01", code(err), err)
	require.NoError(t, p.PutConn(c))
	c = waiter.served(t)
	assert.NotEqual(t, dead, pid(c))
	assert.NoError(t, c.Ping(background(t)))
	require.NoError(t, p.PutConn(c))
	assert.Equal(t, 1, a.backends())
}

// Three connections of a generation are ended by the server: those of its that rest are
// looked after once, not each time that somebody puts one of the three.
func TestScenario04GenerationIsCheckedOnce(t *testing.T) {
	var seen pings
	p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.DialFunc = 6, seen.dial })
	broken := []*pool.Conn{get(t, p), get(t, p), get(t, p)}
	rest(t, p, 3)
	for _, c := range broken {
		require.Equal(t, "57P01", code(a.fail(c)))
	}
	require.NoError(t, p.PutConn(broken[0]))
	require.Eventually(t, func() bool { return a.pinged() == 3 }, wide, 2*time.Millisecond, "those that rest are checked")
	require.NoError(t, p.PutConn(broken[1]))
	require.NoError(t, p.PutConn(broken[2]))
	awaitOpen(t, p, 3)
	require.NoError(t, p.CloseAll(background(t))) // waits for checks under way
	assert.EqualValues(t, 3, seen.n.Load())
	assert.EqualValues(t, 6, p.Stat().NewConnsCount(), "they were alive")
}

// What an old connection says late is no news: younger ones are neither checked nor
// closed.
func TestScenario05LateErrorOfAnOldGeneration(t *testing.T) {
	t.Run("terminated", func(t *testing.T) {
		var seen pings
		p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.DialFunc = 6, seen.dial })
		first, second := get(t, p), get(t, p)
		rest(t, p, 2)
		require.Equal(t, "57P01", code(a.fail(first)))
		require.NoError(t, p.PutConn(first))
		require.Eventually(t, func() bool { return a.pinged() == 2 }, wide, 2*time.Millisecond)
		rest(t, p, 3) // one of them is new
		require.Equal(t, "57P01", code(a.fail(second)))
		require.NoError(t, p.PutConn(second))
		awaitOpen(t, p, 3)
		require.NoError(t, p.CloseAll(background(t)))
		assert.EqualValues(t, 2, seen.n.Load(), "checked because of the late error")
		assert.EqualValues(t, 5, p.Stat().NewConnsCount())
	})
	t.Run("read-only", func(t *testing.T) {
		a := newAdmin(t)
		p := made(t, a.url+"&target_session_attrs=read-write", func(c *pool.Config) { c.MaxConns = 4 })
		first, second := get(t, p), get(t, p)
		readOnly(t, first)
		readOnly(t, second)
		require.NoError(t, p.PutConn(first))
		a.await(1)
		rest(t, p, 2)
		young := a.pids()
		require.NoError(t, p.PutConn(second))
		a.await(2)
		assert.NoError(t, p.WaitReady(background(t)))
		assert.Subset(t, young, a.pids(), "those that are left were there before")
		assert.EqualValues(t, 4, p.Stat().NewConnsCount())
	})
}

// awaitOpen waits until the pool has n connections and none on its way out.
func awaitOpen(t *testing.T, p *pool.Pool, n int32) {
	require.Eventually(t, func() bool { return p.Stat().TotalConns() == n && p.Stat().ClosingConns() == 0 }, wide, time.Millisecond)
}

// readOnly has a session refuse a write.
func readOnly(t *testing.T, c *pool.Conn) {
	_, err := c.Exec(background(t), "set default_transaction_read_only = on")
	require.NoError(t, err)
	_, err = c.Exec(background(t), "create table refused ()")
	require.Equal(t, "25006", code(err))
}

// pids are the backends of other connections.
func (a *admin) pids() []int {
	rows, _ := a.conn.Query(background(a.t), `select pid from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid() order by pid`)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(a.t, err)
	return pids
}

// A wrong password is told at once, also by a pool that waits for its server, and
// costs few connects. Once it is right the pool works.
func TestScenario10AuthenticationFailure(t *testing.T) {
	s := own(t, pooltest.WithScram("right"))
	var dials atomic.Int64
	var password atomic.Value
	password.Store("wrong")
	p := made(t, s.ConnString(), func(c *pool.Config) {
		c.MaxConns, c.OutagePolicy = 5, pool.WaitForServer
		c.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error {
			dials.Add(1)
			cc.Password = password.Load().(string)
			return nil
		}
	})
	const each, askers = 300, 2
	began := time.Now()
	crowd(askers, func(int) {
		for range each {
			_, err := p.GetConn(background(t))
			if !assert.NotErrorIs(t, err, context.DeadlineExceeded, "it was not told at once") ||
				!assert.ErrorIs(t, err, pool.ErrUnavailable) || !assert.Equal(t, "28P01", code(err)) {
				return
			}
		}
	})
	t.Logf("%d connects for %d gets", dials.Load(), each*askers)
	assert.Less(t, dials.Load(), 20+int64(time.Since(began)/(20*time.Millisecond)), "a pause is 100 ms in the mean, most often")
	password.Store("right")
	require.Eventually(t, func() bool { return p.Ping(background(t)) == nil }, wide, time.Millisecond)
}

// The server has no more room: who waits is served by what comes back, and by new
// connections once there is room again. The pool goes on to use all that it may.
func TestScenario11TooManyConnections(t *testing.T) {
	const room, limit = 5, 5
	s := own(t, pooltest.WithSetting("max_connections", fmt.Sprint(room)))
	var others []*pgx.Conn
	for range 3 {
		conn, err := pgx.Connect(background(t), s.ConnString())
		require.NoError(t, err)
		others = append(others, conn)
	}
	p := made(t, s.ConnString(), func(c *pool.Config) { c.MaxConns = limit })
	held := []*pool.Conn{get(t, p), get(t, p)}
	began := time.Now()
	var waiters []asked
	for i := range limit - len(held) {
		waiters = append(waiters, ask(background(t), p))
		awaitWaiting(t, p, i+1)
	}
	// The pauses between them are 100 ms in the mean, most often.
	require.Eventually(t, func() bool { return pool.StatOf(p).Failures > 12 }, wide, time.Millisecond)
	assert.Greater(t, time.Since(began), 100*time.Millisecond, "without backoff")
	assert.Equal(t, "53300", code(pool.StatOf(p).LastError))
	assert.Equal(t, len(waiters), pool.StatOf(p).Waiting, "nobody is refused")
	back := pid(held[0])
	require.NoError(t, p.PutConn(held[0]))
	held[0] = waiters[0].served(t)
	assert.Equal(t, back, pid(held[0]), "served by what came back")

	for _, conn := range others {
		require.NoError(t, conn.Close(background(t)))
	}
	for _, w := range waiters[1:] {
		held = append(held, w.served(t))
	}
	held = append(held, get(t, p))
	assert.Len(t, held, limit)
	for _, c := range held {
		require.NoError(t, c.Ping(background(t)))
		require.NoError(t, p.PutConn(c))
	}
	assert.EqualValues(t, limit, p.Stat().NewConnsCount())
	assert.EqualValues(t, limit, p.Stat().MaxConns())
}

// The server says that it is starting up: who waits goes on to wait until it is up,
// or until his time is over, and is told then.
func TestScenario12StartingUp(t *testing.T) {
	s := own(t)
	starting, err := s.Standby(background(t), pooltest.WithSetting("hot_standby", "off"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, starting.Close()) })
	p := made(t, starting.ConnString(), patient(2))
	ctx, cancel := context.WithCancel(background(t))
	hurried, waiter := ask(ctx, p), ask(background(t), p)
	require.Eventually(t, func() bool { return pool.StatOf(p).Failures > 2 }, wide, time.Millisecond)
	awaitWaiting(t, p, 2)
	cancel()
	told := (<-hurried).err
	assert.ErrorIs(t, told, context.Canceled)
	assert.ErrorIs(t, told, pool.ErrUnavailable)
	assert.Equal(t, "57P03", code(told))
	require.NoError(t, starting.Promote(background(t)))
	c := waiter.served(t)
	assert.NoError(t, c.Ping(background(t)))
	c.Release()
}

// Connections are refused, and 300 ms later accepted: who waits is served.
func TestScenario13RefusedThenUp(t *testing.T) {
	proxy := server.Proxy(t)
	require.NoError(t, proxy.Refuse())
	p := made(t, proxy.Via(server.Database(t)), patient(2))
	up := make(chan error, 1)
	time.AfterFunc(300*time.Millisecond, func() { up <- proxy.Accept() })
	began := time.Now()
	c := get(t, p)
	t.Logf("served after %v; %d connects were refused", time.Since(began).Round(time.Millisecond), pool.StatOf(p).DialsFailed)
	assert.NoError(t, c.Ping(background(t)))
	assert.Positive(t, pool.StatOf(p).DialsFailed)
	c.Release()
	require.NoError(t, <-up)
}

// The first connect of a pool of one fails while two wait for it: both get what
// comes of the next. A pool that does not wait for its server tells both.
func TestScenario14FirstDialFails(t *testing.T) {
	for _, policy := range []pool.OutagePolicy{pool.WaitForServer, pool.FailFast} {
		proxy := server.Proxy(t)
		require.NoError(t, proxy.AcceptOnly())
		p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns, c.OutagePolicy = 1, policy })
		first := ask(background(t), p)
		awaitWaiting(t, p, 1)
		second := ask(background(t), p)
		awaitWaiting(t, p, 2)
		require.Eventually(t, func() bool { return proxy.Stat().Open == 1 }, wide, time.Millisecond)
		require.NoError(t, proxy.Accept())
		proxy.Reset(pooltest.BothWays)
		for _, w := range []asked{first, second} {
			got := <-w
			if policy == pool.FailFast {
				require.ErrorIs(t, got.err, pool.ErrUnavailable)
				continue
			}
			require.NoError(t, got.err)
			require.NoError(t, got.c.Ping(background(t)))
			got.c.Release()
		}
		require.Eventually(t, func() bool { return p.Ping(background(t)) == nil }, wide, time.Millisecond, "after the backoff")
		assert.EqualValues(t, 1, p.Stat().NewConnsCount())
	}
}

// A primary is demoted and its standby promoted. The first write that the old one
// refuses retires all connections to it; the next write goes to the new one, whether
// the pool knows both by name, or a name that leads elsewhere now.
func TestScenario16Failover(t *testing.T) {
	old := own(t)
	next, err := old.Standby(background(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, next.Close()) })
	name := old.Proxy(t)
	admin, err := pgx.Connect(background(t), old.ConnString())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.Background())) })
	for _, statement := range []string{"create table t (server int)", "create table served (n int)"} {
		_, err = admin.Exec(background(t), statement)
		require.NoError(t, err)
	}

	const limit = 3
	pools := map[string]*pool.Pool{}
	for how, connString := range map[string]string{"both by name": bothHosts(t, old, next), "a name": name.ConnString()} {
		pools[how] = made(t, connString+"&target_session_attrs=read-write", func(c *pool.Config) { c.MaxConns = limit })
		rest(t, pools[how], limit)
		require.Equal(t, portOf(t, old), writes(t, pools[how]))
	}

	require.NoError(t, next.CatchUp(background(t)))
	for _, statement := range []string{"alter system set default_transaction_read_only = on", "select pg_reload_conf()"} {
		_, err = admin.Exec(background(t), statement)
		require.NoError(t, err)
	}
	require.NoError(t, next.Promote(background(t)))
	require.NoError(t, name.Retarget(next.ConnString()))
	for how, p := range pools {
		t.Run(how, func(t *testing.T) {
			var err error
			require.Eventually(t, func() bool { // a backend may not have heard yet
				_, err = p.Exec(background(t), "insert into t values (1)")
				return err != nil
			}, wide, time.Millisecond)
			require.Equal(t, "25006", code(err), err)
			awaitOpen(t, p, 0) // the generation is retired
			for range 2 * limit {
				require.Equal(t, portOf(t, next), writes(t, p))
			}
		})
	}
}

// bothHosts is a connection string with two hosts.
func bothHosts(t *testing.T, one, two *pooltest.Server) string {
	u, err := url.Parse(one.ConnString())
	require.NoError(t, err)
	v, err := url.Parse(two.ConnString())
	require.NoError(t, err)
	u.Host += "," + v.Host
	return u.String()
}

func portOf(t *testing.T, s *pooltest.Server) (port int) {
	u, err := url.Parse(s.ConnString())
	require.NoError(t, err)
	_, err = fmt.Sscan(u.Port(), &port)
	require.NoError(t, err)
	return port
}

// writes writes, and says where.
func writes(t *testing.T, p *pool.Pool) (port int) {
	require.NoError(t, p.QueryRow(background(t), "insert into t values (inet_server_port()) returning server").Scan(&port))
	return port
}

// A server that is restarted while the pool is paused costs nobody an error.
func TestScenario38PauseRestartResume(t *testing.T) {
	s := own(t)
	p := made(t, s.ConnString(), func(c *pool.Config) { c.MinConns, c.MaxConns = 2, 4 })
	w := work(8, p)
	for range 2 {
		w.awaitEach(t, 1)
		require.NoError(t, p.Pause(background(t)))
		require.Empty(t, p.Leases())
		_, err := p.TryGetConn()
		require.ErrorIs(t, err, pool.ErrPaused)
		require.NoError(t, s.Restart(background(t)))
		require.NoError(t, p.Resume())
	}
	w.awaitEach(t, 1)
	assert.Empty(t, w.end())
}
