package pool

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/actor/keyed"
)

// GetConn lends a connection: an idle one, or the first that is put or opened.
// It blocks until ctx ends at the latest; then errors.Is finds the context's
// error, and pgconn.Timeout the deadline, and a [*WaitError] tells what was waited for. Gets that wait are served
// first come, first served. If ctx has ended before, the error is ctx.Err() itself, even
// if a connection is idle. With [WithKey] it lends the connection bound to
// the key; an invalid key is a [*KeyError], one whose connection was
// closed under its borrowers a [*RevokedError]. Other errors: ErrClosed,
// ErrUnavailable, ErrTooManyWaiting, ErrAcquireTimeout (in a [*WaitError]), and
// what Config.PrepareConn returns; with [NoWait], ErrExhausted and ErrPaused.
//
// Put the connection back with [Pool.PutConn] or [Conn.Release].
func (p *Pool) GetConn(ctx context.Context, opts ...GetOption) (*Conn, error) {
	o := gather(opts, GetOption.applyGet)
	patience := max(p.patience, o.patience)
	if o.key != nil {
		return p.share(ctx, keyed.Request[*session]{Key: o.key, Patience: patience})
	}
	return p.acquire(ctx, patience)
}

// Acquire is GetConn without options, under pgxpool's name.
func (p *Pool) Acquire(ctx context.Context) (*Conn, error) {
	if len(p.tracers.acquire) > 0 {
		return p.acquire(ctx, p.patience)
	}
	return p.lend(ctx, p.patience) // one call less: with TrackLeases its stack is walked
}

// acquire lends a plain connection. It tells tracers.
func (p *Pool) acquire(ctx context.Context, patience keyed.Patience) (*Conn, error) {
	if len(p.tracers.acquire) > 0 {
		return p.traced(ctx, func(ctx context.Context) (*Conn, error) { return p.lend(ctx, patience) })
	}
	return p.lend(ctx, patience)
}

func (p *Pool) lend(ctx context.Context, patience keyed.Patience) (*Conn, error) {
	lease, err := p.lease(ctx, patience)
	if err != nil {
		return nil, timed(err)
	}
	return p.newConn(lease), nil
}

// lease gets a lease, and waits for it as patience says.
func (p *Pool) lease(ctx context.Context, patience keyed.Patience) (*actor.Lease[*session], error) {
	switch patience {
	case keyed.Wait:
		return p.desk.Get(ctx)
	case keyed.NoWait:
		return p.desk.GetNoWait(ctx)
	default:
		return p.desk.TryGet(ctx)
	}
}

// TryGetConn lends an idle connection, or gives ErrExhausted. It opens none and waits
// for no borrower. If nothing is idle but the pool is pinging connections or rolling them
// back, it waits for one of them; with a ping that ShouldPing asks for that takes a second
// at most. What PrepareConn does comes on top. With [WithKey], one bound to the key counts as
// idle. Other errors: ErrClosed, ErrPaused, [*KeyError], [*RevokedError] (see [WithKey]),
// what Config.PrepareConn returns, and in an outage ErrUnavailable.
func (p *Pool) TryGetConn(opts ...GetOption) (*Conn, error) {
	ctx := context.Background()
	if key := gather(opts, GetOption.applyGet).key; key != nil {
		return p.share(ctx, keyed.Request[*session]{Key: key, Patience: keyed.Try})
	}
	return p.acquire(ctx, keyed.Try)
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

// AcquireAllIdle lends all connections that are idle now, those that the pool is pinging or
// rolling back included, for instance to look after them. It waits no longer than TryGetConn, and closes those that PrepareConn
// refuses or has an error for; ShouldPing is not asked. ctx goes to PrepareConn; once it has ended
// there is nothing. Each connection must be put back.
func (p *Pool) AcquireAllIdle(ctx context.Context) []*Conn {
	st := p.desk.Stat()
	idle := st.Idle + st.Mending // what the pool is looking after is nobody's
	conns := make([]*Conn, 0, idle)
	ctx = context.WithValue(ctx, allIdle{}, true)
	for range idle {
		c, err := p.acquire(ctx, keyed.Try)
		if errors.Is(err, ErrExhausted) {
			break // it may have waited for a ping; the next would again
		}
		if err == nil {
			conns = append(conns, c)
		}
	}
	return conns
}

// allIdle marks the context of AcquireAllIdle's gets.
type allIdle struct{}

// prepare decides about a connection that is about to be lent; see actor.Config.
func (p *Pool) prepare(ctx context.Context, s *session, proven bool) (actor.Verdict, error) {
	if ask := p.shouldPing; ask != nil && p.asks(s, proven) && ctx.Value(allIdle{}) == nil {
		if ask(ctx, ShouldPingParams{Conn: s.conn, IdleDuration: time.Since(s.rest)}) {
			s.pinged = true
			return actor.Check, nil // by a helper: giving up on it does not cost the connection
		}
	}
	s.pinged = false
	if p.prepareConn == nil {
		return actor.Keep, nil
	}
	ok, err := p.prepareConn(ctx, s.conn)
	if !ok || err != nil && ctx.Value(allIdle{}) != nil { // or AcquireAllIdle would meet it again
		return actor.Discard, err
	}
	return actor.Keep, err
}

// asks reports whether ShouldPing must be asked about s before it is lent. It need not if
// s is proven, which means just opened or pinged; pgxpool asks after opening, too.
func (p *Pool) asks(s *session, proven bool) bool {
	return !proven || p.config.Compat == CompatPgxpool && !s.pinged
}

// prepare returns PrepareConn, or a function that stands for it.
func (c *Config) prepare() func(context.Context, *pgx.Conn) (bool, error) {
	before := c.BeforeAcquire
	if c.PrepareConn != nil || before == nil {
		return c.PrepareConn
	}
	return func(ctx context.Context, conn *pgx.Conn) (bool, error) { return before(ctx, conn), nil }
}

// PutConn gives a connection back. It does no I/O and does not wait: a
// connection in a transaction is rolled back by the pool before the next
// borrower gets it, one that is closed or has unread rows is closed for good.
// Rows and batch results must be closed before, not after, the put. Bad
// arguments change nothing: ErrForeignConn for a connection of another pool,
// ErrNotLeased for one that has been put already, ErrWrongKey for a [WithKey]
// that is not the connection's. The error is a [*RevokedError] if the connection was
// closed under its borrower, by MaxLeaseTime or CloseAll (then it is ErrClosed too).
func (p *Pool) PutConn(c *Conn, opts ...PutOption) error {
	switch {
	case c == nil:
		return ErrForeignConn
	case c.lease == nil:
		return ErrNotLeased
	case c.lease.lender() == p:
	case c.session() == nil:
		return ErrNotLeased
	default:
		return ErrForeignConn
	}
	o := gather(opts, PutOption.applyPut)
	if p.alone != nil {
		if err := p.enter(); err != nil {
			return err
		}
		defer p.leave()
	}
	return c.lease.put(o)
}
