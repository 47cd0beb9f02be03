package actor

import "time"

// pause is the state of Pause and Resume. While it is on the gate is shut,
// nobody is served but the holders of a bound key, and nothing is dialed.
type pause[R any] struct {
	on    bool
	quiet bool         // a Pause has returned: nothing was lent
	wait  []*ticket[R] // the calls of Pause that wait for that
}

// pauseFor is a call of Pause.
func (m *machine[R]) pauseFor(now time.Duration, t *ticket[R]) {
	if !m.pause.on {
		m.pause.on = true
		m.tell(Event{Kind: EventPaused})
	}
	m.pause.wait = append(m.pause.wait, t)
	t.wait.queued = true
	m.shutGate(now)
}

// unpauseFor is a call of Pause whose context has ended: it has had no effect,
// unless there was or is another.
func (m *machine[R]) unpauseFor(t *ticket[R]) {
	m.pause.wait = remove(m.pause.wait, t)
	t.wait.queued = false
	if !m.pause.quiet && len(m.pause.wait) == 0 {
		m.pause.on = false
		m.tell(Event{Kind: EventResumed})
	}
}

// gather takes everything off the shelf, where a borrower that saw the gate
// open could still find it, and answers the calls of Pause once nothing is
// lent.
func (m *machine[R]) gather(now time.Duration) {
	for sl := m.fx.take(); sl != nil; sl = m.fx.take() {
		m.back(now, sl, Keep, ReasonNone)
	}
	if len(m.pause.wait) > 0 && m.hands.len()+m.mends() == m.open {
		m.pause.quiet = true
		m.endPauses(nil)
	}
}

func (m *machine[R]) endPauses(err error) {
	for _, t := range m.pause.wait {
		m.conclude(t, err)
	}
	m.pause.wait = nil
}

// resume ends the pause. A dial that failed before it is no news: the server
// may have been restarted meanwhile.
func (m *machine[R]) resume() {
	if !m.pause.on {
		return
	}
	m.pause.on, m.pause.quiet = false, false
	m.tell(Event{Kind: EventResumed})
	m.heal()
	m.endPauses(ErrResumed)
}
