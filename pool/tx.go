package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A tx is a transaction, or a savepoint in one, that ends with its borrower's
// lease. Without the lease its methods would reach the next borrower's
// transaction: pgx knows only the connection.
type tx struct {
	pgx.Tx
	lease *Conn
}

// live is an error once the connection is put back.
func (t *tx) live() error {
	if t.lease.session() == nil {
		return ErrNotLeased
	}
	return nil
}

func (t *tx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := t.live(); err != nil {
		return nil, err
	}
	nested, err := t.Tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &tx{nested, t.lease}, nil
}

func (t *tx) Commit(ctx context.Context) error {
	if err := t.live(); err != nil {
		return err
	}
	return t.Tx.Commit(ctx)
}

func (t *tx) Rollback(ctx context.Context) error {
	if err := t.live(); err != nil {
		return err
	}
	return t.Tx.Rollback(ctx)
}

func (t *tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	if err := t.live(); err != nil {
		return 0, err
	}
	return t.Tx.CopyFrom(ctx, table, columns, rows)
}

func (t *tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := t.live(); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	return t.Tx.SendBatch(ctx, b)
}

func (t *tx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := t.live(); err != nil {
		return nil, err
	}
	return t.Tx.Prepare(ctx, name, sql)
}

func (t *tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.live(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return t.Tx.Exec(ctx, sql, args...)
}

func (t *tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.live(); err != nil {
		return failed{err}, err
	}
	return t.Tx.Query(ctx, sql, args...)
}

func (t *tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.live(); err != nil {
		return failed{err}
	}
	return t.Tx.QueryRow(ctx, sql, args...)
}

// LargeObjects is of no use once the connection is put back; what it gave
// before must not be used after that, since pgx offers no way to tell.
func (t *tx) LargeObjects() pgx.LargeObjects {
	if t.live() != nil {
		return pgx.LargeObjects{}
	}
	return t.Tx.LargeObjects()
}

// Conn is nil once the connection is put back, as [Conn.Conn] is.
func (t *tx) Conn() *pgx.Conn { return t.lease.Conn() }
