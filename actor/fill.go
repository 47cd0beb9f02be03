package actor

import "time"

// lacking says whether a minimum is not kept, what is on its way counted, however
// long it takes: nobody waits.
func (m *machine[R]) lacking() bool {
	if m.usable+m.dialing < m.cfg.MinOpen {
		return true
	}
	return m.cfg.MinIdle > 0 && m.idle()+m.dialing+m.mends()-m.demand() < m.cfg.MinIdle
}

// mayFill says whether to dial for a minimum: in an outage not as often as for
// somebody who waits.
func (m *machine[R]) mayFill(now time.Duration) bool {
	return m.outage.failures == 0 || len(m.ready) > 0 || now >= m.refillAt
}

// filled says whether the minimum is open.
func (m *machine[R]) filled() bool {
	return m.usable >= min(max(m.cfg.MinOpen, m.cfg.MinIdle), m.cfg.MaxOpen)
}

// answerReady answers those who wait for the minimum: it is open, or in an
// outage that nobody is kept waiting for.
func (m *machine[R]) answerReady(now time.Duration) {
	var err error
	switch {
	case len(m.ready) == 0:
		return
	case m.filled():
	case m.stuck(now):
		err = unavailable(m.outage.err)
	default:
		return
	}
	for _, t := range m.ready {
		m.conclude(t, err)
	}
	m.ready = nil
}
