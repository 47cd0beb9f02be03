package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Rows end the use of their connection when they end. Their handles are made in batches,
// as those of connections are, by the goroutine that uses the session. A handle that has
// ended keeps nothing but its error and command tag: one that is still in use would keep
// what the others of its batch lead to.

const rowsBatch = 64

// A querier runs queries: a connection, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// query is Query; with owner, the end of the rows puts the connection back.
func (c *Conn) query(ctx context.Context, owner bool, sql string, args []any) (pgx.Rows, error) {
	u, err := c.use(ctx, owner)
	if err != nil {
		return failed{err}, err
	}
	return u.query(u.s.conn, sql, args)
}

// queryRow is QueryRow; with owner, the scan of the row puts the connection back.
func (c *Conn) queryRow(ctx context.Context, owner bool, sql string, args []any) pgx.Row {
	u, err := c.use(ctx, owner)
	if err != nil {
		return failed{err}
	}
	return u.queryRow(u.s.conn, sql, args)
}

// query runs a query for rows that end the use.
func (u use) query(on querier, sql string, args []any) (pgx.Rows, error) {
	kept := false
	defer u.endUnless(&kept)
	rows, err := on.Query(u.ctx, sql, args...)
	if err != nil {
		err = u.explain(err)
		return failed{err}, err
	}
	kept = true
	u.conn.lease.lasts(openRows)
	r := u.s.newRows()
	r.rows, r.use = rows, u
	return r, nil
}

// queryRow runs a query for a row that ends the use.
func (u use) queryRow(on querier, sql string, args []any) pgx.Row {
	kept := false
	defer u.endUnless(&kept)
	row := on.QueryRow(u.ctx, sql, args...)
	kept = true
	u.conn.lease.lasts(openRows)
	r := u.s.newRow()
	r.row, r.use = row, u
	return r
}

func (s *session) newRows() *poolRows {
	if s.pool.config.TrackLeases { // a batch would keep leaked rows reachable
		return new(poolRows)
	}
	if len(s.rows) == 0 {
		s.rows = make([]poolRows, rowsBatch)
	}
	r := &s.rows[0]
	s.rows = s.rows[1:]
	return r
}

func (s *session) newRow() *poolRow {
	if s.pool.config.TrackLeases {
		return new(poolRow)
	}
	if len(s.row) == 0 {
		s.row = make([]poolRow, rowsBatch)
	}
	r := &s.row[0]
	s.row = s.row[1:]
	return r
}

// poolRows are rows that end when they are closed, read to their end, or fail.
type poolRows struct {
	rows pgx.Rows // nil after the end
	use  use
	err  error             // of the rows, after the end
	tag  pgconn.CommandTag // likewise
}

// Close closes the rows and ends the use of the connection.
func (r *poolRows) Close() {
	if r.use.lost() == nil {
		defer r.end() // even if a tracer panics
		r.rows.Close()
	}
}

func (r *poolRows) end() {
	r.err, r.tag = r.use.explain(r.rows.Err()), r.rows.CommandTag()
	r.rows = nil
	r.use.end()
}

func (r *poolRows) Next() bool {
	if r.use.lost() != nil {
		return false
	}
	if r.rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *poolRows) Scan(dest ...any) error {
	if err := r.use.lost(); err != nil {
		return err
	}
	err := r.rows.Scan(dest...)
	if err != nil {
		err = r.use.explain(err)
		r.Close()
	}
	return err
}

func (r *poolRows) Values() ([]any, error) {
	if err := r.use.lost(); err != nil {
		return nil, err
	}
	values, err := r.rows.Values()
	if err != nil {
		err = r.use.explain(err)
		r.Close()
	}
	return values, err
}

// Err returns the error that ended the rows.
func (r *poolRows) Err() error {
	if r.use.over {
		return r.err
	}
	if err := r.use.lost(); err != nil {
		return err
	}
	return r.use.explain(r.rows.Err())
}

func (r *poolRows) CommandTag() pgconn.CommandTag {
	if r.use.lost() != nil {
		return r.tag
	}
	return r.rows.CommandTag()
}

// RawValues returns nil after the end, as FieldDescriptions, TypeMap and Conn do: they are
// the connection's.
func (r *poolRows) RawValues() [][]byte {
	if r.use.lost() != nil {
		return nil
	}
	return r.rows.RawValues()
}

func (r *poolRows) FieldDescriptions() []pgconn.FieldDescription {
	if r.use.lost() != nil {
		return nil
	}
	return r.rows.FieldDescriptions()
}

func (r *poolRows) TypeMap() *pgtype.Map {
	if r.use.lost() != nil {
		return nil
	}
	return r.rows.TypeMap()
}

func (r *poolRows) Conn() *pgx.Conn {
	if r.use.lost() != nil {
		return nil
	}
	return r.rows.Conn()
}

// A poolRow is a row that ends when it is scanned.
type poolRow struct {
	row pgx.Row // nil after the end
	use use
}

func (r *poolRow) Scan(dest ...any) error {
	if err := r.use.lost(); err != nil {
		return err
	}
	defer r.end() // even if a destination panics
	return r.use.explain(r.row.Scan(dest...))
}

func (r *poolRow) end() {
	r.row = nil
	r.use.end()
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
