package core

import "time"

// A NoWait is a get that has a place in line and does not wait for a borrower: for a
// resource that is opened, cleaned or closed, yes. It was admitted since there is one for
// it; it is dismissed when that changes.
type NoWait struct {
	Body any // the caller's own record
}

// Left notes that a get has left the line, whatever came of it.
func (m *Machine) Left(g *NoWait) { m.noWaits = remove(m.noWaits, g) }

// barged is how soon the machine looks again while such a get waits. A get that comes
// later may take what was put for it, in the moment in which that lies idle, and does not
// tell.
const barged = 10 * time.Millisecond

// dismissNoWaits dismisses the gets that only a borrower could help. What is kept will
// serve as many, once the line has room for the answer.
func (m *Machine) dismissNoWaits(now time.Duration) {
	kept := m.kept.len()
	switch {
	case len(m.noWaits) == 0:
	case m.pause.on:
		m.dismiss(0, Paused, nil)
	case m.stuck(now):
		m.dismiss(kept, Unavailable, m.outage.err)
	default:
		m.dismiss(max(kept, m.cfg.MaxOpen-m.lent()), Exhausted, nil)
	}
}

// dismiss dismisses those that came last, until no more than most wait. The first may
// have been served and not have told yet: so many as wait are left to dismiss.
func (m *Machine) dismiss(most int, why Refusal, err error) {
	for wait := min(len(m.noWaits), m.fx.Waiting()); wait > most; wait-- {
		g := m.noWaits[len(m.noWaits)-1]
		m.noWaits = remove(m.noWaits, g)
		m.refused(why, err)
		m.fx.Dismiss(g, why, err)
	}
}

// admitNoWait decides whether a get that does not wait for a borrower may join the line,
// in which it would be the last of so many.
func (m *Machine) admitNoWait(now time.Duration, waiting int) (ok bool, why Refusal, err error) {
	switch {
	case m.pause.on:
		return false, Paused, nil
	case waiting > m.kept.len() && m.stuck(now):
		return false, Unavailable, m.outage.err
	case waiting > m.cfg.MaxOpen-m.lent():
		return false, Exhausted, nil
	}
	return true, 0, nil
}
