package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
)

func opensMinconn(t *testing.T) {
	_, a := threaded(t, 3, 5)
	require.Equal(t, 3, a.backends(), "open when the constructor returns")
}

func sizesAreChecked(t *testing.T) {
	for _, k := range []struct {
		min, max int
		field    string
		value    any
	}{
		{-1, 5, "minconn", int64(-1)},
		{6, 5, "minconn", int64(6)},
		{0, 0, "maxconn", int64(0)},
		{0, -3, "maxconn", int64(-3)},
		{0, 1 << 40, "maxconn", int64(1 << 40)},
	} {
		t.Run(fmt.Sprintf("%d_%d", k.min, k.max), func(t *testing.T) {
			p, err := pool.NewThreaded(background(t), k.min, k.max, server.ConnString())
			require.Nil(t, p)
			var bad *pool.ConfigError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, k.field, bad.Field)
			require.Equal(t, k.value, bad.Value)

			s, err := pool.NewSimple(background(t), k.min, k.max, server.ConnString())
			require.Nil(t, s)
			require.ErrorAs(t, err, &bad)
		})
	}
}

func constructorFailures(t *testing.T) {
	scram, err := pooltest.Start(background(t), pooltest.AllowInstall(), pooltest.WithScram("right"))
	require.NoError(t, err)
	defer scram.Close()

	wrong, err := url.Parse(scram.ConnString())
	require.NoError(t, err)
	wrong.User = url.UserPassword(wrong.User.Username(), "wrong")
	missing, err := url.Parse(server.ConnString())
	require.NoError(t, err)
	missing.Path = "/nosuchdatabase"

	for _, k := range []struct {
		name, connString, code, text string
	}{
		{"wrong password", wrong.String(), "28P01", "password authentication failed"},
		{"unknown database", missing.String(), "3D000", `database "nosuchdatabase" does not exist`},
		{"no server", fmt.Sprintf("postgres://someone@127.0.0.1:%d/postgres", freePort(t)), "", "connection refused"},
	} {
		t.Run(k.name, func(t *testing.T) {
			_, err := pool.NewThreaded(background(t), 2, 5, k.connString)
			require.ErrorIs(t, err, pool.ErrUnavailable)
			require.ErrorContains(t, err, k.text)
			var pgErr *pgconn.PgError
			if errors.As(err, &pgErr) {
				require.Equal(t, k.code, pgErr.Code)
			} else {
				require.Empty(t, k.code)
			}
		})
	}
	t.Run("the right password", func(t *testing.T) {
		p, err := pool.NewThreaded(background(t), 1, 1, scram.ConnString())
		require.NoError(t, err)
		require.NoError(t, p.CloseAll(background(t)))
	})
}

// freePort finds a port on which nobody listens.
func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// One of the first connections fails, the others open: nothing stays open.
func constructorLeavesNothingOpen(t *testing.T) {
	a := newAdmin(t)
	_, err := pool.NewThreaded(background(t), 4, 4, a.onlyTwo())
	require.ErrorIs(t, err, pool.ErrUnavailable)
	require.ErrorContains(t, err, "too many connections")
	a.await(0)
}

// onlyTwo is the database's address for a role that the server lets have no more
// than two connections at any moment.
func (a *admin) onlyTwo() string {
	_, err := a.conn.Exec(background(a.t), "create role few login password 'few' connection limit 2")
	require.NoError(a.t, err)
	a.t.Cleanup(func() {
		_, err := a.conn.Exec(background(a.t), "drop role few")
		require.NoError(a.t, err)
	})
	u, err := url.Parse(a.url)
	require.NoError(a.t, err)
	u.User = url.UserPassword("few", "few")
	return u.String()
}

// The server lets one connection in and leaves the other standing. The context may
// end before the constructor begins to wait, as the other does from the start.
func constructorEndsWithItsContext(t *testing.T) {
	door := newDoor(t)
	ctx, cancel := context.WithCancel(background(t))
	go func() {
		<-door.knocked
		<-door.knocked
		cancel()
	}()
	for _, ctx := range []context.Context{ctx, ended()} {
		p, err := pool.NewThreaded(ctx, 2, 2, door.url)
		require.Nil(t, p)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, pool.ErrUnavailable)
		var wait *pool.WaitError
		require.ErrorAs(t, err, &wait)
		require.Equal(t, 2, wait.Limit)
	}
}

// A connection that is being closed still takes one of the places. Here it takes
// its time, and the server refuses whoever comes before it is gone.
func neverMoreThanMaxconn(t *testing.T) {
	config, err := pool.ParseConfig(newAdmin(t).onlyTwo())
	require.NoError(t, err)
	config.MaxConns = 2
	config.BeforeClose = func(conn *pgx.Conn) { _, _ = conn.Exec(context.Background(), "select pg_sleep(0.01)") }
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	const threads, rounds = 4, 10
	refusals := make(chan error, threads*rounds)
	ends := make(chan bool)
	for range threads {
		go func() {
			for range rounds {
				c, err := p.GetConn(background(t))
				if err == nil {
					err = p.PutConn(c, pool.WithClose())
				}
				if err != nil {
					refusals <- err
				}
			}
			ends <- true
		}()
	}
	for range threads {
		<-ends
	}
	require.NoError(t, p.CloseAll(background(t)))
	close(refusals)
	for err := range refusals {
		// A goodbye that the server does not answer in its 250 ms is given up, on
		// a machine that busy.
		require.Positive(t, int(pool.StatOf(p).CloseFailed), err)
	}
}

// Nobody has to ask for it.
func lostIsReplaced(t *testing.T) {
	p, a := threaded(t, 1, 2)
	c := get(t, p)
	first := pid(c)
	require.NoError(t, p.PutConn(c, pool.WithClose()))
	require.Eventually(t, func() bool {
		s := pool.StatOf(p)
		return s.Idle == 1 && s.Opened == 2 && s.Closing == 0
	}, wide, time.Millisecond)
	a.await(1)
	c, err := p.TryGetConn()
	require.NoError(t, err)
	require.NotEqual(t, first, pid(c))
	c.Release()
}

// psycopg2 keeps minconn, however many its callers use.
func keepsMoreThanMinconn(t *testing.T) {
	for name, k := range map[string]struct {
		limit string
		kept  int
	}{
		"all of them":        {"0", 4},
		"up to MaxIdleConns": {"3", 3},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAdmin(t)
			u, err := url.Parse(a.url)
			require.NoError(t, err)
			query := u.Query()
			query.Set("pool_max_idle_conns", k.limit)
			u.RawQuery = query.Encode()
			p, err := pool.NewThreaded(background(t), 1, 4, u.String())
			require.NoError(t, err)
			lent := []*pool.Conn{get(t, p), get(t, p), get(t, p), get(t, p)}
			for _, c := range lent {
				c.Release()
			}
			a.await(k.kept)
			s := pool.StatOf(p)
			require.Equal(t, [3]int{k.kept, k.kept, 4}, [3]int{s.Open, s.Idle, int(s.Opened)})
			require.NoError(t, p.CloseAll(background(t)))
		})
	}
}

// As pgxpool's New, ours connects in the background; the first get has the error.
func TestNewConnectsInTheBackground(t *testing.T) {
	p, err := pool.New(background(t), fmt.Sprintf("postgres://someone@127.0.0.1:%d/postgres", freePort(t)))
	require.NoError(t, err)
	_, err = p.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrUnavailable)
	require.NoError(t, p.CloseAll(background(t)))

	config, err := pool.ParseConfig(newAdmin(t).url)
	require.NoError(t, err)
	config.MinConns = 2
	config.MaxConns = 2
	p, err = pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	require.NotEqual(t, pid(get(t, p)), pid(get(t, p)))
	require.Error(t, p.CloseAll(ended()), "two are lent")
}

func TestConnectHooks(t *testing.T) {
	a := newAdmin(t)
	start := func(t *testing.T, change func(*pool.Config)) *pool.Pool {
		config, err := pool.ParseConfig(a.url)
		require.NoError(t, err)
		change(config)
		p, err := pool.NewWithConfig(background(t), config)
		require.NoError(t, err)
		t.Cleanup(func() {
			require.NoError(t, p.CloseAll(background(t)))
			a.await(0)
		})
		return p
	}
	t.Run("they see and change the connection", func(t *testing.T) {
		p := start(t, func(c *pool.Config) {
			c.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error {
				cc.RuntimeParams["application_name"] = "before"
				return nil
			}
			c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, "set my.mark = 'after'")
				return err
			}
		})
		c := get(t, p)
		defer c.Release()
		var name, mark string
		require.NoError(t, c.QueryRow(background(t), "select current_setting('application_name'), current_setting('my.mark')").Scan(&name, &mark))
		require.Equal(t, []string{"before", "after"}, []string{name, mark})
	})
	broken := errors.New("broken")
	var kept []*pgx.Conn // or the garbage collector would close them
	var inner []*pgconn.PgConn
	keep := func(conn *pgx.Conn) { kept = append(kept, conn) }
	for name, change := range map[string]func(*pool.Config){
		"BeforeConnect fails": func(c *pool.Config) {
			c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return broken }
		},
		"AfterConnect fails": func(c *pool.Config) {
			c.AfterConnect = func(_ context.Context, conn *pgx.Conn) error { keep(conn); return broken }
		},
		"AfterConnect leaves a transaction": func(c *pool.Config) {
			c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
				keep(conn)
				_, err := conn.Exec(ctx, "begin; set local my.mark = 'broken'")
				return err
			}
		},
		"a hook of pgx's panics": func(c *pool.Config) {
			c.ConnConfig.AfterConnect = func(_ context.Context, pc *pgconn.PgConn) error {
				inner = append(inner, pc)
				panic("broken")
			}
		},
		"AfterConnect panics": func(c *pool.Config) {
			c.AfterConnect = func(_ context.Context, conn *pgx.Conn) error { keep(conn); panic("broken") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, change)
			_, err := p.GetConn(background(t))
			require.ErrorIs(t, err, pool.ErrUnavailable)
			require.Regexp(t, "broken|in a transaction", err.Error())
			a.await(0)
			runtime.KeepAlive(inner)
			for _, conn := range kept {
				require.True(t, conn.IsClosed())
			}
		})
	}
}

// The server does not answer the goodbye to a connection that AfterConnect
// rejects: that is no reason to wait for it.
func TestAfterConnectFailsOnASilentServer(t *testing.T) {
	config, err := pool.ParseConfig(newAdmin(t).url)
	require.NoError(t, err)
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		f := conn.PgConn().Frontend()
		f.Send(&pgproto3.Query{String: "select pg_sleep(3600)"})
		return errors.Join(errors.New("broken"), f.Flush())
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	_, err = p.GetConn(background(t))
	require.ErrorContains(t, err, "broken")
	require.NoError(t, p.CloseAll(background(t)))
}

// ended is a context that is over.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
