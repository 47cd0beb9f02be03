package pool

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/actor/keyed"
)

// A Pool lends PostgreSQL connections to any number of goroutines. Its methods
// may be called from all of them at once.
type Pool struct {
	config      *Config
	prepareConn func(context.Context, *pgx.Conn) (bool, error) // PrepareConn or BeforeAcquire
	shouldPing  func(context.Context, ShouldPingParams) bool   // ShouldPing, or what PingTimeout means
	trust       chan chan struct{}                             // of one: see doubtAll
	tracers     tracers
	desk        *actor.Supervisor[*session]
	keys        *keyed.Table[*session] // connections shared under keys
	bad         chan badAddresses      // of one: those that are tried last
	alone       chan struct{}          // of a Simple pool: a token inside says a call is under way
	patience    keyed.Patience         // of its gets: a Simple pool's do not wait for a borrower
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

// NewWithConfig makes a pool and returns at once: MinConns and MinIdleConns
// connections are opened in the background, with the values but not the
// cancellation of ctx; [Pool.WaitReady] waits for them. If the server cannot be
// reached, that is the error of the first get. NewWithConfig's own errors are a
// [*ConfigError] for a value that cannot be; it panics if config was not made by
// [ParseConfig].
func NewWithConfig(ctx context.Context, config *Config) (*Pool, error) {
	return start(ctx, config, false)
}

// start makes a pool; one that is alone has a single borrower, see [Simple].
func start(ctx context.Context, config *Config, alone bool) (*Pool, error) {
	if !config.parsed {
		panic("config must be created by ParseConfig")
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.Copy()
	config.settle()
	p := &Pool{
		config: config, prepareConn: config.prepare(), shouldPing: config.shouldPing(),
		bad: make(chan badAddresses, 1), trust: make(chan chan struct{}, 1),
	}
	p.bad <- nil
	p.trust <- make(chan struct{})
	if alone {
		p.alone, p.patience = make(chan struct{}, 1), keyed.NoWait
	}
	var err error
	if p.tracers, err = newTracers(p.config); err != nil {
		return nil, err
	}
	started := make(chan struct{}) // events may come before there is a table
	if p.desk, err = actor.Start(ctx, p.actorConfig(started)); err != nil {
		return nil, err
	}
	p.keys = p.newTable()
	close(started)
	return p, nil
}

// actorConfig says to the supervisor how connections are handled.
func (p *Pool) actorConfig(started <-chan struct{}) actor.Config[*session] {
	c := p.config
	a := actor.Config[*session]{
		Open:         p.open,
		Close:        p.close,
		Fault:        (*session).faulty,
		Kill:         (*session).kill,
		Judge:        (*session).judge,
		Look:         (*session).look,
		LookAfter:    restless,
		Clean:        func(ctx context.Context, s *session) error { return s.warn(s.clean(ctx)) },
		Check:        func(ctx context.Context, s *session) error { return s.warn(s.check(ctx)) },
		OpenTimeout:  c.connectBudget(),
		CleanTimeout: mendTime,
		CheckTimeout: c.pingLimit(),
		Permanent:    c.permanent(),
		MaxOpen:      int(c.MaxConns),
		MinOpen:      int(c.MinConns),
		MinIdle:      int(c.MinIdleConns),
		MaxIdle:      int(c.MaxIdleConns),
		MaxAge:       c.MaxConnLifetime,
		AgeJitter:    c.MaxConnLifetimeJitter,
		MaxRest:      c.MaxConnIdleTime,
		CheckPeriod:  c.HealthCheckPeriod,
		KeepAlive:    c.KeepAlive,
		MaxWaiting:   int(c.MaxWaiting),
		GetTimeout:   c.AcquireTimeout,
		MaxDials:     int(c.MaxConcurrentDials),
		Outage:       c.OutagePolicy,
		MaxLease:     c.MaxLeaseTime,
		Track:        c.TrackLeases,
		Label:        label,
		Wrappers:     wrappers,
		Complete: func(leases []LeaseInfo) {
			<-started
			p.complete(leases)
		},
		BackoffMin:       c.BackoffMin,
		BackoffMax:       c.BackoffMax,
		ReconnectTimeout: c.ReconnectTimeout,
		OnEvent:          c.OnEvent,
	}
	if p.shouldPing != nil || p.prepareConn != nil {
		a.Prepare = p.prepare
	}
	return a
}

// mendTime is how long a rollback and AfterRelease may take, and a ping without
// PingTimeout.
const mendTime = 5 * time.Second

// NewThreaded makes a pool as psycopg2's ThreadedConnectionPool does: minconn
// connections are open when it returns, and there are never more than maxconn.
// A get waits, in order, while all maxconn are lent. Whatever else connString
// says of the pool holds too, such as pool_max_conn_lifetime; pool_max_conns and
// pool_min_conns have no effect here.
//
// minconn must be 0 or more and maxconn at least 1 and not less than minconn,
// else the error is a [*ConfigError]. If the minconn connections cannot be opened,
// those that were are closed again, and the error, an ErrUnavailable,
// wraps the failure. NewThreaded blocks until the connections are open or ctx
// ends; then the error is a [*WaitError] too.
//
// psycopg2's getconn does not wait: [NoWait] has a get do as that does. What psycopg2 takes
// as further arguments is in connString, or set by [Configure].
func NewThreaded(ctx context.Context, minconn, maxconn int, connString string, opts ...Option) (*Pool, error) {
	return open(ctx, minconn, maxconn, connString, false, opts)
}

// open makes a pool of whose connections minconn are open.
func open(ctx context.Context, minconn, maxconn int, connString string, alone bool, opts []Option) (*Pool, error) {
	if err := checkSizes("minconn", int64(minconn), "maxconn", int64(maxconn)); err != nil {
		return nil, err
	}
	config, err := ParseConfig(connString)
	if err != nil {
		return nil, err
	}
	sizes := func(c *Config) { c.MinConns, c.MaxConns = int32(minconn), int32(maxconn) }
	sizes(config)
	for _, o := range opts {
		o.applyTo(config)
	}
	sizes(config)
	p, err := start(ctx, config, alone)
	if err != nil {
		return nil, err
	}
	if err := timed(p.desk.Ready(ctx)); err != nil {
		// Nobody has a connection yet, so this takes no longer than its grace.
		_ = p.CloseAll(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("opening %d connections: %w", minconn, err)
	}
	return p, nil
}

// Config returns a copy of the configuration the pool was made with, with the MinConns and
// MaxConns that Resize has set, and no more idle connections than MaxConns.
func (p *Pool) Config() *Config {
	c, now := p.config.Copy(), p.desk.Stat()
	c.MinConns, c.MaxConns = int32(now.Minimum), int32(now.Limit)
	c.MinIdleConns, c.MaxIdleConns = min(c.MinIdleConns, c.MaxConns), min(c.MaxIdleConns, c.MaxConns)
	return c
}

// CloseAll ends the pool. Gets that wait, and all that come later, get
// ErrClosed; idle connections are closed, connects under way cancelled.
// Borrowers may finish until ctx ends: then the sockets of the connections
// still lent are closed under them, and the error is a [*CloseError] that
// describes the leases. With an ended ctx that happens at once, as psycopg2's
// closeall does it. CloseAll returns a grace of 250 ms after the end of ctx at
// the latest, and once OnEvent was told of everything, for which it waits another 250 ms at
// most. A second call gets ErrClosed; one that comes while the first
// still waits shares its result.
func (p *Pool) CloseAll(ctx context.Context) error {
	return timed(p.desk.CloseAll(ctx))
}

// Close ends the pool and blocks until every borrower has put its connection,
// however long that takes; see [Pool.CloseAll], which can be told how long.
// Calling it again does nothing.
func (p *Pool) Close() { _ = p.CloseAll(context.Background()) }
