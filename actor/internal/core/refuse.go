package core

import "time"

// refuseHopeless refuses the waiters that nothing can help. It is a condition, looked at
// in every Settle, not an event: nothing usable is open, nothing is on its way, and
// dials are held back. Kept slots are for the first waiters.
func (m *Machine) refuseHopeless(now time.Duration) {
	if !m.pause.on && m.stuck(now) && m.usable == 0 {
		m.refuse(m.kept.len(), Unavailable, m.outage.err)
		return
	}
	m.dismissNoWaits(now)
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
		m.refused(r, err)
	}
	return true
}

// refused counts a get that is refused, and tells of it.
func (m *Machine) refused(why Refusal, err error) {
	m.stats.Refused++
	m.tell(Event{Kind: EventRefused, Refusal: why, Err: err})
}

// Admit decides whether one more get may wait, where that is limited: by MaxWaiting, or
// since it does not wait for a borrower. g is nil for one that does. The caller then joins
// the line on the get's behalf before it does anything else.
func (m *Machine) Admit(now time.Duration, g *NoWait) (ok bool, why Refusal, err error) {
	if ok, why, err = m.admit(now, g); !ok {
		m.refused(why, err)
		return false, why, err
	}
	m.Waits()
	if g != nil {
		m.noWaits = append(m.noWaits, g)
	}
	return true, 0, nil
}

func (m *Machine) admit(now time.Duration, g *NoWait) (ok bool, why Refusal, err error) {
	waiting := m.fx.Waiting() + 1
	switch {
	case m.end.closing:
		return false, Closed, nil
	case g != nil:
		return m.admitNoWait(now, waiting)
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
