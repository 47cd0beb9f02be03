package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// A lease is what a [Conn] stands on, from its get to its put. There are two of them:
// plain, for a connection that has one borrower, and shared, for one that is shared
// under a key. Everything that depends on which it is goes through here.
type lease interface {
	// lender returns the pool that lends the connection. Once a plain lease has ended it
	// returns nil.
	lender() *Pool

	// session returns the session that is lent, nil once it has been put.
	session() *session

	// expose is session for a borrower that uses the connection past the pool.
	expose() *session

	// put gives the connection back.
	put(o putOptions) error

	// take takes the session out of the pool.
	take() (*session, error)

	// begin begins a use of the session. It rolls back what a transaction left to the
	// pool, and returns the context for the statement.
	begin(ctx context.Context) (*session, context.Context, error)

	// lasts notes what is open if the use goes on after the call that began it.
	lasts(doing string)

	// revoked returns a *RevokedError once the connection was closed under its borrower,
	// else nil. It is for the time of a use.
	revoked() error

	// lost returns an error if the connection was put under the use that was begun.
	lost() error

	// end ends the use.
	end()

	// beginTx begins a transaction, in a use.
	beginTx(ctx context.Context, s *session, opts pgx.TxOptions) (pgx.Tx, error)

	// sendBatch sends a batch, which may begin a transaction, in a use.
	sendBatch(ctx context.Context, s *session, b *pgx.Batch) pgx.BatchResults

	// newTx makes the handle of a transaction that was begun in a use by c, which it owns
	// or not.
	newTx(c *Conn, s *session, tx pgx.Tx, owner bool) *Tx
}

// What a connection is in use for.
const (
	aStatement = "a statement is running"
	openRows   = "rows of a query are open"
	openBatch  = "the results of a batch are open"
)
