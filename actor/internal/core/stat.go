package core

import "time"

// Counters are kept since the start.
type Counters struct {
	Leases, Waits, Opened, Closed, Expired, Unneeded, Taken, Leaked, Revoked uint64
	DialsFailed, CloseFailed, Refused, Cancelled                             uint64

	WaitTime time.Duration
}

// A Stat is how things stand.
type Stat struct {
	Counters
	Minimum, Limit, Open, Out, Idle, Leased, Repairing, Opening, Closing int

	OpeningSince, RepairingSince, ClosingSince time.Duration // when the first of those began

	Paused   bool
	Failures int   // failed dials in a row
	Err      error // the last of these failures
}

// Stat counts what is lent and idle, and brings the counters up to date.
func (m *Machine) Stat(now time.Duration) Stat {
	m.walk(now, func(*Slot) {})
	return m.Now()
}

// Now is Stat, without the leases that idle slots have counted since the machine last
// had them.
func (m *Machine) Now() Stat {
	st := Stat{
		Counters: m.stats, Minimum: m.cfg.MinOpen, Limit: m.cfg.MaxOpen, Open: m.open(), Out: m.count[Out], Idle: m.idle(), Leased: m.lent(),
		Repairing: m.count[Repairing], Opening: m.count[Opening], Closing: m.count[Closing],
		Paused: m.pause.on, Failures: m.outage.failures, Err: m.outage.err,
	}
	for i := len(m.jobs) - 1; i >= 0; i-- { // the first last
		switch j := m.jobs[i]; j.Slot.state {
		case Opening:
			st.OpeningSince = j.began
		case Repairing:
			st.RepairingSince = j.began
		case Closing:
			st.ClosingSince = j.began
		}
	}
	return st
}

// EachOut calls f with every slot that is lent or idle in the line.
func (m *Machine) EachOut(f func(*Slot)) {
	for _, sl := range m.slots {
		if sl.state == Out {
			f(sl)
		}
	}
}

// EachLent calls f with every slot that is lent, as far as the machine can tell.
func (m *Machine) EachLent(now time.Duration, f func(*Slot)) {
	idle := map[*Slot]bool{}
	m.walk(now, func(sl *Slot) { idle[sl] = true })
	for _, sl := range m.slots {
		if sl.state == Out && !idle[sl] {
			f(sl)
		}
	}
}

// Leaked notes a lease that nobody can put any more. Its resource stays lent: the
// borrower may have kept that.
func (m *Machine) Leaked() { m.stats.Leaked++ }
