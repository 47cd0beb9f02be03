package actor

import (
	"context"
	"math"
	"time"
)

// never is the deadline of a machine that waits for nothing.
const never = time.Duration(math.MaxInt64)

// settle compares the books with the time and does what follows. It returns
// the moment at which it wants to be called again if nothing happens.
func (m *machine[R]) settle(now time.Duration) time.Duration {
	m.overdue(now)
	if m.end.closing {
		m.closeIdle(now)
		m.finish(now)
		return m.deadline(now)
	}
	m.sweepShelf(now)
	m.serve(now)
	if m.hopeless(now) {
		m.refuseAll(unavailable(m.outage.err))
	}
	m.refuseHasty(now)
	m.dial(now)
	m.arrangeGate()
	m.filled()
	return m.deadline(now)
}

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
	sl.desk.place = away
	if t.wait.key != nil {
		m.bind(now, t.wait.key, sl)
		return
	}
	m.queue.remove(t)
	m.fx.answer(t, answer[R]{slot: sl})
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

// refuseAll answers everybody who waits.
func (m *machine[R]) refuseAll(err error) {
	for t := m.queue.first; t != nil; t = m.queue.first {
		m.unqueue(t)
		m.refuseOne(t, err)
	}
}

// refuseHasty answers those who will not wait and were not served: TryOnly at
// once, NoWait if only borrowers could help: the places that are not lent go to
// those before it.
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

// demand is how many slots would serve everybody who waits.
func (m *machine[R]) demand() int { return m.queue.unkeyed + m.loose }

// dial opens what is missing and allowed.
func (m *machine[R]) dial(now time.Duration) {
	if m.queue.len == 0 && !m.filling {
		return
	}
	for m.mayDial(now) && (m.demand() > m.coming(now) || m.filling && m.open+m.dialing < m.cfg.MinOpen) {
		m.dialing++
		m.start(&job[R]{
			kind: dialJob, cause: m.causes(), timeout: m.cfg.OpenTimeout,
			comes: now + hedge, deadline: now + m.cfg.OpenTimeout + m.cfg.CloseGrace,
			epoch: m.outage.epoch, resets: m.resets,
		})
	}
}

// mayDial says whether another dial is allowed: a place is free, not too many
// are under way, and in an outage the backoff has passed and this is the probe.
// A dial that takes longer than the hedge holds nobody else back.
func (m *machine[R]) mayDial(now time.Duration) bool {
	if m.room() <= 0 || m.outage.backoff(now) {
		return false
	}
	dials := 0
	for _, j := range m.jobs {
		if j.kind == dialJob && !j.freed && now < j.comes {
			dials++
			if m.outage.failures > 0 && j.epoch == m.outage.epoch {
				return false
			}
		}
	}
	return dials < m.cfg.MaxDials
}

// causes finds the request that a dial is for: the first without one. Nil for
// the first fill.
func (m *machine[R]) causes() context.Context {
	for t := m.queue.first; t != nil; t = t.wait.next {
		if !t.wait.caused {
			t.wait.caused = true
			return t.ctx
		}
	}
	return nil
}

// shutGate sends every get and put over the desk.
func (m *machine[R]) shutGate(now time.Duration) {
	if !m.shut {
		m.shut, m.shutAt = true, now
		m.fx.shutGate()
	}
}

// arrangeGate opens the gate when nobody waits, and lays what the hands hold
// on the shelf. What does not fit stays in the hands.
func (m *machine[R]) arrangeGate() {
	if m.queue.len > 0 {
		return
	}
	if m.shut {
		m.shut = false
		m.fx.openGate()
	}
	for range m.hands.len() {
		m.lay(m.hands.pop())
	}
}

// lay puts an idle slot on the shelf, or keeps it in the hands while the gate
// is shut or the shelf is full.
func (m *machine[R]) lay(sl *slot[R]) {
	sl.desk.place = away
	if m.shut || !m.fx.offer(sl) {
		sl.desk.place = inHand
		m.hands.push(sl)
	}
}

// sweepShelf closes what is recalled on the shelf, one slot at a time: the
// others are there for whoever comes meanwhile.
func (m *machine[R]) sweepShelf(now time.Duration) {
	if !m.sweep {
		return
	}
	m.sweep = false
	for range m.hands.len() {
		m.sift(now, m.hands.pop())
	}
	for range m.fx.shelved() {
		m.sift(now, m.fx.take())
	}
}

// sift keeps an idle slot unless it is recalled.
func (m *machine[R]) sift(now time.Duration, sl *slot[R]) {
	switch {
	case sl == nil:
	case sl.desk.recalled:
		m.note(now, sl)
		m.close(now, sl)
	default:
		m.lay(sl)
	}
}

// filled answers those who wait for the first fill.
func (m *machine[R]) filled() {
	if m.filling && m.open >= m.cfg.MinOpen {
		m.endFill(nil)
	}
	if m.filling || len(m.ready) == 0 {
		return
	}
	for _, t := range m.ready {
		t.wait.queued = false
		m.fx.answer(t, answer[R]{err: m.fillErr})
	}
	m.ready = nil
}

// endFill ends the first fill; an error gives it up, and later gets open what
// they need.
func (m *machine[R]) endFill(err error) {
	if m.filling {
		m.filling = false
		if err != nil {
			m.fillErr = unavailable(err)
		}
	}
}

// deadline is when settle has something to do even if nothing happens.
func (m *machine[R]) deadline(now time.Duration) time.Duration {
	next := never
	at := func(d time.Duration) {
		if d > now {
			next = min(next, d)
		}
	}
	waits := m.queue.len > 0 || m.filling
	if waits && m.outage.failures > 0 {
		at(m.outage.until)
	}
	for _, j := range m.jobs {
		if !j.freed {
			at(j.deadline)
		}
		if waits {
			at(j.comes)
		}
	}
	if m.end.forced {
		at(m.end.forceAt)
	}
	return next
}
