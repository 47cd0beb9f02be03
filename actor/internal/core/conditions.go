package core

import "time"

// A Waiter waits for a condition, not for a resource.
type Waiter struct {
	For  Condition
	Body any // the caller's own record
}

// Condition is what a Waiter waits for.
type Condition uint8

const (
	// Filled: MinOpen and MinIdle resources are open.
	Filled Condition = iota
	// Quiet: nothing is lent, and nothing will be until Resume.
	Quiet
	// Ended: everything is closed, or the grace for that is over.
	Ended
)

// An Outcome is how a wait for a condition ended.
type Outcome uint8

const (
	// Holds: the condition holds.
	Holds Outcome = iota
	// Hopeless: opening fails, with the error that comes with the outcome.
	Hopeless
	// Resumed: Resume was called first.
	Resumed
	// Refused: CloseAll has begun, or for a CloseAll: has ended.
	Refused
)

// A pause is the state of Pause and Resume. While it is on the gate is shut, nothing is
// lent and nothing is dialed.
type pause struct {
	on      bool
	quiet   bool // a Pause has returned
	waiters []*Waiter
}

// Ready has w answered when the minimum is open.
func (m *Machine) Ready(w *Waiter) {
	if m.end.closing {
		m.conclude(w, Refused, nil)
		return
	}
	m.ready = append(m.ready, w)
}

// Pause begins a pause and has w answered when nothing is lent.
func (m *Machine) Pause(w *Waiter) {
	if m.end.closing {
		m.conclude(w, Refused, nil)
		return
	}
	if !m.pause.on {
		m.pause.on = true
		m.tell(Event{Kind: EventPaused})
	}
	m.pause.waiters = append(m.pause.waiters, w)
}

// Resume ends the pause. A dial that failed before it counts no more: the server may
// have been restarted meanwhile.
func (m *Machine) Resume() {
	if !m.pause.on {
		return
	}
	m.pause.on, m.pause.quiet = false, false
	m.tell(Event{Kind: EventResumed})
	m.heal()
	m.endPauses(Resumed)
}

// GiveUp takes back w, whose call has given up. It reports whether w still waited. A
// pause that nobody waits for any more, and that never came to hold, has had no effect.
func (m *Machine) GiveUp(w *Waiter) bool {
	ready, quiet := len(m.ready), len(m.pause.waiters)
	m.ready, m.pause.waiters = remove(m.ready, w), remove(m.pause.waiters, w)
	if m.pause.on && len(m.pause.waiters) < quiet && len(m.pause.waiters) == 0 && !m.pause.quiet {
		m.pause.on = false
		m.tell(Event{Kind: EventResumed})
	}
	waited := len(m.ready) < ready || len(m.pause.waiters) < quiet
	if waited {
		m.stats.Cancelled++
	}
	return waited
}

// Holds reports whether a condition holds now.
func (m *Machine) Holds(c Condition) bool {
	if c == Filled {
		return m.filled()
	}
	return m.lent() == 0
}

// answerWaiters answers those whose condition holds, or that have no hope.
func (m *Machine) answerWaiters(now time.Duration) {
	if m.pause.on && m.count[Out] == 0 && len(m.pause.waiters) > 0 {
		m.pause.quiet = true
		m.endPauses(Holds)
	}
	switch {
	case len(m.ready) == 0:
	case m.filled():
		m.endReady(Holds, nil)
	case m.stuck(now):
		m.endReady(Hopeless, m.outage.err)
	case m.outage.failures > 0 && !m.outage.told:
		m.outage.told = true
		m.tell(Event{Kind: EventNotReady, Err: m.outage.err})
	}
}

func (m *Machine) endReady(o Outcome, err error) {
	for _, w := range m.ready {
		m.conclude(w, o, err)
	}
	m.ready = nil
}

func (m *Machine) endPauses(o Outcome) {
	for _, w := range m.pause.waiters {
		m.conclude(w, o, nil)
	}
	m.pause.waiters = nil
}

func (m *Machine) conclude(w *Waiter, o Outcome, err error) {
	if o != Holds {
		m.stats.Refused++
		m.tell(Event{Kind: EventRefused, Outcome: o, Err: err})
	}
	m.fx.Answer(w, o, err)
}
