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
	hasty := m.hasty
	m.hasty = nil
	var kept []*ticket[R]
	for _, t := range hasty {
		switch {
		case !t.wait.queued:
		case m.pause.on:
			m.unqueue(t)
			m.refuseOne(t, ErrPaused)
		case m.promised(now, t): // served in a moment, if the slot is fit
			kept = append(kept, t)
		case t.patience == NoWait && m.stuck(now):
			m.unqueue(t)
			m.refuseOne(t, unavailable(m.outage.err))
		case t.patience == NoWait && m.upTo(t) <= m.cfg.MaxOpen-(m.open-m.mends()):
			kept = append(kept, t)
		case t.patience == NoWait:
			m.unqueue(t)
			m.refuseOne(t, &ExhaustedError{m.shortage(now)})
		default:
			m.unqueue(t)
			m.refuseOne(t, ErrExhausted)
		}
	}
	m.hasty = kept
}

// refuseLate answers those who have waited for GetTimeout. The queue is in the
// order of arrival, so they are the first.
func (m *machine[R]) refuseLate(now time.Duration) {
	for t := m.queue.first; t != nil && m.late(now, t); t = m.queue.first {
		m.unqueue(t)
		m.stats.cancelled++
		err := m.waitError(now, t)
		err.Err = ErrTimeout
		m.tellOfWait(err)
		m.fx.answer(t, answer[R]{err: err})
	}
}

func (m *machine[R]) late(now time.Duration, t *ticket[R]) bool {
	return m.cfg.GetTimeout > 0 && now >= t.wait.since+m.cfg.GetTimeout
}

// refuseCrowd answers those who came since the last settle and would be too
// many to wait for borrowers: neither for what is coming, nor for a free place
// that MaxDials holds back. Whoever has waited already goes on.
func (m *machine[R]) refuseCrowd(now time.Duration) {
	if m.cfg.MaxWaiting == 0 || m.queue.len <= m.cfg.MaxWaiting {
		return
	}
	most := m.cfg.MaxWaiting + m.coming(now)
	if m.outage.failures == 0 && !m.pause.on {
		most += max(0, m.room())
	}
	for t := m.queue.last; m.queue.len > most && t.wait.arrival > m.settled; t = m.queue.last {
		m.unqueue(t)
		m.refuseOne(t, &TooManyWaitingError{m.shortage(now)})
	}
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
