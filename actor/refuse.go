package actor

import "time"

// refuseAll answers everybody who waits.
func (m *machine[R]) refuseAll(err error) {
	for t := m.queue.first; t != nil; t = m.queue.first {
		m.unqueue(t)
		m.refuseOne(t, err)
	}
}

// refuseHasty answers those who will not wait and were not served: TryOnly at
// once, NoWait if only borrowers could help: in an outage, or if the places that
// are not lent go to those before it.
func (m *machine[R]) refuseHasty(now time.Duration) {
	if len(m.hasty) == 0 {
		return
	}
	var kept []*ticket[R]
	for _, t := range m.hasty {
		switch {
		case !t.wait.queued:
		case m.promised(now, t): // served in a moment, if the slot is fit
			kept = append(kept, t)
		case t.patience == NoWait && m.stuck(now):
			m.unqueue(t)
			m.refuseOne(t, unavailable(m.outage.err))
		case t.patience == NoWait && m.upTo(t) <= m.cfg.MaxOpen-(m.open-m.mends()):
			kept = append(kept, t)
		default:
			m.unqueue(t)
			m.refuseOne(t, ErrExhausted)
		}
	}
	m.hasty = kept
}

// upTo is how many slots would serve t and everybody before it. Who shares a
// key is served with the first who waits for it.
func (m *machine[R]) upTo(t *ticket[R]) (n int) {
	if b := t.wait.key; b != nil {
		t = b.waiters[0]
	}
	for ; t != nil && n <= m.cfg.MaxOpen; t = t.wait.prev {
		if b := t.wait.key; b == nil || b.waiters[0] == t {
			n++
		}
	}
	return n
}
