package pool

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Who shares a connection shares its transaction. The session keeps those that
// are open, the outermost first, and whoever has the turn to use it owns the list.

// errOpenTransaction is the answer to a Begin in a transaction that the pool does
// not know: a savepoint in it could not be told from one of the user's.
var errOpenTransaction = errors.New("a transaction begun by a statement of its own is open: begin it with Begin to nest in it")

// begin begins a transaction on a shared connection, or a savepoint in the one
// that is open.
func (s *session) begin(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error) {
	top := s.innermost()
	switch {
	case top == nil && s.conn.PgConn().TxStatus() != idle:
		return nil, errOpenTransaction
	case top == nil:
		return s.conn.BeginTx(ctx, opts)
	case opts != pgx.TxOptions{}:
		return nil, &ConfigError{Field: "TxOptions", Value: opts, Reason: "a transaction is open: a savepoint in it takes no options"}
	default:
		return top.tx.Begin(ctx)
	}
}

// innermost is the transaction that is open, or the last savepoint in it; nil if
// there is none.
func (s *session) innermost() *Tx {
	if s.conn.PgConn().TxStatus() == idle {
		s.open = nil // ended by a statement
	}
	if len(s.open) == 0 {
		return nil
	}
	return s.open[len(s.open)-1]
}

// nesting is the transaction that what c sends is in, if the pool knows of one.
func (s *session) nesting(c *Conn) *Tx {
	if !c.shared() {
		return nil
	}
	return s.innermost()
}

// opened notes a transaction.
func (s *session) opened(t *Tx) *Tx {
	if t.conn.shared() {
		s.open = append(s.open, t)
	}
	return t
}

// ended forgets a transaction, and the savepoints in it.
func (s *session) ended(t *Tx) {
	if i := slices.Index(s.open, t); i >= 0 {
		s.open = s.open[:i]
	}
}

// dropOrphans rolls back what a holder left open that has ended meanwhile: the
// others must not commit it with what is theirs.
func (s *session) dropOrphans(ctx context.Context) error {
	if s.innermost() == nil {
		return nil
	}
	for i, t := range s.open {
		if t.conn.session() == nil {
			s.open = s.open[:i]
			return t.tx.Rollback(ctx)
		}
	}
	return nil
}
