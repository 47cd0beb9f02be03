package actor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
	"github.com/pgactor/pgactor/actor/internal/line"
)

// Config says how a [Supervisor] opens, judges and closes its resources, and
// how many it may have. Open, Close and MaxOpen are required, everything else
// has a default, given with the field. A Config is copied by [Start]; changing
// it afterwards has no effect.
//
// The functions are never called by the supervisor's own goroutine. One that
// panics, or ends its goroutine with runtime.Goexit, costs its resource, not
// the supervisor.
type Config[R any] struct {
	// Open makes a resource. It runs in a goroutine of its own, several at a
	// time, and should return soon after ctx ends. ctx carries the values, not
	// the cancellation, of the context of the Get that caused it. Required.
	Open func(ctx context.Context) (R, error)

	// Close ends a resource nobody holds, exactly once for each (a resource
	// taken from its borrower gets Kill instead). It runs in a
	// goroutine of its own and may block until ctx ends, which is after
	// CloseGrace at the latest. The resource counts against MaxOpen until
	// Close returns, or for twice CloseGrace if it ignores ctx. Its error
	// counts in [Stat].CloseFailed. Required.
	Close func(ctx context.Context, r R) error

	// Fault returns what was wrong with r, for EventClosed and EventCleaned; nil if nothing
	// was. It is called before Close, and after a Clean without an error, in the same
	// goroutine, and must not do I/O. Nil: EventClosed has the error of Clean, Check or
	// Close alone, and EventCleaned none.
	Fault func(r R) error

	// Kill makes any use of r fail soon, as closing a socket does. It
	// must be safe at any moment, from any goroutine, beside any other use of
	// r. It is called for a resource still lent when CloseAll runs out of
	// time, or after MaxLease or EndGrace, and for one whose Clean or Check ignores
	// its context. Nil: such a resource is let go without a word.
	Kill func(r R)

	// Judge is asked at every put what is to be done with r, in the borrower's goroutine. It
	// must not do I/O. A panic discards r and goes on in the borrower. Nil: Keep.
	Judge func(r R) Verdict

	// Look is asked before a resource that was idle for LookAfter or longer is lent, in the
	// borrower's goroutine, and at rest every CheckPeriod, in a helper. It must not block: no context would end it. Keep lends it,
	// anything else brings it to the supervisor and the borrower gets another one. Nil:
	// idle resources are not looked at.
	Look func(r R) Verdict

	// LookAfter is the rest after which Look is asked. Zero: 1 ms.
	LookAfter time.Duration

	// Prepare is asked last before a resource is lent, in the borrower's goroutine with the
	// context of its get, and may block. Keep lends it. Clean and Check have that done first,
	// in a goroutine of its own: the get waits for it, for a second at the most, and then
	// tries another resource. Discard closes it, and the get waits for another one at the
	// end of the line. An error ends the get with this error; the verdict holds, after Keep
	// the resource is judged. proven says that r has just been opened, cleaned or checked.
	// A get that has more resources refused that were proven than MaxOpen (Start's) gives
	// up with ErrUnavailable. Nil: everything is lent.
	Prepare func(ctx context.Context, r R, proven bool) (Verdict, error)

	// Clean makes r fit for the next borrower after the verdict Clean, in a
	// helper, until CleanTimeout. An error closes r. Nil: the verdict Clean
	// closes r.
	Clean func(ctx context.Context, r R) error

	// Check finds out whether r still works after the verdict Check, in a
	// helper, until CheckTimeout. An error closes r. Nil: the verdict Check
	// closes r.
	Check func(ctx context.Context, r R) error

	// Permanent reports whether a failure of Open cannot heal by waiting, such as a
	// wrong password: waiters are then refused also under WaitForServer. It is
	// called in the helper that ran Open. Nil: no failure is permanent.
	Permanent func(err error) bool

	// MaxOpen is the most resources there are at any moment, those being
	// opened and being closed included. At least 1. Required. See also
	// [Supervisor.Resize].
	MaxOpen int

	// MinOpen resources are kept open, from the start and before anybody asks:
	// one that is lost is replaced at once, or, where Open fails, after
	// CheckPeriod or with the next one that is opened. Every CheckPeriod Look is asked
	// about those that are idle, so that one that breaks at rest is missed. See also
	// [Supervisor.Ready]. From 0 (the default) to MaxOpen.
	MinOpen int

	// MinIdle resources are kept idle as long as MaxOpen allows: a get that takes one
	// of the last has another one opened. From 0 (the default) to MaxOpen.
	MinIdle int

	// MaxIdle is the most resources that are kept idle: one more that is put
	// is closed. From MinOpen and MinIdle to MaxOpen. Zero: no limit but MaxOpen.
	// KeepNone: what is put goes to the first in line, or is closed.
	MaxIdle int

	// MaxAge is how long after it was opened a resource is lent no more. One that
	// is idle is closed then, one that is lent when it is put. A random part of
	// AgeJitter, to the nanosecond, is added for each. A minimum of resources that
	// live for less than a second is filled once a second. Zero: no limit.
	MaxAge, AgeJitter time.Duration

	// MaxRest closes what nobody needed for so long: as many resources as were
	// idle at every moment of that time, as seen every CheckPeriod and whenever
	// the supervisor settles, but none below MinOpen and MinIdle. Zero: they stay.
	MaxRest time.Duration

	// MaxLease is how long a lease may last: then its resource is killed under its user, and
	// its place is free. A put that comes later gets a [*RevokedError]. It costs a get and
	// put a tenth of a microsecond. Zero: no limit.
	MaxLease time.Duration

	// Track has every lease know who took it: see [LeaseInfo], which [Supervisor.Leases]
	// lists, and a [*WaitError], an [*ExhaustedError], a [*TooManyWaitingError] and a
	// [*CloseError] hold. A lease that is garbage collected without a put counts in
	// [Stat].Leaked; its resource stays lent, since the borrower may have kept it
	// (MaxLease frees the place). The cost is the walk of the stack and three or four
	// allocations a get. The garbage collector tells in a goroutine of its own, so in a
	// testing/synctest bubble every lease must be put.
	Track bool

	// Label is asked, with Track, what to call the borrower, in its goroutine with the
	// context of its get. Nil: nothing.
	Label func(ctx context.Context) string

	// Wrappers are the import paths of packages through which borrowers get their
	// leases: Track names the function that called them. Their tests are borrowers.
	Wrappers []string

	// Complete adds what a layer above knows to descriptions of leases before they are
	// shown, such as the key under which a lease is shared. It runs in the goroutine of
	// the call that lists them. Nil: nothing is added.
	Complete func([]LeaseInfo)

	// CheckPeriod is how often idle resources are counted (see MaxRest) and
	// looked at with Look, one at a time, by helpers. It
	// happens while there are more resources than MinOpen and MinIdle and MaxRest is
	// set, if there is a minimum, or if KeepAlive is: otherwise an idle supervisor sleeps.
	// Zero: 1 minute.
	CheckPeriod time.Duration

	// KeepAlive has those that rested for CheckPeriod checked with Check, which is required
	// then, not only looked at with Look. Few borrowers use few resources, again and again: without
	// KeepAlive the others rest for as long as they are kept, and a network that drops
	// what is silent may do so unseen.
	KeepAlive bool

	// MaxWaiting is how many requests may wait for borrowers; a get beyond it gets
	// ErrTooManyWaiting, a [*TooManyWaitingError]. Those for whom resources are coming,
	// or will be opened, do not count. Zero: no limit.
	MaxWaiting int

	// GetTimeout is how long a get waits for a resource, whatever its context
	// says: then it gets a [*WaitError] that is ErrTimeout. Zero: no limit.
	GetTimeout time.Duration

	// MaxDials is how many Opens may be under way at once. One that takes
	// longer than a second no longer counts. Zero: 8.
	MaxDials int

	// Outage says what happens to waiters while Open fails and nothing else is
	// usable. A resource that breaks, or that Prepare refuses before its first lease,
	// within a second of its Open counts as an Open that failed, but for the first in a
	// row: then one resource at a time is opened until one lasts for a second, and
	// waiters are refused once more than MaxOpen have not lasted that were never lent.
	// Default: FailFast.
	Outage OutagePolicy

	// BackoffMin and BackoffMax bound the pause after a failed Open: it doubles
	// with each failure in a row from the one to the other, and a random part
	// of it is waited. Zero: 10 ms and 200 ms.
	BackoffMin, BackoffMax time.Duration

	// ReconnectTimeout is how long an outage lasts when OnEvent is told that it does, by an
	// EventOutageLasts; once an outage. Zero: it is not told.
	ReconnectTimeout time.Duration

	// OpenTimeout ends the context of an Open. Zero: 2 minutes.
	OpenTimeout time.Duration

	// CleanTimeout ends the context of a Clean. Zero: 5 seconds.
	CleanTimeout time.Duration

	// CheckTimeout ends the context of a Check. Zero: 5 seconds.
	CheckTimeout time.Duration

	// CloseGrace ends the context of a Close, and is how long CloseAll waits,
	// once its own context has ended, for what is still under way, and then for OnEvent.
	// Zero: 250 ms.
	CloseGrace time.Duration

	// OnEvent is told of what happens, in order, by a goroutine of its own, and one
	// call at a time. It may block, and may ask the supervisor: nobody waits for it but
	// CloseAll at its end, for CloseGrace. Where it is too slow, more than 1024 events behind, the next are
	// dropped, and an EventDropped says how many before it goes on. EventEnded is the
	// last: once OnEvent has it, everything is told. A panic costs the event that it was
	// told of, and counts in [Stat].EventPanics. Nil: nobody is told.
	OnEvent func(Event)

	// step is called at each step in the line, and point at each of the other places at
	// which others may come between. Both are nil outside this package's tests.
	step  func(line.Step)
	point func(point)
}

// KeepNone is the MaxIdle of a supervisor that keeps nothing idle.
const KeepNone = -1

// mostIdle is the most resources that may be idle.
func (c *Config[R]) mostIdle() int {
	switch c.MaxIdle {
	case 0:
		return core.NoLimit
	case KeepNone:
		return 0
	default:
		return c.MaxIdle
	}
}

// A Verdict is what is to be done with a resource.
type Verdict = core.Verdict

// The verdicts, from the best to the worst.
const (
	Keep    = core.Keep    // fit for the next borrower
	Clean   = core.Clean   // Config.Clean first
	Check   = core.Check   // Config.Check first
	Discard = core.Discard // close it
	Alarm   = core.Alarm   // close it, and have Config.Check look at the others: what broke it may have broken them
)

// An OutagePolicy says what happens to waiters in an outage: Open fails and
// no resource is usable or on its way.
type OutagePolicy uint8

const (
	// FailFast refuses waiters with the error of the failed Open, and
	// newcomers too until the backoff has passed; then one Open is the probe.
	FailFast OutagePolicy = iota
	// WaitForServer keeps waiters until their own contexts end, and probes
	// after each backoff. A failure that is Permanent refuses them all the same.
	WaitForServer
)

var policyNames = [...]string{FailFast: "fail_fast", WaitForServer: "wait_for_server"}

// String names the policy, as package pool's pool_outage_policy does.
func (p OutagePolicy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return strconv.Itoa(int(p))
}

// A ConfigError says which field of a configuration has a value that cannot
// be, and why.
type ConfigError struct {
	Field  string // name of the field or parameter
	Value  any    // the value it had
	Reason string // what is wrong with it
}

// Error names the field, the value and the reason.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("invalid %s %v: %s", e.Field, e.Value, e.Reason)
}

// check is one rule about a field.
type check struct {
	bad    bool
	field  string
	value  any
	reason string
}

func (c *Config[R]) validate() error {
	bounded := fmt.Sprintf("must not be greater than MaxOpen (%d)", c.MaxOpen)
	for _, k := range []check{
		{c.Open == nil, "Open", nil, "is required"},
		{c.Close == nil, "Close", nil, "is required"},
		{c.MaxOpen < 1, "MaxOpen", c.MaxOpen, "must be at least 1"},
		{c.MinOpen < 0, "MinOpen", c.MinOpen, "must not be negative"},
		{c.MinOpen > c.MaxOpen, "MinOpen", c.MinOpen, bounded},
		{c.MinIdle < 0, "MinIdle", c.MinIdle, "must not be negative"},
		{c.MinIdle > c.MaxOpen, "MinIdle", c.MinIdle, bounded},
		{c.MaxIdle < KeepNone, "MaxIdle", c.MaxIdle, "must not be negative, but for KeepNone"},
		{c.MaxIdle > c.MaxOpen, "MaxIdle", c.MaxIdle, bounded},
		{c.mostIdle() < c.MinOpen, "MaxIdle", c.MaxIdle, fmt.Sprintf("must not be less than MinOpen (%d)", c.MinOpen)},
		{c.mostIdle() < c.MinIdle, "MaxIdle", c.MaxIdle, fmt.Sprintf("must not be less than MinIdle (%d)", c.MinIdle)},
		{c.MaxAge < 0, "MaxAge", c.MaxAge, "must not be negative"},
		{c.AgeJitter < 0, "AgeJitter", c.AgeJitter, "must not be negative"},
		{c.MaxRest < 0, "MaxRest", c.MaxRest, "must not be negative"},
		{c.MaxLease < 0, "MaxLease", c.MaxLease, "must not be negative"},
		{c.CheckPeriod < 0, "CheckPeriod", c.CheckPeriod, "must not be negative"},
		{c.KeepAlive && c.Check == nil, "KeepAlive", true, "needs Check"},
		{c.MaxWaiting < 0, "MaxWaiting", c.MaxWaiting, "must not be negative"},
		{c.GetTimeout < 0, "GetTimeout", c.GetTimeout, "must not be negative"},
		{c.MaxDials < 0, "MaxDials", c.MaxDials, "must not be negative"},
		{c.Outage > WaitForServer, "Outage", c.Outage, "unknown policy"},
		{c.LookAfter < 0, "LookAfter", c.LookAfter, "must not be negative"},
		{c.BackoffMin < 0, "BackoffMin", c.BackoffMin, "must not be negative"},
		{c.BackoffMax < 0, "BackoffMax", c.BackoffMax, "must not be negative"},
		{c.ReconnectTimeout < 0, "ReconnectTimeout", c.ReconnectTimeout, "must not be negative"},
		{c.OpenTimeout < 0, "OpenTimeout", c.OpenTimeout, "must not be negative"},
		{c.CleanTimeout < 0, "CleanTimeout", c.CleanTimeout, "must not be negative"},
		{c.CheckTimeout < 0, "CheckTimeout", c.CheckTimeout, "must not be negative"},
		{c.CloseGrace < 0, "CloseGrace", c.CloseGrace, "must not be negative"},
	} {
		if k.bad {
			return &ConfigError{k.field, k.value, k.reason}
		}
	}
	d := c.withDefaults()
	if d.BackoffMin > d.BackoffMax {
		return &ConfigError{"BackoffMin", d.BackoffMin, fmt.Sprintf("must not be greater than BackoffMax (%v)", d.BackoffMax)}
	}
	return nil
}

// longest is what a duration in a Config counts as at most: nobody sees the end
// of it, and several can be added to a time.
const longest = math.MaxInt64 / 8

func (c Config[R]) withDefaults() Config[R] {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.LookAfter, time.Millisecond},
		{&c.BackoffMin, 10 * time.Millisecond},
		{&c.BackoffMax, 200 * time.Millisecond},
		{&c.OpenTimeout, 2 * time.Minute},
		{&c.CleanTimeout, 5 * time.Second},
		{&c.CheckTimeout, 5 * time.Second},
		{&c.CloseGrace, 250 * time.Millisecond},
		{&c.CheckPeriod, time.Minute},
		{&c.ReconnectTimeout, 0},
		{&c.MaxAge, 0},
		{&c.AgeJitter, 0},
		{&c.MaxRest, 0},
		{&c.MaxLease, 0},
		{&c.GetTimeout, 0},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
		*d.field = min(*d.field, longest)
	}
	if c.MaxDials == 0 {
		c.MaxDials = 8
	}
	c.Wrappers = slices.Clone(c.Wrappers)
	return c
}
