package core

import (
	"math"
	"time"
)

// A surplus is the search for what nobody needs. The machine sees neither leases nor
// returns, and below the top the line uses every slot in turn, so how long one slot has
// rested says little. What counts is the lowest number of idle slots over a time of
// MaxRest: so many were not needed at any moment of it.
type surplus struct {
	on     bool
	waited bool // a get found nothing idle
	low    int  // the fewest idle slots seen in this time
	began  time.Duration
	ends   time.Duration
}

// begin begins the search anew.
func (s *surplus) begin(now, lasts time.Duration) {
	*s = surplus{on: true, low: math.MaxInt, began: now, ends: now + lasts}
}

// shedSurplus closes what nobody needed for MaxRest.
func (m *Machine) shedSurplus(now time.Duration) {
	s := &m.surplus
	if m.cfg.MaxRest == 0 || m.pause.on || m.usable <= max(m.cfg.MinOpen, m.cfg.MinIdle) {
		s.on, s.waited = false, false
		return
	}
	if s.on && now >= s.ends {
		m.walk(now, func(*Slot) {}) // counts the gets that had to wait
	}
	idle := m.idle()
	if s.waited || m.pressed() { // what is idle now is about to be taken
		s.waited, idle = false, 0
	}
	if !s.on || idle <= m.cfg.MinIdle { // this search could end with nothing to close
		s.begin(now, m.cfg.MaxRest)
		return
	}
	if s.low = min(s.low, idle); now < s.ends {
		return
	}
	for range min(s.low-m.cfg.MinIdle, m.usable-m.cfg.MinOpen) {
		sl := m.takeIdle(now)
		if sl == nil {
			break
		}
		if m.idle() < m.cfg.MinIdle { // a borrower took one meanwhile and saw no need to say so
			m.pass(now, sl)
			break
		}
		m.stats.Unneeded++
		m.close(now, sl, ReasonUnneeded, nil)
	}
	s.begin(now, m.cfg.MaxRest)
}

// pressed reports whether nothing can rest: a get waits, or the gate is shut.
func (m *Machine) pressed() bool { return m.shut || m.fx.Waiting() > 0 }

// takeIdle takes an idle slot that is not recalled, nil if there is none.
func (m *Machine) takeIdle(now time.Duration) *Slot {
	for sl := m.drawAny(); sl != nil; sl = m.drawAny() {
		switch {
		case sl.state != Out:
		case sl.recalled:
			m.close(now, sl, sl.why, nil)
		default:
			return sl
		}
	}
	return m.kept.pop()
}
