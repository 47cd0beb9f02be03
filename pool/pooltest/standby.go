package pooltest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Standby makes a standby of the server, its primary: another private server, with a port, a folder and a watchdog of its own,
// to be closed like any other, that holds what the primary holds and follows it by streaming replication. It returns when the
// standby accepts connections, which can read what was committed before the call, but not write (SQLSTATE 25006): a second or
// two. It gives up as Start does, and the primary's Stop and the like wait for it.
//
// The standby has the primary's password, TLS certificate and settings, which WithSetting can change: hot_standby off makes it
// refuse connections (57P03) until it is promoted, recovery_min_apply_delay makes it lag. WithLog is its own. It may be
// stopped and started in any order with its primary, which keeps 256 MB of write-ahead log for it, unless wal_keep_size is
// set; once it has missed more than that it stays behind for good. While it follows, the primary's Stop waits until it has
// received everything.
//
// It needs pg_basebackup, which is in the folder of initdb and postgres with every usual package, and a primary that is no
// standby itself. Errors: those of [Start], [ErrExternal], [ErrClosed], [ErrStopped], and one that says that pg_basebackup is
// missing.
func (s *Server) Standby(ctx context.Context, opts ...Option) (*Server, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	for _, name := range cfg.privateOnly {
		if name != "WithSetting" {
			return nil, &OptionError{name, "…", "a standby has its primary's"}
		}
	}
	var standby *Server
	err = s.private(ctx, func() (err error) {
		switch {
		case s.engine.stopped():
			return ErrStopped
		case s.primary != nil:
			return errors.New("pooltest: a standby of a standby is not supported")
		}
		standby, err = s.engine.standby(ctx, cfg)
		return err
	})
	if err != nil {
		return nil, err
	}
	standby.primary = s
	return standby, nil
}

// Promote ends the following: from then on the standby is a server like any other, and accepts writes, also of the sessions
// that it has. What has not reached it by then it will never have; see [Server.CatchUp]. The primary need not run, and is not
// stopped by this. Promote returns when the server accepts writes, when ctx ends or after a minute; the promotion then goes
// on, and another Promote waits for it. Errors: [ErrNotStandby], [ErrExternal], [ErrClosed], [ErrStopped], ctx's.
func (s *Server) Promote(ctx context.Context) error {
	return s.private(ctx, func() error {
		switch {
		case s.primary == nil:
			return ErrNotStandby
		case s.engine.stopped():
			return ErrStopped
		}
		if err := s.engine.promote(); err != nil {
			return err
		}
		if err := s.awaitPromotion(ctx); err != nil {
			return fmt.Errorf("pooltest: promoting the standby: %w", err)
		}
		s.primary = nil
		return nil
	})
}

// CatchUp waits until a standby shows all that its primary had committed before the call (save for what was committed with
// synchronous_commit off), or until ctx ends. Both must run, and the standby accept connections.
// Errors: [ErrNotStandby], [ErrExternal], [ErrClosed], [ErrStopped], ctx's or PostgreSQL's.
func (s *Server) CatchUp(ctx context.Context) error {
	var primary *Server
	err := s.private(ctx, func() error {
		if primary = s.primary; primary == nil {
			return ErrNotStandby
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, server := range []*Server{primary, s} {
		switch closed, stopped, err := server.look(ctx); {
		case err != nil:
			return err
		case closed:
			return ErrClosed
		case stopped:
			return ErrStopped
		}
	}
	var end string
	err = primary.administer(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&end)
	})
	if err == nil {
		err = s.awaitReplay(ctx, end)
	}
	if err != nil {
		return fmt.Errorf("pooltest: the standby has not caught up: %w", err)
	}
	return nil
}

const (
	promoteLimit = time.Minute
	promoteLook  = 10 * time.Millisecond // how often to look
)

var errPromoteLimit = errors.New("no writes after " + promoteLimit.String())

func (s *Server) awaitPromotion(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, promoteLimit, errPromoteLimit)
	defer cancel()
	return lookUntil(ctx, func() (promoted bool, err error) {
		err = s.administer(ctx, func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "SELECT NOT pg_is_in_recovery()").Scan(&promoted)
		})
		var refused *pgconn.PgError
		if errors.As(err, &refused) && (refused.Code == "57P03" || refused.Code == "53300") { // not ready, or no place just now
			return false, nil
		}
		return promoted, err
	})
}

// awaitReplay waits until the standby shows what was written before that place in the write-ahead log.
func (s *Server) awaitReplay(ctx context.Context, end string) error {
	return s.administer(ctx, func(conn *pgx.Conn) error {
		return lookUntil(ctx, func() (reached bool, err error) {
			err = conn.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", end).Scan(&reached)
			return reached, err
		})
	})
}

// lookUntil calls f every now and then until it returns true or an error, or ctx ends.
func lookUntil(ctx context.Context, f func() (bool, error)) error {
	for {
		done, err := f()
		if ctx.Err() != nil && !done {
			return context.Cause(ctx)
		}
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(promoteLook):
		case <-ctx.Done():
		}
	}
}
