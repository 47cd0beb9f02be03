package pool

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
)

// Config configures a [Pool]. It must be made by [ParseConfig] and may then be
// changed; a pool keeps a copy of its own. The fields that pgxpool's Config has
// mean what they mean there.
//
// A duration is 0 or at least 100 µs: what is shorter lacks its unit.
//
// The hooks run in goroutines of the pool's, several at a time, unless they say
// otherwise: there a panic costs the connection and counts as the failure of what
// was being done, and nobody else sees it. In a borrower's goroutine it costs the
// connection and goes on.
type Config struct {
	// ConnConfig says where the server is and how to talk to it. Its Tracer may
	// be an [AcquireTracer] or [ReleaseTracer] too. Its DialFunc sets TCP keepalive so that
	// a peer that is gone is found in 50 seconds, or as the connection string says; one
	// that is set instead does what it does.
	//
	// If it has several hosts, each may take ConnectTimeout (connect_timeout in a
	// connection string) for each of its addresses, and 2 minutes, or ConnectTimeout if that
	// is longer, for all of them. An address that failed before another one succeeded is tried last from then
	// on, until that fails or until Reset.
	ConnConfig *pgx.ConnConfig

	// BeforeConnect is called before a connection is made, with a copy of
	// ConnConfig that it may change, for instance to set a fresh password. An
	// error counts as a failure to connect. Default: none.
	BeforeConnect func(ctx context.Context, c *pgx.ConnConfig) error

	// AfterConnect is called with every new connection before anybody else
	// sees it, for instance to register types. An error closes it and counts as
	// a failure to connect, and so does a connection that it leaves closed, busy
	// or in a transaction. It is called again, with a connection that has been in use, after
	// ResetSession, and where the pool resets a session by itself (see [Keying]); an error
	// closes the connection then. Default: none.
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
	//     ErrUnavailable. From the second in a row on, one that is refused before its
	//     first use, within a second of its connect, counts as a connect that failed;
	//     see OutagePolicy.
	//
	// Default: none.
	PrepareConn func(ctx context.Context, c *pgx.Conn) (bool, error)

	// ResetSession is called with a connection that was put, once an open
	// transaction is rolled back and before anybody else gets it, and takes back what
	// the borrower did to the session; [DiscardAll] does. AfterConnect is called again after
	// it, since that cannot tell the borrower's settings from AfterConnect's. Both have 5
	// seconds together. An error closes the connection, and so does leaving it busy or in a
	// transaction. Every put costs a goroutine and what they do. Default: none; session state stays, as in
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
	// about, unless Compat is CompatPgxpool. Default: none; with a PingTimeout, a rest of
	// more than a second.
	// The pool looks at the sockets of connections that have rested for a
	// millisecond in any case; that needs no round trip. It finds the socket of what a
	// DialFunc returns by the methods SyscallConn and NetConn. If there is none, a connection
	// that has rested for a second is pinged, unless ShouldPing or PingTimeout is set. And
	// once a connection has fallen silent, the others are each pinged before they are lent.
	ShouldPing func(ctx context.Context, params ShouldPingParams) bool

	// MaxConnLifetime is how long after it was opened a connection is lent no
	// more: it is closed then if it is idle, and when it is put if it is lent.
	// A minimum of connections that live for less than a second is filled once a
	// second. Zero: no limit. Default: 1 hour.
	MaxConnLifetime time.Duration

	// MaxConnLifetimeJitter is the most that is added to MaxConnLifetime, at
	// random, to the nanosecond, for each connection. Default: 0.
	MaxConnLifetimeJitter time.Duration

	// MaxConnIdleTime closes connections that nobody needed for so long: as many
	// as were idle at every moment of that time, but none below MinConns and
	// MinIdleConns. Zero: they stay. Default: 30 minutes.
	MaxConnIdleTime time.Duration

	// PingTimeout bounds a ping, of ShouldPing or of the pool's own; then the connection
	// is closed at once. Without a ShouldPing it has connections pinged that have rested for
	// more than a second, as in pgxpool. Zero: 5 seconds, or 500 ms for a
	// connection in doubt. Default: 0.
	PingTimeout time.Duration

	// MaxConns is the most connections there are at any moment, those being
	// opened or closed included. At least 1. Default: the greater of 4 and the
	// number of CPUs. It costs no memory as such. See also [Pool.Resize].
	MaxConns int32

	// MinConns connections are kept open: one that is lost is replaced in the
	// background. One that the server ends at rest is found within HealthCheckPeriod, by
	// a look at its socket. From 0 (the default) to MaxConns.
	MinConns int32

	// MinIdleConns connections are kept idle, as long as MaxConns allows. From 0
	// (the default) to MaxConns.
	MinIdleConns int32

	// MaxIdleConns is the most connections that are kept idle: one more that is
	// put is closed. From MinConns and MinIdleConns to MaxConns. Zero: MaxConns.
	// KeepNone: a connection that is put goes to the first in line, or is closed, as in
	// psycopg's NullConnectionPool; for servers behind a pooler of their own, or that
	// charge for what is connected. Default: 0.
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
	// MaxConnIdleTime) and looked at, one at a time: the socket, without a round trip. It is
	// also how soon a MinConns that could not be kept is tried again. A
	// pool in which nothing is due sleeps; one that has MinConns or MinIdleConns looks.
	// More than 0. Default: 1 minute.
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
	// be reached. A connection that the server ends, or that PrepareConn refuses
	// before its first use, within a second of its connect counts as a connect that
	// failed, but for the first in a row: the next is made after a backoff, of 200 ms
	// at most. Default: FailFast.
	OutagePolicy OutagePolicy

	// BackoffMin and BackoffMax bound the pause after a failed connect: it doubles with each
	// failure in a row from the one to the other, and a random part of it is waited.
	// BackoffMin must not be more than BackoffMax. Zero: 10 ms and 200 ms. Default: 0.
	BackoffMin, BackoffMax time.Duration

	// ReconnectTimeout is how long an outage lasts when OnEvent is told that it does, by an
	// EventOutageLasts, for instance to raise an alarm or to end the program. The pool goes
	// on trying. Zero: it is not told. Default: 0.
	ReconnectTimeout time.Duration

	// IsPermanent reports whether waiting cannot heal a connect that failed with err:
	// then gets are refused under WaitForServer too, until a connect succeeds. It is
	// called in the goroutine of the connect, by several at once. Default: [IsPermanent].
	IsPermanent func(err error) bool

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
	// pool's. Nobody waits for it but CloseAll at its end, for 250 ms at most: if it is
	// more than 1024 events behind, the next are dropped, and an EventDropped says how many.
	// EventEnded is the last. It may call the pool's methods. A panic costs one event, and counts in the EventPanics of
	// [Stat.Actor]. [LogEvents] makes one that logs. Default: none.
	OnEvent func(Event)

	parsed bool // made by ParseConfig
}

// KeepNone is the MaxIdleConns of a pool that keeps no connection idle.
const KeepNone = actor.KeepNone

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

// String returns what pool_dirty_policy calls it.
func (p DirtyPolicy) String() string { return policy(p, "rollback", "close_dirty") }

// policy returns the name of a policy, or its number.
func policy[P ~uint8](p P, names ...string) string {
	if int(p) < len(names) {
		return names[p]
	}
	return strconv.Itoa(int(p))
}

// Copy returns a deep copy that may be changed on its own, except for the
// tls.Config, which must not be changed after its first use.
func (c *Config) Copy() *Config {
	d := *c
	d.ConnConfig = c.ConnConfig.Copy()
	return &d
}

// ConnString returns the string that was given to ParseConfig.
func (c *Config) ConnString() string { return c.ConnConfig.ConnString() }
