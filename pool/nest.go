package pool

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

// The session keeps the transactions that are open, the outermost first; whoever
// uses it owns the list. Who shares a connection shares its transaction.

// An openTx is what it keeps. It is not the borrower's [Tx], nor does it lead to that
// or to his Conn: those that are dropped would never be found.
type openTx struct {
	tx   pgx.Tx
	left chan struct{} // a token inside says that its borrower has left the rollback to the pool; Tx's if it is shared
	over func() bool   // whether its borrower's lease has ended; nil if the put empties the list
}

// errOpenTransaction is the answer to a Begin, or a batch with one, in a transaction
// that the pool does not know: a savepoint in it could not be told from one of the
// user's.
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
		return top.Begin(ctx)
	}
}

// innermost is the transaction that is open, or the last savepoint in it; nil if
// there is none.
func (s *session) innermost() pgx.Tx {
	if s.conn.PgConn().TxStatus() == idle {
		s.forgetOpen() // ended by a statement
	}
	if len(s.txs) == 0 {
		return nil
	}
	return s.txs[len(s.txs)-1].tx
}

// nesting is the transaction that what c sends is in, if c shares it.
func (s *session) nesting(c *Conn) pgx.Tx {
	if !c.shared() {
		return nil
	}
	return s.innermost()
}

// opened notes a transaction.
func (s *session) opened(t *Tx) *Tx {
	if t.conn.shared() {
		t.left = make(chan struct{}, 1)
	}
	s.txs = append(s.txs, openTx{tx: t.tx, left: t.left, over: t.conn.lease().Watch()})
	return t
}

// place is where a transaction stands in the list, -1 if it does not.
func (s *session) place(tx pgx.Tx) int {
	return slices.IndexFunc(s.txs, func(o openTx) bool { return o.tx == tx })
}

// ended forgets a transaction, and the savepoints in it.
func (s *session) ended(tx pgx.Tx) {
	if i := s.place(tx); i >= 0 {
		s.endFrom(i)
	}
}

func (s *session) endFrom(i int) {
	clear(s.txs[i:])
	s.txs = s.txs[:i]
}

func (s *session) forgetOpen() {
	if len(s.txs) > 0 {
		s.endFrom(0)
	}
}

// dropAbandoned rolls back what is still open though its borrower has left that to
// the pool, or is gone: nobody must commit it with what is his. If he is gone without
// a word, whoever comes next may take himself to be in that transaction still, and is
// told.
func (s *session) dropAbandoned(ctx context.Context) error {
	if s.innermost() == nil {
		return nil
	}
	i := slices.IndexFunc(s.txs, openTx.abandoned)
	if i < 0 {
		return nil
	}
	if ctx.Err() != nil {
		return endedError(ctx) // pgx would close the connection
	}
	o := s.txs[i]
	s.endFrom(i)
	if err := o.tx.Rollback(ctx); err != nil {
		s.hangUp() // pgx does not if it was a savepoint, which would be committed then
		return err
	}
	if i == 0 && len(o.left) == 0 {
		return ErrRolledBack
	}
	return nil
}

// leave notes that nobody will end a transaction.
func (s *session) leave(tx pgx.Tx) {
	if i := s.place(tx); i >= 0 {
		s.txs[i].left = make(chan struct{}, 1)
		s.txs[i].left <- struct{}{}
	}
}

// abandoned says that a transaction that the session notes as open is nobody's.
func (o openTx) abandoned() bool { return len(o.left) > 0 || o.over != nil && o.over() }
