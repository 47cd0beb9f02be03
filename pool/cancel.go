package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A CancelPolicy decides what becomes of a connection whose statement's context ends.
type CancelPolicy uint8

const (
	// CancelQuery has the server cancel the statement, which has 250 ms to end. The
	// connection is kept if no cancel request can reach a later statement: it was not sent,
	// or the server, if the pool is connected to it without a proxy, has ended the request's
	// connection within a second. Behind a proxy or a pooler the statement must also have
	// failed with the server's "canceling statement due to user request" (57014); a
	// statement that ended by itself after the request was sent costs its connection there,
	// and so does every cancelled one if the server's messages are not in English. Servers
	// before PostgreSQL 18 signal twice for a request. So there the error comes 10 ms later,
	// on a busy machine up to 250; on one that is busier still, behind a pooler that ends
	// cancel requests early, only CloseConn is certain.
	//
	// A transaction that the statement was in goes on, aborted: what follows in it fails with
	// SQLSTATE 25P02, where pgxpool's connection is closed and says "conn closed", until it
	// is rolled back.
	//
	// A wait, as pgx's WaitForNotification, has nothing to cancel: it ends at once, and the
	// connection is kept.
	CancelQuery CancelPolicy = iota
	// CloseConn closes the connection, as pgx does by itself.
	CloseConn
)

// String returns what pool_cancel_policy calls it.
func (p CancelPolicy) String() string { return policy(p, "cancel_query", "close_conn") }

const (
	// cancelGrace is how long after the end of its context a statement may go on.
	cancelGrace = 250 * time.Millisecond

	// fuseGrace is how long after its deadline a socket without deadlines is closed.
	fuseGrace = 50 * time.Millisecond

	// requestGrace is how long after the end of a context the cancel request may take: a
	// machine that is too busy for it has still answered the statement.
	requestGrace = time.Second
)

// A canceller acts on the end of the context of what its connection does.
//
// pgx calls HandleCancel in a goroutine of its own, and that does not tell a statement
// from a wait for notifications. So HandleCancel interrupts the read of the connection: the
// goroutine that reads knows from its stack what it reads for, and goes on reading if
// there is something to cancel. If nobody reads, a timer decides in its place.
//
// A cancel request is meant for a connection, not for a statement: one that arrives late
// hits whatever runs then. So HandleUnwatchAfterCancel, at the end of the statement, closes
// the connection unless it is proven that no request is on its way.
type canceller struct {
	conn    *pgconn.PgConn // nil: the configuration has a handler of its own
	policy  CancelPolicy
	ownsEnd chan *ending  // of one: the end of a context that is being dealt with, or nil
	free    chan struct{} // closed when the connection has left the pool

	// These belong to the goroutine of the statement.
	route  route
	unread []byte // messages for pgx that came with the answer to a question of ours
	broken bool   // the connection is closed
	silent bool   // it was closed because no answer came
}

var _ ctxwatch.Handler = (*canceller)(nil)

// An ending is what is done about the end of a context. The goroutine that has taken it
// out of ownsEnd may change it, and puts it back.
type ending struct {
	at      time.Time
	doing   doing
	until   time.Time      // of a statement being cancelled: when it must have ended
	request *cancelRequest // of a statement being cancelled
	hit     time.Duration  // when the server said so after at, and the request was spent; 0: it has not
	blown   bool           // the socket was closed by the timer
	fuse    *time.Timer    // nil: none
}

// doing is what a connection did when the context ended.
type doing uint8

const (
	undecided  doing = iota // nobody has found out yet
	waiting                 // a wait: its read fails
	cancelling              // a statement: it is being cancelled
	failing                 // a statement that is not cancelled: its read fails
)

func newCanceller(policy CancelPolicy) *canceller {
	c := &canceller{policy: policy, ownsEnd: make(chan *ending, 1), free: make(chan struct{})}
	c.ownsEnd <- nil
	return c
}

// noGrace marks the context of a statement that is not worth a cancel request: it asks
// whether the connection is alive.
type noGrace struct{}

// HandleCancel is the end of the context.
func (c *canceller) HandleCancel(ctx context.Context) {
	<-c.ownsEnd
	e := &ending{at: time.Now()}
	conn := c.conn.Conn()
	switch {
	case c.hasLeft():
		e.doing = failing
		_ = conn.SetDeadline(e.at)
	case c.policy == CloseConn || ctx.Value(noGrace{}) != nil:
		e.doing = failing
		_ = conn.SetDeadline(e.at)
		e.fuse = time.AfterFunc(cancelGrace, func() { c.late(e) })
	default:
		e.fuse = time.AfterFunc(cancelGrace, func() { c.late(e) })
		if err := conn.SetReadDeadline(e.at); err != nil { // no read can be interrupted
			c.stop(e)
			c.cancel(e)
		}
	}
	c.ownsEnd <- e
}

// cancel has the statement cancelled. The caller must own e.
func (c *canceller) cancel(e *ending) {
	now := time.Now()
	e.doing, e.until = cancelling, now.Add(cancelGrace)
	_ = c.conn.Conn().SetDeadline(e.until)
	e.request = startRequest(c.conn, e.at.Add(requestGrace))
	e.fuse = time.AfterFunc(cancelGrace+fuseGrace, func() { c.late(e) })
}

// late closes the socket if what e ended is not over: it has no deadlines, or nobody looks
// at them. A statement whose answer nobody reads is cancelled first.
func (c *canceller) late(e *ending) {
	now := <-c.ownsEnd
	switch {
	case now != e || e.doing == waiting:
	case e.doing == undecided:
		c.cancel(e)
	default:
		e.blown = true
	}
	blown := now == e && e.blown
	c.ownsEnd <- now
	if blown {
		_ = rawConn(c.conn).Close()
	}
}

// interrupted returns what a read that failed with err, within what e ended, is to do:
// read on with nil, or return an error.
func (c *canceller) interrupted(err error) error {
	e := <-c.ownsEnd
	defer func() { c.ownsEnd <- e }()
	switch {
	case e == nil:
		return err
	case e.blown:
		return os.ErrDeadlineExceeded // and not that the socket is closed
	case !isTimeout(err):
		return err
	case e.doing == undecided && waits():
		e.doing = waiting
		return err
	case e.doing == undecided:
		c.stop(e)
		c.cancel(e)
		return nil
	case e.doing == cancelling && time.Now().Before(e.until): // the deadline was that of the interruption
		return nil
	default:
		return err
	}
}

// waits reports whether the caller reads for a wait, which has sent nothing that could be
// cancelled.
func waits() bool {
	return calledFrom("pgconn.(*PgConn).WaitForNotification") || calledFrom("pgconn.(*PgConn).ReceiveMessage")
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// heard notes that the server has cancelled the statement, and so has used up the request
// if that had been sent. Other errors have the same code, as that of statement_timeout:
// only their texts differ.
func (c *canceller) heard(err *pgconn.PgError) {
	if err.Code != queryCanceled || err.Message != "canceling statement due to user request" {
		return
	}
	e := <-c.ownsEnd
	if e != nil && e.doing == cancelling && e.request.sent() {
		e.hit = max(time.Since(e.at), 1)
	}
	c.ownsEnd <- e
}

// HandleUnwatchAfterCancel is the end of what the connection did.
func (c *canceller) HandleUnwatchAfterCancel() {
	e := <-c.ownsEnd
	c.ownsEnd <- nil // the timer has no say any more
	c.stop(e)
	if !e.blown && (e.doing != cancelling || c.clean(e)) {
		_ = c.conn.Conn().SetDeadline(time.Time{})
		return
	}
	if e.doing == cancelling {
		e.request.withdraw()
	}
	c.broken = true
	_ = rawConn(c.conn).Close()
}

// clean reports whether the connection goes on after a statement that was being cancelled:
// the statement has ended, and nothing that was meant for it can reach another one.
func (c *canceller) clean(e *ending) bool {
	now := time.Now()
	switch {
	case e.hit == 0 && !now.Before(e.until):
		c.silent = true
		return false
	case e.request.withdraw():
		return true
	case c.conn.IsClosed():
		return false
	case e.hit > 0 && c.signalsOnce():
		return true
	}
	until := e.at.Add(requestGrace)
	timer := time.NewTimer(until.Sub(now))
	defer timer.Stop()
	told := false
	select {
	case told = <-e.request.told:
	case <-timer.C:
	}
	switch {
	case !told:
		return false
	case c.direct(until):
		return true
	case e.hit > 0:
		c.settle(e.hit)
		return !c.broken
	default:
		return false
	}
}

func (c *canceller) stop(e *ending) {
	if e.fuse != nil {
		e.fuse.Stop()
	}
}

// leave has the connection behave as one that was never the pool's. Its holder calls it,
// once.
func (c *canceller) leave() { close(c.free) }

func (c *canceller) hasLeft() bool {
	select {
	case <-c.free:
		return true
	default:
		return false
	}
}

// A cancelReader is what pgx reads a connection through.
type cancelReader struct {
	io.Reader
	c *canceller
}

// Read reads on after an interruption by the canceller, if the statement is to go on.
func (r cancelReader) Read(b []byte) (int, error) {
	if len(r.c.unread) > 0 {
		n := copy(b, r.c.unread)
		r.c.unread = r.c.unread[n:]
		return n, nil
	}
	for {
		n, err := r.Reader.Read(b)
		if err == nil || n > 0 {
			return n, err
		}
		if err = r.c.interrupted(err); err != nil {
			return 0, err
		}
	}
}

// watch has pgx connect with a canceller, unless the configuration has a handler of its
// own. It has no effect on what connects with the configuration once opened is closed: the
// connection shows it to everybody.
func (s *session) watch(cc *pgconn.Config, policy CancelPolicy, opened <-chan struct{}) {
	over := func() bool {
		select {
		case <-opened:
			return true
		default:
			return false
		}
	}
	build, handler := cc.BuildFrontend, cc.BuildContextWatcherHandler
	cc.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		if over() {
			return build(r, w)
		}
		s.cancels = newCanceller(policy) // one for each host that is tried
		return build(cancelReader{r, s.cancels}, w)
	}
	cc.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		h := handler(conn)
		if d, ok := h.(*pgconn.DeadlineContextWatcherHandler); over() || !ok || d.DeadlineDelay != 0 {
			return h
		}
		s.cancels.conn = conn
		return s.cancels
	}
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
