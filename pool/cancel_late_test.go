package pool_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lateBy is how much later than the end of its connection a cancel request comes to the
// server through a hasty pooler.
const lateBy = 60 * time.Millisecond

// hasty makes a proxy that ends the connections of cancel requests, and passes the requests
// on later.
func hasty(t *testing.T) *pooltest.Proxy {
	proxy := server.Proxy(t)
	require.NoError(t, proxy.AcceptsThenCloses())
	proxy.Delay(pooltest.ToServer, lateBy)
	return proxy
}

// endsEarly is a context that ends before any statement of these tests.
func endsEarly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// innocent runs until every cancel request has come.
const innocent = "select pg_sleep(0.12)"

// TestLateCancelHitsNobody: a pooler ends the connection of a cancel request before the
// server has heard of it, and the statement ends meanwhile. What has no deadline is not hit.
func TestLateCancelHitsNobody(t *testing.T) {
	for name, statement := range map[string]string{
		"it ends by itself":           "select pg_sleep(0.03)",
		"it fails by itself":          "select pg_sleep(0.03) where 1/(extract(epoch from clock_timestamp())*0)::int = 0",
		"it fails in its transaction": "begin; select pg_sleep(0.03); select 1/0",
		"statement_timeout ends it":   "set statement_timeout = 30; select pg_sleep(20)",
	} {
		t.Run(name, func(t *testing.T) {
			proxy := hasty(t)
			p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 })
			c := get(t, p)
			proxied(t, proxy, c).Heal()
			_, err := c.Conn().PgConn().Exec(endsEarly(t), statement).ReadAll()
			t.Log(err)
			c.Release()
			c = get(t, p)
			_, err = c.Conn().PgConn().Exec(background(t), "reset statement_timeout; "+innocent).ReadAll()
			assert.NoError(t, err)
			c.Release()
		})
	}
}

// TestCancelBehindAHastyPooler: a statement that was cancelled costs no connection there.
func TestCancelBehindAHastyPooler(t *testing.T) {
	proxy := hasty(t)
	p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 })
	c := get(t, p)
	proxied(t, proxy, c).Heal()
	c.Release()
	before, overdue := backend(t, p), false
	for range 3 {
		ctx := endsEarly(t)
		_, err := p.Exec(ctx, sleeps)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		overdue = overdue || past(ctx) >= cancelGrace*3/5
		_, err = p.Exec(background(t), innocent)
		assert.NoError(t, err)
	}
	if !overdue {
		assert.Equal(t, before, backend(t, p))
	}
}

// TestCancelIsWithdrawn: a statement that has ended before its cancel request could be sent
// costs no connection, and no time, and the request is never sent.
func TestCancelIsWithdrawn(t *testing.T) {
	goOn := make(chan struct{})
	first := true
	far, near := net.Pipe()
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns = 1
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if first {
				first = false
				return dial(ctx, network, addr)
			}
			<-goOn // whatever becomes of ctx
			return near, nil
		}
	})
	before := backend(t, p)
	ctx := endsEarly(t)
	_, err := p.Exec(ctx, "select pg_sleep(0.03)")
	if past(ctx) >= cancelGrace {
		close(goOn)
		t.Skip("the machine is too busy for a statement of 30 ms")
	}
	require.NoError(t, err)
	require.Equal(t, before, backend(t, p))
	close(goOn)
	sent, err := io.ReadAll(far)
	require.NoError(t, err)
	require.Empty(t, sent)
}

// TestNotificationsDuringACancel: what comes while the pool asks its own questions over the
// connection is delivered.
func TestNotificationsDuringACancel(t *testing.T) {
	p, a := threaded(t, 0, 1)
	_, err := a.conn.Exec(background(t), "create function notified() returns void language plpgsql as $$ begin perform pg_notify('news', 'x'); end $$")
	require.NoError(t, err)
	const rounds = 20
	kept := 0
	for range rounds {
		c := get(t, p)
		_, err := c.Exec(background(t), "listen news")
		require.NoError(t, err)
		stop, told := make(chan struct{}), make(chan int)
		go func() { told <- a.notifyUntil(stop) }()
		_, _ = c.Exec(endsEarly(t), "select pg_sleep(20)")
		close(stop)
		sent := <-told
		if c.Ping(background(t)) == nil { // else the machine was too slow to be certain of the cancel
			kept++
			for range sent {
				n, err := c.Conn().WaitForNotification(background(t))
				require.NoError(t, err)
				require.Equal(t, "x", n.Payload)
			}
		}
		require.NoError(t, p.PutConn(c, pool.WithClose()))
	}
	t.Logf("%d of %d connections were kept", kept, rounds)
	require.Positive(t, kept)
}

// notifyUntil sends notifications until stop is closed, and returns how many.
func (a *admin) notifyUntil(stop <-chan struct{}) (n int) {
	for {
		select {
		case <-stop:
			return n
		default:
			if _, err := a.conn.Exec(context.Background(), "select notified()"); err == nil {
				n++
			}
		}
	}
}
