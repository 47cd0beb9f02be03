package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Tx is a transaction, or a savepoint in one. One begun by the pool puts its
// connection back when it ends; one begun on a [Conn] ends with the put of
// that. It is for one goroutine at a time, and implements [pgx.Tx]: see there
// for its methods.
//
// After its end they return pgx.ErrTxClosed, and ErrNotLeased too if the connection was
// put before the transaction ended. They never reach the next borrower's transaction.
type Tx struct {
	tx   pgx.Tx // pgx's own, which knows only the connection
	conn *Conn
	life txLife
}

// A txLife is what a [Tx] does differently on a plain connection, see [plainTx], and on a
// shared one, see [sharedTx].
type txLife interface {
	// live returns an error once the transaction has ended.
	live() error

	// use begins a use of the connection in the transaction.
	use(ctx context.Context) (use, error)

	// finish begins the last use: the transaction has ended, as far as the pool knows.
	// Its end puts the connection back if the transaction owns it. If there is an error
	// the rollback is left to the pool, unless it is ErrBusy.
	finish(ctx context.Context) (use, error)

	// leave ends the transaction, and leaves the rollback to the pool.
	leave() error
}

// errTxPut is the error of a transaction whose connection was put before its end.
var errTxPut = fmt.Errorf("%w: %w", ErrNotLeased, pgx.ErrTxClosed)

// begin begins a transaction. With owner, its end puts the connection back, or else the
// failure to begin it does.
func (c *Conn) begin(ctx context.Context, owner bool, opts pgx.TxOptions) (pgx.Tx, error) {
	u, err := c.use(ctx, owner)
	if err != nil {
		return nil, err
	}
	defer u.end()
	if u.ctx.Err() != nil { // pgx would close the connection
		return nil, timed(fmt.Errorf("begin: %w", endedError(u.ctx)))
	}
	t, err := c.lease.beginTx(u.ctx, u.s, opts)
	if err != nil {
		return nil, u.explain(err)
	}
	u.owner = false
	return c.lease.newTx(c, u.s, t, owner), nil
}

// Begin begins a savepoint.
func (t *Tx) Begin(ctx context.Context) (pgx.Tx, error) {
	u, err := t.life.use(ctx)
	if err != nil {
		return nil, err
	}
	defer u.end()
	nested, err := t.tx.Begin(u.ctx)
	if err != nil {
		return nil, u.explain(err)
	}
	return t.conn.lease.newTx(t.conn, u.s, nested, false), nil
}

// Commit commits, and puts the connection back if the transaction owns it. With a
// ctx that has ended it rolls back, as Rollback does then, and returns ctx's error.
// After the end it is an error that is pgx.ErrTxClosed, and safe.
func (t *Tx) Commit(ctx context.Context) error {
	if ctx.Err() != nil {
		if err := t.life.leave(); err != nil {
			return err
		}
		return timed(fmt.Errorf("commit: %w", endedError(ctx)))
	}
	u, err := t.life.finish(ctx)
	if err != nil {
		return err
	}
	defer u.end()
	return u.explain(t.tx.Commit(u.ctx))
}

// Rollback rolls back, and puts the connection back if the transaction owns it.
// With a ctx that has ended, or while another holder uses a shared connection, it
// leaves the rollback to the pool, which does it before the connection is used again:
// it costs no connection, and is no error. After the end it is an error that is
// pgx.ErrTxClosed, and safe, so that it can be deferred.
func (t *Tx) Rollback(ctx context.Context) error {
	if ctx.Err() != nil {
		return t.life.leave()
	}
	u, err := t.life.finish(ctx)
	if errors.Is(err, ErrBusy) {
		return t.life.leave()
	}
	if err != nil {
		return err
	}
	defer u.end()
	return u.explain(t.tx.Rollback(u.ctx))
}

// CopyFrom copies rows into a table.
func (t *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	u, err := t.life.use(ctx)
	if err != nil {
		return 0, err
	}
	defer u.end()
	n, err := t.tx.CopyFrom(u.ctx, table, columns, rows)
	return n, u.explain(err)
}

// SendBatch sends the statements of a batch.
func (t *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	u, err := t.life.use(ctx)
	if err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	kept := false
	defer u.endUnless(&kept)
	results, kept := u.keepResults(t.tx.SendBatch(u.ctx, b))
	return results
}

// Prepare prepares a statement.
func (t *Tx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	u, err := t.life.use(ctx)
	if err != nil {
		return nil, err
	}
	defer u.end()
	d, err := t.tx.Prepare(u.ctx, name, sql)
	return d, u.explain(err)
}

// Exec runs a statement.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	u, err := t.life.use(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer u.end()
	tag, err := t.tx.Exec(u.ctx, sql, args...)
	return tag, u.explain(err)
}

// Query runs a query; the rows must be closed before the next statement.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	u, err := t.life.use(ctx)
	if err != nil {
		return failed{err}, err
	}
	return u.query(t.tx, sql, args)
}

// QueryRow runs a query for one row; errors come from Scan.
func (t *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	u, err := t.life.use(ctx)
	if err != nil {
		return failed{err}
	}
	return u.queryRow(t.tx, sql, args)
}

// LargeObjects returns pgx's large objects. They are of no use once the transaction has
// ended, and must not be used after that: pgx offers no way to tell. Under a key others
// are not kept from using the connection at the same time.
func (t *Tx) LargeObjects() pgx.LargeObjects {
	if t.life.live() != nil || t.Conn() == nil {
		return pgx.LargeObjects{}
	}
	return t.tx.LargeObjects()
}

// Conn returns the connection itself, nil once it is put back, as [Conn.Conn] does.
func (t *Tx) Conn() *pgx.Conn { return t.conn.Conn() }
