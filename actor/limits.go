package actor

import "time"

// resize changes how many resources there are to be. Nothing is recalled: in
// excess the gate is shut, and whatever comes first is closed.
func (m *machine[R]) resize(least, most int) {
	m.cfg.MinOpen, m.cfg.MaxOpen = least, most
	m.tell(Event{Kind: EventResized, N: most})
}

// room is how many more resources there may be.
func (m *machine[R]) room() int { return m.cfg.MaxOpen - m.open - m.closing - m.dialing }

// excess is how many there are too many after the limit was lowered. What is
// being closed is on its way out already; what is being opened is too many when
// it comes.
func (m *machine[R]) excess() int { return m.open - m.cfg.MaxOpen }

// shedExcess closes what is idle as long as there are too many.
func (m *machine[R]) shedExcess(now time.Duration) {
	if m.excess() <= 0 {
		return
	}
	m.shutGate(now)
	for m.excess() > 0 {
		sl := m.pick(now)
		if sl == nil {
			return
		}
		if m.excess() <= 0 { // pick closed what was recalled
			m.lay(sl)
			return
		}
		m.close(now, sl, ReasonExcess, nil)
	}
}
