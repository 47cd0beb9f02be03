package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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
	{
		name: "15.6 wrapped", more: "a DialFunc whose net.Conn wraps its socket; ten requests, with rests of 3 ms",
		them: func(t *testing.T) string { return fmt.Sprintf("%d pings", wrappedPings(t, true, wrapsSocket)) },
		us: func(t *testing.T) string {
			n := wrappedPings(t, false, wrapsSocket)
			assert.Zero(t, n)
			return fmt.Sprintf("%d pings", n)
		},
	},
	{
		name: "15.6 tunnel", more: "likewise, no socket at all",
		them: func(t *testing.T) string { return fmt.Sprintf("%d pings", wrappedPings(t, true, isTunnel)) },
		us: func(t *testing.T) string {
			n := wrappedPings(t, false, isTunnel)
			assert.LessOrEqual(t, n, int64(1), "each rest is less than a second, but on a machine that stood still")
			return fmt.Sprintf("%d pings", n)
		},
	},
	{
		name: "15.7 no deadlines", more: "a net.Conn without deadlines falls silent in a statement that has 100 ms",
		us: func(t *testing.T) string {
			var seen []string
			for _, k := range []struct {
				err    error
				policy pool.CancelPolicy
			}{{errors.ErrUnsupported, pool.CancelQuery}, {nil, pool.CancelQuery}, {nil, pool.CloseConn}} {
				took, err := withoutDeadlines(t, k.err, k.policy)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				seen = append(seen, fmt.Sprint(took.Round(10*time.Millisecond)))
			}
			return "ended after " + strings.Join(seen, ", ")
		},
	},
	{
		name: "15.5 forgotten", more: fmt.Sprintf("a NAT router has forgotten %d connections at rest; ten requests that have 300 ms", forgotten),
		them: func(t *testing.T) string {
			proxy := server.Proxy(t)
			p := pgxpoolOf(t, proxy, func(c *pgxpool.Config) { c.MaxConns = forgotten })
			failed := askForgotten(t, proxy, p, func(n int) {
				var held []*pgxpool.Conn
				for range n {
					c, err := p.Acquire(background(t))
					require.NoError(t, err)
					held = append(held, c)
				}
				for _, c := range held {
					c.Release()
				}
			})
			return fmt.Sprintf("%d of 10 failed", failed)
		},
		us: func(t *testing.T) string {
			proxy := server.Proxy(t)
			p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = forgotten })
			failed := askForgotten(t, proxy, lendsOurs{p}, func(n int) { rest(t, p, n); <-time.After(5 * time.Millisecond) })
			assert.Less(t, failed, forgotten)
			return fmt.Sprintf("%d of 10 failed", failed)
		},
	},
	{
		name: "15.5 keepalive", more: "when the system gives up a peer that is gone, with nothing under way",
		them: func(t *testing.T) string {
			config, err := pgxpool.ParseConfig("host=h user=u")
			require.NoError(t, err)
			return foundAfter(t, config.ConnConfig.DialFunc).String()
		},
		us: func(t *testing.T) string {
			config, err := pool.ParseConfig("host=h user=u")
			require.NoError(t, err)
			after := foundAfter(t, config.ConnConfig.DialFunc)
			assert.LessOrEqual(t, after, time.Minute)
			return after.String()
		},
	},
	{
		name: "15.5 pool_ping_timeout", more: "is set, and nothing else; a connection has rested for more than a second",
		them: func(t *testing.T) string {
			pings := new(pings)
			config, err := pgxpool.ParseConfig(server.Database(t) + "&pool_ping_timeout=5s&pool_max_conns=1")
			require.NoError(t, err)
			config.ConnConfig.DialFunc = pings.dial
			p, err := pgxpool.NewWithConfig(background(t), config)
			require.NoError(t, err)
			defer p.Close()
			return pingText(pingedAfterASecond(t, lendsTheirs{p}, pings))
		},
		us: func(t *testing.T) string {
			pings := new(pings)
			p := made(t, server.Database(t)+"&pool_ping_timeout=5s&pool_max_conns=1", func(c *pool.Config) { c.ConnConfig.DialFunc = pings.dial })
			pinged := pingedAfterASecond(t, lendsOurs{p}, pings)
			assert.True(t, pinged)
			return pingText(pinged)
		},
	},
}

func wrapsSocket(conn net.Conn, p *pings) net.Conn { return wrappedConn{conn, p} }
func isTunnel(conn net.Conn, p *pings) net.Conn    { return tunnelConn{conn, p} }

// wrappedPings counts the pings of a pool, ours or pgxpool, whose connections are wrapped.
func wrappedPings(t *testing.T, rival bool, wrap func(net.Conn, *pings) net.Conn) int64 {
	pings := new(pings)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return wrap(conn, pings), nil
	}
	if rival {
		proxy := server.Proxy(t)
		return restBriefly(t, pgxpoolOf(t, proxy, func(c *pgxpool.Config) { c.ConnConfig.DialFunc = dial }), pings)
	}
	p := made(t, server.Database(t), func(c *pool.Config) { c.MaxConns, c.ConnConfig.DialFunc = 1, dial })
	return restBriefly(t, lendsOurs{p}, pings)
}

// withoutDeadlines returns the error of a statement whose connection falls silent and has
// no deadlines, which it says by err, or does not.
func withoutDeadlines(t *testing.T, err error, policy pool.CancelPolicy) (time.Duration, error) {
	proxy := server.Proxy(t)
	p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) {
		c.MaxConns, c.CancelPolicy = 1, policy
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			conn, e := d.DialContext(ctx, network, addr)
			return endlessConn{conn, err}, e
		}
	})
	require.NoError(t, p.Ping(background(t)))
	proxy.BlackHole(pooltest.BothWays)
	ctx, cancel := context.WithTimeout(background(t), 100*time.Millisecond)
	defer cancel()
	ended, began := make(chan error, 1), time.Now()
	go func() {
		_, err := p.Exec(ctx, "select 1")
		ended <- err
	}()
	select {
	case err := <-ended:
		return time.Since(began), err
	case <-time.After(10 * time.Second):
		proxy.Reset(pooltest.BothWays)
		return 0, errors.New("it never ends")
	}
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

const forgotten = 5 // connections

// askForgotten has a NAT router forget all connections at rest, and then sends ten requests
// that have 300 ms each. It counts those that fail.
func askForgotten(t *testing.T, proxy *pooltest.Proxy, p eitherPool, opened func(int)) (failed int) {
	opened(forgotten)
	for _, conn := range proxy.Conns() {
		conn.BlackHole(pooltest.BothWays)
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(background(t), 300*time.Millisecond)
		if _, err := p.Exec(ctx, "select 1"); err != nil {
			failed++
		}
		cancel()
	}
	proxy.Reset(pooltest.BothWays) // or closing them would take 15 s
	return failed
}

// pingedAfterASecond reports whether a connection was pinged that had rested for so long.
func pingedAfterASecond(t *testing.T, p eitherPool, pings *pings) bool {
	require.NoError(t, justExec(t, p))
	<-time.After(1100 * time.Millisecond)
	before := pings.n.Load()
	require.NoError(t, justExec(t, p))
	return pings.n.Load() > before
}

func justExec(t *testing.T, p eitherPool) error {
	_, err := p.Exec(background(t), "select 1")
	return err
}

func pingText(pinged bool) string {
	if pinged {
		return "pinged"
	}
	return "not pinged"
}

// A wrappedConn hides its socket, and has NetConn. It counts pings.
type wrappedConn struct {
	net.Conn
	pings *pings
}

func (c wrappedConn) NetConn() net.Conn { return c.Conn }

func (c wrappedConn) Write(b []byte) (int, error) { return c.pings.write(c.Conn, b) }

// A tunnelConn is no socket at all.
type tunnelConn struct {
	net.Conn
	pings *pings
}

func (c tunnelConn) Write(b []byte) (int, error) { return c.pings.write(c.Conn, b) }

// restBriefly makes requests with short rests in between, and counts the pings.
func restBriefly(t *testing.T, p eitherPool, pings *pings) int64 {
	for range 10 {
		require.NoError(t, justExec(t, p))
		<-time.After(3 * time.Millisecond)
	}
	return pings.n.Load()
}

// An endlessConn ignores deadlines. Setting one returns err.
type endlessConn struct {
	net.Conn
	err error
}

func (c endlessConn) SetDeadline(time.Time) error      { return c.err }
func (c endlessConn) SetReadDeadline(time.Time) error  { return c.err }
func (c endlessConn) SetWriteDeadline(time.Time) error { return c.err }
