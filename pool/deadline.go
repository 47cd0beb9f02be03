package pool

import (
	"context"
	"errors"
	"io"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
)

// pgx's users ask pgconn.Timeout whether a deadline has ended something, and retry and log
// by the answer. It looks for an error that only package pgconn can make.

// A deadlineError is an error of a deadline in which pgconn.Timeout finds one. It has the
// text of err.
type deadlineError struct{ err error }

func (e deadlineError) Error() string { return e.err.Error() }

// Unwrap gives errors.Is and errors.As err, and pgx's error.
func (e deadlineError) Unwrap() []error { return []error{e.err, pgxTimeout} }

// SafeToRetry reports whether err is, for pgconn.SafeToRetry: pgx's error would be.
func (e deadlineError) SafeToRetry() bool { return pgconn.SafeToRetry(e.err) }

// timed completes an error for pgconn.Timeout, if it is that of a deadline. It leaves alone
// the error of a call whose context had ended before: that is compared.
func timed(err error) error {
	if err == nil || err == context.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err) {
		return err
	}
	switch e := err.(type) { // which may be others' too
	case *WaitError:
		if errors.Is(e.Err, context.DeadlineExceeded) {
			c := *e
			c.Err = deadlineError{e.Err}
			return &c
		}
	case *CloseError:
		c := *e
		c.Err = deadlineError{e.Err}
		return &c
	}
	return deadlineError{err}
}

// pgxTimeout is pgx's error of a deadline: what a connection without a socket returns for
// a context that has ended.
var pgxTimeout = func() error {
	ctx, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	conn, err := pgconn.Construct(&pgconn.HijackedConn{Config: &pgconn.Config{
		BuildContextWatcherHandler: func(*pgconn.PgConn) ctxwatch.Handler { return nil },
		BuildFrontend:              func(io.Reader, io.Writer) *pgproto3.Frontend { return nil },
	}})
	if err != nil {
		return err
	}
	return conn.WaitForNotification(ctx)
}()
