package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// The holders of a shared connection share its transaction. A Begin while one is open
// begins a savepoint in it, and a transaction whose holder is gone is rolled back before
// the connection is used again. The session keeps what is open; its list belongs to the
// goroutine that has the turn.

// errOpenTransaction is the error of a Begin, or of a batch with one, in a transaction
// that the pool does not know: a savepoint in it could not be told from one of the
// user's.
var errOpenTransaction = errors.New("a transaction begun by a statement of its own is open: begin it with Begin to nest in it")

// A sharedTx is a transaction, or a savepoint, on a shared connection. Only the session
// knows whether it is still open: another holder may have ended the one it is in.
type sharedTx struct {
	Tx
	owner bool          // its end puts the connection back
	ended chan struct{} // of one: a token inside if it has ended here, or is left to the pool
}

// An openTx is the session's record of one. It does not lead to the borrower's Tx or
// Conn, whose leak would not be found.
type openTx struct {
	tx    pgx.Tx
	ended chan struct{} // the Tx's: a token inside if its rollback is left to the pool
	gone  func() bool   // reports whether the lease of its holder has ended
}

// abandoned reports whether the transaction is left to the pool, or has lost its holder.
func (o openTx) abandoned() bool { return len(o.ended) > 0 || o.gone() }

func (l *shared) newTx(c *Conn, s *session, tx pgx.Tx, owner bool) *Tx {
	t := &sharedTx{Tx: Tx{tx: tx, conn: c}, owner: owner, ended: make(chan struct{}, 1)}
	t.life = t
	s.sharedTxs = append(s.sharedTxs, openTx{tx, t.ended, l.hold.Watch()})
	return &t.Tx
}

func (t *sharedTx) live() error {
	if len(t.ended) > 0 {
		return pgx.ErrTxClosed
	}
	return nil
}

func (t *sharedTx) use(ctx context.Context) (use, error) {
	if err := t.live(); err != nil {
		return use{}, err
	}
	u, err := t.conn.use(ctx, false)
	switch {
	case errors.Is(err, ErrNotLeased), errors.Is(err, ErrRolledBack):
		return u, fmt.Errorf("%w: %w", err, pgx.ErrTxClosed)
	case err != nil:
		return u, err
	case u.s.place(t.tx) < 0:
		u.end()
		return u, pgx.ErrTxClosed
	default:
		return u, nil
	}
}

// finish goes on with the transaction if the connection is busy.
func (t *sharedTx) finish(ctx context.Context) (use, error) {
	u, err := t.use(ctx)
	switch {
	case errors.Is(err, ErrBusy):
		return u, err
	case err != nil:
		t.end()
		t.release()
		return u, err
	}
	u.owner = t.owner
	if !t.end() {
		u.end()
		return u, pgx.ErrTxClosed
	}
	if i := u.s.place(t.tx); i >= 0 {
		u.s.dropFrom(i)
	}
	return u, nil
}

func (t *sharedTx) leave() error {
	if !t.end() {
		return pgx.ErrTxClosed
	}
	t.release()
	return nil
}

// end notes the end of the transaction. It reports false if that had ended before.
func (t *sharedTx) end() bool {
	select {
	case t.ended <- struct{}{}:
		return true
	default:
		return false
	}
}

// release puts the connection back if the transaction owns it, also if its context has
// ended the lease: that may wait for the put.
func (t *sharedTx) release() {
	if t.owner {
		t.conn.Release()
	}
}

// innermost returns the transaction that is open, or the last savepoint in it; nil if
// there is none.
func (s *session) innermost() pgx.Tx {
	if s.conn.PgConn().TxStatus() == idle {
		s.dropFrom(0) // a statement has ended it
	}
	if len(s.sharedTxs) == 0 {
		return nil
	}
	return s.sharedTxs[len(s.sharedTxs)-1].tx
}

// place returns where tx stands in the list, -1 if it is not open.
func (s *session) place(tx pgx.Tx) int {
	return slices.IndexFunc(s.sharedTxs, func(o openTx) bool { return o.tx == tx })
}

// dropFrom removes the transaction at i, and the savepoints in it, from the list.
func (s *session) dropFrom(i int) {
	clear(s.sharedTxs[i:])
	s.sharedTxs = s.sharedTxs[:i]
}

// dropAbandoned rolls back the outermost transaction that is abandoned, so that no other
// holder commits it. If the end of its holder's lease left it open, the others may take
// themselves to be in it still: the next use fails with ErrRolledBack.
func (s *session) dropAbandoned(ctx context.Context) error {
	if s.innermost() == nil {
		return nil
	}
	i := slices.IndexFunc(s.sharedTxs, openTx.abandoned)
	if i < 0 {
		return nil
	}
	if ctx.Err() != nil {
		return endedError(ctx) // pgx would close the connection
	}
	o := s.sharedTxs[i]
	s.dropFrom(i)
	if err := s.undo(ctx, o.tx); err != nil {
		return err
	}
	if i == 0 && len(o.ended) == 0 {
		return ErrRolledBack
	}
	return nil
}
