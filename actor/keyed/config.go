package keyed

import (
	"context"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A Lease is what the layer needs of a plain lease of the pool. *actor.Lease[R] is
// one. Put, Discard, Kill and Take each end it, whatever they return.
type Lease[R any] interface {
	// Value returns the resource, and the zero value once the lease has ended.
	Value() R

	// ID returns the number of the resource, which no other resource has.
	ID() uint64

	// Revoked returns a *actor.RevokedError once the lease was revoked, else nil. It is
	// called with a note in hand, from any goroutine, also after the end of the lease:
	// it must not block and must not call the layer.
	Revoked() error

	// Put gives the resource back.
	Put() error

	// Discard gives the resource back to be closed.
	Discard() error

	// Kill revokes the lease: the resource is killed under its users, and its place in
	// the pool is free.
	Kill(why actor.Reason) error

	// Take takes the resource out of the pool.
	Take() (R, error)
}

// An Origin knows which code made a get.
type Origin interface {
	// Holder names that code. It is called when somebody asks for the names, possibly
	// by several goroutines at a time. Its For and Leaked are not looked at.
	Holder() actor.Holder
}

// Config says what a Table stands on. Its functions are called without a note or a
// shard in hand, so they may call the Table.
type Config[R any] struct {
	// Get gets a plain lease, and waits for it as long as ctx allows and p says. If it
	// returns an error, its lease is not looked at. Required.
	Get func(ctx context.Context, p Patience) (Lease[R], error)

	// Closing is closed once the pool has begun to close: every get is ErrClosed from
	// then on. Puts and turns go on. Required.
	Closing <-chan struct{}

	// Timeout limits how long a get waits for what another get of the same key fetches.
	// A get that fetches, also one that takes over after a wait, is limited by Get.
	// Default: none.
	Timeout time.Duration

	// MaxLease is how long a key whose resource was revoked stays refused if its
	// holders do not let go of it. Default: as long as it takes them.
	MaxLease time.Duration

	// EndGrace is how long a use may outlast its hold before the resource is killed.
	// Default: 500 ms.
	EndGrace time.Duration

	// OnEnd is called once for each hold that a get has returned: by the goroutine that
	// ends it, after that has let go of the key, and before the resource is back in the
	// pool or given to the taker. A hold that was put in a turn ends with the turn.
	// Default: none.
	OnEnd func(r R)

	// Explain completes the error of a get that waited in vain for what another get
	// fetches: its Cause is ErrExhausted, and its Shortage is empty. Nobody else has the
	// error yet. Default: none.
	Explain func(err *actor.WaitError)

	// ShowKey returns what errors and Complete show in place of a key. It may be called at
	// any time while the key is in use, by several goroutines at once. Default:
	// actor.ShownKey.
	ShowKey func(key any) any

	// Origin returns what is known of the code that makes a get, nil if nothing is. It
	// is called by the get, in its goroutine. Default: holds are not tracked.
	Origin func(ctx context.Context) Origin

	// OnLeak is called when a tracked hold was garbage collected before its end: with
	// the number of its resource, which stays lent, and the code that got it. It is
	// called in a goroutine of the runtime's, and must not block. Default: none.
	OnLeak func(id uint64, h actor.Holder)
}

const defaultEndGrace = 500 * time.Millisecond

// check panics if c lacks what is required, or has a negative duration.
func (c *Config[R]) check() {
	switch {
	case c.Get == nil:
		panic("keyed: Config.Get is required")
	case c.Closing == nil:
		panic("keyed: Config.Closing is required")
	case c.Timeout < 0 || c.MaxLease < 0 || c.EndGrace < 0:
		panic("keyed: a duration of Config is negative")
	}
}

// A Request says which resource a get asks for.
type Request[R any] struct {
	// Key is what the resource is shared under. Any value that is comparable, and equal
	// to itself, can be a key. Required.
	Key any

	// Tenant says for whom Bind sets the resource up. A key that is bound for one tenant,
	// or is being fetched for one, is refused to another with a TenantError. Any value that
	// is comparable can be a tenant; nil is one like the others.
	Tenant any

	// Tied has the hold end with the context of its get, as if it were put: at once if
	// it is not in use, else when the use is over, or after EndGrace, when the resource
	// is killed. A hold that has ended so may be put once more without an error.
	Tied bool

	// Scope, if not nil, limits the uses of the hold: after its end Begin and Take return
	// its error, and Expose the zero value. The hold itself goes on until it is put.
	Scope *Scope

	// Own has Table.Put pass over the hold: only its holder puts it.
	Own bool

	// Patience says what the get waits for. Default: Wait.
	Patience Patience

	// Bind, if not nil, is called if this get fetches the resource: by the get, with its
	// context, before the others who wait for the key are told. If it fails, or its
	// context ends meanwhile, the resource is put. It must not get the same key, which
	// would wait for itself.
	Bind func(ctx context.Context, r R) error
}

// Patience says what a get waits for, the most patient first.
type Patience uint8

const (
	// Wait waits for a borrower, if it must.
	Wait Patience = iota
	// NoWait waits for resources that are opened, cleaned or closed, but not for a borrower.
	NoWait
	// Try waits for nothing: it shares what is bound to the key, or takes what is idle. If
	// there is neither, or another get fetches, the error is ErrExhausted.
	Try
)

var patienceNames = [...]string{"wait", "no wait", "try"}

// String returns the name.
func (p Patience) String() string {
	if int(p) >= len(patienceNames) {
		return "unknown patience"
	}
	return patienceNames[p]
}
