package actor

import "time"

// Stat is the supervisor's answer to how things stand. Numbers of a moment are
// exact for what passes the desk; while the gate is open, a lease that is
// taken or put at that moment may show as either. Counters lag by the leases
// that are out.
type Stat struct {
	Limit   int // most resources there may be
	Open    int // resources open, lent, idle or being cleaned
	Idle    int // of those, ready to be lent
	Leased  int // of those, lent
	Mending int // of those, being judged, cleaned or checked
	Dialing int // being opened
	Closing int // being closed
	Waiting int // requests that wait
	Keys    int // keys bound to a resource
	Paused  bool

	Leases      uint64 // granted so far, also those that proved unfit, or that Prepare refused
	Opened      uint64 // opened so far
	Closed      uint64 // closed so far
	Expired     uint64 // reached MaxAge
	Unneeded    uint64 // closed because of MaxRest
	Taken       uint64 // taken away by their borrowers, with Lease.Take
	Leaked      uint64 // leases garbage collected without a put, with Track
	Revoked     uint64 // taken from their borrowers: by MaxLease, EndGrace or CloseAll
	DialsFailed uint64 // Open returned an error
	CloseFailed uint64 // Close returned an error
	Refused     uint64 // requests answered with an error other than their context's
	Cancelled   uint64 // requests, of Pause and Ready too, whose context or GetTimeout ended while they waited

	Waited   uint64        // leases granted after a wait, since nothing was idle
	WaitTime time.Duration // what those waited, in all

	EventPanics uint64 // calls of OnEvent that did not return: a panic, or runtime.Goexit
	EventPanic  error  // the last of them

	Failures  int   // failed dials in a row; 0: no outage
	LastError error // of those failures, the last
}

// counters are kept since the start.
type counters struct {
	leases, opened, closed, expired, unneeded, taken, leaked, revoked uint64
	dialsFailed, closeFailed, refused, cancelled, waited              uint64

	waitTime time.Duration

	eventPanics uint64
	eventPanic  error
}

func (m *machine[R]) stat() Stat {
	idle := m.idle()
	mends := m.mends()
	return Stat{
		Limit: m.cfg.MaxOpen, Open: m.open, Idle: idle, Mending: mends,
		Leased:  max(0, m.open-idle-mends),
		Dialing: m.dialing, Closing: m.closing,
		Waiting: m.queue.len, Keys: len(m.keys) - m.loose, Paused: m.pause.on,
		Leases: m.stats.leases, Opened: m.stats.opened, Closed: m.stats.closed,
		Expired: m.stats.expired, Unneeded: m.stats.unneeded, Taken: m.stats.taken, Leaked: m.stats.leaked,
		Revoked: m.stats.revoked, DialsFailed: m.stats.dialsFailed, CloseFailed: m.stats.closeFailed,
		Refused: m.stats.refused, Cancelled: m.stats.cancelled,
		Waited: m.stats.waited, WaitTime: m.stats.waitTime,
		EventPanics: m.stats.eventPanics, EventPanic: m.stats.eventPanic,
		Failures: m.outage.failures, LastError: m.outage.err,
	}
}

// leased is Stat.Leased alone.
func (m *machine[R]) leased() int { return max(0, m.open-m.idle()-m.mends()) }

// mends counts the open slots that are judged, looked at, cleaned or checked.
func (m *machine[R]) mends() (n int) {
	for _, j := range m.jobs {
		if j.kind.mends() && !j.freed {
			n++
		}
	}
	return n
}

// walkShelf notes every slot on the shelf. Each is back before the next is
// taken: who comes for the one in hand goes over the desk, and gets it there.
func (m *machine[R]) walkShelf(now time.Duration) map[*slot[R]]bool {
	rests := map[*slot[R]]bool{}
	if m.shut {
		return rests
	}
	m.lower(now)
	for range m.fx.shelved() {
		sl := m.fx.take()
		if sl == nil {
			break
		}
		m.note(now, sl)
		rests[sl] = true
		m.lay(sl)
	}
	return rests
}

// waitError tells a borrower that gave up how things stand.
func (m *machine[R]) waitError(now time.Duration, t *ticket[R]) *WaitError {
	short := m.shortage(now)
	cause := error(ErrExhausted)
	dials := m.outage.failures > 0 && m.dialing+m.room() > 0 // they fail, and one is wanted
	switch {
	case t.asks == forQuiet: // what is lent kept it waiting
	case m.pause.on:
		cause = ErrPaused
	case t.asks == forMinimum || short.Leased == 0 || dials:
		cause = unavailable(m.outage.err)
	}
	return &WaitError{Cause: cause, Waited: now - t.wait.since, Shortage: short}
}
