package pool_test

import (
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
)

// A backend that is terminated while its connection rests is not noticed by
// any borrower, over TCP, a unix socket, and TLS.
func TestTerminatedWhileIdle(t *testing.T) {
	tls, err := pooltest.Start(background(t), pooltest.AllowInstall(), pooltest.WithTLS())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tls.Close()) })
	for name, connString := range map[string]string{
		"tcp":  server.ConnString(),
		"unix": server.SocketConnString(),
		"tls":  tls.ConnString(),
	} {
		t.Run(name, func(t *testing.T) {
			if connString == "" {
				t.Skip("the server that DATABASE_URL names may have no socket here")
			}
			for _, opts := range [][]pool.GetOption{nil, {pool.WithKey("k")}} {
				terminatedWhileIdle(t, connString, opts)
			}
		})
	}
}

func terminatedWhileIdle(t *testing.T, connString string, opts []pool.GetOption) {
	p, err := pool.NewThreaded(background(t), 0, 2, connString)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.CloseAll(background(t))) }()
	killer, victim := get(t, p), get(t, p)
	dead := pid(victim)
	victim.Release()
	_, err = killer.Exec(background(t), "select pg_terminate_backend($1)", dead)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, killer.QueryRow(background(t), "select count(*) from pg_stat_activity where pid = $1", dead).Scan(&n))
		return n == 0
	}, wide, 2*time.Millisecond)

	c := get(t, p, opts...)
	require.NotEqual(t, dead, pid(c))
	require.NoError(t, c.Ping(background(t)))
	c.Release()
	killer.Release()
}

// What waits on the socket may be a notification: then the connection lives.
func TestNotifiedWhileIdle(t *testing.T) {
	p, a := threaded(t, 0, 1)
	c := get(t, p)
	_, err := c.Exec(background(t), "listen news")
	require.NoError(t, err)
	first := pid(c)
	c.Release()
	_, err = a.conn.Exec(background(t), "notify news, 'hello'")
	require.NoError(t, err)
	// Time enough for the notification to come, and for the connection to
	// count as rested.
	_, err = a.conn.Exec(background(t), "select pg_sleep(0.05)")
	require.NoError(t, err)
	c = get(t, p)
	require.Equal(t, first, pid(c))
	n, err := c.Conn().WaitForNotification(background(t))
	require.NoError(t, err)
	require.Equal(t, "hello", n.Payload)
	c.Release()
}
