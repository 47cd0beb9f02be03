package actor

import "time"

// serve lends idle slots to those who wait, in the order of their arrival.
func (m *machine[R]) serve(now time.Duration) {
	t := m.queue.first
	for t != nil {
		if m.promised(now, t) || m.binding(now, t.wait.key) {
			t = t.wait.next
			continue
		}
		sl := m.pickFor(now, t)
		switch {
		case sl != nil && t.wait.key != nil && m.unvetted(now, t.wait.key, sl):
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

// pickFor takes the slot that was made fit for t, or any.
func (m *machine[R]) pickFor(now time.Duration, t *ticket[R]) *slot[R] {
	if t.wait.key != nil || m.cfg.Prepare != nil {
		if sl := m.hands.takeFor(t); sl != nil {
			return sl
		}
	}
	return m.pick(now)
}

// pick takes an idle slot that is not recalled: from the hands, else from the
// shelf.
func (m *machine[R]) pick(now time.Duration) *slot[R] {
	for {
		sl := m.hands.pop()
		if sl == nil {
			sl = m.fx.take()
		}
		switch {
		case sl == nil:
			return nil
		case sl.desk.place == revoked:
		case sl.desk.recalled:
			m.close(now, sl, ReasonNone, nil)
		case sl.desk.tainted:
			m.judge(now, sl)
		default:
			return sl
		}
	}
}

// grant lends sl to t, and to whoever shares t's key.
func (m *machine[R]) grant(now time.Duration, t *ticket[R], sl *slot[R]) {
	m.note(now, sl)
	fresh := sl.desk.proven && !m.rested(now, sl)
	sl.desk.leave()
	if t.wait.key != nil {
		m.bind(now, t.wait.key, sl)
		return
	}
	m.stats.leases++
	if sl.desk.origin = t.origin; t.origin != nil {
		t.origin.since = now
	}
	m.limitLease(now)
	m.dequeue(now, t)
	m.fx.answer(t, answer[R]{slot: sl, fresh: fresh})
}

// dequeue takes t, which is served now, out of the queue, and counts its wait.
func (m *machine[R]) dequeue(now time.Duration, t *ticket[R]) {
	m.queue.remove(t)
	if t.wait.arrival <= m.settled {
		m.stats.waited++
		m.stats.waitTime += now - t.wait.since
	}
}

// rested says whether sl must be looked at before it is used. The borrower of
// a slot without key looks itself; the holders of a key must not, they may
// share the slot already.
func (m *machine[R]) rested(now time.Duration, sl *slot[R]) bool {
	return m.cfg.Look != nil && now-sl.since >= m.cfg.LookAfter
}

// unvetted says whether sl must be looked at, or prepared, before it is bound
// to a key.
func (m *machine[R]) unvetted(now time.Duration, b *binding[R], sl *slot[R]) bool {
	r, binds := &sl.desk, b.waiters[0].binds
	return m.rested(now, sl) || binds && !r.tainted || m.cfg.Prepare != nil && r.vetted != b
}

// look has a slot looked at for a key. Others may be served meanwhile.
func (m *machine[R]) look(now time.Duration, b *binding[R], sl *slot[R]) {
	b.promised = m.mending(now, sl, lookJob)
	b.promised.bound, b.promised.binds, b.promised.cause = b, b.waiters[0].binds, b.waiters[0].ctx
	m.start(b.promised)
}

// binding says whether Bind is being called for a key. However long that takes, no
// second call is made on another resource: what is bound may have one identity.
func (m *machine[R]) binding(now time.Duration, b *binding[R]) bool {
	return b != nil && b.promised != nil && b.promised.binds && m.comes(now, b.promised)
}

// promised says whether a slot is being made fit for t, or for its key: a helper
// that hangs, or whose slot is recalled meanwhile, is no promise. Who is TryOnly
// waits for it for a second in all, however often he has asked again.
func (m *machine[R]) promised(now time.Duration, t *ticket[R]) bool {
	if t.patience == TryOnly && now >= t.wait.since+hedge {
		return false
	}
	j := t.wait.mends
	if b := t.wait.key; b != nil {
		j = b.promised
	}
	return j != nil && m.comes(now, j)
}
