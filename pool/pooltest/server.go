package pooltest

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL server: a private one, or the external one that DATABASE_URL names. Close it when done.
type Server struct {
	tcp, socket string // connection strings
	certificate string // a path; empty without TLS

	turn   chan struct{} // holds one token; who has taken it may use the fields below
	closed bool
	engine engine // nil: external

	primary *Server // nil: no standby (any more)
}

// An engine is a private cluster, as far as Server needs to know it.
type engine interface {
	start(context.Context) error // on the same port as before
	stop(context.Context) error  // sessions are ended, then a checkpoint; nil if it is stopped already
	crash(context.Context) error // at once, without a checkpoint; nil if it is stopped already
	drain(context.Context) error // once the sessions have ended by themselves; nil if it is stopped already
	stopped() bool
	standby(context.Context, *config) (*Server, error) // of a running server
	promote() error                                    // of a running standby; does not wait
	close() error                                      // stops it and removes everything
}

// Start makes and starts a private cluster, and returns when it accepts connections: a second or so, plus the installation
// where [AllowInstall] causes one. It gives up when ctx ends or, at the latest, when initdb or the server has not finished
// after a minute. On failure nothing is left behind.
//
// The superuser is postgres and the encoding UTF8, with locale C and time zone UTC. The server listens on 127.0.0.1, on a free
// port below 32768 that it keeps for life, and on a unix socket. Such a port is not among those that clients are given: while
// the server is stopped nothing takes it by accident, and a client that dials it is refused rather than connected to itself.
//
// Errors: [ErrNotInstalled], [ErrUnsupported], [*OptionError], [*ProgramError] with the last lines of the log, ctx's error, or
// the operating system's.
func Start(ctx context.Context, opts ...Option) (*Server, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	return startPrivate(ctx, cfg)
}

// Open returns the server that the environment variable DATABASE_URL names, after connecting to it once, or else is [Start].
// DATABASE_URL must be a connection string that pgx or a pool of pgx's kind accepts, of a user who may create databases if
// [Server.CreateDatabase] is to work. Its parameters that begin with pool_ are left out, so that the connection strings of
// pooltest are good for a single connection too. WithScram, WithTLS and WithSetting cannot be honoured then and give an [*OptionError]; a test that depends on them
// needs Start.
func Open(ctx context.Context, opts ...Option) (*Server, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	external := os.Getenv("DATABASE_URL")
	if external == "" {
		return startPrivate(ctx, cfg)
	}
	if len(cfg.privateOnly) > 0 {
		return nil, &OptionError{cfg.privateOnly[0], "…", "cannot be applied to the server that DATABASE_URL names; use Start"}
	}
	s := newServer(nil)
	s.tcp = withoutPool(external)
	if err := s.administer(ctx, func(*pgx.Conn) error { return nil }); err != nil {
		return nil, fmt.Errorf("pooltest: DATABASE_URL: %w", err)
	}
	return s, nil
}

func newServer(e engine) *Server {
	s := &Server{turn: make(chan struct{}, 1), engine: e}
	s.turn <- struct{}{}
	return s
}

// ConnString returns a connection string in URL form for the database postgres, by TCP and as superuser; for an external
// server it is DATABASE_URL without a pool's parameters. It stays the same for life, through Stop and Restart. [WithScram] and [WithTLS] say
// what they add.
func (s *Server) ConnString() string { return s.tcp }

// SocketConnString is like ConnString, but by unix socket. It is empty for an external server.
func (s *Server) SocketConnString() string { return s.socket }

// CertificateFile returns the path of the server's certificate in PEM form, which is its own root; the file is there until
// Close. It is empty without [WithTLS].
func (s *Server) CertificateFile() string { return s.certificate }

// External reports whether this is the server that DATABASE_URL names, which cannot be stopped.
func (s *Server) External() bool { return s.engine == nil }

// Stop shuts the server down in PostgreSQL's fast mode: running transactions are rolled back and sessions end with SQLSTATE
// 57P01. It returns when all its processes are gone, or when ctx ends; the shutdown then goes on, and another Stop waits for
// it. Data and port are kept: [Server.Restart] starts it again. Stopping a stopped server does nothing.
// Errors: [ErrExternal], [ErrClosed], ctx's.
func (s *Server) Stop(ctx context.Context) error {
	return s.private(ctx, func() error { return s.engine.stop(ctx) })
}

// Crash stops the server in PostgreSQL's immediate mode, much as if it had crashed: connections break off without an error
// message (a notice at most), no checkpoint is made, and the next start recovers from the write-ahead log. What was committed
// is kept. In all else it is like Stop.
func (s *Server) Crash(ctx context.Context) error {
	return s.private(ctx, func() error { return s.engine.crash(ctx) })
}

// Drain stops the server in PostgreSQL's smart mode: new sessions are refused with SQLSTATE 57P03, those there go on, and when
// the last has ended by itself so does the server. Drain waits for that, or until ctx ends; the server then goes on to wait,
// and Stop, Crash, Restart or Close put an end to it. In all else it is like Stop.
func (s *Server) Drain(ctx context.Context) error {
	return s.private(ctx, func() error { return s.engine.drain(ctx) })
}

// Restart starts the server on the port that it had, with the data that it had; a running one is stopped first, as by Stop. It
// returns when the server accepts connections, when ctx ends, or a minute after the start. A start that fails, for instance
// because something else has taken the port meanwhile, leaves the server stopped, and Restart may be tried again.
// Errors: [ErrExternal], [ErrClosed], [*ProgramError], ctx's.
func (s *Server) Restart(ctx context.Context) error {
	return s.private(ctx, func() error {
		if err := s.engine.stop(ctx); err != nil {
			return err
		}
		return s.engine.start(ctx)
	})
}

// Close stops the server and removes all that belongs to it; it usually takes a tenth of a second, at most half a minute,
// after it has waited for any Stop, Crash, Restart or the like under way. An external server is left alone. A second Close
// returns nil. An error says what could not be removed.
func (s *Server) Close() error {
	<-s.turn
	defer s.pass()
	if s.closed || s.External() {
		s.closed = true
		return nil
	}
	s.closed = true
	return s.engine.close()
}

// private calls f for a private server that is not closed, in turn.
func (s *Server) private(ctx context.Context, f func() error) error {
	if s.External() {
		return ErrExternal
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.pass()
	if s.closed {
		return ErrClosed
	}
	return f()
}

// look says how things stand, once nobody changes them.
func (s *Server) look(ctx context.Context) (closed, stopped bool, err error) {
	if err := s.take(ctx); err != nil {
		return false, false, err
	}
	defer s.pass()
	return s.closed, !s.External() && (s.closed || s.engine.stopped()), nil
}

func (s *Server) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) pass() { s.turn <- struct{}{} }
