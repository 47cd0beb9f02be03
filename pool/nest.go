package pool

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

// The session keeps the transactions that are open, the outermost first; whoever
// uses it owns the list. Who shares a connection shares its transaction.

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
		s.forgetOpen() // ended by a statement
	}
	if len(s.open) == 0 {
		return nil
	}
	return s.open[len(s.open)-1]
}

// nesting is the transaction that what c sends is in, if c shares it.
func (s *session) nesting(c *Conn) *Tx {
	if !c.shared() {
		return nil
	}
	return s.innermost()
}

// opened notes a transaction.
func (s *session) opened(t *Tx) *Tx {
	s.open = append(s.open, t)
	return t
}

// ended forgets a transaction, and the savepoints in it.
func (s *session) ended(t *Tx) {
	if i := slices.Index(s.open, t); i >= 0 {
		clear(s.open[i:])
		s.open = s.open[:i]
	}
}

func (s *session) forgetOpen() {
	if len(s.open) > 0 {
		s.ended(s.open[0])
	}
}

// dropAbandoned rolls back what is still open though it was rolled back or
// committed with a context that had ended, or its holder has gone: nobody must
// commit it with what is his.
func (s *session) dropAbandoned(ctx context.Context) error {
	if s.innermost() == nil {
		return nil
	}
	i := slices.IndexFunc(s.open, (*Tx).abandoned)
	if i < 0 {
		return nil
	}
	if ctx.Err() != nil {
		return endedError(ctx) // pgx would close the connection
	}
	t := s.open[i]
	s.ended(t)
	return t.tx.Rollback(ctx)
}

// abandoned says that a transaction that the session notes as open is nobody's.
func (t *Tx) abandoned() bool { return t.ended || t.conn.session() == nil }
