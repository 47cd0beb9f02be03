package core

import "time"

// A Picker is a get that waits for no borrower and for no dial. It takes what is idle. If
// nothing is, and the machine has some of what was idle away for a repair, it waits for
// that.
type Picker struct {
	Until  time.Duration // it waits no longer
	Body   any           // the caller's own record
	Waited bool          // the machine's: it has had to
}

// Pick serves p, now or in a later Settle. What is idle is first for the gets that wait in
// the line.
func (m *Machine) Pick(now time.Duration, p *Picker) {
	if !m.pick(now, p) {
		p.Waited = true
		m.pickers = append(m.pickers, p)
	}
}

// Unpick takes back p, whose get has given up. It reports whether p still waited.
func (m *Machine) Unpick(p *Picker) bool {
	n := len(m.pickers)
	m.pickers = remove(m.pickers, p)
	if len(m.pickers) == n {
		return false
	}
	m.stats.Cancelled++
	return true
}

// servePickers answers the pickers for which there is a slot, or no hope.
func (m *Machine) servePickers(now time.Duration) {
	for len(m.pickers) > 0 && m.pick(now, m.pickers[0]) {
		m.pickers = remove(m.pickers, m.pickers[0])
	}
	for i := 0; i < len(m.pickers); { // the first waits, which is not to say that a later one may
		if p := m.pickers[i]; now >= p.Until && m.pick(now, p) {
			m.pickers = remove(m.pickers, p)
		} else {
			i++
		}
	}
}

// pick answers p if it can, and reports whether it did.
func (m *Machine) pick(now time.Duration, p *Picker) bool {
	why, err := Exhausted, error(nil)
	switch {
	case m.end.closing:
		why = Closed
	case m.pause.on:
		why = Paused
	default:
		if sl := m.pickSpare(now); sl != nil {
			m.fx.Picked(p, sl, 0, nil)
			return true
		}
		if now < p.Until && m.returning(now) {
			return false
		}
		if m.outage.backoff(now) && m.lent() < m.cfg.MaxOpen {
			why, err = Unavailable, m.outage.err
		}
	}
	m.refused(why, err)
	m.fx.Picked(p, nil, why, err)
	return true
}

// returning reports whether a slot is on its way back from a repair.
func (m *Machine) returning(now time.Duration) bool {
	for _, j := range m.jobs {
		if j.Kind.repairs() && m.comes(now, j) {
			return true
		}
	}
	return false
}

// pickSpare takes a slot that is idle and that no waiter will get, nil if there is none.
func (m *Machine) pickSpare(now time.Duration) *Slot {
	for m.excess() <= 0 && m.idle() > m.fx.Waiting() { // above the limit what is idle is closed
		sl := m.pickAny()
		switch {
		case sl == nil:
			return nil
		case sl.state != Out && sl.state != Kept: // revoked
		case sl.recalled:
			m.close(now, sl, sl.why, nil)
		default:
			m.move(sl, Out)
			return sl
		}
	}
	return nil
}

func (m *Machine) pickAny() *Slot {
	if sl := m.kept.pop(); sl != nil {
		return sl
	}
	return m.drawAny()
}
