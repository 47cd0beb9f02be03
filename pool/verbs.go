package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgx's verbs on the pool: each takes a connection for what it does and puts
// it back when that is over, also after a panic. They block as [Pool.GetConn] and
// the methods of [pgx.Conn] do, until their contexts end at the latest, and
// return the errors of both. An error of a deadline is context.DeadlineExceeded for
// errors.Is and one for pgconn.Timeout, also where the server has cancelled the statement,
// and that of a cancel is context.Canceled. Where the context had ended before it is
// ctx.Err() itself, which pgconn.Timeout does not know.

// Exec runs a statement; see [pgx.Conn.Exec].
func (p *Pool) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return exec(ctx, p, sql, args)
}

// Query runs a query. Its connection is put back when the rows are closed, read
// to their end, or fail; so read their FieldDescriptions before. See [pgx.Conn.Query].
// The rows of an error carry that error.
func (p *Pool) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return query(ctx, p, sql, args)
}

// QueryRow runs a query for one row. Its connection is put back when the row is
// scanned, also if Scan panics: a row that is never scanned keeps it. Errors come
// from Scan. See [pgx.Conn.QueryRow].
func (p *Pool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return queryRow(ctx, p, sql, args)
}

// SendBatch sends the statements of a batch. Its connection is put back when the
// results are closed, or, for a batch begun with [pgx.Batch.BeginTx], when that
// transaction is committed or rolled back. Errors come from the results. See
// [pgx.Conn.SendBatch].
func (p *Pool) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return sendBatch(ctx, p, b)
}

// Begin begins a transaction, a [*Tx]. Its connection is put back when it is
// committed or rolled back; ctx is for the get and the BEGIN alone. See
// [pgx.Conn.Begin].
func (p *Pool) Begin(ctx context.Context) (pgx.Tx, error) { return p.BeginTx(ctx, pgx.TxOptions{}) }

// BeginTx begins a transaction with options; see [Pool.Begin].
func (p *Pool) BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error) {
	return beginTx(ctx, p, opts)
}

// CopyFrom copies rows into a table; see [pgx.Conn.CopyFrom].
func (p *Pool) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return copyFrom(ctx, p, table, columns, rows)
}

// Ping asks the server for a sign of life on one connection; see
// [pgx.Conn.Ping].
func (p *Pool) Ping(ctx context.Context) error { return ping(ctx, p) }

// borrow gets a connection for a verb.
func (p *Pool) borrow(ctx context.Context) (*Conn, error) { return p.Acquire(ctx) }

// A lender gets the connection for a verb: a Pool, or a Keyed.
type lender interface {
	borrow(ctx context.Context) (*Conn, error)
}

func exec(ctx context.Context, from lender, sql string, args []any) (pgconn.CommandTag, error) {
	c, err := from.borrow(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer c.Release()
	return c.Exec(ctx, sql, args...)
}

func query(ctx context.Context, from lender, sql string, args []any) (pgx.Rows, error) {
	c, err := from.borrow(ctx)
	if err != nil {
		return failed{err}, err
	}
	return c.query(ctx, true, sql, args)
}

func queryRow(ctx context.Context, from lender, sql string, args []any) pgx.Row {
	c, err := from.borrow(ctx)
	if err != nil {
		return failed{err}
	}
	return c.queryRow(ctx, true, sql, args)
}

func sendBatch(ctx context.Context, from lender, b *pgx.Batch) pgx.BatchResults {
	c, err := from.borrow(ctx)
	if err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	return c.sendBatch(ctx, true, b)
}

func beginTx(ctx context.Context, from lender, opts pgx.TxOptions) (pgx.Tx, error) {
	c, err := from.borrow(ctx)
	if err != nil {
		return nil, err
	}
	return c.begin(ctx, true, opts)
}

func copyFrom(ctx context.Context, from lender, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	c, err := from.borrow(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	return c.CopyFrom(ctx, table, columns, rows)
}

func ping(ctx context.Context, from lender) error {
	c, err := from.borrow(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	return c.Ping(ctx)
}
