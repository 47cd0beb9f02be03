package actor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

var (
	// ErrClosed is returned by every call after CloseAll has begun, and by a
	// second CloseAll. It has the text of puddle.ErrClosedPool, pgxpool's, which errors.Is
	// finds in it.
	ErrClosed error = closedError("closed pool")

	// ErrExhausted says that every resource is lent: the answer to a get that
	// does not wait (see [ExhaustedError]), and the cause of a get that waited until
	// its context ended.
	ErrExhausted = errors.New("pool exhausted")

	// ErrUnavailable says that a resource could not be opened: Open failed, or
	// has not come to an end in time. The error that carries it wraps the
	// failure of Open, if there was one.
	ErrUnavailable = errors.New("no resource available")

	// ErrTooManyWaiting refuses a get because Config.MaxWaiting others wait. The error
	// is a [*TooManyWaitingError].
	ErrTooManyWaiting = errors.New("too many gets are waiting")

	// ErrPaused is the answer to a get that does not wait while the supervisor
	// is paused, and the cause of one that waited then until its context ended.
	ErrPaused = errors.New("pool is paused")

	// ErrResumed is the answer to a Pause that still waited when Resume was
	// called.
	ErrResumed = errors.New("resumed before everything was back")

	// ErrTimeout says that a get waited for Config.GetTimeout. errors.Is finds
	// context.DeadlineExceeded in it.
	ErrTimeout error = timeoutError{}

	// ErrShared is the answer to a Take of a resource that others hold under
	// the same key.
	ErrShared = errors.New("others hold it under the same key")

	// ErrBusy is the answer to a use of what is shared under a key while it is in
	// use. The error is a [*BusyError].
	ErrBusy = errors.New("shared resource is in use")

	// ErrRevoked is the answer to a put or a use of a lease whose resource was killed,
	// and to a get with its key (see [Request]). The error is a [*RevokedError].
	ErrRevoked = errors.New("connection revoked")

	// ErrNotLeased is the answer to a lease that has been put back already.
	ErrNotLeased = errors.New("not leased: put back already")
)

// A timeoutError is context.DeadlineExceeded, and does not say so: no context has ended.
type timeoutError struct{}

func (timeoutError) Error() string { return "get timed out" }
func (timeoutError) Unwrap() error { return context.DeadlineExceeded }

// A closedError is an error that is every error of the same text: programs ask for
// puddle's, which this module does not import.
type closedError string

func (e closedError) Error() string { return string(e) }

// Is reports whether target is made by errors.New, with the same text.
func (e closedError) Is(target error) bool {
	return reflect.TypeOf(target) == plainError && target.Error() == string(e)
}

var plainError = reflect.TypeOf(errors.New(""))

// A WaitError is returned by a get whose context, or GetTimeout, ended while it
// waited, and by Pause and Ready. errors.Is finds the context's error (and its cause, see
// context.WithCancelCause) or ErrTimeout, and, but for CheckIdle, ErrExhausted,
// ErrUnavailable or ErrPaused.
type WaitError struct {
	Err    error         // what ended the wait: the context's error, or ErrTimeout
	Cause  error         // what it waited for: ErrExhausted, ErrPaused, or an error that is ErrUnavailable
	Waited time.Duration // since the get began to wait
	Shortage
}

// A Shortage is how things stood when a request got nothing.
type Shortage struct {
	Limit   int           // most resources there may be
	Leased  int           // resources that were lent
	Opening int           // resources that were being opened
	Mending int           // resources that were being cleaned or checked
	Closing int           // resources that were being closed: they count against the limit
	Waiting int           // others who waited
	Oldest  time.Duration // how long the longest lease had lasted, with Config.Track; else 0
	Leases  []LeaseInfo   // with Config.Track: the leases, the oldest first, 10 at most

	// For how long the first of these had been under way; else 0.
	OpeningFor, MendingFor, ClosingFor time.Duration
}

// text says it in a few words.
func (s *Shortage) text() string {
	t := fmt.Sprintf("%d of %d in use", s.Leased, s.Limit)
	for _, u := range []struct {
		n     int
		what  string
		lasts time.Duration
	}{
		{s.Opening, "opened", s.OpeningFor}, {s.Mending, "cleaned or checked", s.MendingFor}, {s.Closing, "closed", s.ClosingFor},
	} {
		if u.n > 0 {
			t += fmt.Sprintf(", %d being %s", u.n, u.what)
		}
		if u.lasts > 0 {
			t += fmt.Sprintf(" for up to %v", round(u.lasts))
		}
	}
	t += fmt.Sprintf(", %d others waiting", s.Waiting)
	if s.Oldest > 0 {
		t += fmt.Sprintf(", oldest lease %v", round(s.Oldest))
	}
	if len(s.Leases) > 0 {
		t += ": " + list(s.Leases, max(s.Leased, len(s.Leases)))
	}
	return t
}

// list names leases, of which there may be more.
func list(leases []LeaseInfo, all int) string {
	var b strings.Builder
	for i, l := range leases {
		if i == shownLeases {
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(l.String())
	}
	if more := all - min(len(leases), shownLeases); more > 0 {
		fmt.Fprintf(&b, ", and %d more", more)
	}
	return b.String()
}

// Error tells what was waited for, and how things stood at the end.
func (e *WaitError) Error() string {
	return fmt.Sprintf("%v after %v: %v (%s)", e.Err, round(e.Waited), e.Cause, e.text())
}

// Unwrap gives errors.Is and errors.As both the context's error and the cause.
func (e *WaitError) Unwrap() []error { return []error{e.Err, e.Cause} }

// An ExhaustedError is the answer to a get that does not wait for borrowers, see
// [Supervisor.GetNoWait]. It is ErrExhausted. A TryGet, which may be one of many, gets that alone.
type ExhaustedError struct{ Shortage }

// Error tells how things stood.
func (e *ExhaustedError) Error() string { return fmt.Sprintf("%v (%s)", ErrExhausted, e.text()) }

// Unwrap gives errors.Is ErrExhausted.
func (e *ExhaustedError) Unwrap() error { return ErrExhausted }

// A TooManyWaitingError is the answer to a get beyond Config.MaxWaiting. It is
// ErrTooManyWaiting.
type TooManyWaitingError struct{ Shortage }

// Error tells how things stood.
func (e *TooManyWaitingError) Error() string {
	return fmt.Sprintf("%v (%s)", ErrTooManyWaiting, e.text())
}

// Unwrap gives errors.Is ErrTooManyWaiting.
func (e *TooManyWaitingError) Unwrap() error { return ErrTooManyWaiting }

// A CloseError is returned by CloseAll where something had to be left behind.
type CloseError struct {
	Err    error       // the error of the context that ended first; nil if none did
	Leases []LeaseInfo // leases that were revoked: their resources were killed
	Hooks  []string    // functions of the Config that still run, ignoring their context
}

// Error names the holders and the hooks.
func (e *CloseError) Error() string {
	var b strings.Builder
	b.WriteString("close")
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if len(e.Leases) > 0 {
		fmt.Fprintf(&b, ": %d leases revoked: %s", len(e.Leases), list(e.Leases, len(e.Leases)))
	}
	if len(e.Hooks) > 0 {
		fmt.Fprintf(&b, ": still running, its context ignored: %s", strings.Join(e.Hooks, ", "))
	}
	return b.String()
}

// Unwrap gives errors.Is the context's error.
func (e *CloseError) Unwrap() error { return e.Err }

// A RevokedError is the answer to a put, a Use or a Take of a lease that was revoked:
// its resource was killed, and there is nothing to give back; or to a get with the key
// of such leases. It is ErrRevoked, and if CloseAll did it ErrClosed too.
type RevokedError struct {
	Reason Reason        // ReasonHeld, ReasonUsed or ReasonClosing
	Held   time.Duration // how long the lease had lasted, with Track or MaxLease; else 0
	Limit  time.Duration // of ReasonHeld: MaxLease; else 0
	At     time.Time     // when it was revoked
}

// Error tells why, and after what time. MaxLease is called as in package pool.
func (e *RevokedError) Error() string {
	switch {
	case e.Limit > 0:
		return fmt.Sprintf("%v: held longer than MaxLeaseTime (%v)", ErrRevoked, e.Limit)
	case e.Held > 0:
		return fmt.Sprintf("%v after %v: %v", ErrRevoked, round(e.Held), e.Reason)
	default:
		return fmt.Sprintf("%v: %v", ErrRevoked, e.Reason)
	}
}

// Unwrap gives errors.Is ErrRevoked, and ErrClosed if that was the reason.
func (e *RevokedError) Unwrap() []error {
	if e.Reason == ReasonClosing {
		return []error{ErrRevoked, ErrClosed}
	}
	return []error{ErrRevoked}
}

// A KeyError is the answer to a get whose key cannot be one: it is not
// comparable, or not equal to itself.
type KeyError struct {
	Key    any // the key itself, which Error does not show
	Reason string
}

// Error names the key's type, and nothing else of it, and the reason.
func (e *KeyError) Error() string { return fmt.Sprintf("invalid key of type %T: %s", e.Key, e.Reason) }

// A BusyError is the answer to a use of what is shared under a key while it is in
// use. It is ErrBusy.
type BusyError struct {
	Key   any    // as [ShownKey] has it
	Doing string // what it is used for
}

// Error names the key, and what its resource is used for.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%v: key %s: %s", ErrBusy, keyText(e.Key), e.Doing)
}

// Unwrap gives errors.Is ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// unavailable joins ErrUnavailable with the failure that explains it.
func unavailable(err error) error {
	if err == nil {
		return ErrUnavailable
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func round(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d
	}
	return d.Round(time.Millisecond / 10)
}

// ErrAlarm is for Clean and Check: an error that is ErrAlarm closes the resource as any
// error does, and has the others checked, as the verdict Alarm.
var ErrAlarm = errors.New("others may be broken too")

// ErrStale is for Clean and Check: an error that is ErrStale closes the resource, and all
// that were opened before, as [Supervisor.Reset] does: idle ones now, lent ones when they
// are put. A resource that is older than the last Reset has no such effect.
var ErrStale = errors.New("its generation is stale")
