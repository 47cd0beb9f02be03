package core

import (
	"fmt"
	"time"
)

// An Event is something that happened.
type Event struct {
	Kind    EventKind
	Slot    *Slot         // nil if it is about none
	Reason  Reason        // of EventClosed and EventRevoked
	Err     error         // what went wrong
	N       int           // a number, see the kinds
	Held    time.Duration // of EventRevoked: how long the lease had lasted, 0 if that is not known
	Refusal Refusal       // of EventRefused, if a get was refused
	Outcome Outcome       // of EventRefused, if a wait for a condition was; else Holds
}

// An EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	// EventOpened: a resource was opened. N is how many are open now.
	EventOpened EventKind = iota + 1
	// EventOpenFailed: Open failed, with Err. N is how many have since the outage began:
	// 1 is the first. It is 0 for a failure that is no outage, such as that of an Open
	// which CloseAll has cancelled.
	EventOpenFailed
	// EventClosed: a resource was closed, for the Reason. Err is what was wrong with
	// it, or the error of Close, or both.
	EventClosed
	// EventCleaned: Clean has made a resource fit again. Err is what was wrong with it, if
	// Config.Fault knows.
	EventCleaned
	// EventTaken: a borrower has taken a resource away, with Lease.Take.
	EventTaken
	// EventRevoked: a lease was revoked, for the Reason, and its resource killed. No
	// EventClosed follows.
	EventRevoked
	// EventLeaked: a lease was garbage collected without a put.
	EventLeaked
	// EventRefused: a request was refused, with Err.
	EventRefused
	// EventCancelled: a request's context, or GetTimeout, ended while it waited.
	EventCancelled
	// EventResized: N is the new MaxOpen.
	EventResized
	// EventPaused: nothing is lent from now on, since Pause was called.
	EventPaused
	// EventResumed: the pause is over.
	EventResumed
	// EventNotReady: a Ready waits on though Open has failed, with Err. It is told once in
	// an outage.
	EventNotReady
	// EventReset: what is open, and being opened, is old.
	EventReset
	// EventOutageBegan: Open has failed, with Err, where the last one had not, or what it
	// opened did not last for a second.
	EventOutageBegan
	// EventOutageEnded: a resource was opened, or has lasted, or Reset or Resume asked for a
	// fresh start. N is how many Opens have failed since it began.
	EventOutageEnded
	// EventOutageLasts: an outage has lasted for ReconnectTimeout. N is how many Opens have
	// failed since it began, Err the last failure.
	EventOutageLasts
	// EventClosing: CloseAll has begun.
	EventClosing
	// EventDropped: N events before the next one were not told, since OnEvent was too
	// slow.
	EventDropped
	// EventEnded: the supervisor has ended. It is the last event, and never dropped.
	EventEnded
)

var eventNames = [...]string{
	EventOpened: "opened", EventOpenFailed: "open failed", EventClosed: "closed", EventCleaned: "cleaned",
	EventTaken: "taken", EventRevoked: "revoked", EventLeaked: "leaked", EventRefused: "refused",
	EventCancelled: "cancelled", EventResized: "resized", EventPaused: "paused", EventResumed: "resumed",
	EventNotReady: "not ready", EventReset: "reset",
	EventOutageBegan: "outage began", EventOutageEnded: "outage ended", EventOutageLasts: "outage lasts",
	EventClosing: "closing", EventDropped: "events dropped", EventEnded: "ended",
}

// String says it in a word or two.
func (k EventKind) String() string {
	if k == 0 || int(k) >= len(eventNames) {
		return "unknown event"
	}
	return eventNames[k]
}

// A Reason says why a resource was closed, or a lease revoked.
type Reason uint8

// The reasons for which a resource is closed. A lease is revoked for one of the last
// two, or because the pool is closing.
const (
	ReasonNone      Reason = iota
	ReasonDiscarded        // its borrower, or Judge, said Discard, or asked for a Clean or Check that there is not
	ReasonBroken           // Look said so, at rest or before it was lent
	ReasonRefused          // Prepare said so
	ReasonPanicked         // Judge, Look or Prepare panicked in its borrower
	ReasonUnfit            // Clean or Check failed, with the event's Err
	ReasonOverdue          // a function ignored its context
	ReasonLate             // it was opened after OpenTimeout
	ReasonExpired          // it reached MaxAge
	ReasonUnneeded         // MaxRest
	ReasonExcess           // there were more than MaxOpen or MaxIdle
	ReasonReset            // it was opened before a Reset
	ReasonClosing          // CloseAll
	ReasonHeld             // it was held for longer than MaxLease
	ReasonUsed             // its lease has ended, and its use went on for too long
)

var reasonNames = [...]string{
	ReasonNone: "no reason", ReasonDiscarded: "discarded", ReasonBroken: "broken", ReasonRefused: "refused by Prepare",
	ReasonPanicked: "a hook panicked", ReasonUnfit: "unfit", ReasonOverdue: "a hook ignored its context",
	ReasonLate: "opened too late", ReasonExpired: "expired", ReasonUnneeded: "not needed", ReasonExcess: "too many",
	ReasonReset: "reset", ReasonClosing: "pool closing", ReasonHeld: "held too long",
	ReasonUsed: "used after the end of its lease",
}

// String says it in a few words.
func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return "unknown reason"
	}
	return reasonNames[r]
}

func (m *Machine) tell(e Event) { m.fx.Tell(e) }

// both is an error made of two, either of which may be nil.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	default:
		return fmt.Errorf("%w; %w", a, b)
	}
}
