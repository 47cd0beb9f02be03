package pool

import (
	"context"
	"errors"
)

// Simple is psycopg2's SimpleConnectionPool: for one goroutine at a time. A get
// never waits for a connection to be put, since nobody else could put it: if
// all are lent it fails at once with ErrExhausted. A call that comes while
// another is under way gets ErrConcurrentUse and changes nothing.
type Simple struct{ pool *Pool }

// NewSimple makes a Simple pool; the arguments and errors are those of
// [NewThreaded].
func NewSimple(ctx context.Context, minconn, maxconn int, connString string, opts ...Option) (*Simple, error) {
	p, err := open(ctx, minconn, maxconn, connString, true, opts)
	if err != nil {
		return nil, err
	}
	return &Simple{p}, nil
}

// GetConn lends an idle connection or opens one; ErrExhausted, an [*ExhaustedError],
// if maxconn are lent, ErrUnavailable if none can be opened. It blocks until the connection is
// open or ctx ends. [WithKey] works as for [Pool.GetConn].
func (s *Simple) GetConn(ctx context.Context, opts ...GetOption) (*Conn, error) {
	if err := s.pool.enter(); err != nil {
		return nil, err
	}
	defer s.pool.leave()
	return s.pool.GetConn(ctx, opts...)
}

// PutConn gives a connection back; see [Pool.PutConn].
func (s *Simple) PutConn(c *Conn, opts ...PutOption) error { return s.pool.PutConn(c, opts...) }

// Stat tells how the pool stands; see [Pool.Stat]. It may be called from any goroutine, also
// during another call.
func (s *Simple) Stat() *Stat { return s.pool.Stat() }

// errStillLent is why a Simple pool revokes: the caller is the only one who
// could put what is lent, so waiting is no use.
var errStillLent = errors.New("connections are still lent")

// CloseAll closes all connections, also those still lent, which are named in a
// [*CloseError]. A second call gets ErrClosed. It blocks until they are closed,
// 250 ms after the end of ctx at the latest.
func (s *Simple) CloseAll(ctx context.Context) error {
	if err := s.pool.enter(); err != nil {
		return err
	}
	defer s.pool.leave()
	if s.pool.desk.Stat().Leased > 0 {
		revoke, now := context.WithCancelCause(ctx)
		now(errStillLent)
		ctx = revoke
	}
	return s.pool.CloseAll(ctx)
}

// enter says that a call begins, and refuses it if another is under way.
func (p *Pool) enter() error {
	select {
	case p.alone <- struct{}{}:
		return nil
	default:
		return ErrConcurrentUse
	}
}

func (p *Pool) leave() { <-p.alone }
