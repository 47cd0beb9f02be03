package pool

import (
	"errors"

	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/actor/keyed"
)

// The errors of package actor, under the names this package's users look for.
// Use errors.Is and errors.As.
var (
	// ErrClosed is returned by every get after CloseAll has begun, by a put of what
	// it has taken away, and by a second CloseAll. errors.Is finds puddle.ErrClosedPool,
	// pgxpool's error, in it.
	ErrClosed = actor.ErrClosed

	// ErrExhausted says that every connection is lent: the answer to a get
	// that does not wait (of a [Simple] pool, an [*ExhaustedError]), and the cause of one that waited until its context
	// ended.
	ErrExhausted = actor.ErrExhausted

	// ErrUnavailable says that a connection could not be opened: connecting
	// failed, or has not come to an end in time. The error that carries it
	// wraps the failure, if there was one.
	ErrUnavailable = actor.ErrUnavailable

	// ErrTooManyWaiting refuses a get because Config.MaxWaiting others wait. The error
	// is a [*TooManyWaitingError].
	ErrTooManyWaiting = actor.ErrTooManyWaiting

	// ErrAcquireTimeout says that a get waited for Config.AcquireTimeout.
	// errors.Is finds context.DeadlineExceeded in it.
	ErrAcquireTimeout = actor.ErrTimeout

	// ErrPaused is the answer to a get that does not wait while the pool is
	// paused, and the cause of one that waited then until its context ended.
	ErrPaused = actor.ErrPaused

	// ErrResumed is the answer to a [Pool.Pause] that still waited when
	// [Pool.Resume] was called.
	ErrResumed = actor.ErrResumed

	// ErrBusy is the answer to a use of a connection that is shared under a key
	// while it is in use. The error is a [*BusyError].
	ErrBusy = actor.ErrBusy

	// ErrRevoked says that the connection was closed under its borrower: it was held for
	// longer than MaxLeaseTime, or CloseAll ran out of time, or, under a key, somebody
	// used it for too long after his put or the end of his context. Statements then fail
	// with it, and so do the put and a get with the key (see [WithKey]): the error is a
	// [*RevokedError], which says why, and ErrClosed too if CloseAll did it.
	ErrRevoked = actor.ErrRevoked

	// ErrNotLeased is the answer to a connection that has been put back: put
	// twice, or used after its put.
	ErrNotLeased = actor.ErrNotLeased
)

var (
	// ErrForeignConn is the answer to a put of a connection of another pool.
	ErrForeignConn = errors.New("not a connection of this pool")

	// ErrRolledBack is the answer to the first use of a shared connection after the
	// lease of somebody who shared it ended, and with it his transaction: what was done
	// in that is undone, and what comes next is no longer in it.
	ErrRolledBack = errors.New("the transaction that was open has been rolled back: the lease of its holder has ended")

	// ErrWrongKey is the answer to a put with a key that the connection is not
	// lent under.
	ErrWrongKey = errors.New("not the key this connection is lent under")

	// ErrOtherTenant is the answer to a get, or a put, of a key whose connection is bound
	// for another tenant; see [Keying]. The error is a [*TenantError].
	ErrOtherTenant = keyed.ErrOtherTenant

	// ErrConcurrentUse is the answer of a [Simple] pool to a call that comes
	// while another is under way.
	ErrConcurrentUse = errors.New("simple pool used by two goroutines at once")
)

type (
	// A ConfigError says which field or parameter has a value that cannot be.
	ConfigError = actor.ConfigError
	// A WaitError is returned by a get whose context, or AcquireTimeout, ended while
	// it waited, and by Pause and WaitReady.
	WaitError = actor.WaitError
	// A CloseError is returned by CloseAll where leases had to be revoked.
	CloseError = actor.CloseError
	// An ExhaustedError is the answer of a Simple pool of which every connection is
	// lent.
	ExhaustedError = actor.ExhaustedError
	// A TooManyWaitingError is the answer to a get beyond Config.MaxWaiting.
	TooManyWaitingError = actor.TooManyWaitingError
	// A Shortage is how things stood when a get failed for want of a connection.
	Shortage = actor.Shortage
	// A RevokedError is the answer to a put of a connection that was revoked, and to a
	// get with its key.
	RevokedError = actor.RevokedError
	// A KeyError is the answer to a get whose key cannot be one.
	KeyError = actor.KeyError
	// A BusyError says which key's connection is in use, and for what.
	BusyError = actor.BusyError
	// A TenantError refuses a key whose connection is bound for another tenant. It names
	// neither.
	TenantError = keyed.TenantError
	// A LeaseInfo describes one lease in an error, an event, or a list.
	LeaseInfo = actor.LeaseInfo
	// A Holder is one of several who hold a connection under a key.
	Holder = actor.Holder
)

// An OutagePolicy says what happens to gets that wait while the server cannot
// be reached and no connection is open.
type OutagePolicy = actor.OutagePolicy

const (
	// FailFast refuses them with the error of the failed connect, and newcomers
	// too until a backoff has passed; then one connect is the probe.
	FailFast = actor.FailFast
	// WaitForServer keeps them until their own contexts end. A failure that
	// waiting cannot heal, such as a wrong password, refuses them all the same; see
	// Config.IsPermanent.
	WaitForServer = actor.WaitForServer
)
