package pool

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// A plainTx is a transaction on a plain connection. After its end, or the put of its
// connection, it touches the connection no more: pgx's own would reach the next
// borrower's transaction.
type plainTx struct {
	Tx
	owner bool // its end puts the connection back
	ended bool // it was committed, rolled back, or left to the pool
}

func (l plain) newTx(c *Conn, s *session, tx pgx.Tx, owner bool) *Tx {
	t := &plainTx{Tx: Tx{tx: tx, conn: c}, owner: owner}
	t.life = t
	s.txs.open = append(s.txs.open, tx)
	return &t.Tx
}

func (t *plainTx) live() error {
	switch {
	case t.ended:
		return pgx.ErrTxClosed
	case t.conn.session() == nil:
		return errTxPut
	default:
		return nil
	}
}

func (t *plainTx) use(ctx context.Context) (use, error) {
	if err := t.live(); err != nil {
		return use{}, err
	}
	return t.conn.use(ctx, false)
}

func (t *plainTx) finish(ctx context.Context) (use, error) {
	u, err := t.use(ctx)
	if err != nil {
		_ = t.leave()
		return u, err
	}
	t.ended, u.owner = true, t.owner
	u.s.txs.remove(t.tx)
	return u, nil
}

func (t *plainTx) leave() error {
	if err := t.live(); err != nil {
		return err
	}
	t.ended = true
	if txs := &t.conn.session().txs; txs.remove(t.tx) {
		txs.left = t.tx
	}
	if t.owner {
		t.conn.Release()
	}
	return nil
}

// A txStack has the transactions that are open on a plain connection. They are pgx's:
// the stack lives on with the session, and must not lead to a borrower's handle, whose
// leak would not be found.
type txStack struct {
	open []pgx.Tx // the outermost first
	left pgx.Tx   // no longer open: to be rolled back before the next use, if not nil
}

// remove removes tx and the savepoints in it. It reports whether tx was open.
func (st *txStack) remove(tx pgx.Tx) bool {
	i := slices.Index(st.open, tx)
	if i < 0 {
		return false
	}
	clear(st.open[i:])
	st.open = st.open[:i]
	return true
}

// forget removes everything.
func (st *txStack) forget() {
	clear(st.open)
	st.open, st.left = st.open[:0], nil
}

// settle rolls back the transaction that was left to the pool, if there is one, and
// forgets those that a statement has ended.
func (s *session) settle(ctx context.Context) error {
	left := s.txs.left
	switch {
	case left == nil && len(s.txs.open) == 0:
		return nil
	case s.conn.PgConn().TxStatus() == idle:
		s.txs.forget()
		return nil
	case left == nil:
		return nil
	case ctx.Err() != nil:
		return endedError(ctx) // pgx would close the connection
	}
	s.txs.left = nil
	return s.undo(ctx, left)
}
