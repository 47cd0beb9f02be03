package pool

import (
	"context"
	"errors"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A server that ends a connection while it rests says so on the socket. A look
// there, without a round trip, keeps such a connection from its next borrower.

const (
	// restless is the rest up to which a connection is taken to be alive.
	restless = time.Millisecond

	// longRest is that rest where a look costs a round trip, and the one after which
	// pgxpool pings.
	longRest = time.Second
)

// look is asked about a connection that has rested.
func (s *session) look() actor.Verdict {
	if s.conn.PgConn().Frontend().ReadBufferLen() > 0 {
		return actor.Check
	}
	if s.doubted() {
		return actor.Check
	}
	if s.peek == nil {
		if s.pool.shouldPing != nil || time.Since(s.rest) < longRest {
			return actor.Keep
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

// check asks the server. It runs in a helper. No cancel request follows the end of its
// time: the connection is dead.
func (s *session) check(ctx context.Context) error {
	limit := s.pool.config.PingTimeout
	if limit == 0 && s.doubted() {
		limit = doubtfulPing
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	trust := s.pool.trusted()
	if err := s.conn.PgConn().Ping(context.WithValue(ctx, noGrace{}, true)); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.deaf = true
		}
		return err
	}
	if s.conn.PgConn().TxStatus() != idle {
		return errStillInTransaction
	}
	s.trust = trust
	return nil
}

// shouldPing returns ShouldPing, or what stands for it if there is a PingTimeout: what
// pgxpool does.
func (c *Config) shouldPing() func(context.Context, ShouldPingParams) bool {
	if c.ShouldPing != nil || c.PingTimeout == 0 {
		return c.ShouldPing
	}
	return func(_ context.Context, params ShouldPingParams) bool { return params.IdleDuration > longRest }
}

// A connection that falls silent, as one that a NAT router has forgotten, shows nothing on
// its socket, and the others that rested as long may be like it. So a silence puts all in
// doubt: each is pinged once before it is lent.

// doubtfulPing bounds a ping of a connection in doubt if PingTimeout does not.
const doubtfulPing = 500 * time.Millisecond

// trusted returns a channel that is closed when the connections known to be alive by now
// are in doubt.
func (p *Pool) trusted() chan struct{} {
	trust := <-p.trust
	p.trust <- trust
	return trust
}

// doubtAll puts in doubt all connections that are not known to have been alive after now.
// It does nothing if the one that raises the doubt, with that trust, was in doubt itself.
func (p *Pool) doubtAll(trust chan struct{}) {
	current := <-p.trust
	if current == trust {
		close(current)
		current = make(chan struct{})
	}
	p.trust <- current
}

// doubted reports whether the connection is in doubt.
func (s *session) doubted() bool {
	select {
	case <-s.trust:
		return true
	default:
		return false
	}
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
