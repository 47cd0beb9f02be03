package actor

import (
	"fmt"
	"time"
)

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
	Revoked     uint64 // taken from their borrowers: by MaxLease, EndGrace or CloseAll
	DialsFailed uint64 // Open returned an error
	CloseFailed uint64 // Close returned an error
	Refused     uint64 // requests answered with an error other than their context's
	Cancelled   uint64 // requests, of Pause and Ready too, whose context or GetTimeout ended while they waited

	Waited   uint64        // leases granted after a wait, since nothing was idle
	WaitTime time.Duration // what those waited, in all

	Failures  int   // failed dials in a row; 0: no outage
	LastError error // of those failures, the last
}

// A LeaseInfo describes one lease in the supervisor's books.
type LeaseInfo struct {
	ID      uint64        // of the resource: 1 for the first opened, and so on
	Key     any           // the key it is lent under, nil without
	Holders int           // leases that share it: 1, or more under one key
	AtLeast time.Duration // how long it has been out, as far as the desk can tell; exact under a key, and with MaxLease
}

// String describes the lease in a few words.
func (l LeaseInfo) String() string {
	s := fmt.Sprintf("#%d", l.ID)
	if l.Key != nil {
		s += fmt.Sprintf(" key %v", l.Key)
	}
	if l.Holders > 1 {
		s += fmt.Sprintf(" (%d holders)", l.Holders)
	}
	return s + fmt.Sprintf(" for at least %v", round(l.AtLeast))
}

// counters are kept since the start.
type counters struct {
	leases, opened, closed, expired, unneeded, taken, revoked uint64
	dialsFailed, closeFailed, refused, cancelled, waited      uint64

	waitTime time.Duration
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
		Expired: m.stats.expired, Unneeded: m.stats.unneeded, Taken: m.stats.taken,
		Revoked: m.stats.revoked, DialsFailed: m.stats.dialsFailed, CloseFailed: m.stats.closeFailed,
		Refused: m.stats.refused, Cancelled: m.stats.cancelled,
		Waited: m.stats.waited, WaitTime: m.stats.waitTime,
		Failures: m.outage.failures, LastError: m.outage.err,
	}
}

// mends counts the open slots that are judged, looked at, cleaned or checked.
func (m *machine[R]) mends() (n int) {
	for _, j := range m.jobs {
		if j.kind.mends() && !j.freed {
			n++
		}
	}
	return n
}

// leases lists what is lent. While the gate is open it first walks the shelf,
// one slot at a time, to know what rests there.
func (m *machine[R]) leases(now time.Duration) (leases []LeaseInfo) {
	rests := m.walkShelf(now)
	for _, sl := range m.slots {
		r := &sl.desk
		if r.place != away || rests[sl] {
			continue
		}
		l := LeaseInfo{ID: r.id, Holders: 1, AtLeast: m.atLeast(now, sl)}
		if r.binding != nil {
			l.Key, l.Holders = r.binding.key, r.binding.holders
		}
		leases = append(leases, l)
	}
	return leases
}

// walkShelf notes every slot on the shelf. Each is back before the next is
// taken: who comes for the one in hand goes over the desk, and gets it there.
func (m *machine[R]) walkShelf(now time.Duration) map[*slot[R]]bool {
	rests := map[*slot[R]]bool{}
	if m.shut {
		return rests
	}
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

// atLeast is how long a lent slot has been out, as far as the desk can tell:
// keyed leases and those granted while the gate is shut pass it, and what is
// still out since the shutting has been out since then.
func (m *machine[R]) atLeast(now time.Duration, sl *slot[R]) time.Duration {
	if sl.desk.binding == nil && !m.shut {
		return 0
	}
	return now - m.leasedAt(sl)
}

// leasedAt is since when a slot is lent at least. If the gate is shut from the start
// that is exact, and so it is for a key.
func (m *machine[R]) leasedAt(sl *slot[R]) time.Duration {
	if b := sl.desk.binding; b != nil {
		return b.since
	}
	return max(m.shutAt, sl.desk.seen)
}

// oldest is how long the longest lease has lasted, as far as is known.
func (m *machine[R]) oldest(now time.Duration) (d time.Duration) {
	for _, sl := range m.slots {
		if sl.desk.place == away {
			d = max(d, m.atLeast(now, sl))
		}
	}
	return d
}

// waitError tells a borrower that gave up how things stand.
func (m *machine[R]) waitError(now time.Duration, t *ticket[R]) *WaitError {
	s := m.stat()
	cause := error(ErrExhausted)
	dials := m.outage.failures > 0 && m.dialing+m.room() > 0 // they fail, and one is wanted
	switch {
	case t.asks == forQuiet: // what is lent kept it waiting
	case m.pause.on:
		cause = ErrPaused
	case t.asks == forMinimum || s.Leased == 0 || dials:
		cause = unavailable(m.outage.err)
	}
	return &WaitError{
		Cause: cause, Waited: now - t.wait.since, Limit: s.Limit,
		Leased: s.Leased, Waiting: s.Waiting, Oldest: m.oldest(now),
	}
}
