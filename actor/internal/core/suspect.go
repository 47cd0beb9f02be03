package core

import "time"

// When a resource breaks in a way that others may share, such as a server that shuts
// down, everything verified before that moment is suspect: idle slots are checked at
// once, in a round. A lent slot proves itself by its use.

// suspectOlder makes every resource verified before now suspect. If sl, which broke, was
// suspect itself and has not been lent since, its failure adds nothing.
func (m *Machine) suspectOlder(now time.Duration, sl *Slot) {
	if sl.recalled || sl.verified < m.suspicions && sl.Since <= m.suspected {
		return
	}
	m.suspected = now
	m.suspectAll()
}

// suspectAll makes everything suspect that was verified before now.
func (m *Machine) suspectAll() {
	m.suspicions++
	m.round.wanted = true
}

// learn draws the conclusions from a repair.
func (m *Machine) learn(now time.Duration, j *Job, r Result) {
	if r.Err == nil {
		j.Slot.verified = j.verified
		m.round.wanted = m.round.wanted || m.suspect(j.Slot) // the repair began before the suspicion
		return
	}
	m.learnFailure(now, j.Slot, r)
}

// learnFailure draws the conclusions from a failed repair of sl for other slots.
func (m *Machine) learnFailure(now time.Duration, sl *Slot, r Result) {
	switch {
	case r.Stale && !sl.recalled:
		m.Reset()
	case r.Suspect:
		m.suspectOlder(now, sl)
	}
}

// suspect reports whether sl is to be checked because of a suspicion.
func (m *Machine) suspect(sl *Slot) bool { return sl.verified < m.suspicions && m.cfg.Check }
