package pool_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var reportsOfNetworks = []report{
	{
		name: "15.1 late cancel", more: "a pooler ends the connection of a cancel request before the server has acted on it",
		them: func(t *testing.T) string {
			proxy := hasty(t)
			return fmt.Sprintf("%d of %d innocent statements cancelled", lateCancels(t, proxy, pgxpoolOf(t, proxy, nil)), lateTries)
		},
		us: func(t *testing.T) string {
			proxy := hasty(t)
			hit := lateCancels(t, proxy, lendsOurs{made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 })})
			assert.Zero(t, hit)
			return fmt.Sprintf("%d of %d innocent statements cancelled", hit, lateTries)
		},
	},
	{
		name: "15.2 waits of a lease", more: "WaitForNotification with a context of 30 ms, three times, while no new connection can be made",
		them: func(t *testing.T) string { return waitsOfThem(t, (*pgxpool.Conn).Conn) },
		us:   func(t *testing.T) string { return waitsOfUs(t, (*pool.Conn).Conn) },
	},
	{
		name: "15.2 waits after Hijack", more: "likewise",
		them: func(t *testing.T) string { return waitsOfThem(t, (*pgxpool.Conn).Hijack) },
		us:   func(t *testing.T) string { return waitsOfUs(t, (*pool.Conn).Hijack) },
	},
}

// One of both pools, with one connection.
type eitherPool interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	withConn(t *testing.T, f func(conn *pgx.Conn))
}

type lendsOurs struct{ *pool.Pool }

func (o lendsOurs) withConn(t *testing.T, f func(*pgx.Conn)) {
	c := get(t, o.Pool)
	defer c.Release()
	f(c.Conn())
}

type lendsTheirs struct{ *pgxpool.Pool }

func (r lendsTheirs) withConn(t *testing.T, f func(*pgx.Conn)) {
	c, err := r.Acquire(background(t))
	require.NoError(t, err)
	defer c.Release()
	f(c.Conn())
}

// pgxpoolOf makes a pgxpool of one connection through a proxy.
func pgxpoolOf(t *testing.T, proxy *pooltest.Proxy, change func(*pgxpool.Config)) lendsTheirs {
	config, err := pgxpool.ParseConfig(proxy.Via(server.Database(t)))
	require.NoError(t, err)
	config.MaxConns = 1
	if change != nil {
		change(config)
	}
	p, err := pgxpool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return lendsTheirs{p}
}

const lateTries = 2

// lateCancels counts the statements without a deadline that a late cancel hits.
func lateCancels(t *testing.T, proxy *pooltest.Proxy, p eitherPool) (hit int) {
	for range lateTries {
		p.withConn(t, func(conn *pgx.Conn) {
			through := proxy.ConnOf(conn.PgConn().Conn())
			require.NotNil(t, through)
			through.Heal() // only the cancel request is late
		})
		_, _ = p.Exec(endsEarly(t), "select pg_sleep(0.03)")
		if _, err := p.Exec(background(t), innocent); code(err) == "57014" {
			hit++
		}
	}
	return hit
}

func waitsOfThem(t *testing.T, take func(*pgxpool.Conn) *pgx.Conn) string {
	proxy := server.Proxy(t)
	c, err := pgxpoolOf(t, proxy, nil).Acquire(background(t))
	require.NoError(t, err)
	conn := take(c)
	defer func() { require.NoError(t, conn.Close(background(t))); c.Release() }()
	seen, _ := waitInVain(t, proxy, conn)
	return seen
}

func waitsOfUs(t *testing.T, take func(*pool.Conn) *pgx.Conn) string {
	proxy := server.Proxy(t)
	c := get(t, made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 }))
	conn := take(c)
	defer func() { require.NoError(t, conn.Close(background(t))); c.Release() }()
	seen, err := waitInVain(t, proxy, conn)
	assert.NoError(t, err)
	return seen
}

// waitInVain waits for notifications that do not come. The error is that of the connection
// afterwards.
func waitInVain(t *testing.T, proxy *pooltest.Proxy, conn *pgx.Conn) (seen string, err error) {
	_, err = conn.Exec(background(t), "listen news")
	require.NoError(t, err)
	require.NoError(t, proxy.Refuse())
	var longest time.Duration
	for range 3 {
		began := time.Now()
		_, err := conn.WaitForNotification(soon(t))
		longest = max(longest, time.Since(began))
		assert.Error(t, err)
	}
	if err = conn.Ping(background(t)); err != nil {
		return fmt.Sprintf("%v each, and the connection is lost", longest.Round(time.Millisecond)), err
	}
	return fmt.Sprintf("%v each, and the connection goes on", longest.Round(time.Millisecond)), nil
}
