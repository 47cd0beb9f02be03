package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/actor"
)

// Some failures of a statement tell of more than its own connection: the server
// was shut down, or the way to it is broken, or it is no longer the one that takes
// writes. The session notes them for the judge.

// hear has a session hear what the server says, whoever uses the connection. It
// returns what it would have returned without. It ignores messages from other connections:
// those to hosts that were tried before, and those that user code opens with the same
// configuration.
func (s *session) hear(theirs pgconn.PgErrorHandler) pgconn.PgErrorHandler {
	return func(conn *pgconn.PgConn, e *pgconn.PgError) bool {
		if s.conn == nil || conn != s.conn.PgConn() {
			return theirs == nil || theirs(conn, e)
		}
		switch e.Code {
		case "57P01", "57P02", "57P03": // shut down, crashed, not up yet
			s.alarmed, s.fault = true, e
		case "25006": // read-only transaction
			s.readOnly = true
		case queryCanceled:
			s.cancels.heard(e)
		}
		return theirs == nil || theirs(conn, e)
	}
}

// notice looks at the error of a statement for a broken connection.
func (s *session) notice(err error) {
	if err == nil {
		return
	}
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, broken) {
			s.alarmed = true
		}
	}
	if s.conn.IsClosed() && !s.ended {
		s.ended = true
		// Of a statement without arguments pgx loses the cause, and says what it says of
		// one that it has not begun.
		s.alarmed = s.alarmed || pgconn.SafeToRetry(err)
	}
	if s.alarmed && s.conn.IsClosed() {
		s.blame(err)
	}
}

// foundClosed notes, before a use, that the connection is closed already: the error of the
// use will say nothing of how it came to that.
func (s *session) foundClosed() { s.ended = s.ended || s.conn.IsClosed() }

// blame notes why the connection has to be closed, unless that is known.
func (s *session) blame(err error) {
	if s.fault == nil {
		s.fault = err
	}
}

// faulty returns what was wrong with the connection, nil if nothing was. It is asked
// before the connection is closed, or once it is clean again.
func (s *session) faulty() error {
	fault := s.fault
	s.fault = nil
	return fault
}

// unlucky is the verdict on a closed connection.
func (s *session) unlucky() actor.Verdict {
	if s.alarm() {
		return actor.Alarm
	}
	return actor.Discard
}

// alarm reports whether the others are to be looked at because this connection was lost. If
// it fell silent, they are in doubt.
func (s *session) alarm() bool {
	if s.cancels.silent || s.deaf {
		s.pool.doubtAll(s.trust)
	}
	return s.alarmed || s.deaf // a statement may have been slow to obey its cancel request
}

// warn is the error of a helper, and the alarm if it is that of a broken connection.
func (s *session) warn(err error) error {
	if err == nil || !s.conn.IsClosed() {
		return err
	}
	if s.notice(err); s.alarm() {
		s.blame(err)
		return quietly{quietly{s.fault, err}, actor.ErrAlarm} // the server's last word says more than the end of its socket
	}
	return err
}

// wantsWrites says that the configuration asks for a server that takes writes.
func (c *Config) wantsWrites() bool {
	f := c.ConnConfig.ValidateConnect
	return f != nil && (same(f, pgconn.ValidateConnectTargetSessionAttrsReadWrite) ||
		same(f, pgconn.ValidateConnectTargetSessionAttrsPrimary))
}

func same(f, g pgconn.ValidateConnectFunc) bool {
	return reflect.ValueOf(f).Pointer() == reflect.ValueOf(g).Pointer()
}

// stale says that the server has refused a write, though the configuration asks for
// one that takes them. It may have been the transaction that forbade it.
func (s *session) stale() bool { return s.readOnly && s.pool.config.wantsWrites() }

// validate asks the server again what it was asked after connecting. If the answer
// has changed, as by a failover, it has for all connections that are as old.
func (s *session) validate(ctx context.Context) error {
	switch err := s.pool.config.ConnConfig.ValidateConnect(ctx, s.conn.PgConn()); {
	case err == nil:
		s.readOnly = false
		return nil
	case s.conn.IsClosed(): // no answer
		return err
	default:
		return fmt.Errorf("%w: %w", actor.ErrStale, err)
	}
}
