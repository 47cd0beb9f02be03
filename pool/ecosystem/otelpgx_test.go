package ecosystem_test

import (
	"context"
	"testing"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// otel makes a pool with an otelpgx tracer, and a context with a span that is
// the parent of what is recorded.
func otel(t *testing.T, url string) (context.Context, *pool.Pool, *tracetest.SpanRecorder) {
	recorder := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	p := open(t, url, func(c *pool.Config) {
		c.ConnConfig.Tracer = otelpgx.NewTracer(otelpgx.WithTracerProvider(provider), otelpgx.WithQuerySpanNamePrefix())
	})
	ctx, root := provider.Tracer("test").Start(background(t), "request")
	t.Cleanup(func() { root.End() })
	return ctx, p, recorder
}

func TestOtelpgx(t *testing.T) {
	ctx, p, recorder := otel(t, server.Database(t))

	_, err := p.Exec(ctx, "create table mobile (id int, model text)")
	require.NoError(t, err)
	_, err = p.CopyFrom(ctx, pgx.Identifier{"mobile"}, []string{"id", "model"}, pgx.CopyFromRows([][]any{{1, "IPhone 12"}}))
	require.NoError(t, err)
	batch := &pgx.Batch{}
	batch.Queue("update mobile set id = 2")
	batch.Queue("update mobile set id = 3")
	require.NoError(t, p.SendBatch(ctx, batch).Close())
	var id int
	require.NoError(t, p.QueryRow(ctx, "select id from mobile where model = $1", "IPhone 12").Scan(&id))
	assert.Equal(t, 3, id)

	names := map[string]int{}
	spans := map[string]trace.ReadOnlySpan{} // the first of each name
	for _, span := range recorder.Ended() {
		if names[span.Name()]++; names[span.Name()] == 1 {
			spans[span.Name()] = span
		}
	}
	require.Equal(t, map[string]int{
		"pool.acquire":         4,
		"connect":              1,
		"query CREATE":         1,
		"copy_from \"mobile\"": 1,
		"batch start":          1,
		"batch query UPDATE":   2,
		"prepare SELECT":       2, // CopyFrom's and QueryRow's
		"query SELECT":         1,
	}, names)

	// What otelpgx knows of the pool it asks the *pgxpool.Pool.
	config := p.Config().ConnConfig
	for _, name := range []string{"pool.acquire", "connect"} {
		assert.Subset(t, spans[name].Attributes(), []attribute.KeyValue{
			attribute.String("server.address", config.Host),
			attribute.Int("server.port", int(config.Port)),
			attribute.String("user.name", config.User),
			attribute.String("db.namespace", config.Database),
		}, name)
	}
	// Who waited while a connection was opened can be seen.
	parent := spans["connect"].Parent().SpanID()
	assert.Equal(t, spans["pool.acquire"].SpanContext().SpanID(), parent)
}

// TestOtelpgxErrors waits in vain for a connection, then makes a mistake.
func TestOtelpgxErrors(t *testing.T) {
	ctx, p, recorder := otel(t, server.Database(t))
	last := func(name string) trace.ReadOnlySpan {
		spans := recorder.Ended()
		require.NotEmpty(t, spans)
		span := spans[len(spans)-1]
		require.Equal(t, name, span.Name())
		return span
	}

	require.NoError(t, p.AcquireFunc(ctx, func(*pool.Conn) error {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, err := p.Acquire(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, trace.Status{Code: codes.Error, Description: err.Error()}, last("pool.acquire").Status())
		return nil
	}))

	_, err := p.Exec(ctx, "select * from no_such_table")
	require.Error(t, err)
	span := last("query SELECT")
	assert.Equal(t, codes.Error, span.Status().Code)
	assert.Contains(t, span.Attributes(), otelpgx.SQLStateKey.String("42P01")) // undefined_table
}
