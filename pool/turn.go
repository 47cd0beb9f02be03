package pool

import (
	"context"
	"fmt"
)

// What those who share a connection under a key are told of its use.
const (
	aStatement = "a statement is running"
	openRows   = "rows of a query are open"
	openBatch  = "the results of a batch are open"
)

// A use is one use of a connection, from before a statement is sent until its
// results are closed. Under a key it is the one there can be.
type use struct {
	conn   *Conn // nil once it is over
	s      *session
	ctx    context.Context    // for the statement: it also ends with the lease
	stop   context.CancelFunc // of ctx
	ended  error              // once it is over: what had ended before it did, see reason
	owner  bool               // puts conn back then
	within *batchResults      // that it is part of, and that go on after it
}

// use begins one, which must be ended; without one an owner puts the connection
// back now. The error is ErrNotLeased, ErrBusy, or that of the rollback of what was
// left open.
func (c *Conn) use(ctx context.Context, owner bool) (u use, err error) {
	if u, err = c.turn(ctx, owner); err != nil {
		return u, err
	}
	if len(u.s.txs) == 0 {
		return u, nil
	}
	proper := false
	defer u.endUnless(&proper)
	err = u.explain(u.s.dropAbandoned(u.ctx))
	proper = err == nil
	return u, err
}

// turn is use without a look at what was left open.
func (c *Conn) turn(ctx context.Context, owner bool) (u use, err error) {
	if c == nil {
		return u, ErrNotLeased
	}
	s, err := c.lease().Use(aStatement)
	if err != nil {
		if owner {
			c.Release()
		}
		return u, err
	}
	u = use{conn: c, s: s, ctx: ctx, owner: owner}
	if c.shared() {
		u.ctx, u.stop = untilEnd(ctx, c.lease().Context())
	}
	return u, nil
}

// shared says that others may hold the connection too.
func (c *Conn) shared() bool { return c.lease().Key() != nil }

// lasts says that the use goes on after the call: its results are open.
func (u *use) lasts(doing string) { u.conn.lease().Doing(doing) }

// end ends the use. Calling it again does nothing.
func (u *use) end() {
	c := u.conn
	if c == nil {
		return
	}
	u.conn = nil
	u.ended = u.reason()
	if u.within != nil {
		return
	}
	if u.stop != nil {
		u.stop()
	}
	c.lease().Done()
	if u.owner {
		c.Release()
	}
}

// endUnless ends the use, unless it is kept by what lasts.
func (u *use) endUnless(kept *bool) {
	if !*kept {
		u.end()
	}
}

// reason is why the use fails, if it does: its connection was revoked, or the context
// of the statement has ended.
func (u *use) reason() error {
	if err := u.s.revoked(); err != nil {
		return err
	}
	if u.ctx.Err() != nil {
		return endedError(u.ctx)
	}
	return nil
}

// explain adds the error of the statement's context to what the server says of a
// statement that was cancelled, and ErrRevoked to what comes of a revoked connection.
func (u *use) explain(err error) error {
	if err == nil {
		return nil
	}
	ended := u.ended
	if u.conn != nil { // else the session may be another's by now
		u.s.notice(err)
		ended = u.reason()
	}
	if ended == ErrRevoked {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return explain(ended, err)
}

// untilEnd is ctx, but ends with that of a lease too, if it is another's.
func untilEnd(ctx, lease context.Context) (context.Context, context.CancelFunc) {
	if lease == nil || lease.Done() == ctx.Done() {
		return ctx, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(lease, func() { cancel(context.Cause(lease)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
