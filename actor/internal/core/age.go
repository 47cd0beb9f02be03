package core

import "time"

// setAge gives a new slot the time of its end. Each has its own, so that slots opened
// together are not closed together.
func (m *Machine) setAge(now time.Duration, sl *Slot) {
	sl.expires = Never
	if m.cfg.MaxAge > 0 {
		sl.expires = now + m.cfg.MaxAge
		if m.cfg.AgeJitter > 0 {
			sl.expires += m.fx.Jitter(m.cfg.AgeJitter)
		}
		m.expiry = min(m.expiry, sl.expires)
	}
}

// expire recalls what is too old: it is closed now if it is idle, and when it is put if
// it is lent.
func (m *Machine) expire(now time.Duration) {
	if now < m.expiry {
		return
	}
	m.expiry = Never
	for _, sl := range m.slots {
		switch {
		case sl.recalled:
		case now >= sl.expires:
			m.stats.Expired++
			if now-sl.opened < fresh { // a minimum of such resources is filled once a second
				m.fillAt = max(m.fillAt, sl.opened+fresh)
			}
			m.recall(sl, ReasonExpired)
			m.sweep = true
		default:
			m.expiry = min(m.expiry, sl.expires)
		}
	}
}
