package pool_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// Reports about errors, events and logs: what they say, and what errors.Is finds in them.
var reportsOfErrors = []report{
	{"17.1 ended before", "eight verbs with a context that has ended: `err == context.Canceled`",
		ofOurs(endedBefore), ofTheirs(endedBefore)},
	{"17.2 closed pool", "a query on a closed pool", ofOurs(closedPool), ofTheirs(closedPool)},
	{"17.3 aborted transaction", "the statement after a cancelled one in a transaction", ofOurs(abortedTx), ofTheirs(abortedTx)},
}

// An either is a pool, ours or pgxpool's.
type either interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
	Begin(ctx context.Context) (pgx.Tx, error)
	Ping(ctx context.Context) error
	Close()
}

// isOurs reports whether p is held to what is right.
func isOurs(p either) bool { _, ours := p.(*pool.Pool); return ours }

// ofOurs plays with a pool of ours on a database of its own.
func ofOurs(play func(t *testing.T, p either) string) func(t *testing.T) string {
	return func(t *testing.T) string {
		p, err := pool.New(background(t), server.Database(t))
		require.NoError(t, err)
		t.Cleanup(p.Close)
		return play(t, p)
	}
}

// ofTheirs plays with pgxpool.
func ofTheirs(play func(t *testing.T, p either) string) func(t *testing.T) string {
	return func(t *testing.T) string {
		p, err := pgxpool.New(background(t), server.Database(t))
		require.NoError(t, err)
		t.Cleanup(p.Close)
		return play(t, p)
	}
}

// verbErrors are the errors of all verbs with ctx.
func verbErrors(ctx context.Context, p either) map[string]error {
	_, exec := p.Exec(ctx, "select 1")
	rows, query := p.Query(ctx, "select 1")
	rows.Close()
	b := &pgx.Batch{}
	b.Queue("select 1")
	_, begin := p.Begin(ctx)
	_, copied := p.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"i"}, pgx.CopyFromRows(nil))
	return map[string]error{
		"Exec": exec, "Query": query, "Rows.Err": rows.Err(), "QueryRow": p.QueryRow(ctx, "select 1").Scan(new(int)),
		"SendBatch": p.SendBatch(ctx, b).Close(), "Begin": begin, "CopyFrom": copied, "Ping": p.Ping(ctx),
	}
}

func endedBefore(t *testing.T, p either) string {
	require.NoError(t, p.Ping(background(t)), "a connection is idle")
	bare, all := 0, verbErrors(ended(), p)
	for verb, err := range all {
		if err == context.Canceled {
			bare++
		} else if isOurs(p) {
			require.Equal(t, context.Canceled, err, verb)
		}
	}
	return fmt.Sprintf("%d of %d", bare, len(all))
}

func closedPool(t *testing.T, p either) string {
	p.Close()
	for verb, err := range verbErrors(background(t), p) {
		require.EqualError(t, err, "closed pool", verb)
	}
	return "`closed pool`"
}

func abortedTx(t *testing.T, p either) string {
	ctx := background(t)
	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = tx.Exec(short, sleeps)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = tx.Exec(ctx, "select 1")
	require.Error(t, err)
	if isOurs(p) {
		require.Equal(t, "25P02", code(err))
		require.NoError(t, tx.Rollback(ctx))
		require.EqualValues(t, 1, p.(*pool.Pool).Stat().NewConnsCount())
		require.NoError(t, p.Ping(ctx))
		require.EqualValues(t, 1, p.(*pool.Pool).Stat().NewConnsCount(), "it is kept")
	} else {
		_ = tx.Rollback(ctx)
	}
	return fmt.Sprintf("`%v`", err)
}
