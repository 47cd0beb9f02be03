package actor

import (
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// Stat is how things stand. A lease that is taken or put at the moment of the question
// may show as either. Counters of leases and waits lag by the leases that are out.
type Stat struct {
	Minimum int // resources that are kept open
	Limit   int // most resources there may be
	Open    int // resources open, lent, idle or being cleaned
	Idle    int // of those, ready to be lent
	Leased  int // of those, lent
	Mending int // of those, being looked at, cleaned or checked
	Dialing int // being opened
	Closing int // being closed
	Waiting int // requests that wait
	Paused  bool

	Leases      uint64 // granted so far, also those that proved unfit, or that Prepare refused
	Opened      uint64 // opened so far
	Closed      uint64 // closed so far
	Expired     uint64 // reached MaxAge
	Unneeded    uint64 // closed because of MaxRest
	Taken       uint64 // taken away by their borrowers, with Lease.Take
	Leaked      uint64 // leases garbage collected without a put, with Track
	Revoked     uint64 // taken from their borrowers: by MaxLease, Lease.Kill or CloseAll
	DialsFailed uint64 // Open returned an error
	CloseFailed uint64 // Close returned an error
	Refused     uint64 // requests answered with an error other than their context's
	Cancelled   uint64 // requests, of Pause and Ready too, whose context or GetTimeout ended while they waited

	Waited   uint64        // leases granted after a wait, since nothing was idle
	WaitTime time.Duration // what those waited, in all

	EventPanics uint64 // calls of OnEvent that did not return: a panic, or runtime.Goexit
	EventPanic  error  // the last of them

	Failures  int   // failed dials in a row, and dials of what did not last for a second; 0: no outage
	LastError error // of those failures, the last
}

// Stat tells how things stand. The supervisor answers at once, whatever borrowers and
// helpers are doing; after the end it is the last answer. It changes nothing, not even
// the order in which idle resources are lent.
func (s *Supervisor[R]) Stat() Stat {
	st, ok := ask(s, func(l *loop[R], now time.Duration) Stat { return l.stat(l.machine.Stat(now)) })
	if ok {
		return st
	}
	return s.final
}

func (l *loop[R]) stat(st core.Stat) Stat {
	return Stat{
		Minimum: st.Minimum, Limit: st.Limit, Open: st.Open, Idle: st.Idle, Leased: st.Leased, Mending: st.Repairing,
		Dialing: st.Opening, Closing: st.Closing, Waiting: l.line.Waiting(), Paused: st.Paused,
		Leases: st.Leases, Opened: st.Opened, Closed: st.Closed, Expired: st.Expired, Unneeded: st.Unneeded,
		Taken: st.Taken, Leaked: st.Leaked, Revoked: st.Revoked, DialsFailed: st.DialsFailed,
		CloseFailed: st.CloseFailed, Refused: st.Refused + l.turnedAway.sum(),
		Cancelled: st.Cancelled + l.gaveUp.sum(), Waited: st.Waits, WaitTime: st.WaitTime,
		EventPanics: l.reports.panics, EventPanic: l.reports.panicked,
		Failures: st.Failures, LastError: st.Err,
	}
}
