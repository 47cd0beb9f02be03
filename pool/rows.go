package pool

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// What the pool's own verbs return keeps a connection until it is done with.
// Rows are made in batches, as leases are, by whoever owns the session.

const rowsBatch = 64

func (s *session) keepRows(c *Conn, r pgx.Rows) pgx.Rows {
	if len(s.rows) == 0 {
		s.rows = make([]poolRows, rowsBatch)
	}
	kept := &s.rows[0]
	s.rows = s.rows[1:]
	kept.Rows, kept.conn = r, c
	return kept
}

func (s *session) keepRow(c *Conn, r pgx.Row) pgx.Row {
	if len(s.row) == 0 {
		s.row = make([]poolRow, rowsBatch)
	}
	kept := &s.row[0]
	s.row = s.row[1:]
	kept.row, kept.conn = r, c
	return kept
}

// poolRows put their connection back when they are closed, at their end, or
// when reading them fails.
type poolRows struct {
	pgx.Rows
	conn *Conn // nil once put back
}

// Close closes the rows and puts the connection back.
func (r *poolRows) Close() {
	defer r.release()
	r.Rows.Close()
}

func (r *poolRows) release() {
	if c := r.conn; c != nil {
		r.conn = nil
		c.Release()
	}
}

func (r *poolRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *poolRows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	if err != nil {
		r.Close()
	}
	return err
}

func (r *poolRows) Values() ([]any, error) {
	values, err := r.Rows.Values()
	if err != nil {
		r.Close()
	}
	return values, err
}

// Conn is nil once the connection is put back.
func (r *poolRows) Conn() *pgx.Conn {
	if r.conn == nil {
		return nil
	}
	return r.Rows.Conn()
}

// poolRow puts its connection back when it is scanned.
type poolRow struct {
	row  pgx.Row
	conn *Conn // nil once put back
}

func (r *poolRow) Scan(dest ...any) error {
	if c := r.conn; c != nil {
		r.conn = nil
		defer c.Release()
	}
	return r.row.Scan(dest...)
}

// batchResults are those of a batch for which the pool keeps a connection, or
// one that began a transaction.
type batchResults struct {
	pgx.BatchResults
	conn   *Conn // put back by Close
	tx     *Tx   // begun by the batch
	closed bool
}

// live is an error if the transaction was ended, and its connection put, before
// the results were closed.
func (r *batchResults) live() error {
	if r.tx == nil || r.closed {
		return nil
	}
	return r.tx.live()
}

func (r *batchResults) Exec() (pgconn.CommandTag, error) {
	if err := r.live(); err != nil {
		return pgconn.CommandTag{}, err
	}
	return r.BatchResults.Exec()
}

func (r *batchResults) Query() (pgx.Rows, error) {
	if err := r.live(); err != nil {
		return failed{err}, err
	}
	return r.BatchResults.Query()
}

func (r *batchResults) QueryRow() pgx.Row {
	if err := r.live(); err != nil {
		return failed{err}
	}
	return r.BatchResults.QueryRow()
}

// Close closes the results and puts the connection back, unless a transaction
// has it.
func (r *batchResults) Close() error {
	if err := r.live(); err != nil {
		return err
	}
	r.closed = true
	if c := r.conn; c != nil {
		r.conn = nil
		defer c.Release()
	}
	return r.BatchResults.Close()
}

// Tx is the transaction that the batch began, nil without.
func (r *batchResults) Tx() pgx.Tx {
	if r.tx == nil {
		return nil
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
