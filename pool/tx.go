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
// Without its lease its methods would reach the next borrower's transaction:
// pgx knows only the connection. They answer pgx.ErrTxClosed instead, and
// ErrNotLeased too if the connection was put before the transaction ended.
type Tx struct {
	tx    pgx.Tx
	conn  *Conn
	owner bool          // puts conn back at its end
	left  chan struct{} // if it is shared, cap 1: a token inside says that it has ended, or is left to the pool
	ended bool          // if it is not
}

// errTxPut is the answer of a transaction whose connection was put without it.
var errTxPut = fmt.Errorf("%w: %w", ErrNotLeased, pgx.ErrTxClosed)

// live is an error once the transaction has ended, or its connection is put back. Of
// one that is shared only the session knows whether it is still open.
func (t *Tx) live() error {
	switch {
	case t.ended || len(t.left) > 0:
		return pgx.ErrTxClosed
	case !t.conn.shared() && t.conn.session() == nil:
		return errTxPut
	default:
		return nil
	}
}

// use is the connection's, for a transaction that is live.
func (t *Tx) use(ctx context.Context) (u use, err error) {
	if err := t.live(); err != nil {
		return u, err
	}
	u, err = t.conn.use(ctx, false)
	switch {
	case errors.Is(err, ErrNotLeased), errors.Is(err, ErrRolledBack):
		return u, fmt.Errorf("%w: %w", err, pgx.ErrTxClosed)
	case err != nil:
		return u, err
	case t.conn.shared() && u.s.place(t.tx) < 0:
		u.end()
		return u, pgx.ErrTxClosed
	}
	return u, nil
}

// Begin begins a savepoint.
func (t *Tx) Begin(ctx context.Context) (pgx.Tx, error) {
	u, err := t.use(ctx)
	if err != nil {
		return nil, err
	}
	defer u.end()
	nested, err := t.tx.Begin(u.ctx)
	if err != nil {
		return nil, u.explain(err)
	}
	return u.s.opened(&Tx{tx: nested, conn: t.conn}), nil
}

// Commit commits, and puts the connection back if the transaction has it. With a
// ctx that has ended it rolls back, as Rollback does then, and returns ctx's error.
// After the end it is an error that is pgx.ErrTxClosed, and safe.
func (t *Tx) Commit(ctx context.Context) error {
	if ctx.Err() == nil {
		return t.end(ctx, t.tx.Commit)
	}
	if err := t.leave(); err != nil {
		return err
	}
	return fmt.Errorf("commit: %w", endedError(ctx))
}

// Rollback rolls back, and puts the connection back if the transaction has it.
// With a ctx that has ended, or while somebody else uses a shared connection, it
// leaves the first to the pool, which does it before the connection is used again:
// it costs nobody a connection, and is no error. After the end it is an error that is
// pgx.ErrTxClosed, and safe, so that it can be deferred.
func (t *Tx) Rollback(ctx context.Context) error {
	if ctx.Err() != nil {
		return t.leave()
	}
	switch err := t.end(ctx, t.tx.Rollback); {
	case errors.Is(err, ErrBusy):
		return t.leave()
	default:
		return err
	}
}

func (t *Tx) end(ctx context.Context, how func(context.Context) error) error {
	u, err := t.use(ctx)
	if err != nil {
		t.giveUp(err)
		return err
	}
	u.owner = t.owner
	defer u.end()
	if !t.over() {
		return pgx.ErrTxClosed
	}
	u.s.ended(t.tx)
	return u.explain(how(u.ctx))
}

// giveUp is for a transaction that could not be ended, or was over already: it is left
// to the pool, and its lease goes back all the same. If that has ended too, its end may
// wait for a word.
func (t *Tx) giveUp(err error) {
	switch {
	case errors.Is(err, ErrBusy): // it goes on
	case t.conn.shared():
		t.over()
		if t.owner {
			t.conn.Release()
		}
	case t.live() == nil:
		_ = t.leave()
	}
}

// over notes the end of the transaction. False: it had ended.
func (t *Tx) over() bool {
	if !t.conn.shared() {
		t.ended = true
		return true
	}
	select {
	case t.left <- struct{}{}:
		return true
	default:
		return false
	}
}

// leave leaves the rollback to the next use of the connection, or to its put.
func (t *Tx) leave() error {
	if err := t.live(); err != nil {
		return err
	}
	if !t.over() {
		return pgx.ErrTxClosed
	}
	if !t.conn.shared() {
		t.conn.session().leave(t.tx)
	}
	if t.owner {
		t.conn.Release()
	}
	return nil
}

// CopyFrom copies rows into a table.
func (t *Tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	u, err := t.use(ctx)
	if err != nil {
		return 0, err
	}
	defer u.end()
	n, err := t.tx.CopyFrom(u.ctx, table, columns, rows)
	return n, u.explain(err)
}

// SendBatch sends the statements of a batch.
func (t *Tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	u, err := t.use(ctx)
	if err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	kept := false
	defer u.endUnless(&kept)
	results := u.keepResults(t.tx.SendBatch(u.ctx, b))
	kept = true
	return results
}

// Prepare prepares a statement.
func (t *Tx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	u, err := t.use(ctx)
	if err != nil {
		return nil, err
	}
	defer u.end()
	d, err := t.tx.Prepare(u.ctx, name, sql)
	return d, u.explain(err)
}

// Exec runs a statement.
func (t *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	u, err := t.use(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer u.end()
	tag, err := t.tx.Exec(u.ctx, sql, args...)
	return tag, u.explain(err)
}

// Query runs a query; the rows must be closed before the next statement.
func (t *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	u, err := t.use(ctx)
	if err != nil {
		return failed{err}, err
	}
	return u.query(func() (pgx.Rows, error) { return t.tx.Query(u.ctx, sql, args...) })
}

// QueryRow runs a query for one row; errors come from Scan.
func (t *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	u, err := t.use(ctx)
	if err != nil {
		return failed{err}
	}
	return u.queryRow(func() pgx.Row { return t.tx.QueryRow(u.ctx, sql, args...) })
}

// LargeObjects is of no use once the connection is put back; what it gave
// before must not be used after that, since pgx offers no way to tell. Under a key
// nobody keeps others from using the connection at the same time.
func (t *Tx) LargeObjects() pgx.LargeObjects {
	if t.live() != nil || t.Conn() == nil {
		return pgx.LargeObjects{}
	}
	return t.tx.LargeObjects()
}

// Conn is nil once the connection is put back, as [Conn.Conn] is.
func (t *Tx) Conn() *pgx.Conn { return t.conn.Conn() }

// begin begins a transaction. The owner of a connection puts it back at the end of
// that, or of the attempt.
func (c *Conn) begin(ctx context.Context, owner bool, opts pgx.TxOptions) (pgx.Tx, error) {
	u, err := c.use(ctx, owner)
	if err != nil {
		return nil, err
	}
	defer u.end()
	if u.ctx.Err() != nil { // pgx would close the connection
		return nil, fmt.Errorf("begin: %w", endedError(u.ctx))
	}
	var t pgx.Tx
	if c.shared() {
		t, err = u.s.begin(u.ctx, opts)
	} else {
		t, err = u.s.conn.BeginTx(u.ctx, opts)
	}
	if err != nil {
		return nil, u.explain(err)
	}
	u.owner = false
	return u.s.opened(&Tx{tx: t, conn: c, owner: owner}), nil
}
