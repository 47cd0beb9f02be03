package core

import "time"

// A minimum is a demand with patience: in an outage it is tried every CheckPeriod,
// unless somebody waits for it with Ready.

// belowMinimum reports whether a minimum is not kept. What is on its way counts,
// however long it takes: nobody waits for it.
func (m *Machine) belowMinimum() bool {
	dialing := m.count[Opening]
	if m.usable+dialing < m.cfg.MinOpen {
		return true
	}
	return m.cfg.MinIdle > 0 && m.idle()+dialing+m.count[Repairing]-m.fx.Waiting() < m.cfg.MinIdle
}

// mayFill reports whether to dial for a minimum now.
func (m *Machine) mayFill(now time.Duration) bool {
	return now >= m.fillAt && (m.outage.failures == 0 || len(m.ready) > 0 || now >= m.outage.refillAt)
}

// filled reports whether the minimum is open.
func (m *Machine) filled() bool {
	return m.usable >= min(max(m.cfg.MinOpen, m.cfg.MinIdle), m.cfg.MaxOpen)
}

// watchIdle has the next get that leaves fewer than MinIdle say so. While there are
// fewer already it need not, if what comes, makes room, or ends an outage wakes the
// machine anyway.
func (m *Machine) watchIdle(now time.Duration) {
	if m.cfg.MinIdle == 0 || m.shut {
		return
	}
	awake := m.room() <= 0 || m.count[Opening]+m.count[Repairing] > 0 || m.outage.failures > 0
	if awake && m.idle() < m.cfg.MinIdle {
		return
	}
	m.fx.WatchIdle()
	m.dial(now) // for what was taken just before
}
