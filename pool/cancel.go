package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// A CancelPolicy decides what becomes of a connection whose statement's context ends.
type CancelPolicy uint8

const (
	// CancelQuery has the server cancel the statement, and keeps the connection if
	// it is certain that the server has done so. The statement has 250 ms to end; if it
	// does, the server has a second in all to say so. A wait for notifications ends
	// with those 250 ms: nothing answers it earlier. A transaction that the statement was
	// in goes on, aborted: what follows in it fails with SQLSTATE 25P02, where pgxpool's
	// connection is closed and says "conn closed", until it is rolled back.
	CancelQuery CancelPolicy = iota
	// CloseConn closes the connection, as pgx does by itself.
	CloseConn
)

// String returns what pool_cancel_policy calls it.
func (p CancelPolicy) String() string { return policy(p, "cancel_query", "close_conn") }

// cancelGrace is how long after the end of its context a statement may go on.
const cancelGrace = 250 * time.Millisecond

// requestGrace is how long after that end the cancel request may take: a machine that
// is too busy for it has still answered the statement.
const requestGrace = time.Second

// A canceller cancels the statement that its connection runs. A cancel request is
// meant for a connection, not for a statement: one that arrives late hits whatever
// runs then. So the statement is not over before the server has ended the
// connection that the request came on, since it has told the backend by then; and if
// it does not, the connection is closed.
//
// pgx calls HandleCancel in a goroutine of its own and then, in that of the
// statement, HandleUnwatchAfterCancel.
type canceller struct {
	conn   *pgconn.PgConn
	began  time.Time // the last cancel
	told   chan bool // cap 1: whether the server has told the backend
	broken bool      // the connection is closed
}

var _ ctxwatch.Handler = (*canceller)(nil)

// cancelHandler makes the handler of a connection, unless the configuration has another.
func cancelHandler(theirs func(*pgconn.PgConn) ctxwatch.Handler, keep func(*canceller)) func(*pgconn.PgConn) ctxwatch.Handler {
	return func(conn *pgconn.PgConn) ctxwatch.Handler {
		h := theirs(conn)
		if d, ok := h.(*pgconn.DeadlineContextWatcherHandler); !ok || d.DeadlineDelay != 0 {
			return h
		}
		c := &canceller{conn: conn}
		keep(c)
		return c
	}
}

// HandleCancel is the end of the statement's context.
func (c *canceller) HandleCancel(context.Context) {
	c.began = time.Now()
	_ = c.conn.Conn().SetDeadline(c.began.Add(cancelGrace))
	c.told = make(chan bool, 1)
	go func(told chan<- bool, until time.Time) { told <- requestCancel(c.conn, until) }(c.told, c.began.Add(requestGrace))
}

// HandleUnwatchAfterCancel is the end of the statement. It trusts no other clock
// than its own: the DialFunc that the request goes through may be anybody's. A
// statement that has used up its time has lost its connection; a wait for
// notifications, which nobody answers, has not.
func (c *canceller) HandleUnwatchAfterCancel() {
	grace := requestGrace
	if time.Since(c.began) >= cancelGrace && !calledFrom("pgconn.(*PgConn).WaitForNotification") {
		grace = 0
	}
	timer := time.NewTimer(time.Until(c.began.Add(grace)))
	defer timer.Stop()
	select {
	case told := <-c.told:
		if told {
			_ = c.conn.Conn().SetDeadline(time.Time{})
			return
		}
	case <-timer.C:
	}
	c.broken = true
	_ = rawConn(c.conn).Close()
}

// wasTold is the key of a context that asks whether the server has ended the
// connection of a cancel request. Its value is a *bool.
type wasTold struct{}

// requestCancel reports whether the server has told the backend.
func requestCancel(conn *pgconn.PgConn, until time.Time) bool {
	told := false
	ctx, cancel := context.WithDeadline(context.WithValue(context.Background(), wasTold{}, &told), until)
	defer cancel()
	err := conn.CancelRequest(ctx)
	return err == nil && told
}

// cancelConn is the connection of a cancel request.
type cancelConn struct {
	net.Conn
	stop func()
	told *bool // nil if it is not asked for
}

// Read notices the server's end of the connection.
func (c cancelConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.told != nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		*c.told = true
	}
	return n, err
}

// Close waits for that end if it was not seen: under TLS the server says that it
// will come, and pgx reads no further. The context of the request ends the wait.
func (c cancelConn) Close() error {
	if c.told != nil && !*c.told {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
	}
	c.stop()
	return c.Conn.Close()
}

// queryCanceled is the server's code for a statement that was cancelled.
const queryCanceled = "57014"

// explainEnd adds the error of ctx, if that has ended, to the error of a statement that the
// server has cancelled since, or that has lost its connection to the end of its time.
func (s *session) explainEnd(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	var answer *pgconn.PgError
	switch {
	case errors.As(err, &answer) && answer.Code == queryCanceled:
	case answer == nil && s.conn.IsClosed():
	default:
		return err
	}
	return fmt.Errorf("%w: %w", endedError(ctx), err)
}

// endedError is the error of a context that has ended, and its cause.
func endedError(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != err {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
