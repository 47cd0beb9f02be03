package pool_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// queries makes a type a pgx.QueryTracer.
type queries struct{}

func (queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// mark is a context's key, to see which context comes where.
type mark struct{}

// ourTracer is a tracer of this package's; theirTracer is one of pgxpool's.
type (
	ourTracer struct {
		queries
		said chan string
	}
	theirTracer ourTracer
)

func (o ourTracer) TraceAcquireStart(ctx context.Context, p *pool.Pool, _ pool.TraceAcquireStartData) context.Context {
	o.said <- "start"
	return context.WithValue(ctx, mark{}, p.Config().MaxConns)
}

func (o ourTracer) TraceAcquireEnd(ctx context.Context, p *pool.Pool, data pool.TraceAcquireEndData) {
	o.said <- end(ctx.Value(mark{}) == p.Config().MaxConns, data.Conn, data.Err)
}

func (o ourTracer) TraceRelease(_ *pool.Pool, data pool.TraceReleaseData) {
	o.said <- "release " + alive(data.Conn)
}

func (o theirTracer) TraceAcquireStart(ctx context.Context, p *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	o.said <- "start"
	return context.WithValue(ctx, mark{}, p.Config().MaxConns)
}

func (o theirTracer) TraceAcquireEnd(ctx context.Context, p *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	o.said <- end(ctx.Value(mark{}) == p.Config().MaxConns && p.Stat().MaxConns() == 3, data.Conn, data.Err)
}

func (o theirTracer) TraceRelease(_ *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	o.said <- "release " + alive(data.Conn)
}

func end(marked bool, conn *pgx.Conn, err error) string {
	switch {
	case !marked:
		return "end with another context or pool"
	case err != nil:
		return "end " + err.Error()
	default:
		return "end " + alive(conn)
	}
}

func alive(conn *pgx.Conn) string {
	if conn == nil || conn.IsClosed() {
		return "without a connection"
	}
	return "with a connection"
}

// Tracers are told of every get and put, those written for pgxpool too.
func TestTracers(t *testing.T) {
	said := make(chan string, 10)
	for name, tracer := range map[string]pgx.QueryTracer{
		"ours": ourTracer{said: said}, "pgxpool's": theirTracer{said: said},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := configured(t, func(c *pool.Config) { c.ConnConfig.Tracer, c.MaxConns = tracer, 3 })
			acquired := []string{"start", "end with a connection"}
			get(t, p).Release()
			require.Equal(t, append(acquired, "release with a connection"), drained(said))
			c := get(t, p, pool.WithKey("k"))
			require.Equal(t, acquired, drained(said))
			require.NoError(t, p.PutConn(c, pool.WithClose()))
			c.Release()
			require.Equal(t, []string{"release with a connection"}, drained(said))
			_, err := p.Acquire(ended())
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, []string{"start", "end context canceled"}, drained(said))
		})
	}
}

func drained(said chan string) (all []string) {
	for len(said) > 0 {
		all = append(all, <-said)
	}
	return all
}

// multitracer passes on to tracers for pgxpool; those for this package are told
// all the same, and only once.
func TestMultitracer(t *testing.T) {
	ours, theirs := make(chan string, 10), make(chan string, 10)
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns, c.ConnConfig.Tracer = 3, multitracer.New(ourTracer{said: ours}, theirTracer{said: theirs})
	})
	get(t, p).Release()
	for _, said := range []chan string{ours, theirs} {
		require.Equal(t, []string{"start", "end with a connection", "release with a connection"}, drained(said))
	}
}

// half is a tracer that is told nothing: TraceAcquireEnd is missing.
type half struct{ queries }

func (half) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return ctx
}

// wrong is a tracer for a pool of another kind.
type wrong struct{ queries }

func (wrong) TraceRelease(_ *int, _ pool.TraceReleaseData) {}

// A tracer that looks like a pool's and would be told nothing is refused.
func TestTracerThatFitsNothing(t *testing.T) {
	for method, tracer := range map[string]pgx.QueryTracer{
		"TraceAcquireStart": half{}, "TraceRelease": multitracer.New(ourTracer{}, &wrong{}),
	} {
		c, err := pool.ParseConfig(server.ConnString())
		require.NoError(t, err)
		c.ConnConfig.Tracer = tracer
		_, err = pool.NewWithConfig(background(t), c)
		var ce *pool.ConfigError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, "ConnConfig.Tracer", ce.Field)
		require.Contains(t, err.Error(), method)
	}
}

// panicky panics when a get ends, or when a put begins.
type panicky struct {
	ourTracer
	release bool
}

func (p panicky) TraceAcquireEnd(context.Context, *pool.Pool, pool.TraceAcquireEndData) {
	if !p.release {
		panic("in a tracer")
	}
}

func (p panicky) TraceRelease(*pool.Pool, pool.TraceReleaseData) { panic("in a tracer") }

// A tracer that panics costs nobody a connection.
func TestTracerThatPanics(t *testing.T) {
	for _, release := range []bool{false, true} {
		p, _ := configured(t, func(c *pool.Config) {
			c.ConnConfig.Tracer, c.MaxConns = panicky{ourTracer{said: make(chan string, 10)}, release}, 1
		})
		for range 2 {
			require.PanicsWithValue(t, "in a tracer", func() { _, _ = p.Exec(background(t), "select 1") })
		}
		require.Zero(t, p.Stat().AcquiredConns())
	}
}
