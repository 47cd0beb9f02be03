package actor

import (
	"math"
	"time"
)

// span is the search for what nobody needs. The desk sees neither a lend nor a
// return over the shelf, and below its top the shelf uses every slot in turn, so how
// long one slot has rested says little. What counts is the lowest number of idle slots
// over a time of MaxRest: so many were not needed at any moment of it.
type span struct {
	on     bool
	vetoed bool // a borrower has found the shelf empty
	low    int  // idle slots, the fewest seen in this time
	ends   time.Duration
}

// begin begins it anew.
func (s *span) begin(until time.Duration) { *s = span{on: true, low: math.MaxInt, ends: until} }

// shedUnneeded closes what nobody needed for MaxRest.
func (m *machine[R]) shedUnneeded(now time.Duration) {
	w := &m.span
	idle := m.idle()
	if w.vetoed || m.pressed() { // what lies there is a put that raced the shutting
		w.vetoed, idle = false, 0
	}
	switch {
	case m.cfg.MaxRest == 0 || m.pause.on || m.usable <= max(m.cfg.MinOpen, m.cfg.MinIdle):
		w.on = false
		return
	case !w.on || idle <= m.cfg.MinIdle: // this span could end with nothing to close
		w.begin(now + m.cfg.MaxRest)
		return
	}
	if w.low = min(w.low, idle); now < w.ends {
		return
	}
	for range min(w.low-m.cfg.MinIdle, m.usable-m.cfg.MinOpen) {
		sl := m.pick(now)
		if sl == nil {
			break
		}
		if m.idle() < m.cfg.MinIdle { // who took one meanwhile saw no need to tell
			m.lay(sl)
			break
		}
		m.stats.unneeded++
		m.close(now, sl, ReasonUnneeded, nil)
	}
	w.begin(now + m.cfg.MaxRest)
}
