package actor

import (
	"fmt"
	"strings"
	"time"
)

// An Event tells of one thing that happened to a Supervisor or to one of its
// resources; see [Config].OnEvent.
type Event struct {
	Kind   EventKind
	At     time.Time  // when the supervisor decided it, or heard of it
	ID     uint64     // of the resource; 0 if it is about none
	Reason Reason     // of EventClosed and EventRevoked
	Err    error      // what went wrong, nil if nothing did
	Lease  *LeaseInfo // of EventRevoked and EventLeaked: the lease, with Track its holder
	N      int        // a number, see the kinds
}

// An EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	// EventOpened: a resource was opened. N is how many are open now.
	EventOpened EventKind = iota + 1
	// EventOpenFailed: Open failed, with Err.
	EventOpenFailed
	// EventClosed: a resource was closed, for the Reason. Err is what was wrong with
	// it, or the error of Close, or both.
	EventClosed
	// EventCleaned: Clean has made a resource fit again.
	EventCleaned
	// EventTaken: a borrower has taken a resource away, with Lease.Take.
	EventTaken
	// EventRevoked: a Lease was revoked, for the Reason, and its resource killed. No
	// EventClosed follows.
	EventRevoked
	// EventLeaked: a Lease was garbage collected without a put. Under a key its Holder
	// is who lost it.
	EventLeaked
	// EventRefused: a request was refused, with Err.
	EventRefused
	// EventCancelled: a request's context, or GetTimeout, ended while it waited. Err is
	// its [*WaitError], which does not know the context's error.
	EventCancelled
	// EventResized: N is the new MaxOpen.
	EventResized
	// EventPaused: nothing is lent from now on, since Pause was called.
	EventPaused
	// EventResumed: the pause is over.
	EventResumed
	// EventReset: what is open, and being opened, is old.
	EventReset
	// EventOutageBegan: Open has failed, with Err, where the last one had not.
	EventOutageBegan
	// EventOutageEnded: a resource was opened, or Reset or Resume asked for a fresh
	// start. N is how many failures in a row there were.
	EventOutageEnded
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
	EventReset: "reset", EventOutageBegan: "outage began", EventOutageEnded: "outage ended",
	EventClosing: "closing", EventDropped: "events dropped", EventEnded: "ended",
}

// String says it in a word or two.
func (k EventKind) String() string {
	if k == 0 || int(k) >= len(eventNames) {
		return "unknown event"
	}
	return eventNames[k]
}

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
	if e.Reason != ReasonNone {
		fmt.Fprintf(&s, ": %v", e.Reason)
	}
	if e.Err != nil {
		line, _, _ := strings.Cut(e.Err.Error(), "\n") // of a panic, without its stack
		fmt.Fprintf(&s, ": %s", line)
	}
	return s.String()
}

// tell has OnEvent told. What it is told must be nobody else's.
func (m *machine[R]) tell(e Event) {
	if m.cfg.OnEvent != nil {
		m.fx.tell(e)
	}
}

// tellOfLease is tell with a description of a slot that is lent: with o, one of its
// holders.
func (m *machine[R]) tellOfLease(now time.Duration, kind EventKind, sl *slot[R], why Reason, o *origin) {
	if m.cfg.OnEvent == nil {
		return
	}
	l := m.info(now, sl)
	if o != nil && l.by != o {
		l.by, l.Others = o, m.others(now, sl, o)
	}
	m.fx.tell(Event{Kind: kind, ID: sl.desk.id, Reason: why, Lease: &l})
}

// tellOfWait is tell with a copy of what the borrower gets, who completes his.
func (m *machine[R]) tellOfWait(err *WaitError) {
	if m.cfg.OnEvent == nil {
		return
	}
	told := *err
	if told.Err == nil {
		told.Err = errGaveUp
	}
	m.fx.tell(Event{Kind: EventCancelled, Err: &told})
}

// tellOfRefusal is the same for a request that is refused.
func (m *machine[R]) tellOfRefusal(err error) {
	if m.cfg.OnEvent == nil {
		return
	}
	switch e := err.(type) {
	case *ExhaustedError:
		told := *e
		err = &told
	case *TooManyWaitingError:
		told := *e
		err = &told
	}
	m.fx.tell(Event{Kind: EventRefused, Err: err})
}

// whole is an error made of two, either of which may be nil.
func whole(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	default:
		return fmt.Errorf("%w; %w", a, b)
	}
}
