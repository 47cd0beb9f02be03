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

// pingFor asks the server on behalf of a borrower. If its context ends first the
// ping goes on, and the next check waits for it: giving up does not cost the
// connection.
func (s *session) pingFor(ctx context.Context) (actor.Verdict, error) {
	ping := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.pool.mendTime())
		defer cancel()
		ping <- s.check(ctx)
	}()
	select {
	case err := <-ping:
		if err != nil {
			return actor.Discard, nil
		}
		return actor.Keep, nil
	case <-ctx.Done():
		s.ping = ping
		return actor.Check, ctx.Err()
	}
}

// recheck is check, after a ping that was given up on.
func (s *session) recheck(ctx context.Context) error {
	ping := s.ping
	s.ping = nil
	if ping == nil {
		return s.check(ctx)
	}
	select {
	case err := <-ping:
		return err
	case <-ctx.Done():
		s.hangUp() // or the ping would go on
		<-ping
		return ctx.Err()
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
