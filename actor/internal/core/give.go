package core

import "time"

// arrangeGate shuts the gate in a pause, above the limit, and at the end, and opens it
// otherwise. While it is shut everything idle comes into the machine's hands, where no
// borrower can find it.
func (m *Machine) arrangeGate(now time.Duration) {
	switch shut := m.pause.on || m.excess() > 0 || m.end.closing; {
	case shut:
		m.shutGate()
	case !shut && m.shut:
		m.shut = false
		m.fx.Open()
	}
	if m.shut {
		m.gather(now)
	}
}

func (m *Machine) shutGate() {
	if !m.shut {
		m.shut = true
		m.fx.Shut()
	}
}

// gather takes everything idle out of the line. A put that had looked at the gate before
// it was shut may still lay something there: the supervisor brings that with Put.
func (m *Machine) gather(now time.Duration) {
	for sl := m.drawAny(); sl != nil; sl = m.drawAny() {
		m.gathered(now, sl)
	}
}

func (m *Machine) drawAny() *Slot {
	if sl := m.fx.Draw(); sl != nil {
		return sl
	}
	return m.fx.DrawTop()
}

// gathered keeps a slot that comes out of the line, or closes it if it is recalled. A slot
// that was revoked is nobody's: nothing is done.
func (m *Machine) gathered(now time.Duration, sl *Slot) {
	if sl.state != Out {
		return
	}
	m.tally(sl)
	m.readmit(now, sl)
}

// give passes what the machine keeps on to the line, as far as there is room.
func (m *Machine) give(now time.Duration) {
	for !m.shut && m.kept.len() > 0 && m.pass(now, m.kept.pop()) {
	}
	if !m.shut { // a put may have laid a slot idle while a get waits, see package line
		if rest := m.fx.Match(); rest != nil {
			m.gathered(now, rest)
		}
	}
	m.shedIdle(now)
}

// shedIdle closes kept slots as long as more than MaxIdle are idle. What may stay goes
// into the line if a get has made room there meanwhile: a put that found room beside a
// kept slot would make one too many, and not tell.
func (m *Machine) shedIdle(now time.Duration) {
	for m.cfg.MaxIdle < NoLimit && m.kept.len() > 0 && !m.pressed() {
		most := m.cfg.MaxIdle + len(m.pickers) // these are served next
		if m.idle() > most {
			m.close(now, m.kept.pop(), ReasonExcess, nil)
		} else if !m.pass(now, m.kept.pop()) && m.idle() <= most {
			return // the line has less room than that
		}
	}
}

// pass gives one slot to the line. It reports whether there was room; without, the
// machine keeps sl as the first, or whatever the line had no room for.
func (m *Machine) pass(now time.Duration, sl *Slot) bool {
	m.move(sl, Out)                          // before a borrower can bring it back
	sl.Proven = sl.Proven && sl.Since == now // what was kept in between may have rested
	switch rest := m.fx.Give(sl); rest {
	case nil:
		return true
	case sl:
		m.move(sl, Kept)
		m.kept.pushFirst(sl)
	default:
		m.gathered(now, rest)
	}
	return false
}

// idle is the number of slots ready to be lent.
func (m *Machine) idle() int {
	below, top := m.fx.Idle()
	return m.kept.len() + below + top
}

// walk calls f with every slot that is idle in the line, one at a time, so that the
// others are there for borrowers meanwhile. It leaves their order as it is. Recalled
// slots are closed.
func (m *Machine) walk(now time.Duration, f func(*Slot)) {
	below, _ := m.fx.Idle()
	for range below {
		m.visit(now, m.fx.Draw(), false, f)
	}
	m.visit(now, m.fx.DrawTop(), true, f)
}

func (m *Machine) visit(now time.Duration, sl *Slot, top bool, f func(*Slot)) {
	switch {
	case sl == nil || sl.state != Out:
	case sl.recalled:
		m.close(now, sl, sl.why, nil)
	default:
		m.tally(sl)
		f(sl)
		m.putBack(now, sl, top)
	}
}

// putBack lays an idle slot back where it was drawn from.
func (m *Machine) putBack(now time.Duration, sl *Slot, top bool) {
	if rest := m.fx.Return(sl, top); rest != nil {
		m.gathered(now, rest)
	}
}

// sweepIdle closes what is recalled and idle.
func (m *Machine) sweepIdle(now time.Duration) {
	if !m.sweep {
		return
	}
	m.sweep = false
	for range m.kept.len() {
		sl := m.kept.pop()
		m.readmit(now, sl)
	}
	m.walk(now, func(*Slot) {})
}
