package pool

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config configures a [Pool]. It must be made by [ParseConfig] and may then be
// changed; a pool keeps a copy of its own. The fields that pgxpool's Config has
// mean what they mean there.
//
// The hooks run in goroutines of the pool's, several at a time, unless they say
// otherwise: there a panic costs the connection and counts as the failure of what
// was being done, and nobody else sees it. In a borrower's goroutine it costs the
// connection and goes on.
type Config struct {
	// ConnConfig says where the server is and how to talk to it. Its Tracer may
	// be an [AcquireTracer] or [ReleaseTracer] too.
	ConnConfig *pgx.ConnConfig

	// BeforeConnect is called before a connection is made, with a copy of
	// ConnConfig that it may change, for instance to set a fresh password. An
	// error counts as a failure to connect. Default: none.
	BeforeConnect func(ctx context.Context, c *pgx.ConnConfig) error

	// AfterConnect is called with every new connection before anybody else
	// sees it, for instance to register types. An error closes it and counts as
	// a failure to connect, and so does a connection that it leaves closed, busy
	// or in a transaction. Default: none.
	AfterConnect func(ctx context.Context, c *pgx.Conn) error

	// BeforeAcquire is called before a connection is lent, where PrepareConn
	// would be: false closes it, and the borrower gets another one.
	//
	// Deprecated: use PrepareConn. BeforeAcquire is ignored if both are set.
	BeforeAcquire func(ctx context.Context, c *pgx.Conn) bool

	// PrepareConn is called before a connection is lent, in the borrower's
	// goroutine with the context of its get. For a get with a key it is called
	// when the key is bound, in a goroutine of the pool's, with the values of that
	// context, and has 5 seconds (or PingTimeout, if that is longer).
	//
	//   - true and nil: the connection is lent.
	//   - true and an error: it stays in the pool, the get fails with the error.
	//   - false and an error: it is closed, the get fails with the error.
	//   - false and nil: it is closed, and the get goes on with another one. After
	//     more than MaxConns new ones that were refused the get fails with
	//     ErrUnavailable.
	//
	// Default: none.
	PrepareConn func(ctx context.Context, c *pgx.Conn) (bool, error)

	// ResetSession is called with a connection that was put, once an open
	// transaction is rolled back and before anybody else gets it, and takes back what
	// the borrower did to the session; [DiscardAll] does. It has 5 seconds. An error
	// closes the connection, and so does leaving it busy or in a transaction. Every put
	// costs a goroutine and what it does. Default: none; session state stays, as in
	// psycopg2.
	ResetSession func(ctx context.Context, c *pgx.Conn) error

	// AfterRelease is called with a connection that was put, once an open
	// transaction is rolled back and before anybody else gets it. It has 5 seconds;
	// false closes the connection. Default: none.
	AfterRelease func(c *pgx.Conn) bool

	// BeforeClose is called before a connection is closed, unless CloseAll takes
	// it from its borrower. It has 250 ms. Default: none.
	BeforeClose func(c *pgx.Conn)

	// ShouldPing is asked about an idle connection that is about to be lent, in
	// the borrower's goroutine: true has it pinged first, and replaced if the ping
	// fails. A get that ends during the ping leaves it to the pool; TryGetConn waits
	// for it, for a second at most. A connection just opened or pinged is not asked
	// about, unless Compat is CompatPgxpool. Default: none.
	// The pool looks at the sockets of connections that have rested for a
	// millisecond in any case; that needs no round trip.
	ShouldPing func(ctx context.Context, params ShouldPingParams) bool

	// MaxConnLifetime is how long after it was opened a connection is lent no
	// more: it is closed then if it is idle, and when it is put if it is lent.
	// Zero: no limit. Default: 1 hour.
	MaxConnLifetime time.Duration

	// MaxConnLifetimeJitter is the most that is added to MaxConnLifetime, at
	// random, to the nanosecond, for each connection. Default: 0.
	MaxConnLifetimeJitter time.Duration

	// MaxConnIdleTime closes connections that nobody needed for so long: as many
	// as were idle at every moment of that time, but none below MinConns and
	// MinIdleConns. Zero: they stay. Default: 30 minutes.
	MaxConnIdleTime time.Duration

	// PingTimeout bounds a ping, of ShouldPing or of the pool's own. Zero: 5
	// seconds. Default: 0.
	PingTimeout time.Duration

	// MaxConns is the most connections there are at any moment, those being
	// opened or closed included. At least 1. Default: the greater of 4 and the
	// number of CPUs. It costs no memory as such. See also [Pool.Resize].
	MaxConns int32

	// MinConns connections are kept open: one that is lost is replaced in the
	// background. From 0 (the default) to MaxConns.
	MinConns int32

	// MinIdleConns connections are kept idle, as long as MaxConns allows. From 0
	// (the default) to MaxConns.
	MinIdleConns int32

	// MaxIdleConns is the most connections that are kept idle: one more that is
	// put is closed. From MinConns and MinIdleConns to MaxConns. Zero: MaxConns.
	// Default: 0.
	MaxIdleConns int32

	// MaxWaiting is how many gets may wait for a connection to be put; one more
	// gets ErrTooManyWaiting. Those for whom connections are being opened do not
	// count. Zero: no limit. Default: 0.
	MaxWaiting int32

	// AcquireTimeout is how long a get waits for a connection, whatever its
	// context says: then it gets a [*WaitError] that is ErrAcquireTimeout. What
	// PrepareConn takes is not counted. Zero: no limit. Default: 0.
	AcquireTimeout time.Duration

	// HealthCheckPeriod is how often idle connections are counted (see
	// MaxConnIdleTime) and those that rested for so long are looked at, one at a
	// time, and how soon a MinConns that could not be kept is tried again. A
	// pool in which nothing is due sleeps. More than 0. Default: 1 minute.
	HealthCheckPeriod time.Duration

	// KeepAlive has connections that rested for HealthCheckPeriod pinged, for
	// networks that drop silent connections: few borrowers use few connections, again
	// and again, and the others are silent for up to MaxConnIdleTime. It keeps serverless
	// databases awake.
	// Default: false.
	KeepAlive bool

	// MaxConcurrentDials is how many connections may be opened at the same
	// time; a connect that takes longer than a second no longer counts. At
	// least 1. Default: 8.
	MaxConcurrentDials int32

	// OutagePolicy says what happens to gets that wait while the server cannot
	// be reached. Default: FailFast.
	OutagePolicy OutagePolicy

	// CancelPolicy says what becomes of a connection whose statement's context ends.
	// A BuildContextWatcherHandler that was set in ConnConfig is left alone.
	// Default: CancelQuery.
	CancelPolicy CancelPolicy

	// DirtyPolicy says what becomes of a connection that is put in a
	// transaction. Default: Rollback.
	DirtyPolicy DirtyPolicy

	// Compat has the pool do as another does, in all of this at once: CompatPgxpool sets
	// CancelPolicy, DirtyPolicy, and ShouldPing where that is nil. [Pool.Config] shows
	// them as they are then. Default: CompatNone.
	Compat Compat

	// MaxLeaseTime is how long a connection may be held, under a key from the time it
	// was bound: then it is closed under whoever uses it, and its place is free. The
	// user's statements fail with ErrRevoked, and so does the put. Under a key, so do
	// those of all who share the connection, and gets with the key, until all who
	// shared it have put it, but for no longer than MaxLeaseTime again: one who never
	// does has lost the key then. It costs what TrackLeases does, but for the stack.
	// Zero: no limit. Default: 0.
	MaxLeaseTime time.Duration

	// TrackLeases has the pool know who holds each connection: the function and line
	// that called it, since when, and the label of [WithLabel]. [Pool.Leases] lists
	// that, and so do the errors of gets that failed for want of a connection, and of
	// CloseAll. Connections, transactions, rows and batch results that are garbage
	// collected without having been put, ended, scanned or closed are told to OnEvent as
	// EventLeaked, and keep their connection (MaxLeaseTime frees its place); leases that
	// a context ends, as those of a keyed view, are not. A get costs some microseconds
	// more, and a few allocations. In a testing/synctest bubble everything must be put.
	// Default: false.
	TrackLeases bool

	// ShowKey returns what errors, events, the log and Leases show of a key that a
	// connection is shared under, or of an identity of package persistent. It is called in
	// any goroutine, by several at once, while the key may be in use: it must only look at
	// what nobody changes. A text that is long, or has characters that cannot be printed, is
	// shortened and quoted; after a panic the key is shown as without ShowKey. Default:
	// numbers, bools and strings are shown as they are, or as their String method says, and
	// byte arrays too; anything else, such as a pointer, as its type and a number that is
	// the same for the same key.
	ShowKey func(key any) string

	// OnEvent is told of what happens in the pool, in order, in one goroutine of the
	// pool's. Nobody waits for it: if it is more than 1024 events behind, the next are
	// dropped, and an EventDropped says how many. EventEnded is the last. It may call
	// the pool's methods. A panic costs one event, and counts in the EventPanics of
	// [Stat.Actor]. [LogEvents] makes one that logs. Default: none.
	OnEvent func(Event)

	parsed bool // made by ParseConfig
}

// ShouldPingParams are the arguments of Config.ShouldPing.
type ShouldPingParams struct {
	Conn         *pgx.Conn
	IdleDuration time.Duration // since it was put, or opened
}

// A DirtyPolicy says what becomes of a connection that is put in a transaction.
type DirtyPolicy uint8

const (
	// Rollback has a goroutine of the pool's roll the transaction back; then the
	// connection is lent again.
	Rollback DirtyPolicy = iota
	// CloseDirty closes the connection, as pgxpool does.
	CloseDirty
)

// Copy returns a deep copy that may be changed on its own, except for the
// tls.Config, which must not be changed after its first use.
func (c *Config) Copy() *Config {
	d := *c
	d.ConnConfig = c.ConnConfig.Copy()
	return &d
}

// ConnString returns the string that was given to ParseConfig.
func (c *Config) ConnString() string { return c.ConnConfig.ConnString() }

// setting is a value that must not be less than least, which is 0 or 1.
type setting struct {
	field string
	value int64
	least int64
	show  any // the value as the user gave it
}

func number(field string, value int32, least int64) setting {
	return setting{field, int64(value), least, value}
}

func span(field string, value time.Duration, least int64) setting {
	return setting{field, int64(value), least, value}
}

func (c *Config) validate() error {
	switch {
	case c.ConnConfig == nil:
		return &ConfigError{Field: "ConnConfig", Value: nil, Reason: "is required"}
	case c.OutagePolicy > WaitForServer:
		return &ConfigError{Field: "OutagePolicy", Value: c.OutagePolicy, Reason: "is no policy"}
	case c.CancelPolicy > CloseConn:
		return &ConfigError{Field: "CancelPolicy", Value: c.CancelPolicy, Reason: "is no policy"}
	case c.DirtyPolicy > CloseDirty:
		return &ConfigError{Field: "DirtyPolicy", Value: c.DirtyPolicy, Reason: "is no policy"}
	}
	if c.Compat > CompatPgxpool {
		return &ConfigError{Field: "Compat", Value: c.Compat, Reason: "must be CompatNone or CompatPgxpool"}
	}
	for _, s := range []setting{
		span("MaxConnLifetime", c.MaxConnLifetime, 0),
		span("MaxConnLifetimeJitter", c.MaxConnLifetimeJitter, 0),
		span("MaxConnIdleTime", c.MaxConnIdleTime, 0),
		span("PingTimeout", c.PingTimeout, 0),
		span("AcquireTimeout", c.AcquireTimeout, 0),
		span("MaxLeaseTime", c.MaxLeaseTime, 0),
		span("HealthCheckPeriod", c.HealthCheckPeriod, 1),
		number("MaxWaiting", c.MaxWaiting, 0),
		number("MaxConcurrentDials", c.MaxConcurrentDials, 1),
	} {
		if err := s.check(); err != nil {
			return err
		}
	}
	return c.validateSizes()
}

func (s setting) check() error {
	switch {
	case s.value >= s.least:
		return nil
	case s.least == 0:
		return &ConfigError{Field: s.field, Value: s.show, Reason: "must not be negative"}
	default:
		return &ConfigError{Field: s.field, Value: s.show, Reason: "must be more than 0"}
	}
}

func (c *Config) validateSizes() error {
	most := int64(c.MaxConns)
	if err := checkSizes("MinConns", int64(c.MinConns), "MaxConns", most); err != nil {
		return err
	}
	if err := checkSizes("MinIdleConns", int64(c.MinIdleConns), "MaxConns", most); err != nil {
		return err
	}
	if c.MaxIdleConns == 0 {
		return nil
	}
	idle := int64(c.MaxIdleConns)
	if err := checkSizes("MaxIdleConns", idle, "MaxConns", most); err != nil {
		return err
	}
	for _, least := range []setting{number("MinConns", c.MinConns, 0), number("MinIdleConns", c.MinIdleConns, 0)} {
		if idle < least.value {
			return &ConfigError{Field: "MaxIdleConns", Value: c.MaxIdleConns,
				Reason: fmt.Sprintf("must not be less than %s (%d)", least.field, least.value)}
		}
	}
	return nil
}

// checkSizes is the one rule about sizes, whatever a caller calls them.
func checkSizes(minName string, least int64, maxName string, most int64) error {
	const limit = 1<<31 - 1
	switch {
	case most < 1:
		return &ConfigError{Field: maxName, Value: most, Reason: "must be at least 1"}
	case most > limit:
		return &ConfigError{Field: maxName, Value: most, Reason: fmt.Sprintf("must be at most %d", limit)}
	case least < 0:
		return &ConfigError{Field: minName, Value: least, Reason: "must not be negative"}
	case least > most:
		return &ConfigError{Field: minName, Value: least, Reason: fmt.Sprintf("must not be greater than %s (%d)", maxName, most)}
	}
	return nil
}
