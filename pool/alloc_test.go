package pool_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// verbs is what both pools have, apart from Acquire.
type verbs interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Begin(ctx context.Context) (pgx.Tx, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// TestAllocations counts heap allocations, beside pgxpool: a get and a put make
// none, and a query through the pool no more than there.
func TestAllocations(t *testing.T) {
	ctx := t.Context() // for thousands of calls, which a busy machine takes long for
	ours, _ := threaded(t, 1, 1)
	theirs, err := pgxpool.New(ctx, server.ConnString())
	require.NoError(t, err)
	defer theirs.Close()

	assert.Zero(t, allocations(func() {
		c, err := ours.Acquire(ctx)
		require.NoError(t, err)
		c.Release()
	}), "Acquire and Release")
	for name, do := range map[string]func(v verbs){
		"Exec": func(v verbs) {
			_, err := v.Exec(ctx, "select 1")
			require.NoError(t, err)
		},
		"Query": func(v verbs) {
			rows, err := v.Query(ctx, "select 1")
			require.NoError(t, err)
			rows.Close()
		},
		"QueryRow": func(v verbs) {
			var n int
			require.NoError(t, v.QueryRow(ctx, "select 1").Scan(&n))
		},
		"Begin": func(v verbs) {
			tx, err := v.Begin(ctx)
			require.NoError(t, err)
			require.NoError(t, tx.Rollback(ctx))
		},
		"SendBatch": func(v verbs) {
			var b pgx.Batch
			b.Queue("select 1")
			require.NoError(t, v.SendBatch(ctx, &b).Close())
		},
	} {
		assert.LessOrEqual(t, allocations(func() { do(ours) }), allocations(func() { do(theirs) }), name)
	}
}

// allocations per call: the least of a few counts, since others in the process
// allocate too.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(200, f)
	for range 4 {
		least = min(least, testing.AllocsPerRun(200, f))
	}
	return least
}
