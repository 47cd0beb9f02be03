package pool

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// What outlasts the call that it came from, such as rows, ends the use of its
// connection when it is done with. Rows are made in batches, as leases are, by
// whoever uses the session.

const rowsBatch = 64

func (s *session) keepRows(u use, r pgx.Rows) pgx.Rows {
	if s.pool.config.TrackLeases { // else those that were dropped could not be found
		return &poolRows{r, u}
	}
	if len(s.rows) == 0 {
		s.rows = make([]poolRows, rowsBatch)
	}
	kept := &s.rows[0]
	s.rows = s.rows[1:]
	kept.Rows, kept.use = r, u
	return kept
}

func (s *session) keepRow(u use, r pgx.Row) pgx.Row {
	if s.pool.config.TrackLeases {
		return &poolRow{r, u}
	}
	if len(s.row) == 0 {
		s.row = make([]poolRow, rowsBatch)
	}
	kept := &s.row[0]
	s.row = s.row[1:]
	kept.row, kept.use = r, u
	return kept
}

// query runs a query for rows that end the use of the connection.
func (u use) query(send func() (pgx.Rows, error)) (pgx.Rows, error) {
	kept := false
	defer u.endUnless(&kept)
	rows, err := send()
	if err != nil {
		err = u.explain(err)
		return failed{err}, err
	}
	kept = true
	u.lasts(openRows)
	return u.s.keepRows(u, rows), nil
}

// queryRow runs a query for a row that ends the use of the connection.
func (u use) queryRow(send func() pgx.Row) pgx.Row {
	kept := false
	defer u.endUnless(&kept)
	row := send()
	kept = true
	u.lasts(openRows)
	return u.s.keepRow(u, row)
}

// query is Query; with owner, its rows put the connection back.
func (c *Conn) query(ctx context.Context, owner bool, sql string, args []any) (pgx.Rows, error) {
	u, err := c.use(ctx, owner)
	if err != nil {
		return failed{err}, err
	}
	return u.query(func() (pgx.Rows, error) { return u.s.conn.Query(u.ctx, sql, args...) })
}

// queryRow is QueryRow; with owner, its row puts the connection back.
func (c *Conn) queryRow(ctx context.Context, owner bool, sql string, args []any) pgx.Row {
	u, err := c.use(ctx, owner)
	if err != nil {
		return failed{err}
	}
	return u.queryRow(func() pgx.Row { return u.s.conn.QueryRow(u.ctx, sql, args...) })
}

// poolRows end the use of their connection when they are closed, at their end, or
// when reading them fails.
type poolRows struct {
	pgx.Rows
	use use
}

// Close closes the rows and ends the use of the connection.
func (r *poolRows) Close() {
	if r.use.cut() != nil {
		return
	}
	defer r.use.end()
	r.Rows.Close()
	if r.use.conn != nil {
		r.use.s.notice(r.Rows.Err())
	}
}

func (r *poolRows) Next() bool {
	if r.use.cut() != nil {
		return false
	}
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *poolRows) Scan(dest ...any) error {
	if err := r.use.cut(); err != nil {
		return err
	}
	err := r.Rows.Scan(dest...)
	if err != nil {
		r.Close()
	}
	return r.use.explain(err)
}

func (r *poolRows) Values() ([]any, error) {
	if err := r.use.cut(); err != nil {
		return nil, err
	}
	values, err := r.Rows.Values()
	if err != nil {
		r.Close()
	}
	return values, err
}

// Err is the error that ended the rows.
func (r *poolRows) Err() error {
	if err := r.use.cut(); err != nil {
		return err
	}
	return r.use.explain(r.Rows.Err())
}

func (r *poolRows) RawValues() [][]byte {
	if r.use.cut() != nil {
		return nil
	}
	return r.Rows.RawValues()
}

func (r *poolRows) FieldDescriptions() []pgconn.FieldDescription {
	if r.use.cut() != nil {
		return nil
	}
	return r.Rows.FieldDescriptions()
}

// Conn is nil once the use of the connection is over.
func (r *poolRows) Conn() *pgx.Conn {
	if r.use.conn == nil || r.use.cut() != nil {
		return nil
	}
	return r.Rows.Conn()
}

// poolRow ends the use of its connection when it is scanned.
type poolRow struct {
	row pgx.Row
	use use
}

func (r *poolRow) Scan(dest ...any) error {
	if err := r.use.cut(); err != nil {
		return err
	}
	defer r.use.end()
	return r.use.explain(r.row.Scan(dest...))
}

// sendBatch sends a batch whose results end the use of the connection. As the
// owner of a connection they put it back, or leave that to the transaction that the
// batch begins.
func (c *Conn) sendBatch(ctx context.Context, owner bool, b *pgx.Batch) pgx.BatchResults {
	u, err := c.use(ctx, owner)
	if err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	kept := false
	defer u.endUnless(&kept)
	var results pgx.BatchResults
	switch top := u.s.nesting(c); {
	case top != nil:
		results = top.SendBatch(u.ctx, b)
	case c.shared() && begins(b) && u.s.conn.PgConn().TxStatus() != idle:
		return pgx.FailedBatchResults(b, errOpenTransaction)
	default:
		results = u.s.conn.SendBatch(u.ctx, b)
	}
	kept = true
	return u.keepResults(results)
}

// begins says whether a batch begins a transaction, which only pgx knows.
func begins(b *pgx.Batch) bool { return pgx.FailedBatchResults(b, nil).Tx() != nil }

// keepResults has results end the use, which lasts until then.
func (u *use) keepResults(results pgx.BatchResults) pgx.BatchResults {
	r := &batchResults{BatchResults: results, use: *u}
	if t := results.Tx(); t != nil && t.Conn() != nil { // else it failed to begin
		r.tx = u.s.opened(&Tx{tx: t, conn: u.conn, owner: u.owner})
		r.use.owner = false
	}
	u.lasts(openBatch)
	return r
}

// batchResults end the use of their connection when they are closed. A batch may
// have begun a transaction, which may have the connection.
type batchResults struct {
	pgx.BatchResults
	use    use
	tx     *Tx // begun by the batch
	closed bool
}

// live is an error if the transaction was ended, and its connection put, before
// the results were closed. Who shares a connection has it until they are.
func (r *batchResults) live() error {
	if r.tx == nil || r.closed || r.tx.conn.shared() || r.tx.conn.session() != nil {
		return nil
	}
	return r.tx.live()
}

func (r *batchResults) Exec() (pgconn.CommandTag, error) {
	if err := r.live(); err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := r.BatchResults.Exec()
	return tag, r.use.explain(err)
}

func (r *batchResults) Query() (pgx.Rows, error) {
	if err := r.live(); err != nil {
		return failed{err}, err
	}
	rows, err := r.BatchResults.Query()
	if err != nil {
		err = r.use.explain(err)
		return failed{err}, err
	}
	return &poolRows{Rows: rows, use: r.part()}, nil
}

func (r *batchResults) QueryRow() pgx.Row {
	if err := r.live(); err != nil {
		return failed{err}
	}
	return &poolRow{row: r.BatchResults.QueryRow(), use: r.part()}
}

// part is a use within that of the results, for rows of theirs.
func (r *batchResults) part() use {
	u := r.use
	u.within, u.owner, u.stop = r, false, nil
	return u
}

// errCut is the answer of rows that were not read before the results that they are
// part of were closed.
var errCut = errors.New("the results of the batch are closed")

// cut is an error if the rows are part of results that are closed, and were not
// themselves: pgx would read on, on a connection that may be another's.
func (u *use) cut() error {
	if r := u.within; r == nil || u.conn == nil || !r.closed && r.live() == nil {
		return nil
	}
	return errCut
}

// Close closes the results and ends the use of the connection.
func (r *batchResults) Close() error {
	if err := r.live(); err != nil {
		return err
	}
	r.closed = true
	defer r.use.end()
	return r.use.explain(r.BatchResults.Close())
}

// Tx is the transaction that the batch began, closed if it failed to; nil without.
func (r *batchResults) Tx() pgx.Tx {
	if r.tx == nil {
		return r.BatchResults.Tx()
	}
	return r.tx
}

// failed stands for the rows, or the row, of a query that was never sent.
type failed struct{ err error }

func (f failed) Close()                                       {}
func (f failed) Err() error                                   { return f.err }
func (f failed) CommandTag() pgconn.CommandTag                { return pgconn.CommandTag{} }
func (f failed) FieldDescriptions() []pgconn.FieldDescription { return nil }
func (f failed) Next() bool                                   { return false }
func (f failed) Scan(...any) error                            { return f.err }
func (f failed) Values() ([]any, error)                       { return nil, f.err }
func (f failed) RawValues() [][]byte                          { return nil }
func (f failed) Conn() *pgx.Conn                              { return nil }
func (f failed) TypeMap() *pgtype.Map                         { return nil }
