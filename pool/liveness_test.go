package pool_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
)

// A backend that is terminated while its connection rests is not noticed by
// any borrower, over TCP, a unix socket, and TLS.
func endedWhileIdle(t *testing.T) {
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

// wrapped makes a pool of one connection over TCP, of which pgx sees what wrap
// returns.
func wrapped(t *testing.T, wrap func(net.Conn) net.Conn) *pool.Pool {
	config, err := pool.ParseConfig(server.ConnString())
	require.NoError(t, err)
	config.MaxConns = 1
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	return p
}

// slowWriter is a socket on which pgx finds a write slow when told so: then it
// reads in the background, and that reader stays when the answer is complete.
type slowWriter struct {
	*net.TCPConn
	slow *atomic.Bool
}

func (s slowWriter) Write(b []byte) (int, error) {
	n, err := s.TCPConn.Write(b)
	if s.slow.Load() {
		time.Sleep(100 * time.Millisecond) // pgx counts a write of 15 as slow
	}
	return n, err
}

// The look at a rested connection does not wait for another reader of its socket.
func TestLookBesideABackgroundReader(t *testing.T) {
	var slow atomic.Bool
	p := wrapped(t, func(conn net.Conn) net.Conn { return slowWriter{conn.(*net.TCPConn), &slow} })
	c := get(t, p)
	slow.Store(true)
	_, err := c.Exec(background(t), "select 1")
	require.NoError(t, err)
	slow.Store(false)
	require.Contains(t, stacks(), "bgreader")
	c.Release()
	<-time.After(5 * time.Millisecond) // the rest after which it is looked at
	c = get(t, p)
	require.NoError(t, c.Ping(background(t)))
	c.Release()
	require.NoError(t, p.CloseAll(background(t)))
}

// A connection that is no socket cannot be looked at: it is pinged when it has
// rested for a second, and not when it comes straight from a lease, however long that was.
func TestRestedWithoutASocketIsPinged(t *testing.T) {
	var writes atomic.Int64
	p := wrapped(t, func(conn net.Conn) net.Conn { return plainConn{conn, &writes} })
	c := get(t, p)
	<-time.After(1100 * time.Millisecond) // a long lease
	// On a busy machine a put and a get may lie a rest apart, but not always.
	require.Eventually(t, func() bool {
		before := writes.Load()
		c.Release()
		<-time.After(5 * time.Millisecond) // the rest after which a socket is looked at
		c = get(t, p)
		return writes.Load() == before
	}, wide, time.Millisecond, "pinged although it did not rest")

	// Killed at rest, it is not lent.
	dead := pid(c)
	c.Release()
	a := newAdmin(t)
	_, err := a.conn.Exec(background(t), "select pg_terminate_backend($1)", dead)
	require.NoError(t, err)
	<-time.After(1100 * time.Millisecond)
	c = get(t, p)
	require.NotEqual(t, dead, pid(c))
	require.NoError(t, c.Ping(background(t)))
	c.Release()
	require.NoError(t, p.CloseAll(background(t)))
}

// Where ShouldPing is set, it alone decides about connections without a socket.
func TestShouldPingDecidesWithoutASocket(t *testing.T) {
	pings := new(pings)
	inBubble(t, func(c *pool.Config) {
		c.MaxConns = 1
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return tunnelConn{conn, pings}, err
		}
		c.ShouldPing = func(_ context.Context, params pool.ShouldPingParams) bool {
			return params.IdleDuration >= 10*time.Second
		}
	}, func(b *bubble) {
		b.get().Release()
		for _, k := range []struct {
			rest  time.Duration
			pings int64
		}{{2 * time.Second, 0}, {9 * time.Second, 0}, {10 * time.Second, 1}} {
			time.Sleep(k.rest)
			b.get().Release()
			require.Equal(b, k.pings, pings.n.Load(), k.rest)
		}
	})
}

// plainConn hides that it is a socket.
type plainConn struct {
	net.Conn
	writes *atomic.Int64
}

func (p plainConn) Write(b []byte) (int, error) {
	p.writes.Add(1)
	return p.Conn.Write(b)
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
