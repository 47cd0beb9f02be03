package pool

import "context"

// What those who share a connection under a key are told of its use.
const (
	aStatement = "a statement is running"
	openRows   = "rows of a query are open"
	openBatch  = "the results of a batch are open"
)

// A use is one use of a connection, from before a statement is sent until its
// results are closed. Under a key it is the one there can be.
type use struct {
	conn  *Conn              // nil once it is over
	owner bool               // puts conn back then
	stop  context.CancelFunc // of a context that also ends with the lease
}

// use begins one. The statement must be sent with the context it returns, and the
// use be ended; without one an owner puts the connection back now. The error is ErrNotLeased, ErrBusy, or that of the rollback of what
// another holder left open.
func (c *Conn) use(ctx context.Context, owner bool) (u use, _ context.Context, _ *session, err error) {
	if c == nil {
		return u, ctx, nil, ErrNotLeased
	}
	s, err := c.lease().Use(aStatement)
	if err != nil {
		if owner {
			c.Release()
		}
		return u, ctx, nil, err
	}
	u = use{conn: c, owner: owner}
	if !c.shared() {
		return u, ctx, s, nil
	}
	ctx, u.stop = untilEnd(ctx, c.lease().Context())
	proper := false
	defer u.endUnless(&proper)
	err = s.dropOrphans(ctx)
	proper = err == nil
	return u, ctx, s, err
}

// shared says that others may hold the connection too.
func (c *Conn) shared() bool { return c.lease().Key() != nil }

// lasts says that the use goes on after the call: its results are open.
func (u *use) lasts(doing string) { u.conn.lease().Doing(doing) }

// kept says that results must tell their end.
func (u *use) kept() bool { return u.owner || u.conn.shared() }

// end ends the use. Calling it again does nothing.
func (u *use) end() {
	c := u.conn
	if c == nil {
		return
	}
	u.conn = nil
	if u.stop != nil {
		u.stop()
	}
	c.lease().Done()
	if u.owner {
		c.Release()
	}
}

// endUnless ends the use, unless it lasts.
func (u *use) endUnless(lasts *bool) {
	if !*lasts {
		u.end()
	}
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
