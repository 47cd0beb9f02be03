package pool_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listener gets a connection through a proxy that lets no further one in.
func listener(t *testing.T) (*pool.Pool, *pool.Conn, *pooltest.Proxy) {
	proxy := server.Proxy(t)
	p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 })
	c := get(t, p)
	_, err := c.Exec(background(t), "listen news")
	require.NoError(t, err)
	require.NoError(t, proxy.Refuse())
	return p, c, proxy
}

// TestWaitsHaveNothingToCancel: a wait that ends with its context needs no other connection,
// and costs none.
func TestWaitsHaveNothingToCancel(t *testing.T) {
	for name, wait := range map[string]func(ctx context.Context, conn *pgx.Conn) error{
		"WaitForNotification":             func(ctx context.Context, conn *pgx.Conn) error { _, err := conn.WaitForNotification(ctx); return err },
		"WaitForNotification of pgconn's": func(ctx context.Context, conn *pgx.Conn) error { return conn.PgConn().WaitForNotification(ctx) },
		"ReceiveMessage": func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.PgConn().ReceiveMessage(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, c, proxy := listener(t)
			defer c.Release()
			for range 3 {
				require.ErrorIs(t, wait(soon(t), c.Conn()), context.DeadlineExceeded)
			}
			assert.Equal(t, 1, proxy.Stat().Accepted)
			require.NoError(t, c.Ping(background(t)))
			_, err := c.Exec(background(t), "notify news, 'good'")
			require.NoError(t, err)
			n, err := c.Conn().WaitForNotification(background(t))
			require.NoError(t, err)
			assert.Equal(t, "good", n.Payload)
			assert.EqualValues(t, 1, p.Stat().NewConnsCount())
		})
	}
}

// TestHijackedIsPgxs: a connection that has left the pool does what pgx does by itself: a
// wait keeps it, a statement whose context ends closes it.
func TestHijackedIsPgxs(t *testing.T) {
	_, c, proxy := listener(t)
	conn := c.Hijack()
	for range 3 {
		_, err := conn.WaitForNotification(soon(t))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.NoError(t, conn.Ping(background(t)))
	require.NoError(t, proxy.Accept())
	_, err := conn.Exec(soon(t), sleeps)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, code(err), "nobody has it cancelled before")
	require.True(t, conn.IsClosed())
	<-conn.PgConn().CleanupDone()
}

// TestConfigOfAConnection: what connects with the configuration that a connection shows has
// nothing to do with the pool.
func TestConfigOfAConnection(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	c := get(t, p)
	other, err := pgx.ConnectConfig(background(t), c.Conn().Config())
	require.NoError(t, err)
	_, err = other.Exec(soon(t), sleeps)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, other.IsClosed(), "as by pgx")
	<-other.PgConn().CleanupDone()
	_, err = c.Exec(soon(t), sleeps)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	c.Release()
}
