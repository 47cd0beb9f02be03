//go:build unix

package pooltest

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var _ = []TB{(*testing.T)(nil), (*testing.B)(nil), (*testing.F)(nil)}

func TestDatabasePerTest(t *testing.T) {
	s := start(t)
	admin, whole := connect(t, s.ConnString()), t
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			first := connect(whole, s.Database(t)) // and still connected when its database is dropped
			second := connect(t, s.Database(t))
			run(t, first, "CREATE TABLE mine ()")
			assert.Nil(t, ask[*string](t, second, "SELECT to_regclass('mine')::text"))
			assert.Equal(t, 2, ask[int](t, admin, ours))
		})
		assert.Zero(t, ask[int](t, admin, ours))
	}
}

const ours = "SELECT count(*) FROM pg_database WHERE datname LIKE 'pooltest%'"

// With just one place for us, every session must have ended when a call returns.
func TestCreateDatabaseLeavesNoSession(t *testing.T) {
	s := start(t, WithSetting("max_connections", "1"), WithSetting("superuser_reserved_connections", "0"),
		WithSetting("max_wal_senders", "0"))
	for range 8 {
		connString, drop, err := s.CreateDatabase(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.administer(t.Context(), func(*pgx.Conn) error { return nil }))
		assert.Contains(t, connString, "/pooltest_")
		require.NoError(t, drop(t.Context()))
		require.NoError(t, drop(t.Context()), "again")
	}
}

func TestDropOnAServerThatDoesNotRun(t *testing.T) {
	s := start(t)
	_, drop, err := s.CreateDatabase(t.Context())
	require.NoError(t, err)
	s.Database(t) // its clean-up meets a closed server
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, drop(t.Context()))
	_, _, err = s.CreateDatabase(t.Context())
	require.Error(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, drop(t.Context()))
}

func TestDatabaseIsFatal(t *testing.T) {
	s := newServer(nil) // as an external one
	require.NoError(t, s.Close())
	tb := &recorder{}
	s.Database(tb)
	assert.Equal(t, []any{ErrClosed}, tb.args)
}

// A recorder is a TB that goes on after Fatalf, as no test does; so the error must be the first thing that happens.
type recorder struct{ args []any }

func (r *recorder) Helper()                      {}
func (r *recorder) Cleanup(func())               {}
func (r *recorder) Fatalf(_ string, args ...any) { r.args = append(r.args, args...) }

func TestOpen(t *testing.T) {
	private := start(t, WithScram("secret"))
	u, err := url.Parse(private.ConnString())
	require.NoError(t, err)
	keywords := "host=127.0.0.1 user=postgres password=secret sslmode=disable dbname=postgres port=" + u.Port()

	for _, given := range []string{private.ConnString(), keywords} {
		t.Setenv("DATABASE_URL", given)
		s, err := Open(t.Context(), AllowInstall())
		require.NoError(t, err)
		assert.True(t, s.External())
		assert.Equal(t, given, s.ConnString())
		assert.Empty(t, s.SocketConnString())
		assert.ErrorIs(t, s.Stop(t.Context()), ErrExternal)
		assert.ErrorIs(t, s.Crash(t.Context()), ErrExternal)
		assert.ErrorIs(t, s.Restart(t.Context()), ErrExternal)

		connString, drop, err := s.CreateDatabase(t.Context())
		require.NoError(t, err)
		conn := connect(t, connString)
		assert.Regexp(t, "^pooltest_[0-9a-f]{16}$", ask[string](t, conn, "SELECT current_database()"))
		require.NoError(t, drop(t.Context()))
		assert.Zero(t, ask[int](t, connect(t, given), ours))

		require.NoError(t, s.Close())
		_, _, err = s.CreateDatabase(t.Context())
		assert.ErrorIs(t, err, ErrClosed)
		connect(t, given) // it goes on
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://nobody:secret@127.0.0.1:1/none")
	for _, option := range []Option{WithScram("x"), WithTLS(), WithSetting("work_mem", "1MB")} {
		_, err := Open(t.Context(), option)
		var refused *OptionError
		require.ErrorAs(t, err, &refused)
		assert.Contains(t, err.Error(), "DATABASE_URL")
	}
	for _, url := range []string{"postgres://nobody:secret@127.0.0.1:1/none", "postgres://nobody:secret@127.0.0.1:port/none"} {
		t.Setenv("DATABASE_URL", url)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := Open(ctx)
		cancel()
		require.Error(t, err)
		assert.Contains(t, err.Error(), "pooltest: DATABASE_URL: ")
		assert.NotContains(t, err.Error(), "secret")
	}
}

func TestOpenWithoutDatabaseURL(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	t.Setenv("TMPDIR", shortTempDir(t))
	s, err := Open(t.Context(), AllowInstall(), WithSetting("work_mem", "2MB"))
	require.NoError(t, err)
	defer s.Close()
	assert.False(t, s.External())
	require.NoError(t, s.Restart(t.Context()))
}

// DATABASE_URL is often a pool's: what is a pool's must reach neither the server nor the test's connection string.
func TestOpenWithAPoolsParameters(t *testing.T) {
	private := start(t)
	u, err := url.Parse(private.ConnString())
	require.NoError(t, err)
	password, _ := u.User.Password()
	for _, given := range []string{
		private.ConnString() + "&pool_max_conns=5&application_name=mine&pool_max_conn_lifetime=1h",
		"host=127.0.0.1 pool_max_conns = 5 user=postgres sslmode=disable application_name=mine dbname=postgres port=" + u.Port() +
			" pool_max_conn_lifetime='1h' password=" + password,
	} {
		t.Setenv("DATABASE_URL", given)
		s, err := Open(t.Context())
		require.NoError(t, err)
		for _, connString := range []string{s.ConnString(), s.Database(t)} {
			assert.Equal(t, "mine", ask[string](t, connect(t, connString), "SHOW application_name"))
		}
	}
}

func TestWithoutPool(t *testing.T) {
	for _, test := range []struct{ connString, want string }{
		{"postgres://u:p@h:1/d?pool_max_conns=5", "postgres://u:p@h:1/d"},
		{"postgresql://h1:1,h2:2/d?a=b&pool%5Fmax_conns=5&c=d", "postgresql://h1:1,h2:2/d?a=b&c=d"},
		{"postgres://pool_u:pool_p@pool_h/pool_d?a=pool_max_conns", "postgres://pool_u:pool_p@pool_h/pool_d?a=pool_max_conns"},
		{"postgres://h", "postgres://h"},
		{"host=h pool_max_conns=5 dbname=d", "host=h dbname=d"},
		{"pool_max_conns\n=\t5 host=h pool_keep_alive= true ", " host=h "},
		{`host=h password='it\'s pool_a=b' pool_x='a b' user=pool_y`, `host=h password='it\'s pool_a=b' user=pool_y`},
		{`password=a\ pool_a=b`, `password=a\ pool_a=b`},
		{"nonsense", "nonsense"},
	} {
		assert.Equal(t, test.want, withoutPool(test.connString))
	}
}

func TestWithDatabase(t *testing.T) {
	for _, test := range []struct{ connString, want string }{
		{"postgres://u:p@h:1/old?sslmode=disable", "postgres://u:p@h:1/db?sslmode=disable"},
		{"postgresql://h1:1,h2:2/old", "postgresql://h1:1,h2:2/db"},
		{"postgres://h", "postgres://h/db"},
		{"postgres://h?dbname=old&a=b", "postgres://h/db?dbname=old&a=b&dbname=db"},
		{"postgres:///?database=old", "postgres:///db?database=old&dbname=db"},
		{"postgres://u@/old?host=%2Ftmp", "postgres://u@/db?host=%2Ftmp"},
		{"host=h dbname=old", "host=h dbname=old dbname=db"},
		{"host=h password='a://b'", "host=h password='a://b' dbname=db"},
	} {
		got := withDatabase(test.connString, "db")
		assert.Equal(t, test.want, got)
		config, err := pgx.ParseConfig(got)
		require.NoError(t, err)
		assert.Equal(t, "db", config.Database)
	}
}
