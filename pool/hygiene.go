package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
)

// No transaction of one borrower reaches the next: what a connection is left in
// is judged at its put, without I/O, and repaired by a helper. Session state (SET,
// temporary tables, LISTEN, advisory locks) stays, as it does in psycopg2, unless
// ResetSession is given.

// Two transaction statuses: outside a transaction, and in one that a statement has made
// fail.
const (
	idle    = 'I'
	aborted = 'E'
)

// unfinished returns why a connection is closed that is open, and in the midst of
// something.
func (s *session) unfinished() error {
	if s.conn.PgConn().IsBusy() {
		return errUnread
	}
	return errUnconfirmed
}

// unended returns in what kind of transaction the connection is.
func (s *session) unended() error {
	if s.conn.PgConn().TxStatus() == aborted {
		return errPutInFailedTransaction
	}
	return errPutInTransaction
}

var (
	errPutInTransaction       = errors.New("put in a transaction")
	errPutInFailedTransaction = errors.New("put in a failed transaction")
	errUnread                 = errors.New("put with rows half read, or a batch or COPY under way")
	errUnconfirmed            = errors.New("the server has not confirmed in time that it has cancelled a statement")
)

var errStillInTransaction = errors.New("connection is still in a transaction")

// judge returns what is to be done with what the borrower left. It does no I/O.
func (s *session) judge() actor.Verdict {
	c := s.pool.config
	if s.peek == nil || s.pool.shouldPing != nil {
		s.rest = time.Now()
	}
	s.txs.forget()
	s.dropFrom(0)
	switch v := s.state(); {
	case v == actor.Discard && !s.conn.IsClosed():
		s.blame(s.unfinished())
		return v
	case v == actor.Clean:
		s.blame(s.unended())
		if c.DirtyPolicy == CloseDirty {
			return actor.Discard
		}
		return v
	case v == actor.Keep && (c.ResetSession != nil || c.AfterRelease != nil || s.bound != nil || s.stale()):
		return actor.Clean
	default:
		return v
	}
}

// state returns Keep for a connection that is fit for the next borrower, Clean for one
// in a transaction, and Discard or Alarm for one that is lost.
func (s *session) state() actor.Verdict {
	pc := s.conn.PgConn()
	switch {
	case pc.IsClosed():
		return s.unlucky()
	case pc.IsBusy(), s.cancels.broken: // busy: rows half read
		return actor.Discard
	case pc.TxStatus() != idle:
		return actor.Clean
	default:
		return actor.Keep
	}
}

// clean rolls back, takes back what was done to the session, and calls the hooks. After
// an error the session is not fit for a borrower.
func (s *session) clean(ctx context.Context) error {
	if s.conn.PgConn().TxStatus() != idle {
		if err := s.rollback(ctx); err != nil {
			return err
		}
	}
	if s.stale() {
		if err := s.validate(ctx); err != nil {
			return err
		}
	}
	if s.bound != nil {
		if err := s.unbind(ctx); err != nil {
			return err
		}
	}
	if reset := s.pool.config.ResetSession; reset != nil {
		if err := reset(ctx, s.conn); err != nil {
			return err
		}
		if s.state() != actor.Keep {
			return errUnfitReset
		}
		if err := s.restore(ctx); err != nil {
			return err
		}
	}
	hook := s.pool.config.AfterRelease
	switch {
	case hook == nil:
		return nil
	case !hook(s.conn):
		return errAfterRelease
	case s.state() != actor.Keep:
		return fmt.Errorf("%w: it left it closed, busy or in a transaction", errAfterRelease)
	}
	return nil
}

var errUnfitReset = errors.New("ResetSession left the connection closed, busy or in a transaction")

var errAfterRelease = errors.New("AfterRelease gave up the connection")

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

// undo rolls back a transaction of pgx's that is left to the pool. If that fails the
// connection is lost: the transaction could still be committed.
func (s *session) undo(ctx context.Context, tx pgx.Tx) error {
	err := tx.Rollback(ctx)
	if err != nil {
		s.hangUp() // pgx does not if tx is a savepoint
	}
	return err
}
