package actor

import (
	"context"
	"fmt"
	"math"
	"time"
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
	// taken from its borrower by CloseAll gets Kill instead). It runs in a
	// goroutine of its own and may block until ctx ends, which is after
	// CloseGrace at the latest. The resource counts against MaxOpen until
	// Close returns, or for twice CloseGrace if it ignores ctx. Its error
	// counts in [Stat].CloseFailed. Required.
	Close func(ctx context.Context, r R) error

	// Kill makes whoever works with r fail soon, as closing a socket does. It
	// must be safe at any moment, from any goroutine, beside any other use of
	// r. It is called for a resource still lent when CloseAll runs out of
	// time, and for one whose Clean or Check ignores its context. Nil: such a
	// resource is let go without a word.
	Kill func(r R)

	// Judge is asked at every put what is to be done with r, in the borrower's
	// goroutine, or, for a keyed lease, in a helper once the last holder has
	// put it. It must not do I/O. A panic discards r and goes on in the
	// borrower. Nil: Keep.
	Judge func(r R) Verdict

	// Look is asked before a resource that rested for LookAfter or longer is
	// handed out, in the borrower's goroutine (keyed: in a helper). It must not
	// block: no context would end it. Keep hands it out, anything else brings it back to the desk and
	// the borrower gets another one. Nil: rested resources are not looked at.
	Look func(r R) Verdict

	// LookAfter is the rest after which Look is asked. Zero: 1 ms.
	LookAfter time.Duration

	// Clean makes r fit for the next borrower after the verdict Clean, in a
	// helper, until CleanTimeout. An error closes r. Nil: the verdict Clean
	// closes r.
	Clean func(ctx context.Context, r R) error

	// Check finds out whether r still works after the verdict Check, in a
	// helper, until CleanTimeout. An error closes r. Nil: the verdict Check
	// closes r.
	Check func(ctx context.Context, r R) error

	// Permanent says that a failure of Open cannot heal by waiting, such as a
	// wrong password: waiters are then refused also under WaitForServer. It is
	// called in the helper that ran Open. Nil: no failure is permanent.
	Permanent func(err error) bool

	// MaxOpen is the most resources there are at any moment, those being
	// opened and being closed included. At least 1. Required.
	MaxOpen int

	// MinOpen resources are opened at the start, before anybody asks; see
	// [Supervisor.Ready]. From 0 (the default) to MaxOpen.
	MinOpen int

	// MaxDials is how many Opens may be under way at once. One that takes
	// longer than a second no longer counts. Zero: 8.
	MaxDials int

	// Outage says what happens to waiters while Open fails and nothing else is
	// usable. Default: FailFast.
	Outage OutagePolicy

	// BackoffMin and BackoffMax bound the pause after a failed Open: it doubles
	// with each failure in a row from the one to the other, and a random part
	// of it is waited. Zero: 10 ms and 200 ms.
	BackoffMin, BackoffMax time.Duration

	// OpenTimeout ends the context of an Open. Zero: 2 minutes.
	OpenTimeout time.Duration

	// CleanTimeout ends the context of a Clean or Check. Zero: 5 seconds.
	CleanTimeout time.Duration

	// CloseGrace ends the context of a Close, and is how long CloseAll waits,
	// once its own context has ended, for what is still under way. Zero:
	// 250 ms.
	CloseGrace time.Duration

	// hold is a test's hook: borrowers call it at the named points of their
	// protocol. It is nil outside this package's tests.
	hold func(point)
}

// A Verdict says what is to be done with a resource. Where several holders of
// one keyed lease give different verdicts, the greatest wins.
type Verdict uint8

// The verdicts, from the best to the worst.
const (
	Keep    Verdict = iota // fit for the next borrower
	Clean                  // Config.Clean first
	Check                  // Config.Check first
	Discard                // close it
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
	for _, k := range []check{
		{c.Open == nil, "Open", nil, "is required"},
		{c.Close == nil, "Close", nil, "is required"},
		{c.MaxOpen < 1, "MaxOpen", c.MaxOpen, "must be at least 1"},
		{c.MinOpen < 0, "MinOpen", c.MinOpen, "must not be negative"},
		{c.MinOpen > c.MaxOpen, "MinOpen", c.MinOpen, fmt.Sprintf("must not be greater than MaxOpen (%d)", c.MaxOpen)},
		{c.MaxDials < 0, "MaxDials", c.MaxDials, "must not be negative"},
		{c.Outage > WaitForServer, "Outage", c.Outage, "is no policy"},
		{c.LookAfter < 0, "LookAfter", c.LookAfter, "must not be negative"},
		{c.BackoffMin < 0, "BackoffMin", c.BackoffMin, "must not be negative"},
		{c.BackoffMax < 0, "BackoffMax", c.BackoffMax, "must not be negative"},
		{c.OpenTimeout < 0, "OpenTimeout", c.OpenTimeout, "must not be negative"},
		{c.CleanTimeout < 0, "CleanTimeout", c.CleanTimeout, "must not be negative"},
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
		{&c.CloseGrace, 250 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
		*d.field = min(*d.field, longest)
	}
	if c.MaxDials == 0 {
		c.MaxDials = 8
	}
	return c
}
