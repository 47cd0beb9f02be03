package persistent_test

import (
	"context"
	"testing"

	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// What psycopg2's PersistentConnectionPool does for a thread, and what is done
// differently here for an identity, call by call.
func TestPsycopg2(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"AbstractConnectionPool: one interface for all pools", abstractPool},
		{"getconn: the same key, the same connection", sameConnection},
		{"getconn: different keys, different connections", differentConnections},
		{"getconn: exhausted", exhausted},
		{"putconn: unbinds", putUnbinds},
		{"putconn: the last of several unbinds", lastPutUnbinds},
		{"putconn(): the key's own connection", putWithoutConnection},
		{"putconn(): nothing to put", putOfNothing},
		{"putconn(close=True)", putAndClose},
		{"putconn: an open transaction", openTransactionIsRolledBack},
		{"putconn: session state stays", sessionStateStays},
		{"putconn: from another thread", putElsewhere},
		{"closeall: everything is closed, also what is lent", closeAll},
		{"closeall: getconn after it", getAfterCloseAll},
	} {
		t.Run(row.name, row.test)
	}
}

func abstractPool(t *testing.T) {
	p, _ := persisting(t, 1)
	var any pool.ConnectionPool = p
	ctx := as(t, "me")
	c, err := any.GetConn(ctx)
	require.NoError(t, err)
	require.NoError(t, c.Ping(ctx))
	require.NoError(t, any.PutConn(c))
	require.NoError(t, any.CloseAll(ctx))
}

func sameConnection(t *testing.T) {
	p, a := persisting(t, 2)
	ctx := as(t, "me")
	one, again := get(t, p, ctx), get(t, p, context.WithValue(ctx, wide, nil))
	require.NotSame(t, one, again, "a handle of its own for each get")
	first := pid(t, one, ctx)
	require.Equal(t, first, pid(t, again, ctx))
	require.Equal(t, first, pid(t, p, ctx), "the verbs use it too")
	a.await(1)
	require.NoError(t, p.PutConn(one))
	require.NoError(t, p.PutConn(again))
}

func differentConnections(t *testing.T) {
	p, _ := persisting(t, 2)
	mine, yours := as(t, "me"), as(t, "you")
	one, two := get(t, p, mine), get(t, p, yours)
	require.NotEqual(t, pid(t, one, mine), pid(t, two, yours))
	require.NoError(t, p.PutConn(one))
	require.NoError(t, p.PutConn(two))
}

// psycopg2 raises; here the get waits, and a bound identity needs no place.
func exhausted(t *testing.T) {
	p, _ := persisting(t, 1)
	mine, yours := as(t, "me"), as(t, "you")
	c := get(t, p, mine)
	first := pid(t, c, mine)
	got := make(chan *pool.Conn)
	go func() {
		c, err := p.GetConn(yours)
		if err != nil {
			c = nil
		}
		got <- c
	}()
	awaitWaiting(t, p, 1)
	require.Equal(t, first, pid(t, p, mine))
	require.NoError(t, p.PutConn(c))
	c = <-got
	require.NotNil(t, c)
	require.Equal(t, first, pid(t, c, yours))
	require.NoError(t, p.PutConn(c))
}

func putUnbinds(t *testing.T) {
	p, _ := persisting(t, 2)
	mine, yours := as(t, "me"), as(t, "you")
	c := get(t, p, mine)
	first := pid(t, c, mine)
	require.NoError(t, p.PutConn(c))
	awaitQuiet(t, p)
	c = get(t, p, yours)
	require.Equal(t, first, pid(t, c, yours), "it is another's now")
	mineNow := get(t, p, mine)
	require.NotEqual(t, first, pid(t, mineNow, mine))
	require.NoError(t, p.PutConn(mineNow))
	require.NoError(t, p.PutConn(c))
}

// psycopg2 does not count: there the first put takes the connection away from the
// code that called the one that puts.
func lastPutUnbinds(t *testing.T) {
	p, _ := persisting(t, 2)
	ctx := as(t, "me")
	outer, inner := get(t, p, ctx), get(t, p, ctx)
	first := pid(t, outer, ctx)
	require.NoError(t, p.PutConn(inner))
	require.Equal(t, first, pid(t, outer, ctx))
	require.Equal(t, first, pid(t, p, ctx))
	require.Equal(t, 1, p.Pool().Leases()[0].Holders)
	require.NoError(t, p.PutConn(outer))
	awaitQuiet(t, p)
}

func putWithoutConnection(t *testing.T) {
	p, _ := persisting(t, 2)
	mine, yours := as(t, "me"), as(t, "you")
	outer, inner, other := get(t, p, mine), get(t, p, mine), get(t, p, yours)
	require.NoError(t, p.Put(mine))
	require.NoError(t, outer.Ping(mine))
	require.ErrorIs(t, inner.Ping(mine), pool.ErrNotLeased, "the newest is put")
	require.ErrorIs(t, p.PutConn(inner), pool.ErrNotLeased)
	require.NoError(t, p.Put(mine))
	require.ErrorIs(t, outer.Ping(mine), pool.ErrNotLeased)
	require.ErrorIs(t, p.Put(mine), pool.ErrNotLeased)
	require.NoError(t, other.Ping(yours), "it is another's")
	require.NoError(t, p.Put(yours))
}

// psycopg2 raises KeyError, or PoolError for a connection that is not the thread's.
func putOfNothing(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx := as(t, "me")
	require.ErrorIs(t, p.Put(ctx), pool.ErrNotLeased)
	require.ErrorIs(t, p.PutConn(nil), pool.ErrForeignConn)
	require.ErrorIs(t, p.Put(background(t)), persistent.ErrNoIdentity)
}

func putAndClose(t *testing.T) {
	ctx := as(t, "me")
	for name, put := range map[string]func(p *persistent.Pool, c *pool.Conn) error{
		"the connection": func(p *persistent.Pool, c *pool.Conn) error { return p.PutConn(c, pool.WithClose()) },
		"the identity's": func(p *persistent.Pool, _ *pool.Conn) error { return p.Put(ctx, pool.WithClose()) },
	} {
		t.Run(name, func(t *testing.T) {
			p, a := persisting(t, 1)
			c := get(t, p, ctx)
			first := pid(t, c, ctx)
			require.NoError(t, put(p, c))
			a.awaitDeath(first)
			require.NotEqual(t, first, pid(t, p, ctx))
		})
		t.Run(name+", shared", func(t *testing.T) {
			p, a := persisting(t, 1)
			outer, inner := get(t, p, ctx), get(t, p, ctx)
			first := pid(t, outer, ctx)
			require.NoError(t, put(p, inner))
			require.Equal(t, first, pid(t, outer, ctx), "closed with the last reference")
			require.NoError(t, p.PutConn(outer))
			a.awaitDeath(first)
		})
	}
}

func openTransactionIsRolledBack(t *testing.T) {
	p, a := persisting(t, 1)
	a.exec("create table n (i int)")
	mine, yours := as(t, "me"), as(t, "you")
	c := get(t, p, mine)
	first := pid(t, c, mine)
	_, err := c.Begin(mine)
	require.NoError(t, err)
	exec(t, c, mine, "insert into n values (1)")
	require.NoError(t, p.PutConn(c))
	c = get(t, p, yours)
	require.Equal(t, first, pid(t, c, yours))
	require.Zero(t, ask[int](t, c, yours, "select count(*) from n"))
	require.NoError(t, p.PutConn(c))
}

// Without a profile.
func sessionStateStays(t *testing.T) {
	p, _ := persisting(t, 1)
	mine, yours := as(t, "me"), as(t, "you")
	exec(t, p, mine, "set my.mark = 'kept'")
	require.Equal(t, "kept", ask[string](t, p, yours, "select current_setting('my.mark')"))
}

// psycopg2's thread can only put its own; here a handle says whose it is.
func putElsewhere(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	put := make(chan error)
	go func() { put <- p.PutConn(c) }()
	require.NoError(t, <-put)
	require.ErrorIs(t, c.Ping(ctx), pool.ErrNotLeased)
}

func closeAll(t *testing.T) {
	p, a := persisting(t, 3)
	ctx := as(t, "me")
	c, other := get(t, p, ctx), get(t, p, as(t, "you"))
	exec(t, p, as(t, "they"), "select 1")
	require.NoError(t, p.PutConn(other))
	a.await(3)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	err := p.CloseAll(ended) // as psycopg2 does it: at once
	var left *pool.CloseError
	require.ErrorAs(t, err, &left)
	require.Len(t, left.Leases, 1)
	require.Contains(t, err.Error(), "key me", "it names whose connection it took")
	a.await(0)
	require.Error(t, c.Ping(ctx))
	require.ErrorIs(t, p.PutConn(c), pool.ErrClosed)
	require.ErrorIs(t, p.Put(ctx), pool.ErrClosed)
	require.ErrorIs(t, p.CloseAll(ctx), pool.ErrClosed)
}

func getAfterCloseAll(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx := as(t, "me")
	exec(t, p, ctx, "select 1")
	require.NoError(t, p.CloseAll(ctx))
	_, err := p.GetConn(ctx)
	require.ErrorIs(t, err, pool.ErrClosed)
	eachVerb(ctx, p, func(verb string, err error) { require.ErrorIs(t, err, pool.ErrClosed, verb) })
	require.ErrorIs(t, p.Put(ctx), pool.ErrClosed)
}
