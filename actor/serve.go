package actor

import "time"

// serve lends idle slots to those who wait, in the order of their arrival.
func (m *machine[R]) serve(now time.Duration) {
	t := m.queue.first
	for t != nil {
		if m.promised(now, t) {
			t = t.wait.next
			continue
		}
		sl := m.pick(now)
		switch {
		case sl != nil && t.wait.key != nil && m.rested(now, sl):
			m.shutGate(now)
			m.look(now, t.wait.key, sl)
		case sl != nil:
			m.grant(now, t, sl)
		case !m.shut:
			// A put that still saw the gate open may have come in between:
			// look at the shelf once more before anybody waits.
			m.shutGate(now)
		default:
			return
		}
		t = m.queue.first
	}
}

// pick takes an idle slot that is not recalled: from the hands, else from the
// shelf.
func (m *machine[R]) pick(now time.Duration) *slot[R] {
	for {
		sl := m.hands.pop()
		if sl == nil {
			sl = m.fx.take()
		}
		if sl == nil || !sl.desk.recalled {
			return sl
		}
		if sl.desk.place == revoked {
			continue
		}
		m.note(now, sl)
		m.close(now, sl)
	}
}

// grant lends sl to t, and to whoever shares t's key.
func (m *machine[R]) grant(now time.Duration, t *ticket[R], sl *slot[R]) {
	m.note(now, sl)
	fresh := sl.desk.proven && !m.rested(now, sl)
	sl.desk.place, sl.desk.proven = away, false
	if t.wait.key != nil {
		m.bind(now, t.wait.key, sl)
		return
	}
	m.queue.remove(t)
	m.fx.answer(t, answer[R]{slot: sl, fresh: fresh})
}

// rested says whether sl must be looked at before it is used. The borrower of
// a slot without key looks itself; the holders of a key must not, they may
// share the slot already.
func (m *machine[R]) rested(now time.Duration, sl *slot[R]) bool {
	return m.cfg.Look != nil && now-sl.since >= m.cfg.LookAfter
}

// look has a rested slot looked at for a key. Others may be served meanwhile.
func (m *machine[R]) look(now time.Duration, b *binding[R], sl *slot[R]) {
	m.note(now, sl)
	b.promised = m.startMend(now, sl, lookJob)
	b.promised.bound = b
}

// promised says whether a slot is being looked at for the key of t: one that
// hangs, or whose slot is recalled meanwhile, is no promise.
func (m *machine[R]) promised(now time.Duration, t *ticket[R]) bool {
	b := t.wait.key
	return b != nil && b.promised != nil && m.comes(now, b.promised)
}
