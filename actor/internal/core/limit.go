package core

import "time"

// Resize changes how many resources there are to be. Nothing is recalled: while there
// are too many the gate is shut, and what comes back first is closed.
func (m *Machine) Resize(least, most int) {
	m.cfg.MinOpen, m.cfg.MaxOpen = least, most
	m.tell(Event{Kind: EventResized, N: most})
}

// excess is by how much there are too many after the limit was lowered. What is being
// closed is on its way out already; what is being opened is too many when it comes.
func (m *Machine) excess() int { return m.open() - m.cfg.MaxOpen }

// shedExcess closes kept slots as long as there are too many.
func (m *Machine) shedExcess(now time.Duration) {
	for m.excess() > 0 && m.kept.len() > 0 {
		m.close(now, m.kept.pop(), ReasonExcess, nil)
	}
}
