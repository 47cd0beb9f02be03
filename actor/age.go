package actor

import "time"

// age gives a new slot the time of its end. Each has its own, so that those
// opened together are not closed together.
func (m *machine[R]) age(now time.Duration, sl *slot[R]) {
	sl.desk.expires = never
	if m.cfg.MaxAge > 0 {
		sl.desk.expires = now + m.cfg.MaxAge
		if m.cfg.AgeJitter > 0 {
			sl.desk.expires += m.fx.jitter(m.cfg.AgeJitter)
		}
		m.expiry = min(m.expiry, sl.desk.expires)
	}
}

// expire recalls what is too old: it is closed now if it is idle, and when it
// is put if it is lent.
func (m *machine[R]) expire(now time.Duration) {
	if now < m.expiry {
		return
	}
	m.expiry = never
	for _, sl := range m.slots {
		switch {
		case sl.desk.recalled:
		case now >= sl.desk.expires:
			m.stats.expired++
			m.recall(sl, ReasonExpired)
			m.sweep = true
		default:
			m.expiry = min(m.expiry, sl.desk.expires)
		}
	}
}
