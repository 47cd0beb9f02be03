package persistent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// The edges of the interface.

func TestConstructors(t *testing.T) {
	ctx := background(t)
	var bad *pool.ConfigError
	_, err := persistent.Over(nil)
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "pool", bad.Field)
	_, err = persistent.New(ctx, "pool_max_conns=none")
	require.Error(t, err)
	config, err := pool.ParseConfig(server.ConnString())
	require.NoError(t, err)
	config.MaxConns = 0
	_, err = persistent.NewWithConfig(ctx, config)
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "MaxConns", bad.Field)

	p, err := persistent.New(ctx, server.ConnString(), persistent.WithProfile(persistent.Profile{}))
	require.NoError(t, err)
	exec(t, p, as(t, "me"), "select 1")
	require.NoError(t, p.CloseAll(ctx))
	require.ErrorIs(t, p.Pool().Ping(ctx), pool.ErrClosed, "it is the one pool")
}

// Whose connection it is says the context, and nobody else.
func TestKeysOfTheCallers(t *testing.T) {
	p, a := persisting(t, 2)
	ctx := as(t, "me")
	for _, key := range []any{"me", 1, []int{1}} {
		_, err := p.GetConn(ctx, pool.WithKey(key))
		var bad *pool.KeyError
		require.ErrorAs(t, err, &bad)
		require.ErrorContains(t, err, "the one in the context")
	}
	a.await(0)
	c, err := p.GetConn(ctx, pool.WithKey(nil))
	require.NoError(t, err, "no key")
	require.ErrorIs(t, p.PutConn(c, pool.WithKey("me")), pool.ErrWrongKey)
	require.NoError(t, c.Ping(ctx), "nothing has changed")

	ordinary, err := p.Pool().GetConn(ctx, pool.WithKey("me"))
	require.NoError(t, err)
	require.NotEqual(t, pid(t, c, ctx), pid(t, ordinary, ctx), "a key of the pool's own is none of these")
	require.NoError(t, p.Pool().PutConn(ordinary, pool.WithKey("me")))
	require.NoError(t, p.PutConn(c))
}

func TestPutOfOthers(t *testing.T) {
	p, _ := persisting(t, 2)
	other, _ := persisting(t, 1)
	ctx := as(t, "me")
	c, foreign := get(t, p, ctx), get(t, other, ctx)
	require.ErrorIs(t, p.PutConn(foreign), pool.ErrForeignConn)
	require.ErrorIs(t, other.PutConn(c), pool.ErrForeignConn)
	require.NoError(t, foreign.Ping(ctx))
	require.NoError(t, other.PutConn(foreign))
	require.Error(t, p.PutConn(foreign))

	ordinary, err := p.Pool().GetConn(ctx)
	require.NoError(t, err)
	require.NoError(t, p.PutConn(ordinary), "its connections are the pool's")
	require.NoError(t, p.Pool().PutConn(c), "and the other way round")
}

func TestUseAfterPut(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	rows, err := c.Query(ctx, "select 1")
	require.NoError(t, err)
	rows.Close()
	require.NoError(t, p.PutConn(c))
	next := get(t, p, ctx) // the same identity, and maybe the same connection
	eachVerb(ctx, c, func(verb string, err error) { require.ErrorIs(t, err, pool.ErrNotLeased, verb) })
	_, err = c.BeginTx(ctx, pgx.TxOptions{})
	require.ErrorIs(t, err, pool.ErrNotLeased)
	require.Nil(t, c.Conn())
	require.Panics(t, func() { c.Hijack() })
	require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
	require.ErrorIs(t, p.PutConn(c, pool.WithClose()), pool.ErrNotLeased)
	c.Release()
	require.NoError(t, rows.Err())
	rows.Close()
	require.False(t, rows.Next())
	require.NoError(t, next.Ping(ctx))
	require.NoError(t, p.PutConn(next))
}

// Put takes the newest reference of the caller's own context before it takes
// anybody else's.
func TestPutTakesItsOwn(t *testing.T) {
	p, _ := persisting(t, 1)
	request := as(t, "me")
	inner, cancel := context.WithCancel(request)
	defer cancel()
	a, b, c := get(t, p, inner), get(t, p, request), get(t, p, context.WithoutCancel(request))
	d := get(t, p, context.WithValue(inner, wide, nil))
	gone := func(c *pool.Conn) bool { return errors.Is(c.Ping(request), pool.ErrNotLeased) }
	left := func() []bool { return []bool{gone(a), gone(b), gone(c), gone(d)} }
	for _, put := range []struct {
		ctx  context.Context
		want []bool
	}{
		{inner, []bool{false, false, false, true}},
		{request, []bool{false, true, false, true}},
		{inner, []bool{true, true, false, true}},
		{inner, []bool{true, true, true, true}}, // it has none any more: somebody else's
	} {
		require.NoError(t, p.Put(put.ctx))
		require.Equal(t, put.want, left())
	}
	require.ErrorIs(t, p.Put(inner), pool.ErrNotLeased)
}

func TestHijack(t *testing.T) {
	p, a := persisting(t, 1)
	ctx, cancel := context.WithCancel(as(t, "me"))
	defer cancel()
	c, other := get(t, p, ctx), get(t, p, ctx)
	first := pid(t, c, ctx)
	require.PanicsWithValue(t, "cannot hijack: others hold it under the same key", func() { c.Hijack() })
	require.NoError(t, p.PutConn(other))
	rows, err := c.Query(ctx, "select 1")
	require.NoError(t, err)
	require.Panics(t, func() { c.Hijack() })
	rows.Close()

	conn := c.Hijack()
	require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
	require.ErrorIs(t, p.Put(ctx), pool.ErrNotLeased)
	require.NotEqual(t, first, pid(t, p, ctx), "the place is free")
	cancel() // no longer its business
	awaitQuiet(t, p)
	require.NoError(t, conn.Ping(background(t)))
	require.Equal(t, first, conn.PgConn().PID())
	require.NoError(t, conn.Close(background(t)))
	a.awaitDeath(first)
}

func TestLeases(t *testing.T) {
	p, _ := persisting(t, 2)
	ctx := as(t, "me")
	get(t, p, ctx)
	get(t, p, ctx)
	other := as(t, 7)
	get(t, p, other)
	leases := p.Pool().Leases()
	require.Len(t, leases, 2)
	require.Regexp(t, `^#1 key me \(2 holders\) for `, leases[0].String())
	require.Regexp(t, `^#2 key 7 for `, leases[1].String())
	require.Equal(t, "me", fmt.Sprint(leases[0].Key))
	for _, ctx := range []context.Context{ctx, ctx, other} {
		require.NoError(t, p.Put(ctx))
	}
}

// A paused pool serves those who have a connection: they could not end otherwise.
func TestPause(t *testing.T) {
	p, _ := persisting(t, 2)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	paused := make(chan error)
	go func() { paused <- p.Pool().Pause(background(t)) }()
	require.Eventually(t, func() bool { return p.Pool().Stat().Actor().Paused }, wide, tick)
	exec(t, p, ctx, "select 1")
	got := make(chan error)
	go func() {
		_, err := p.Exec(as(t, "you"), "select 1")
		got <- err
	}()
	awaitWaiting(t, p, 1)
	require.NoError(t, p.PutConn(c))
	require.NoError(t, <-paused)
	require.NoError(t, p.Pool().Resume())
	require.NoError(t, <-got)
}

// A connection that is old stays its identity's until the last put.
func TestResetAndResize(t *testing.T) {
	p, a := persisting(t, 2)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	first := pid(t, c, ctx)
	p.Pool().Reset()
	require.NoError(t, p.Pool().Resize(0, 1))
	require.Equal(t, first, pid(t, p, ctx))
	require.NoError(t, p.PutConn(c))
	a.awaitDeath(first)
	require.NotEqual(t, first, pid(t, p, ctx))
}

// A tracer writes down what it is told.
type tracer struct {
	queries
	turn chan struct{}
	said []string
}

// queries makes a type a pgx.QueryTracer.
type queries struct{}

func (queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (r *tracer) say(what string, conn *pgx.Conn, err error) {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.said = append(r.said, fmt.Sprint(what, ", connection: ", conn != nil, ", error: ", err != nil))
}

func (r *tracer) TraceAcquireStart(ctx context.Context, _ *pool.Pool, _ pool.TraceAcquireStartData) context.Context {
	r.say("get", nil, nil)
	return context.WithValue(ctx, errHook, "traced")
}

func (r *tracer) TraceAcquireEnd(ctx context.Context, _ *pool.Pool, data pool.TraceAcquireEndData) {
	if ctx.Value(errHook) == "traced" {
		r.say("got", data.Conn, data.Err)
	}
}

func (r *tracer) TraceRelease(_ *pool.Pool, data pool.TraceReleaseData) { r.say("put", data.Conn, nil) }

func TestTracers(t *testing.T) {
	r := &tracer{turn: make(chan struct{}, 1)}
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.Tracer = 1, r })
	expect := func(what string, want ...string) {
		require.Equal(t, want, r.said, what)
		r.said = nil
	}
	const get1, got, put = "get, connection: false, error: false", "got, connection: true, error: false",
		"put, connection: true, error: false"
	ctx := as(t, "me")
	c := get(t, p, ctx)
	expect("a get", get1, got)
	exec(t, p, ctx, "select 1")
	expect("a verb", get1, got, put)
	rows, err := p.Query(ctx, "select 1")
	require.NoError(t, err)
	expect("a query", get1, got)
	rows.Close()
	expect("the end of its rows", put)
	tx := begin(t, p, ctx)
	require.NoError(t, tx.Commit(ctx))
	expect("a transaction", get1, got, put)
	require.NoError(t, p.PutConn(c))
	expect("a put", put)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = p.GetConn(ended)
	require.Error(t, err)
	expect("a get that fails", get1, "got, connection: false, error: true")
	_, err = p.GetConn(background(t))
	require.ErrorIs(t, err, persistent.ErrNoIdentity)
}

// All calls at once, on identities that come and go, and the end of it all.
func TestCloseAllAtWork(t *testing.T) {
	p, a := persisting(t, 3, profile(says("set my.mark = 'x'"), nil))
	var all sync.WaitGroup
	working := make(chan struct{}, 100)
	for i := range 12 {
		all.Go(func() {
			ctx := as(t, i%6)
			for p.Ping(ctx) == nil || !errors.Is(p.Put(ctx), pool.ErrClosed) {
				select {
				case working <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 50 {
		<-working
	}
	require.NoError(t, p.CloseAll(background(t)))
	all.Wait()
	a.await(0)
}
