package pool

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
)

// GetConn lends a connection: an idle one, or the first that is put or opened.
// It blocks until ctx ends at the latest; then errors.Is finds the context's
// error, and a [*WaitError] tells what was waited for. Those who wait are served
// in the order of their arrival. A ctx that has ended before fails even if a
// connection is idle. With [WithKey] it lends the connection bound to
// the key; a key that cannot be one is a [*KeyError], one whose connection was
// closed under its borrowers a [*RevokedError]. Other errors: ErrClosed,
// ErrUnavailable, ErrTooManyWaiting, ErrAcquireTimeout (in a [*WaitError]), and
// what Config.PrepareConn returns.
//
// Put the connection back with [Pool.PutConn] or [Conn.Release].
func (p *Pool) GetConn(ctx context.Context, opts ...GetOption) (*Conn, error) {
	if len(opts) == 0 {
		return p.Acquire(ctx)
	}
	return p.get(ctx, asked(actor.Wait, opts))
}

// Acquire is GetConn without options, under pgxpool's name.
func (p *Pool) Acquire(ctx context.Context) (*Conn, error) {
	if len(p.tracers.acquire) > 0 || p.keying != nil {
		return p.get(ctx, actor.Request{})
	}
	lease, err := p.desk.Get(ctx)
	return (*Conn)(lease), err
}

// borrow is Acquire for a verb of the pool's, which puts the connection itself.
func (p *Pool) borrow(ctx context.Context) (*Conn, error) {
	if p.keying == nil {
		return p.Acquire(ctx)
	}
	return p.get(ctx, actor.Request{Own: true})
}

// TryGetConn lends an idle connection, or gives ErrExhausted. It neither waits
// nor opens a connection, but for a ping that ShouldPing asks for, and for what
// PrepareConn does. With [WithKey], one bound to the key counts as idle, and
// one that has rested is looked at first; either may take a second. Other errors:
// ErrClosed, ErrPaused, [*KeyError], [*RevokedError] (see [WithKey]), what
// Config.PrepareConn returns, and in an outage ErrUnavailable.
func (p *Pool) TryGetConn(opts ...GetOption) (*Conn, error) {
	return p.get(context.Background(), asked(actor.TryOnly, opts))
}

// asked is the request that options make.
func asked(patience actor.Patience, opts []GetOption) actor.Request {
	return actor.Request{Key: gather(opts, GetOption.applyGet).key, Patience: patience}
}

func (p *Pool) get(ctx context.Context, request actor.Request) (*Conn, error) {
	if p.keying != nil {
		if err := p.keying.fill(ctx, &request); err != nil {
			return nil, err
		}
	}
	if len(p.tracers.acquire) > 0 {
		return p.traced(ctx, request)
	}
	lease, err := p.desk.GetWith(ctx, request)
	return (*Conn)(lease), err
}

// AcquireFunc calls f with a connection and puts it back when f returns or
// panics. The error is that of the get, or f's. ctx is for the get alone; see
// [Pool.GetConn].
func (p *Pool) AcquireFunc(ctx context.Context, f func(*Conn) error) error {
	c, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	return f(c)
}

// AcquireAllIdle lends all connections that are idle now, for instance to look
// after them. It waits for nobody, and closes those that PrepareConn
// refuses or has an error for; ShouldPing is not asked. ctx goes to PrepareConn; once it has ended
// there is nothing. Each connection must be put back.
func (p *Pool) AcquireAllIdle(ctx context.Context) []*Conn {
	idle := p.desk.Stat().Idle
	conns := make([]*Conn, 0, idle)
	ctx = context.WithValue(ctx, allIdle{}, true)
	for range idle {
		lease, err := p.desk.GetWith(ctx, actor.Request{Patience: actor.TryOnly})
		if err == nil {
			conns = append(conns, (*Conn)(lease))
		}
	}
	return conns
}

// allIdle marks the context of AcquireAllIdle's gets.
type allIdle struct{}

// prepare is asked about a connection that is about to be lent; see
// actor.Config.
func (p *Pool) prepare(ctx context.Context, s *session, proven bool) (actor.Verdict, error) {
	if ask := p.config.ShouldPing; ask != nil && !proven && ctx.Value(allIdle{}) == nil {
		if ask(ctx, ShouldPingParams{Conn: s.conn, IdleDuration: time.Since(s.rest)}) {
			return actor.Check, nil // by a helper: giving up on it does not cost the connection
		}
	}
	if p.prepareConn == nil {
		return actor.Keep, nil
	}
	ok, err := p.prepareConn(ctx, s.conn)
	if !ok || err != nil && ctx.Value(allIdle{}) != nil { // or AcquireAllIdle would meet it again
		return actor.Discard, err
	}
	return actor.Keep, err
}

// prepare is PrepareConn, or what stands for it.
func (c *Config) prepare() func(context.Context, *pgx.Conn) (bool, error) {
	before := c.BeforeAcquire
	if c.PrepareConn != nil || before == nil {
		return c.PrepareConn
	}
	return func(ctx context.Context, conn *pgx.Conn) (bool, error) { return before(ctx, conn), nil }
}

// PutConn gives a connection back. It does no I/O and waits for nobody: a
// connection in a transaction is rolled back by the pool before the next
// borrower gets it, one that is closed or has unread rows is closed for good.
// Rows and batch results must be closed before, not after, the put. Bad
// arguments change nothing: ErrForeignConn for a connection of another pool,
// ErrNotLeased for one that has been put already, ErrWrongKey for a [WithKey]
// that is not the connection's. A [*RevokedError] says that the connection was
// closed under its borrower, by MaxLeaseTime or CloseAll (then it is ErrClosed too).
func (p *Pool) PutConn(c *Conn, opts ...PutOption) error {
	switch {
	case c == nil:
		return ErrForeignConn
	case c.lease().Of(p.desk):
	case c.session() == nil:
		return ErrNotLeased
	default:
		return ErrForeignConn
	}
	o := gather(opts, PutOption.applyPut)
	if o.key != nil && o.key != c.lease().Key() {
		return ErrWrongKey
	}
	if p.alone != nil {
		if err := p.enter(); err != nil {
			return err
		}
		defer p.leave()
	}
	if len(p.tracers.release) > 0 && c.session() != nil {
		p.traceRelease(c)
	}
	if o.close {
		return c.lease().Discard()
	}
	return c.lease().Put()
}
