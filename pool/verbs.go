package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pgx's verbs on the pool: each takes a connection for what it does and puts
// it back when that is over, also after a panic. They block as [Pool.GetConn] and
// the methods of [pgx.Conn] do, until their contexts end at the latest, and
// return the errors of both.

// Exec runs a statement; see [pgx.Conn.Exec].
func (p *Pool) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	c, err := p.Acquire(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer c.Release()
	return c.Conn().Exec(ctx, sql, args...)
}

// Query runs a query. Its connection is put back when the rows are closed, read
// to their end, or fail; see [pgx.Conn.Query]. The rows of an error carry that
// error.
func (p *Pool) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	c, err := p.Acquire(ctx)
	if err != nil {
		return failed{err}, err
	}
	kept := false
	defer c.releaseUnless(&kept)
	rows, err := c.Conn().Query(ctx, sql, args...)
	if err != nil {
		return failed{err}, err
	}
	kept = true
	return c.session().keepRows(c, rows), nil
}

// QueryRow runs a query for one row. Its connection is put back when the row is
// scanned, also if Scan panics: a row that is never scanned keeps it. Errors come
// from Scan. See [pgx.Conn.QueryRow].
func (p *Pool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	c, err := p.Acquire(ctx)
	if err != nil {
		return failed{err}
	}
	kept := false
	defer c.releaseUnless(&kept)
	row := c.Conn().QueryRow(ctx, sql, args...)
	kept = true
	return c.session().keepRow(c, row)
}

// SendBatch sends the statements of a batch. Its connection is put back when the
// results are closed, or, for a batch begun with [pgx.Batch.BeginTx], when that
// transaction is committed or rolled back. Errors come from the results. See
// [pgx.Conn.SendBatch].
func (p *Pool) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	c, err := p.Acquire(ctx)
	if err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	kept := false
	defer c.releaseUnless(&kept)
	results := c.Conn().SendBatch(ctx, b)
	kept = true
	r := &batchResults{BatchResults: results, conn: c}
	if t := results.Tx(); t != nil {
		r.conn, r.tx = nil, &Tx{tx: t, conn: c, owner: true}
	}
	return r
}

// Begin begins a transaction, a [*Tx]. Its connection is put back when it is
// committed or rolled back; ctx is for the get and the BEGIN alone. See
// [pgx.Conn.Begin].
func (p *Pool) Begin(ctx context.Context) (pgx.Tx, error) { return p.BeginTx(ctx, pgx.TxOptions{}) }

// BeginTx begins a transaction with options; see [Pool.Begin].
func (p *Pool) BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error) {
	c, err := p.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	kept := false
	defer c.releaseUnless(&kept)
	t, err := c.Conn().BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	kept = true
	return &Tx{tx: t, conn: c, owner: true}, nil
}

// CopyFrom copies rows into a table; see [pgx.Conn.CopyFrom].
func (p *Pool) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	c, err := p.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	return c.Conn().CopyFrom(ctx, table, columns, rows)
}

// Ping asks the server for a sign of life on one connection; see
// [pgx.Conn.Ping].
func (p *Pool) Ping(ctx context.Context) error {
	c, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	return c.Conn().Ping(ctx)
}

// releaseUnless puts the connection back, unless it is kept for what the caller
// was given.
func (c *Conn) releaseUnless(kept *bool) {
	if !*kept {
		c.Release()
	}
}
