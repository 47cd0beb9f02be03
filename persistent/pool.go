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
	pool *pool.Pool // all of it
	view *pool.Pool // keyed by identity
}

var _ pool.ConnectionPool = (*Pool)(nil)

// A Profile says how a connection becomes an identity's, and how it stops being
// that: for instance with SET ROLE and RESET ROLE. What it does never reaches the
// next borrower.
type Profile struct {
	// OnBind is called when a connection is bound to an identity, before anybody
	// gets it, in a goroutine of the pool's, with the values (not the cancellation) of
	// the context of the first who waits for it. It has 5 seconds (or PingTimeout, if
	// that is longer), with what PrepareConn and a ping take before. It works on c: the
	// pool would have it wait for itself. If it fails, or leaves the connection closed,
	// busy or in a transaction, those who wait get the error, and OnUnbind is called, or
	// what stands for it. Default: none.
	OnBind func(ctx context.Context, id any, c *pgx.Conn) error

	// OnUnbind is called when the last reference is given back, in a goroutine of
	// the pool's with a context that has no values of anybody's, once an open
	// transaction is rolled back: it undoes what OnBind and
	// the borrowers did to the session. If it fails, or is nil although OnBind is
	// not, the session is reset: its prepared statements are dropped, DISCARD ALL, and
	// the pool's AfterConnect is called again; if that fails too, the connection is
	// closed. It has, with all that, 5 seconds. It is not called for a connection that
	// is closed. Default: none.
	OnUnbind func(ctx context.Context, id any, c *pgx.Conn) error
}

// An Option changes what New makes; see [WithProfile].
type Option func(*pool.Keying)

// WithProfile sets what is done to a connection that is bound to an identity.
// Without a profile session state stays, as in psycopg2.
func WithProfile(p Profile) Option {
	return func(k *pool.Keying) { k.OnBind, k.OnUnbind = p.hooks() }
}

type hook = func(ctx context.Context, key any, c *pgx.Conn) error

func (p Profile) hooks() (bind, unbind hook) {
	return ofIdentity(p.OnBind), ofIdentity(p.OnUnbind)
}

// ofIdentity gives a hook the identity that is the key.
func ofIdentity(h hook) hook {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, key any, c *pgx.Conn) error {
		return h(ctx, key.(identity).Identity(), c)
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
// unawares. Then the identity gets another one. Errors: ErrNoIdentity,
// [*pool.KeyError] for an identity that cannot be compared and for
// [pool.WithKey], those of [pool.Pool.GetConn], and those of OnBind.
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
// ErrNoIdentity, pool.ErrNotLeased if the identity has none, pool.ErrClosed,
// [*pool.KeyError].
func (p *Pool) Put(ctx context.Context, opts ...pool.PutOption) error {
	return p.view.PutKey(ctx, nil, opts...)
}

// CloseAll ends the pool, with all its connections; see [pool.Pool.CloseAll]. So it
// does for a pool that was given to Over.
func (p *Pool) CloseAll(ctx context.Context) error { return p.pool.CloseAll(ctx) }
