package persistent

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgx's verbs run on the connection of the identity in ctx. If it has none they get
// it one, for what they do; while it has one they run on that, and in the
// transaction that is open on it. They return the errors of [Pool.GetConn] and
// those of the methods of [pgx.Conn], and end with ctx at the latest.

// Exec runs a statement; see [pgx.Conn.Exec].
func (p *Pool) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return p.view.Exec(ctx, sql, args...)
}

// Query runs a query. Until the rows are closed, or read to their end, everything
// else on the identity's connection is ErrIdentityBusy; see [pgx.Conn.Query].
func (p *Pool) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.view.Query(ctx, sql, args...)
}

// QueryRow runs a query for one row, which must be scanned. Errors come from Scan.
// See [pgx.Conn.QueryRow].
func (p *Pool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.view.QueryRow(ctx, sql, args...)
}

// SendBatch sends the statements of a batch, whose results must be closed. Errors
// come from the results. See [pgx.Conn.SendBatch].
func (p *Pool) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return p.view.SendBatch(ctx, b)
}

// CopyFrom copies rows into a table; see [pgx.Conn.CopyFrom].
func (p *Pool) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return p.view.CopyFrom(ctx, table, columns, rows)
}

// Begin begins a transaction, a [*pool.Tx], or a savepoint in the one that is open
// for the identity. Until it is committed or rolled back the connection stays the
// identity's, and whatever runs under the identity runs in it; after that, what runs under
// the identity commits by itself. So code that is called in the transaction, and may
// outlive it, belongs into [Pool.InTx].
//
// If ctx ends before, the transaction is rolled back, with the last reference or before the
// connection is used again. In the latter case, such as under [Pool.Hold], the first use
// after that is pool.ErrRolledBack, unless Rollback was called, since what comes next runs
// outside.
func (p *Pool) Begin(ctx context.Context) (pgx.Tx, error) { return p.view.Begin(ctx) }

// BeginTx begins a transaction with options; see [Pool.Begin]. A savepoint takes
// none: the error is a [*pool.ConfigError] then.
func (p *Pool) BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error) {
	return p.view.BeginTx(ctx, opts)
}

// InTx calls f in a transaction, or in a savepoint if one is open for the identity. It
// commits if f returns nil; if f returns an error, or panics, it rolls back.
//
//	err := p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
//		return orders.Cancel(ctx, p, id)
//	})
//
// The context that f is given is the transaction's: whatever runs with it, or with one
// derived from it (also by context.WithoutCancel), runs in the transaction, or is
// pgx.ErrTxClosed once f has returned or the transaction has ended. So a goroutine that
// outlives f never writes outside the transaction unawares. A statement that still runs
// when f has returned is not waited for: the transaction is rolled back, and the error is
// ErrIdentityBusy. A savepoint takes no options: the error is a [*pool.ConfigError] then.
func (p *Pool) InTx(ctx context.Context, opts pgx.TxOptions, f func(ctx context.Context) error) error {
	return p.view.InTx(ctx, opts, f)
}

// Ping asks the server for a sign of life; see [pgx.Conn.Ping].
func (p *Pool) Ping(ctx context.Context) error { return p.view.Ping(ctx) }
