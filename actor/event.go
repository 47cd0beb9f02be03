package actor

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// An Event tells of one thing that happened to a Supervisor or to one of its
// resources; see [Config].OnEvent.
type Event struct {
	Kind   EventKind
	At     time.Time     // when the supervisor decided it, or heard of it
	ID     uint64        // of the resource; 0 if it is about none
	Reason Reason        // of EventClosed and EventRevoked
	Err    error         // what went wrong, nil if nothing did
	Lease  *LeaseInfo    // of EventRevoked and EventLeaked: the lease, with Track its holder
	N      int           // a number, see the kinds
	Lasted time.Duration // of EventOutageEnded and EventOutageLasts: since EventOutageBegan
}

// An EventKind says what happened.
type EventKind = core.EventKind

// The kinds of events.
const (
	// EventOpened: a resource was opened. N is how many are open now.
	EventOpened = core.EventOpened
	// EventOpenFailed: Open failed, with Err. N is how many have since the outage began:
	// 1 is the first. It is 0 for a failure that is no outage, such as that of an Open
	// which CloseAll has cancelled.
	EventOpenFailed = core.EventOpenFailed
	// EventClosed: a resource was closed, for the Reason. Err is what was wrong with
	// it, or the error of Close, or both.
	EventClosed = core.EventClosed
	// EventCleaned: Clean has made a resource fit again. Err is what was wrong with it, if
	// Config.Fault knows.
	EventCleaned = core.EventCleaned
	// EventTaken: a borrower has taken a resource away, with Lease.Take.
	EventTaken = core.EventTaken
	// EventRevoked: a lease was revoked, for the Reason, and its resource killed. No
	// EventClosed follows.
	EventRevoked = core.EventRevoked
	// EventLeaked: a lease was garbage collected without a put.
	EventLeaked = core.EventLeaked
	// EventRefused: a request was refused, with Err.
	EventRefused = core.EventRefused
	// EventCancelled: a request's context, or GetTimeout, ended while it waited.
	EventCancelled = core.EventCancelled
	// EventResized: N is the new MaxOpen.
	EventResized = core.EventResized
	// EventPaused: nothing is lent from now on, since Pause was called.
	EventPaused = core.EventPaused
	// EventResumed: the pause is over.
	EventResumed = core.EventResumed
	// EventNotReady: a Ready waits on though Open has failed, with Err. It is told once in
	// an outage.
	EventNotReady = core.EventNotReady
	// EventReset: what is open, and being opened, is old.
	EventReset = core.EventReset
	// EventOutageBegan: Open has failed, with Err, where the last one had not, or what it
	// opened did not last for a second.
	EventOutageBegan = core.EventOutageBegan
	// EventOutageEnded: a resource was opened, or has lasted, or Reset or Resume asked for a
	// fresh start. N is how many Opens have failed since it began.
	EventOutageEnded = core.EventOutageEnded
	// EventOutageLasts: an outage has lasted for ReconnectTimeout. N is how many Opens have
	// failed since it began, Err the last failure.
	EventOutageLasts = core.EventOutageLasts
	// EventClosing: CloseAll has begun.
	EventClosing = core.EventClosing
	// EventDropped: N events before the next one were not told, since OnEvent was too
	// slow.
	EventDropped = core.EventDropped
	// EventEnded: the supervisor has ended. It is the last event, and never dropped.
	// CloseAll returns after it, unless OnEvent is slow.
	EventEnded = core.EventEnded
)

// String describes the event in a line.
func (e Event) String() string {
	var s strings.Builder
	s.WriteString(e.Kind.String())
	if e.Lease != nil {
		fmt.Fprintf(&s, " %v", e.Lease)
	} else if e.ID > 0 {
		fmt.Fprintf(&s, " #%d", e.ID)
	}
	if e.N > 0 {
		fmt.Fprintf(&s, " (%d)", e.N)
	}
	if e.Lasted > 0 {
		fmt.Fprintf(&s, " after %v", round(e.Lasted))
	}
	if e.Reason != ReasonNone {
		fmt.Fprintf(&s, ": %v", e.Reason)
	}
	if e.Err != nil {
		line, _, _ := strings.Cut(e.Err.Error(), "\n") // of a panic, without its stack
		fmt.Fprintf(&s, ": %s", line)
	}
	return s.String()
}

// Tell has OnEvent told of something that the machine did.
func (l *loop[R]) Tell(e core.Event) {
	if l.cfg.OnEvent == nil {
		return
	}
	p := Event{Kind: e.Kind, Reason: e.Reason, Err: e.Err, N: e.N}
	if e.Slot != nil {
		p.ID = e.Slot.ID
	}
	switch {
	case e.Kind == EventOutageBegan:
		l.outageBegan = l.clock
	case e.Kind == EventOutageEnded || e.Kind == EventOutageLasts:
		p.Lasted = l.clock - l.outageBegan
	case e.Kind == EventRevoked:
		p.Lease = l.info(of[R](e.Slot), e.Held)
	case e.Kind == EventRefused && e.Outcome != core.Holds:
		p.Err = l.outcome(&core.Waiter{For: core.Filled}, e.Outcome, e.Err)
	case e.Kind == EventRefused:
		p.Err = l.refusal(e.Refusal, e.Err)
	}
	l.tellPublic(p)
}
