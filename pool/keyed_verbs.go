package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgx's verbs run on the connection of the key in ctx. If it has none they get it one, for
// what they do; while it has one they run on that, and in the transaction that is open on
// it. They block and fail as those of [Pool] do.

// Exec runs a statement; see [pgx.Conn.Exec].
func (k *Keyed) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return exec(ctx, k, sql, args)
}

// Query runs a query; see [Pool.Query]. Until the rows are closed, or read to their end,
// every other use of the connection is ErrBusy.
func (k *Keyed) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return query(ctx, k, sql, args)
}

// QueryRow runs a query for one row; see [Pool.QueryRow].
func (k *Keyed) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return queryRow(ctx, k, sql, args)
}

// SendBatch sends the statements of a batch; see [Pool.SendBatch].
func (k *Keyed) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return sendBatch(ctx, k, b)
}

// Begin begins a transaction, or a savepoint in the one that is open for the key; see
// [Conn.Begin].
func (k *Keyed) Begin(ctx context.Context) (pgx.Tx, error) { return k.BeginTx(ctx, pgx.TxOptions{}) }

// BeginTx begins a transaction with options; see [Conn.BeginTx].
func (k *Keyed) BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error) {
	return beginTx(ctx, k, opts)
}

// CopyFrom copies rows into a table; see [pgx.Conn.CopyFrom].
func (k *Keyed) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return copyFrom(ctx, k, table, columns, rows)
}

// Ping asks the server for a sign of life; see [pgx.Conn.Ping].
func (k *Keyed) Ping(ctx context.Context) error { return ping(ctx, k) }
