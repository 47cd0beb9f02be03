package pool

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/actor/keyed"
)

// A Keying says how the gets of a keyed view of a pool come by their keys, and what
// is done to a connection that is bound to one; see [Pool.Keyed]. Package
// persistent is built on it.
type Keying struct {
	// Key finds the key of a get in its context. Its error is the get's. It is
	// called in the borrower's goroutine. Required.
	Key func(ctx context.Context) (any, error)

	// Tenant finds in the context of a get for whom OnBind sets the connection up: any
	// value that is comparable. While a connection is bound to a key for one tenant, or is
	// being fetched for one, gets and puts of that key for another are refused with a
	// [*TenantError]. Its error is the get's. It is called in the borrower's goroutine, by
	// every get. Default: none; everybody with the key shares the connection.
	Tenant func(ctx context.Context) (any, error)

	// OnBind is called when a connection is bound to a key, before anybody gets it: by the
	// get that fetched it, with its context. It is told for whom: the tenant if there is a
	// Tenant function, else the key. It must not get a connection under the same key, which
	// would wait for itself. An error goes to all that wait for the key then; so does a
	// connection that is left closed, busy or in a transaction. A panic costs the
	// connection. Default: none.
	OnBind func(ctx context.Context, who any, c *pgx.Conn) error

	// OnUnbind is called when the last holder has put the connection, once an open
	// transaction is rolled back, and undoes what OnBind and the holders did; it is told
	// for whom, as OnBind was. If it fails, or is not given although OnBind is, the session
	// is reset; after a [DiscardAll] in it AfterConnect is called again. It is called in a
	// goroutine of the pool's and has, with the reset, 5 seconds; after that, or a panic, the
	// connection is closed. It is not called for a connection that is closed instead of kept.
	// Default: none.
	OnUnbind func(ctx context.Context, who any, c *pgx.Conn) error

	// ShowKey is Config.ShowKey for the keys of this view. Default: that of the pool.
	ShowKey func(key any) string
}

// A Keyed lends the connections of a pool under keys that it finds in the contexts of
// its gets; see [Pool.Keyed]. Its methods may be called from any number of goroutines.
type Keyed struct {
	pool   *Pool
	keying Keying
}

// Keyed returns a view of the pool whose gets are all under the key that k finds in their
// contexts. The leases end with their contexts: one that is not in use goes
// back at once, a statement that is running, or whose results are open, is
// cancelled first, and a connection that is still used after 500 ms is closed under
// its user. To put such a lease later is no error. Everything else is the pool's:
// its connections, limits and statistics, and its end. The error is a [*ConfigError].
//
// To reset a session is to drop its prepared statements, DISCARD ALL, and
// AfterConnect; if that fails the connection is closed.
func (p *Pool) Keyed(k Keying) (*Keyed, error) {
	if k.Key == nil {
		return nil, &ConfigError{Field: "Key", Value: nil, Reason: "is required"}
	}
	return &Keyed{p, k}, nil
}

// GetConn lends the connection bound to the key in ctx; see [Pool.GetConn]. [WithKey] is
// refused with a [*KeyError].
func (k *Keyed) GetConn(ctx context.Context, opts ...GetOption) (*Conn, error) {
	o := gather(opts, GetOption.applyGet)
	if o.key != nil {
		return nil, &KeyError{Key: o.key, Reason: "the key is the one in the context"}
	}
	return k.get(ctx, false, o.patience)
}

// borrow gets a connection for a verb of k's, which alone puts it.
func (k *Keyed) borrow(ctx context.Context) (*Conn, error) { return k.get(ctx, true, keyed.Wait) }

func (k *Keyed) get(ctx context.Context, own bool, patience keyed.Patience) (*Conn, error) {
	b, err := k.binding(ctx)
	if err != nil {
		return nil, err
	}
	r := keyed.Request[*session]{Key: b.key, Tenant: b.tenant, Tied: true, Own: own, Patience: patience}
	if k.keying.OnBind != nil || k.keying.OnUnbind != nil {
		r.Bind = func(ctx context.Context, s *session) error { return s.bind(ctx, b) }
	}
	sc := scopeOf(ctx, b.key)
	var c *Conn
	if sc.tx != nil {
		c, err = sc.tx.share(ctx, r)
	} else {
		c, err = k.pool.share(ctx, r)
	}
	if err != nil {
		return nil, unwrapKey(err)
	}
	if sc.keeper != nil {
		sc.keeper.keep(c, b.tenant)
	}
	return c, nil
}

// binding finds in ctx what a connection is bound for.
func (k *Keyed) binding(ctx context.Context) (b binding, err error) {
	b.keying = &k.keying
	key, err := k.keying.Key(ctx)
	if err != nil {
		return b, err
	}
	b.key, b.who = boundKey{b.keying, key}, key
	if k.keying.Tenant != nil {
		b.tenant, err = k.keying.Tenant(ctx)
		b.who = b.tenant
	}
	return b, err
}

// PutConn gives a connection back; see [Pool.PutConn].
func (k *Keyed) PutConn(c *Conn, opts ...PutOption) error { return k.pool.PutConn(c, opts...) }

// Put gives back the newest lease of the key in ctx, those of k's own verbs and of
// [Keyed.Hold] aside: of those got with ctx, or with a context that ends with it, if there
// are any, else of all. If ctx has ended only the former count, and that there are none is
// no error: they have gone back. It does not wait. Errors: ErrNotLeased if the key has no
// lease, [*KeyError], [*TenantError], ErrClosed, those of Keying's functions.
func (k *Keyed) Put(ctx context.Context, opts ...PutOption) error {
	b, err := k.binding(ctx)
	if err != nil {
		return err
	}
	return unwrapKey(k.pool.keys.PutFor(ctx, b.key, b.tenant, gather(opts, PutOption.applyPut).close))
}

// PutKey gives back the newest lease of a key; see [WithKey] and [Keyed.Put], whose
// errors it returns.
func (p *Pool) PutKey(ctx context.Context, key any, opts ...PutOption) error {
	return p.keys.Put(ctx, key, gather(opts, PutOption.applyPut).close)
}

// newTable makes the table of the pool's keys.
func (p *Pool) newTable() *keyed.Table[*session] {
	c := keyed.Config[*session]{
		Get: func(ctx context.Context, patience keyed.Patience) (keyed.Lease[*session], error) {
			return p.lease(ctx, patience)
		},
		Closing:  p.desk.Closing(),
		Timeout:  p.config.AcquireTimeout,
		MaxLease: p.config.MaxLeaseTime,
		Explain:  p.desk.Explain,
		ShowKey:  p.shownKey,
		OnLeak:   p.desk.NoteLeak,
	}
	if len(p.tracers.release) > 0 {
		c.OnEnd = func(s *session) { p.tellRelease(s.conn) }
	}
	if p.config.TrackLeases {
		c.Origin = func(ctx context.Context) keyed.Origin { return p.desk.Origin(ctx) }
	}
	return keyed.New(c)
}

// share gets a hold on the connection that is bound to a key.
func (p *Pool) share(ctx context.Context, r keyed.Request[*session]) (*Conn, error) {
	return p.holding(ctx, func(ctx context.Context) (*keyed.Hold[*session], error) { return p.keys.Get(ctx, r) })
}

// again gets another hold on the connection that c shares, while c has it.
func (p *Pool) again(ctx context.Context, c *Conn, r keyed.Request[*session]) (*Conn, error) {
	return p.holding(ctx, func(ctx context.Context) (*keyed.Hold[*session], error) { return c.hold().Share(ctx, r) })
}

// holding makes the handle of the hold that get returns. It tells tracers.
func (p *Pool) holding(ctx context.Context, get func(context.Context) (*keyed.Hold[*session], error)) (*Conn, error) {
	lend := func(ctx context.Context) (*Conn, error) {
		hold, err := get(ctx)
		if err != nil {
			return nil, timed(err)
		}
		return p.newShared(hold), nil
	}
	if len(p.tracers.acquire) > 0 {
		return p.traced(ctx, lend)
	}
	return lend(ctx)
}

// complete adds the keys and their holders to descriptions of leases.
func (p *Pool) complete(leases []LeaseInfo) { p.keys.Complete(leases) }

// A boundKey is the table's key for the key of a Keyed's get: no two of them share
// connections.
type boundKey struct {
	keying *Keying
	key    any
}

// A binding says what a connection is bound for.
type binding struct {
	keying *Keying
	key    any // a boundKey
	tenant any // nil without Keying.Tenant
	who    any // what the hooks are told: the tenant, or the key
}

// ofUser returns the key as the user knows it, and the function that shows it, if there
// is one. A key may stand for something else, as package persistent's do.
func (p *Pool) ofUser(key any) (any, func(key any) string) {
	show := p.config.ShowKey
	if k, ok := key.(boundKey); ok {
		key = k.key
		if k.keying.ShowKey != nil {
			show = k.keying.ShowKey
		}
	}
	if k, ok := key.(interface{ Identity() any }); ok {
		key = k.Identity()
	}
	return key, show
}

// shownKey is what users see of a key; see Config.ShowKey.
func (p *Pool) shownKey(key any) (shown any) {
	key, show := p.ofUser(key)
	if show == nil {
		return actor.ShownKey(key)
	}
	defer func() {
		if recover() != nil { // an error of one borrower must not cost another one more
			shown = actor.ShownKey(key)
		}
	}()
	return actor.ShownKey(show(key))
}

// unwrapKey has a KeyError name the key as the user knows it.
func unwrapKey(err error) error {
	if e, ok := err.(*KeyError); ok {
		if k, ok := e.Key.(boundKey); ok {
			return &KeyError{Key: k.key, Reason: e.Reason}
		}
	}
	return err
}

// bind makes the session the key's, by OnBind.
func (s *session) bind(ctx context.Context, b binding) error {
	s.bound = &b
	hook := b.keying.OnBind
	if hook == nil {
		return nil
	}
	if err := hook(ctx, b.who, s.conn); err != nil {
		return err
	}
	if s.state() != actor.Keep {
		return errUnfitBound
	}
	return nil
}

var errUnfitBound = errors.New("OnBind left the connection closed, busy or in a transaction")

// unbind calls OnUnbind, or resets the session.
func (s *session) unbind(ctx context.Context) error {
	b := s.bound
	s.bound = nil
	delete(s.conn.PgConn().CustomData(), discarded) // a borrower may have called it
	if hook := b.keying.OnUnbind; hook != nil {
		if hook(ctx, b.who, s.conn) == nil && s.state() == actor.Keep {
			forgetNotifications(s.conn)
			if _, yes := s.conn.PgConn().CustomData()[discarded]; yes {
				return s.restore(ctx)
			}
			return nil
		}
		if s.state() == actor.Clean {
			if err := s.rollback(ctx); err != nil {
				return err
			}
		}
	}
	return s.reset(ctx)
}
