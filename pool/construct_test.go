package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
)

func TestConstructorOpensMinconn(t *testing.T) {
	_, a := threaded(t, 3, 5)
	require.Equal(t, 3, a.backends(), "open when the constructor returns")
}

func TestSizesAreValidated(t *testing.T) {
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

func TestConstructorFailures(t *testing.T) {
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
func TestConstructorLeavesNothingOpen(t *testing.T) {
	a := newAdmin(t)
	_, err := a.conn.Exec(background(t), "create role few login password 'few' connection limit 2")
	require.NoError(t, err)
	defer a.conn.Exec(context.Background(), "drop role few")
	u, err := url.Parse(a.url)
	require.NoError(t, err)
	u.User = url.UserPassword("few", "few")
	_, err = pool.NewThreaded(background(t), 4, 4, u.String())
	require.ErrorIs(t, err, pool.ErrUnavailable)
	require.ErrorContains(t, err, "too many connections")
	a.await(0)
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

func TestConfigMustBeParsed(t *testing.T) {
	require.Panics(t, func() { _, _ = pool.NewWithConfig(background(t), &pool.Config{}) })
}

func TestNewWithConfigValidates(t *testing.T) {
	for field, spoil := range map[string]func(*pool.Config){
		"ConnConfig":         func(c *pool.Config) { c.ConnConfig = nil },
		"MaxConns":           func(c *pool.Config) { c.MaxConns = 0 },
		"MinConns":           func(c *pool.Config) { c.MinConns = c.MaxConns + 1 },
		"MaxConcurrentDials": func(c *pool.Config) { c.MaxConcurrentDials = 0 },
		"OutagePolicy":       func(c *pool.Config) { c.OutagePolicy = 7 },
	} {
		t.Run(field, func(t *testing.T) {
			config, err := pool.ParseConfig("")
			require.NoError(t, err)
			spoil(config)
			_, err = pool.NewWithConfig(background(t), config)
			var bad *pool.ConfigError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, field, bad.Field)
		})
	}
}

func TestParseConfig(t *testing.T) {
	config, err := pool.ParseConfig("host=h pool_max_conns=7 pool_min_conns=2 pool_max_concurrent_dials=3")
	require.NoError(t, err)
	require.Equal(t, [3]int32{7, 2, 3}, [3]int32{config.MaxConns, config.MinConns, config.MaxConcurrentDials})
	require.NotContains(t, config.ConnConfig.RuntimeParams, "pool_max_conns")

	config, err = pool.ParseConfig("host=h")
	require.NoError(t, err)
	require.GreaterOrEqual(t, config.MaxConns, int32(4))
	require.Equal(t, "host=h", config.ConnString())

	for connString, field := range map[string]string{
		"pool_max_conns=x":                  "pool_max_conns",
		"pool_max_conns=0":                  "pool_max_conns",
		"pool_max_conns=99999999999":        "pool_max_conns",
		"pool_min_conns=-1":                 "pool_min_conns",
		"pool_max_conns=2 pool_min_conns=3": "MinConns",
		"pool_max_concurrent_dials=0":       "pool_max_concurrent_dials",
		"pool_max_cons=3":                   "pool_max_cons",
	} {
		_, err := pool.ParseConfig(connString)
		var parse *pgconn.ParseConfigError
		require.ErrorAs(t, err, &parse, connString)
		var bad *pool.ConfigError
		require.ErrorAs(t, err, &bad, connString)
		require.Equal(t, field, bad.Field)
	}
}

func TestConfigIsCopied(t *testing.T) {
	a := newAdmin(t)
	config, err := pool.ParseConfig(a.url)
	require.NoError(t, err)
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	config.ConnConfig.Database = "elsewhere"
	get(t, p).Release()
	p.Config().ConnConfig.Database = "elsewhere"
	require.Equal(t, a.url, p.Config().ConnString())
	require.NotEqual(t, "elsewhere", p.Config().ConnConfig.Database)
	require.NoError(t, p.CloseAll(background(t)))
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
