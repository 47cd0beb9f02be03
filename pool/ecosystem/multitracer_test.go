package ecosystem_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A diary is a tracer as it is written for pgxpool. It writes down what
// happens, and to which pool and connection.
type diary struct {
	events []string
	pools  []*pgxpool.Pool
	conns  []*pgx.Conn
}

var (
	_ pgx.QueryTracer       = (*diary)(nil)
	_ pgxpool.AcquireTracer = (*diary)(nil)
	_ pgxpool.ReleaseTracer = (*diary)(nil)
)

// asked is the key of what a diary puts into a context.
type asked struct{ by *diary }

func (d *diary) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	d.events = append(d.events, data.SQL)
	return ctx
}

func (d *diary) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	d.events = append(d.events, "done")
}

func (d *diary) TraceAcquireStart(ctx context.Context, p *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	d.events = append(d.events, "acquire")
	d.pools = append(d.pools, p)
	return context.WithValue(ctx, asked{d}, true)
}

func (d *diary) TraceAcquireEnd(ctx context.Context, p *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if data.Err == nil && ctx.Value(asked{d}) == true {
		d.events = append(d.events, "acquired")
	}
	d.pools = append(d.pools, p)
	d.conns = append(d.conns, data.Conn)
}

func (d *diary) TraceRelease(p *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	d.events = append(d.events, "release")
	d.pools = append(d.pools, p)
	d.conns = append(d.conns, data.Conn)
}

// TestMultitracer has two tracers on one pool.
func TestMultitracer(t *testing.T) {
	ctx := background(t)
	one, two := &diary{}, &diary{}
	p := open(t, server.Database(t), func(c *pool.Config) { c.ConnConfig.Tracer = multitracer.New(one, two) })

	conn, err := p.Acquire(ctx)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, "select 1")
	require.NoError(t, err)
	held := conn.Conn()
	conn.Release()
	_, err = p.Exec(ctx, "select 2")
	require.NoError(t, err)

	for _, d := range []*diary{one, two} {
		require.Equal(t, []string{
			"acquire", "acquired", "select 1", "done", "release",
			"acquire", "acquired", "select 2", "done", "release",
		}, d.events)
		for _, c := range d.conns {
			assert.Same(t, held, c)
		}
		require.NotNil(t, d.pools[0])
		for _, traced := range d.pools {
			assert.Same(t, d.pools[0], traced)
		}
		config, traced := p.Config(), d.pools[0].Config()
		assert.Equal(t, config.ConnConfig.Database, traced.ConnConfig.Database)
		assert.Equal(t, config.MaxConns, traced.MaxConns)
	}
}
