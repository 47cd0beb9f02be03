package pool

import (
	"context"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A server that ends a connection while it rests says so on the socket. A look
// there, without a round trip, keeps such a connection from its next borrower.

// restless is the rest up to which a connection is taken to be alive.
const restless = time.Millisecond

// look is asked about a connection that has rested.
func (s *session) look() actor.Verdict {
	if s.conn.PgConn().Frontend().ReadBufferLen() > 0 {
		return actor.Check
	}
	if s.peek == nil {
		if time.Since(s.rest) < restless {
			return actor.Keep // the long lease before it was no rest
		}
		return actor.Check
	}
	switch s.peek() {
	case quiet:
		return actor.Keep
	case readable:
		// A last word of the server's, or only a notification: a ping reads it.
		return actor.Check
	default:
		return actor.Discard
	}
}

// check asks the server. It runs in a helper.
func (s *session) check(ctx context.Context) error {
	if limit := s.pool.config.PingTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if err := s.conn.PgConn().Ping(ctx); err != nil {
		return err
	}
	if s.conn.PgConn().TxStatus() != idle {
		return errStillInTransaction
	}
	return nil
}

// A peeker looks at a socket without taking anything from it. It belongs to the
// session's owner.
type peeker func() sight

type sight uint8

const (
	quiet    sight = iota // open, nothing to read
	readable              // something to read
	gone                  // closed, or broken
)
