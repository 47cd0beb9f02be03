package core

import "time"

// A Waiter waits for a condition, not for a resource.
type Waiter struct {
	For     Condition
	Patient bool // for Filled: only a failure to open that is permanent, and new, ends the wait
	Body    any  // the caller's own record

	failed uint64 // dials that had failed when the wait began
}

// Condition is what a Waiter waits for.
type Condition uint8

const (
	// Filled: MinOpen and MinIdle resources are open.
	Filled Condition = iota
	// Checked: what was idle when the wait began has been checked, or is no longer idle.
	Checked
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
	w.failed = m.stats.DialsFailed
	m.ready = append(m.ready, w)
}

// CheckIdle has every idle resource checked, as a suspicion does, and w answered when they
// are. While the gate is shut it waits.
func (m *Machine) CheckIdle(w *Waiter) {
	if m.end.closing {
		m.conclude(w, Refused, nil)
		return
	}
	if m.cfg.Check {
		m.suspectAll()
	}
	m.checks = append(m.checks, w)
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
	others, quiet := len(m.ready)+len(m.checks), len(m.pause.waiters)
	m.ready, m.checks, m.pause.waiters = remove(m.ready, w), remove(m.checks, w), remove(m.pause.waiters, w)
	if m.pause.on && len(m.pause.waiters) < quiet && len(m.pause.waiters) == 0 && !m.pause.quiet {
		m.pause.on = false
		m.tell(Event{Kind: EventResumed})
	}
	waited := len(m.ready)+len(m.checks) < others || len(m.pause.waiters) < quiet
	if waited {
		m.stats.Cancelled++
	}
	return waited
}

// Holds reports whether a condition holds now.
func (m *Machine) Holds(c Condition) bool {
	switch c {
	case Filled:
		return m.filled()
	case Checked:
		return !m.cfg.Check || m.idle() == 0
	default:
		return m.lent() == 0
	}
}

// answerWaiters answers those whose condition holds, or that have no hope.
func (m *Machine) answerWaiters(now time.Duration) {
	if m.pause.on && m.count[Out] == 0 && len(m.pause.waiters) > 0 {
		m.pause.quiet = true
		m.endPauses(Holds)
	}
	if m.inspected() {
		m.endAll(&m.checks, Holds, nil)
	}
	switch {
	case len(m.ready) == 0:
	case m.filled():
		m.endAll(&m.ready, Holds, nil)
	case m.stuck(now):
		m.endHopeless()
	case m.outage.failures > 0 && !m.outage.told:
		m.outage.told = true
		m.tell(Event{Kind: EventNotReady, Err: m.outage.err})
	}
}

// endHopeless answers those that wait for a minimum which nobody tries to open now. The
// patient ones go on, unless trying again cannot help.
func (m *Machine) endHopeless() {
	hopeless, hopeful := []*Waiter(nil), []*Waiter(nil)
	for _, w := range m.ready {
		if w.Patient && (!m.outage.permanent || w.failed == m.stats.DialsFailed) {
			hopeful = append(hopeful, w)
		} else {
			hopeless = append(hopeless, w)
		}
	}
	m.ready = hopeful
	m.endAll(&hopeless, Hopeless, m.outage.err)
}

// endAll answers all of a list, and empties it.
func (m *Machine) endAll(list *[]*Waiter, o Outcome, err error) {
	for _, w := range *list {
		m.conclude(w, o, err)
	}
	*list = nil
}

func (m *Machine) endPauses(o Outcome) { m.endAll(&m.pause.waiters, o, nil) }

func (m *Machine) conclude(w *Waiter, o Outcome, err error) {
	if o != Holds {
		m.stats.Refused++
		m.tell(Event{Kind: EventRefused, Outcome: o, Err: err})
	}
	m.fx.Answer(w, o, err)
}
