package core

import "time"

// refuseHopeless refuses the waiters that nothing can help. It is a condition, looked at
// in every Settle, not an event: nothing usable is open, nothing is on its way, and
// dials are held back. Where gets never wait for a borrower, what is lent does not help
// either, nor does a pause. Kept slots are for the first waiters.
func (m *Machine) refuseHopeless(now time.Duration) {
	switch kept := m.kept.len(); {
	case m.pause.on:
		if m.cfg.NoWait {
			m.refuse(0, Paused, nil)
		}
	case m.stuck(now) && (m.usable == 0 || m.cfg.NoWait):
		m.refuse(kept, Unavailable, m.outage.err)
	case m.shrunk:
		m.shrunk = !m.refuse(max(kept, m.cfg.MaxOpen-m.lent()), Exhausted, nil)
	}
}

// refuse refuses waiters until no more than most are left, as many as the line has room
// for now. It reports whether that was enough.
func (m *Machine) refuse(most int, r Refusal, err error) bool {
	for m.fx.Waiting() > most {
		if !m.fx.Refuse(r, err) {
			if m.fx.Waiting() > most {
				m.again = true
				return false
			}
			break
		}
		m.stats.Refused++
		m.tell(Event{Kind: EventRefused, Refusal: r, Err: err})
	}
	return true
}

// Admit decides whether one more get may wait, where that is limited. The caller then
// joins the line on the get's behalf before it does anything else.
func (m *Machine) Admit(now time.Duration) (ok bool, why Refusal, err error) {
	if ok, why, err = m.admit(now); ok {
		m.Waits()
		return true, 0, nil
	}
	m.stats.Refused++
	m.tell(Event{Kind: EventRefused, Refusal: why, Err: err})
	return false, why, err
}

func (m *Machine) admit(now time.Duration) (ok bool, why Refusal, err error) {
	waiting := m.fx.Waiting() + 1
	switch {
	case m.end.closing:
		return false, Closed, nil
	case m.cfg.NoWait && m.pause.on:
		return false, Paused, nil
	case m.cfg.NoWait && waiting > m.kept.len() && m.stuck(now):
		return false, Unavailable, m.outage.err
	case m.cfg.NoWait && waiting > m.cfg.MaxOpen-m.lent():
		return false, Exhausted, nil
	case m.cfg.MaxWaiting > 0 && waiting > m.cfg.MaxWaiting+m.provided(now):
		return false, Crowded, nil
	}
	return true, 0, nil
}

// provided is the number of waiters that need no borrower: resources are kept or coming
// for them, or may be opened.
func (m *Machine) provided(now time.Duration) int {
	n := m.coming(now)
	if m.pause.on {
		return n
	}
	if m.excess() <= 0 {
		n += m.kept.len()
	}
	if m.outage.failures == 0 {
		n += max(0, m.room())
	}
	return n
}

// lent is the number of resources that borrowers hold. While values move in the line it
// is off by those on their way.
func (m *Machine) lent() int {
	below, top := m.fx.Idle()
	return max(0, m.count[Out]-below-top)
}
