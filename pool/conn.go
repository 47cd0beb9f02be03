package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Conn is a connection lent by a pool, until it is put back. It is for one
// goroutine at a time. Once put back, every method returns ErrNotLeased; the
// connection's next borrower is never touched. Its methods block as those of
// [pgx.Conn] do, until their contexts end at the latest.
type Conn struct{ lease lease }

// session returns what is lent, nil once it has been put back.
func (c *Conn) session() *session {
	if c == nil || c.lease == nil {
		return nil
	}
	return c.lease.session()
}

// Release gives the connection back as [Pool.PutConn] does. Calling it again
// does nothing. It returns no error; where one matters, such as a [Simple] pool's
// ErrConcurrentUse, use PutConn.
func (c *Conn) Release() {
	if c == nil || c.lease == nil {
		return
	}
	if p := c.lease.lender(); p != nil {
		_ = p.PutConn(c)
	}
}

// Conn returns the connection itself, nil once it is put back. It must not be
// used after that. Under a key others are not kept from using it at the same time; and
// a rollback that was left to the pool, see [Tx.Rollback], has not been done for it.
// Its errors are pgx's own: that of a statement that the server has cancelled is the
// server's (SQLSTATE 57014) alone, neither the context's nor one of pgconn.Timeout.
func (c *Conn) Conn() *pgx.Conn {
	if c == nil || c.lease == nil {
		return nil
	}
	if s := c.lease.expose(); s != nil {
		return s.conn
	}
	return nil
}

// Hijack takes the connection out of the pool for good and frees its place:
// closing it is the caller's business, and it behaves as one that was never the pool's: a
// statement whose context ends closes it. It panics if the connection has been put
// back, or if others share it or use it under its key. It does no I/O.
func (c *Conn) Hijack() *pgx.Conn {
	if c.session() == nil {
		panic("cannot hijack already released or hijacked connection")
	}
	s, err := c.lease.take()
	if err != nil {
		panic("cannot hijack: " + err.Error())
	}
	s.cancels.leave()
	return s.conn
}

// Exec runs a statement; see [pgx.Conn.Exec].
func (c *Conn) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	u, err := c.use(ctx, false)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer u.end()
	tag, err := u.s.conn.Exec(u.ctx, sql, args...)
	return tag, u.explain(err)
}

// Query runs a query; the rows must be closed before the next statement, and
// before the connection is put. At their end they let go of the connection: only Err and
// CommandTag go on to have values. See [pgx.Conn.Query].
func (c *Conn) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return c.query(ctx, false, sql, args)
}

// QueryRow runs a query for one row; errors come from Scan. See
// [pgx.Conn.QueryRow].
func (c *Conn) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return c.queryRow(ctx, false, sql, args)
}

// SendBatch sends the statements of a batch; the results must be closed before
// the next statement. See [pgx.Conn.SendBatch].
func (c *Conn) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return c.sendBatch(ctx, false, b)
}

// CopyFrom copies rows into a table; see [pgx.Conn.CopyFrom].
func (c *Conn) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	u, err := c.use(ctx, false)
	if err != nil {
		return 0, err
	}
	defer u.end()
	n, err := u.s.conn.CopyFrom(u.ctx, table, columns, rows)
	return n, u.explain(err)
}

// Begin begins a transaction. One that is still open when the connection is
// put back is rolled back by the pool, and returns ErrNotLeased from then on. On a
// connection shared under a key in which a transaction is open it begins a
// savepoint. See [pgx.Conn.Begin].
func (c *Conn) Begin(ctx context.Context) (pgx.Tx, error) {
	return c.BeginTx(ctx, pgx.TxOptions{})
}

// BeginTx begins a transaction with options; see [Conn.Begin]. A savepoint takes
// none: then the error is a [*ConfigError].
func (c *Conn) BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error) {
	return c.begin(ctx, false, opts)
}

// Ping asks the server for a sign of life; see [pgx.Conn.Ping].
func (c *Conn) Ping(ctx context.Context) error {
	u, err := c.use(ctx, false)
	if err != nil {
		return err
	}
	defer u.end()
	return u.explain(u.s.conn.Ping(u.ctx))
}
