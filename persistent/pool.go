package persistent

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
)

// ErrIdentityBusy is the answer to a use of an identity's connection while it is in
// use: by another goroutine, or because rows or the results of a batch are open.
// The error is a [*pool.BusyError], which says which.
var ErrIdentityBusy = pool.ErrBusy

// A Pool lends each identity the connection that is its own. Its methods may be
// called from any number of goroutines.
type Pool struct {
	pool *pool.Pool  // all of it
	view *pool.Keyed // by identity
}

var _ pool.ConnectionPool = (*Pool)(nil)

// A Profile says how a connection becomes an identity's, and how it stops being
// that: for instance with SET ROLE and RESET ROLE. What it does never reaches the
// next borrower.
type Profile struct {
	// Tenant finds in a context for whom OnBind sets the connection up, such as the tenant
	// or the role of a request: any value that is comparable. What was set up for one tenant
	// is never lent to another: while an identity has a connection, a get with a context of
	// another tenant is refused with ErrOtherTenant. So two requests that come by the same
	// identity, whatever the reason, do not meet. An error, for instance of a context without
	// a tenant, is that of the get. Tenant is called by every get and Put, in the borrower's
	// goroutine. Default: none; everybody with the identity shares the connection.
	Tenant func(ctx context.Context) (any, error)

	// OnBind is called when a connection is bound to an identity, before anybody gets it,
	// by the get that fetched it and with its context. who is the tenant, or the identity if
	// there is no Tenant function. It works on c: the pool would have it wait for itself. If
	// it fails, or leaves the connection closed, busy or in a transaction, those that wait
	// get the error, and OnUnbind is called, or what stands for it. A panic costs the
	// connection. Default: none.
	OnBind func(ctx context.Context, who any, c *pgx.Conn) error

	// OnUnbind is called when the last reference is given back, in a goroutine of the
	// pool's, with a context that has no values of anybody's and the who of OnBind, once an
	// open transaction is rolled back: it undoes what OnBind and the borrowers did to the
	// session. If it fails, or is nil although OnBind is not, the session is reset: its
	// prepared statements are dropped, DISCARD ALL, and the pool's AfterConnect is called
	// again; if that fails too, the connection is closed. It has, with all that, 5 seconds.
	// It is not called for a connection that is closed. Default: none.
	OnUnbind func(ctx context.Context, who any, c *pgx.Conn) error
}

// ErrOtherTenant is the answer to a get, or a Put, of an identity whose connection is set
// up for another tenant; see [Profile]. The error is a [*pool.TenantError], which names
// neither tenant.
var ErrOtherTenant = pool.ErrOtherTenant

// An Option changes what New makes; see [WithProfile] and [WithShownIdentity].
type Option func(*pool.Keying)

// WithProfile sets what is done to a connection that is bound to an identity.
// Without a profile session state stays, as in psycopg2.
func WithProfile(p Profile) Option {
	return func(k *pool.Keying) {
		k.Tenant, k.OnBind, k.OnUnbind = p.Tenant, ofIdentity(p.OnBind), ofIdentity(p.OnUnbind)
	}
}

// WithShownIdentity sets what errors, events, the log and Leases show of an identity; see
// ShowKey of [pool.Config], which is the default.
func WithShownIdentity(show func(id any) string) Option {
	return func(k *pool.Keying) { k.ShowKey = show }
}

type hook = func(ctx context.Context, who any, c *pgx.Conn) error

// ofIdentity gives a hook the identity that is the key, or the tenant.
func ofIdentity(h hook) hook {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, who any, c *pgx.Conn) error {
		if i, ok := who.(identity); ok {
			who = i.Identity()
		}
		return h(ctx, who, c)
	}
}

// New makes a pool from a connection string; see [pool.ParseConfig] and
// [NewWithConfig].
func New(ctx context.Context, connString string, opts ...Option) (*Pool, error) {
	config, err := pool.ParseConfig(connString)
	if err != nil {
		return nil, err
	}
	return NewWithConfig(ctx, config, opts...)
}

// NewWithConfig makes a pool and returns at once; see [pool.NewWithConfig], whose
// errors it returns.
func NewWithConfig(ctx context.Context, config *pool.Config, opts ...Option) (*Pool, error) {
	p, err := pool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return Over(p, opts...)
}

// Over makes a persistent pool of the connections of p, whose ordinary borrowers
// are served beside it. Several over one pool share no bound connections, so each
// may have a profile of its own. CloseAll ends p. The error is a
// [*pool.ConfigError] for a nil p.
func Over(p *pool.Pool, opts ...Option) (*Pool, error) {
	if p == nil {
		return nil, &pool.ConfigError{Field: "pool", Value: nil, Reason: "is required"}
	}
	k := pool.Keying{Key: keyOf}
	for _, opt := range opts {
		opt(&k)
	}
	view, err := p.Keyed(k)
	if err != nil {
		return nil, err
	}
	return &Pool{pool: p, view: view}, nil
}

// Pool is the pool whose connections are lent: for its statistics, Resize, Pause
// and the like, and for borrowers without identity.
func (p *Pool) Pool() *pool.Pool { return p.pool }

// GetConn lends the connection of the identity in ctx: the one it has, or an idle
// one, or the first that is put or opened, which is bound to it then. It returns a
// handle of its own, and blocks until ctx ends at the latest. The handle ends with
// its put or with ctx: then a statement that runs on it is cancelled, and a
// connection that is used on nevertheless for 500 ms is closed. Once it is closed, for
// that or for the pool's MaxLeaseTime, every use of it and every get of the identity is
// pool.ErrRevoked, until all references have gone back (or for MaxLeaseTime, if that is
// shorter), so that nobody goes on elsewhere, outside the identity's transaction,
// unawares. Then the identity gets another one. Errors: ErrNoIdentity, ErrOtherTenant,
// [*pool.KeyError] for an identity that cannot be compared and for
// [pool.WithKey], those of [pool.Pool.GetConn], and those of Tenant and OnBind.
//
// A connection from [pool.Conn.Conn] is not watched: whoever uses it sees to it that
// nobody else does.
func (p *Pool) GetConn(ctx context.Context, opts ...pool.GetOption) (*pool.Conn, error) {
	return p.view.GetConn(ctx, opts...)
}

// PutConn gives one reference back, and the connection with the last; see
// [pool.Pool.PutConn]. A handle that its context has ended may be put once: nothing
// is left to do then, and there is no error.
func (p *Pool) PutConn(c *pool.Conn, opts ...pool.PutOption) error {
	return p.view.PutConn(c, opts...)
}

// Put gives back the newest reference that GetConn gave to the identity in ctx: of those got
// with this context, or with one that ends with it, if there are any, else of all.
// After the end of ctx only the former count: they have gone back, which is no error.
// It is psycopg2's putconn without a connection. It does not wait. Errors:
// ErrNoIdentity, ErrOtherTenant, pool.ErrNotLeased if the identity has none,
// pool.ErrClosed, [*pool.KeyError].
func (p *Pool) Put(ctx context.Context, opts ...pool.PutOption) error {
	return p.view.Put(ctx, opts...)
}

// Hold keeps the connection of the identity in ctx: from the first use with the context
// that it returns, or with one derived from it, until release is called or ctx ends. For a
// middleware:
//
//	ctx, release := p.Hold(persistent.NewIdentity(r.Context()))
//	defer release()
//	next.ServeHTTP(w, r.WithContext(ctx))
//
// Without it every verb outside a transaction gets a connection and puts it back, with
// OnBind and OnUnbind, and what the session has is gone: temporary tables, settings,
// advisory locks, LISTEN. With it they are there for the next statement of the request.
// Hold takes no connection, so it never waits, and a request without a statement takes
// none.
//
// An open transaction is rolled back at the release. If the connection dies, or is closed
// under its borrowers, the identity's statements fail until then: what belongs to the
// session is lost. Holds of one identity may be nested: it keeps the connection until all
// are released. A release that is called again does nothing. A context without an identity
// is returned as it is.
func (p *Pool) Hold(ctx context.Context) (held context.Context, release func()) {
	return p.view.Hold(ctx)
}

// CloseAll ends the pool, with all its connections; see [pool.Pool.CloseAll]. So it
// does for a pool that was given to Over.
func (p *Pool) CloseAll(ctx context.Context) error { return p.pool.CloseAll(ctx) }
