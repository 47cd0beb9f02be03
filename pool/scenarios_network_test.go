package pool_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Scenarios: the network's bad days.

// briefly is a context for what the network will not let come to an end.
func briefly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// swallowed has the connection of a pool of one rest in a black hole.
func swallowed(t *testing.T, proxy *pooltest.Proxy, p *pool.Pool) (*pooltest.ProxyConn, uint32) {
	c := get(t, p)
	defer c.Release()
	pc := proxied(t, proxy, c)
	pc.BlackHole(pooltest.BothWays)
	return pc, pid(c)
}

// Nothing tells of a connection that everything gets lost on. A get that has it
// pinged ends with its context all the same; and a ping that takes too long costs the
// connection, not the borrower.
func TestScenario06BlackHoleWhileIdle(t *testing.T) {
	proxy := server.Proxy(t)
	pinging := func(timeout time.Duration) *pool.Pool {
		return made(t, proxy.Via(server.Database(t)), func(c *pool.Config) {
			c.MaxConns, c.PingTimeout = 1, timeout
			c.ShouldPing = func(context.Context, pool.ShouldPingParams) bool { return true }
		})
	}
	t.Run("the get ends with its context", func(t *testing.T) {
		p := pinging(time.Hour)
		hole, before := swallowed(t, proxy, p)
		began := time.Now()
		_, err := p.GetConn(briefly(t))
		t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, time.Since(began), wide)
		hole.Heal()
		c := get(t, p)
		assert.Equal(t, before, pid(c), "the pool went on to wait for the ping")
		c.Release()
	})
	t.Run("another is served", func(t *testing.T) {
		p := pinging(100 * time.Millisecond)
		_, before := swallowed(t, proxy, p)
		c := get(t, p)
		assert.NotEqual(t, before, pid(c))
		assert.NoError(t, c.Ping(background(t)))
		c.Release()
	})
}

// The answer to a statement gets lost: the statement ends with its deadline, and its
// place is free, though the cancel request gets lost too.
func TestScenario07BlackHoleMidQuery(t *testing.T) {
	for name, way := range map[string]pooltest.Direction{"answers get lost": pooltest.ToClient, "everything": pooltest.BothWays} {
		t.Run(name+", on this connection", func(t *testing.T) {
			proxy := server.Proxy(t)
			p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 })
			c := get(t, p)
			before := pid(c)
			proxied(t, proxy, c).BlackHole(way)
			_, err := c.Exec(briefly(t), "select 1")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			began := time.Now()
			require.NoError(t, p.PutConn(c))
			c = get(t, p)
			t.Logf("the place was free after %v", time.Since(began).Round(time.Millisecond))
			assert.Less(t, time.Since(began), 10*time.Second, "pgx takes 15 s")
			assert.NotEqual(t, before, pid(c))
			assert.NoError(t, c.Ping(background(t)))
			c.Release()
		})
		t.Run(name+", on all", func(t *testing.T) {
			proxy := server.Proxy(t)
			p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 })
			require.NoError(t, p.Ping(background(t)))
			proxy.BlackHole(way)
			began := time.Now()
			_, err := p.Exec(briefly(t), "select 1")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			require.Eventually(t, func() bool { return p.Stat().TotalConns()+p.Stat().ClosingConns() == 0 },
				10*time.Second, time.Millisecond, "pgx takes 15 s")
			t.Logf("the place was free after %v", time.Since(began).Round(time.Millisecond))
			require.NoError(t, proxy.Heal())
			assert.NoError(t, p.Ping(background(t)))
		})
	}
}

// The server's machine is gone: a dial takes until its timeout, and what comes back
// meanwhile serves who waits.
func TestScenario08SYNDropped(t *testing.T) { dialsThatHang(t, (*pooltest.Proxy).DropSYN) }

// The server lets everybody in and then says nothing.
func TestScenario09AcceptsThenSilent(t *testing.T) { dialsThatHang(t, (*pooltest.Proxy).AcceptOnly) }

func dialsThatHang(t *testing.T, hang func(*pooltest.Proxy) error) {
	proxy := server.Proxy(t)
	var timeout atomic.Int64 // none, where a connect is to succeed
	p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) {
		c.MaxConns = 2
		c.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error {
			cc.ConnectTimeout = time.Duration(timeout.Load())
			return nil
		}
	})
	c := get(t, p)
	before := pid(c)
	if err := hang(proxy); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else {
		require.NoError(t, err)
	}
	timeout.Store(int64(500 * time.Millisecond))
	waiter := ask(background(t), p)
	require.Eventually(t, func() bool { return p.Stat().ConstructingConns() == 1 }, wide, time.Millisecond)
	require.NoError(t, p.PutConn(c))
	c = waiter.served(t)
	assert.Equal(t, before, pid(c), "served by what came back")

	require.NoError(t, p.PutConn(c, pool.WithClose()))
	began := time.Now()
	_, err := p.GetConn(background(t))
	t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
	assert.ErrorIs(t, err, pool.ErrUnavailable)
	var slow net.Error
	if assert.ErrorAs(t, err, &slow) {
		assert.True(t, slow.Timeout())
	}
	var gaveUp *pool.WaitError
	assert.False(t, errors.As(err, &gaveUp), "the dial's time was over, not the get's")
	require.NoError(t, proxy.Accept())
	timeout.Store(0)
	require.Eventually(t, func() bool { return p.Ping(background(t)) == nil }, wide, time.Millisecond)
}

// A name leads elsewhere now: connections there stay, new ones go to where it leads.
func TestScenario15NameResolvesElsewhere(t *testing.T) {
	here, there := server.Proxy(t), server.Proxy(t)
	var leadsTo atomic.Value
	leadsTo.Store(here.Addr())
	p := made(t, here.Via(server.Database(t)), func(c *pool.Config) {
		c.MaxConns = 3
		c.ConnConfig.Host = "database.example"
		c.ConnConfig.LookupFunc = func(context.Context, string) ([]string, error) {
			return []string{leadsTo.Load().(string)}, nil
		}
	})
	first := get(t, p)
	leadsTo.Store(there.Addr())
	second := get(t, p)
	assert.NotNil(t, here.ConnOf(first.Conn().PgConn().Conn()))
	assert.NotNil(t, there.ConnOf(second.Conn().PgConn().Conn()))
	assert.NoError(t, first.Ping(background(t)), "it stays")

	// The old address goes away.
	require.NoError(t, here.Refuse())
	here.Reset(pooltest.BothWays)
	require.Error(t, first.Ping(background(t)))
	require.NoError(t, p.PutConn(first))
	require.NoError(t, p.PutConn(second))
	for range 10 {
		assert.NoError(t, p.Ping(background(t)))
	}
	rest(t, p, 3)
	assert.Equal(t, 1, here.Stat().Accepted)
	assert.Equal(t, 3, there.Stat().Accepted)
}

// The server does not do what a cancel request asks for, or does not even hear of it:
// the statement ends soon after its context, and its connection with it.
func TestScenario21CancelIgnored(t *testing.T) {
	t.Run("the request gets no answer", func(t *testing.T) {
		proxy := server.Proxy(t)
		p := made(t, proxy.Via(server.Database(t)), func(c *pool.Config) { c.MaxConns = 1 })
		before := backend(t, p)
		require.NoError(t, proxy.AcceptOnly())
		overdue(t, p, sleeps)
		require.NoError(t, proxy.Accept())
		require.Eventually(t, func() bool { return p.Ping(background(t)) == nil }, wide, time.Millisecond)
		assert.NotEqual(t, before, backend(t, p))
	})
	t.Run("the statement goes on", func(t *testing.T) {
		p, a := threaded(t, 0, 1)
		before := backend(t, p)
		overdue(t, p, `do $$ begin loop begin perform pg_sleep(20); exception when query_canceled then null; end; end loop; end $$`)
		assert.NotEqual(t, before, backend(t, p))
		a.terminate(uint32(before)) // it would go on for ever
	})
}

// overdue runs a statement that a cancel does not end.
func overdue(t *testing.T, p *pool.Pool, statement string) {
	ctx := soon(t)
	_, err := p.Exec(ctx, statement)
	deadline, _ := ctx.Deadline()
	t.Logf("%v after the deadline: %v", time.Since(deadline).Round(time.Millisecond), err)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(deadline), 10*time.Second)
	require.Eventually(t, func() bool { return p.Stat().TotalConns()+p.Stat().ClosingConns() == 0 },
		10*time.Second, time.Millisecond, "the place is free")
}
