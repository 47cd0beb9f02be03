package pool

import (
	"context"
	"errors"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// No transaction of one borrower reaches the next: what a connection is left in
// is judged at its put, without I/O, and mended by a helper. Session state (SET,
// temporary tables, LISTEN, advisory locks) stays, as it does in psycopg2.

// idle is the transaction status outside a transaction.
const idle = 'I'

var errStillInTransaction = errors.New("connection is still in a transaction")

// judge looks at what the borrower left.
func (s *session) judge() actor.Verdict {
	pc := s.conn.PgConn()
	if s.peek == nil {
		s.rest = time.Now()
	}
	switch {
	case pc.IsClosed(), pc.IsBusy(): // busy: rows half read
		return actor.Discard
	case pc.TxStatus() != idle:
		return actor.Clean
	default:
		return actor.Keep
	}
}

// rollback ends the transaction that a borrower left open. It goes past pgx's
// tracers: the statement is not the user's.
func (s *session) rollback(ctx context.Context) error {
	pc := s.conn.PgConn()
	if err := pc.Exec(ctx, "rollback").Close(); err != nil {
		return err
	}
	if pc.TxStatus() != idle {
		return errStillInTransaction
	}
	return nil
}
