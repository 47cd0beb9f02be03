package pool

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sendBatch is SendBatch; with owner, the end of the results puts the connection back,
// or that of the transaction which the batch begins.
func (c *Conn) sendBatch(ctx context.Context, owner bool, b *pgx.Batch) pgx.BatchResults {
	u, err := c.use(ctx, owner)
	if err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	kept := false
	defer u.endUnless(&kept)
	results, kept := u.keepResults(c.lease.sendBatch(u.ctx, u.s, b))
	return results
}

// keepResults returns results that end the use. It reports false for those of a batch
// with a transaction that was refused: nothing was sent, and they need no connection.
func (u use) keepResults(results pgx.BatchResults) (pgx.BatchResults, bool) {
	r := &batchResults{results: results, use: u}
	if t := results.Tx(); t != nil {
		if t.Conn() == nil {
			return results, false
		}
		r.tx = u.conn.lease.newTx(u.conn, u.s, t, u.owner)
		r.use.owner = false
	}
	u.conn.lease.lasts(openBatch)
	return r, true
}

// batchResults are results that end when they are closed.
type batchResults struct {
	results pgx.BatchResults // nil after the end
	use     use
	tx      *Tx   // begun by the batch, if not nil
	err     error // of the close, after the end
}

// errCut is the error of results after their end, and of the rows in them that were not
// read: pgx would read on, on a connection that may be another borrower's.
var errCut = errors.New("the results of the batch are closed")

// lost returns an error if the results were closed, or if their connection was put
// before.
func (r *batchResults) lost() error {
	if r.use.over {
		return errCut
	}
	err := r.use.lost()
	if err != nil && r.tx != nil { // the end of the transaction may have put the connection
		return r.tx.life.live()
	}
	return err
}

func (r *batchResults) Exec() (pgconn.CommandTag, error) {
	if err := r.lost(); err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := r.results.Exec()
	return tag, r.use.explain(err)
}

func (r *batchResults) Query() (pgx.Rows, error) {
	if err := r.lost(); err != nil {
		return failed{err}, err
	}
	rows, err := r.results.Query()
	if err != nil {
		err = r.use.explain(err)
		return failed{err}, err
	}
	return &poolRows{rows: rows, use: r.part()}, nil
}

func (r *batchResults) QueryRow() pgx.Row {
	if err := r.lost(); err != nil {
		return failed{err}
	}
	return &poolRow{row: r.results.QueryRow(), use: r.part()}
}

// part returns a use within that of the results, for rows in them.
func (r *batchResults) part() use {
	u := r.use
	u.batch = r // its end is not that of the connection's use
	return u
}

// Close closes the results and ends the use of the connection.
func (r *batchResults) Close() error {
	if r.use.over {
		return r.err
	}
	if err := r.lost(); err != nil {
		return err
	}
	defer r.end() // even if a callback panics
	r.err = r.use.explain(r.results.Close())
	return r.err
}

func (r *batchResults) end() {
	r.results = nil
	r.use.end()
}

// Tx returns the transaction that the batch began; nil without.
func (r *batchResults) Tx() pgx.Tx {
	if r.tx == nil {
		return nil
	}
	return r.tx
}
