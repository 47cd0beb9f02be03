package pool

import (
	"context"
	"fmt"

	"github.com/pgactor/pgactor/actor"
)

// A Pool lends PostgreSQL connections to any number of goroutines. Its methods
// may be called from all of them at once.
type Pool struct {
	config *Config
	desk   *actor.Supervisor[*session]
	alone  chan struct{} // of a Simple pool: a token inside says a call is under way
}

// ConnectionPool is what every pool of this module does: psycopg2's
// AbstractConnectionPool as an interface.
type ConnectionPool interface {
	GetConn(ctx context.Context, opts ...GetOption) (*Conn, error)
	PutConn(c *Conn, opts ...PutOption) error
	CloseAll(ctx context.Context) error
}

var (
	_ ConnectionPool = (*Pool)(nil)
	_ ConnectionPool = (*Simple)(nil)
)

// New makes a pool from a connection string; see [ParseConfig] and
// [NewWithConfig].
func New(ctx context.Context, connString string) (*Pool, error) {
	config, err := ParseConfig(connString)
	if err != nil {
		return nil, err
	}
	return NewWithConfig(ctx, config)
}

// NewWithConfig makes a pool and returns at once: MinConns connections are
// opened in the background, with the values but not the cancellation of ctx. If
// the server cannot be reached, that is the error of the first get. NewWithConfig's
// own errors are a [*ConfigError] for a value that cannot be; it panics if config
// was not made by [ParseConfig].
func NewWithConfig(ctx context.Context, config *Config) (*Pool, error) {
	if !config.parsed {
		panic("pool: config must be made by ParseConfig")
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	p := &Pool{config: config.Copy()}
	desk, err := actor.Start(ctx, actor.Config[*session]{
		Open:      p.open,
		Close:     func(ctx context.Context, s *session) error { return s.close(ctx) },
		Kill:      (*session).kill,
		Judge:     (*session).judge,
		Look:      (*session).look,
		Clean:     func(ctx context.Context, s *session) error { return s.rollback(ctx) },
		Check:     func(ctx context.Context, s *session) error { return s.check(ctx) },
		Permanent: permanent,
		LookAfter: restless,
		MaxOpen:   int(config.MaxConns),
		MinOpen:   int(config.MinConns),
		MaxDials:  int(config.MaxConcurrentDials),
		Outage:    config.OutagePolicy,
	})
	if err != nil {
		return nil, err
	}
	p.desk = desk
	return p, nil
}

// NewThreaded makes a pool as psycopg2's ThreadedConnectionPool does: minconn
// connections are open when it returns, and there are never more than maxconn.
// Connections are kept open when they are put, all of them. A get waits, in
// order, while all maxconn are lent.
//
// minconn must be 0 or more and maxconn at least 1 and not less than minconn,
// else the error is a [*ConfigError]. If one of the minconn connections cannot
// be opened, those that were are closed again, and the error, an ErrUnavailable,
// wraps the failure. NewThreaded blocks until the connections are open or ctx
// ends; then the error is a [*WaitError] too. pool_max_conns and pool_min_conns in
// connString have no effect here.
func NewThreaded(ctx context.Context, minconn, maxconn int, connString string) (*Pool, error) {
	if err := checkSizes("minconn", int64(minconn), "maxconn", int64(maxconn)); err != nil {
		return nil, err
	}
	config, err := ParseConfig(connString)
	if err != nil {
		return nil, err
	}
	config.MinConns, config.MaxConns = int32(minconn), int32(maxconn)
	p, err := NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := p.desk.Ready(ctx); err != nil {
		// Nobody has a connection yet, so this takes no longer than its grace.
		_ = p.desk.CloseAll(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("opening %d connections: %w", minconn, err)
	}
	return p, nil
}

// GetConn lends a connection: an idle one, or the first that is put or opened.
// It blocks until ctx ends at the latest; then errors.Is finds the context's
// error, and a [*WaitError] tells what was waited for. Those who wait are served
// in the order of their arrival. A ctx that has ended before fails even if a
// connection is idle. With [WithKey] it lends the connection bound to
// the key; a key that cannot be one is a [*KeyError]. Other errors: ErrClosed,
// ErrUnavailable.
//
// Put the connection back with [Pool.PutConn] or [Conn.Release].
func (p *Pool) GetConn(ctx context.Context, opts ...GetOption) (*Conn, error) {
	if len(opts) == 0 {
		lease, err := p.desk.Get(ctx)
		if err != nil {
			return nil, err
		}
		return (*Conn)(lease), nil
	}
	return p.get(ctx, actor.Wait, opts)
}

// TryGetConn lends an idle connection, or gives ErrExhausted. It neither waits
// nor opens a connection. With [WithKey], one bound to the key counts as idle, and
// one that has rested is looked at first, which may take a second. Other errors: ErrClosed, [*KeyError], and in an outage ErrUnavailable.
func (p *Pool) TryGetConn(opts ...GetOption) (*Conn, error) {
	return p.get(context.Background(), actor.TryOnly, opts)
}

func (p *Pool) get(ctx context.Context, patience actor.Patience, opts []GetOption) (*Conn, error) {
	o := gather(opts, GetOption.applyGet)
	lease, err := p.desk.GetWith(ctx, actor.Request{Key: o.key, Patience: patience})
	if err != nil {
		return nil, err
	}
	return (*Conn)(lease), nil
}

// PutConn gives a connection back. It does no I/O and waits for nobody: a
// connection in a transaction is rolled back by the pool before the next
// borrower gets it, one that is closed or has unread rows is closed for good.
// Rows and batch results must be closed before, not after, the put. Bad
// arguments change nothing: ErrForeignConn for a connection of another pool,
// ErrNotLeased for one that has been put already, ErrWrongKey for a [WithKey]
// that is not the connection's. ErrClosed says that CloseAll has taken
// the connection away and ended.
func (p *Pool) PutConn(c *Conn, opts ...PutOption) error {
	s := c.session()
	switch {
	case c == nil:
		return ErrForeignConn
	case s == nil:
		return ErrNotLeased
	case s.pool != p:
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
	if o.close {
		return c.lease().Discard()
	}
	return c.lease().Put()
}

// CloseAll ends the pool. Gets that wait, and all that come later, get
// ErrClosed; idle connections are closed, connects under way cancelled.
// Borrowers may finish until ctx ends: then the sockets of the connections
// still lent are closed under them, and the error is a [*CloseError] that
// describes the leases. With an ended ctx that happens at once, as psycopg2's
// closeall does it. CloseAll returns a grace of 250 ms after the end of ctx at
// the latest. A second call gets ErrClosed; one that comes while the first
// still waits shares its result.
func (p *Pool) CloseAll(ctx context.Context) error {
	return p.desk.CloseAll(ctx)
}

// Config returns a copy of the configuration.
func (p *Pool) Config() *Config { return p.config.Copy() }
