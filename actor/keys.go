package actor

import "time"

// A binding is one key in the supervisor's books: the slot it is lent, and how
// many leases share it; or, while it has none, the requests that wait for one.
type binding[R any] struct {
	key      any
	slot     *slot[R]
	holders  int
	origins  []*origin     // of the leases, with Track
	since    time.Duration // when it was bound; once its slot is killed, when it was
	verdict  Verdict       // the worst that a holder gave
	waiters  []*ticket[R]
	promised *job[R] // a slot is being looked at for it
	refused  int     // slots that Prepare refused for it, though they were proven
}

// share answers t if its key is bound. Else it files t under its key, and says so. A
// bound key is served whatever its slot's recall says: refusing the second get of a
// holder would deadlock it. If it is revoked nobody shares it any more, see revoke.go.
func (m *machine[R]) share(now time.Duration, t *ticket[R]) bool {
	b := m.keys[t.key]
	if b != nil && b.slot != nil {
		if b.slot.desk.place == revoked {
			m.refuseOne(t, b.slot.fate)
		} else {
			m.hold(now, b, t)
		}
		return true
	}
	if b == nil {
		b = &binding[R]{key: t.key}
		m.keys[t.key] = b
		m.loose++
	}
	t.wait.key = b
	b.waiters = append(b.waiters, t)
	return false
}

// bind lends sl under the key of b, to all who wait for it.
func (m *machine[R]) bind(now time.Duration, b *binding[R], sl *slot[R]) {
	m.loose--
	b.slot, b.since, sl.desk.binding = sl, now, b
	sl.since, sl.share = now, newSharing[R]()
	m.limitLease(now)
	for _, t := range b.waiters {
		m.dequeue(now, t)
		m.hold(now, b, t)
	}
	b.waiters = nil
}

// hold gives t one reference.
func (m *machine[R]) hold(now time.Duration, b *binding[R], t *ticket[R]) {
	b.holders++
	if t.origin != nil {
		t.origin.since = now
		b.origins = append(b.origins, t.origin)
	}
	m.stats.leases++
	b.slot.desk.place, b.slot.desk.seen = away, now
	m.fx.answer(t, answer[R]{slot: b.slot})
}

// giveBack is the put of a lease that is tracked.
func (m *machine[R]) giveBack(now time.Duration, sl *slot[R], v Verdict, o *origin) {
	if b := sl.desk.binding; b != nil {
		b.origins = remove(b.origins, o)
	}
	m.put(now, sl, v, ReasonDiscarded)
}

// unshare takes one reference back, and the slot with the last one. Holders
// may have used the slot at the same time, so none of them could judge it: a
// helper does, now that nobody holds it.
func (m *machine[R]) unshare(now time.Duration, sl *slot[R], v Verdict) {
	b := sl.desk.binding
	b.verdict = max(b.verdict, v)
	if b.holders--; b.holders > 0 {
		return
	}
	m.unbind(sl)
	if b.verdict == Keep && m.cfg.Judge != nil && !sl.desk.recalled && !m.end.closing {
		m.startMend(now, sl, judgeJob)
		return
	}
	m.back(now, sl, b.verdict, ReasonDiscarded)
}

// unbind frees the key of a slot, if it has one.
func (m *machine[R]) unbind(sl *slot[R]) {
	if b := sl.desk.binding; b != nil {
		delete(m.keys, b.key)
		sl.desk.binding = nil
	}
}

// vetted is the end of a look for a key. If its slot is fit, those who wait have what
// they wait for, also if it came late, and another is being looked at: but not while
// Bind is called for that. What Prepare says against the get, all who wait for the key
// are told.
func (m *machine[R]) vetted(j *job[R]) {
	b := j.bound
	if p := b.promised; p == j || p != nil && !p.binds && j.fit() {
		b.promised = nil
	}
	if j.err == errRefused && j.refusal == nil {
		b.refused++
		if b.refused > m.cfg.MaxOpen {
			j.refusal = refusedOften(b.refused)
		}
	}
	for j.refusal != nil && len(b.waiters) > 0 {
		t := b.waiters[0]
		m.unqueue(t)
		m.refuseOne(t, j.refusal)
	}
}

// untaint has what Bind changed for a key that did not take it, since nobody waits
// for that any more, judged before it is anybody else's.
func (m *machine[R]) untaint(now time.Duration) {
	if !m.tainted {
		return
	}
	m.tainted = false
	for range m.hands.len() {
		if sl := m.hands.pop(); sl.desk.tainted {
			m.judge(now, sl)
		} else {
			m.hands.push(sl)
		}
	}
}

func (m *machine[R]) judge(now time.Duration, sl *slot[R]) {
	sl.desk.leave()
	if m.cfg.Judge == nil {
		m.close(now, sl, ReasonUnfit, nil)
		return
	}
	m.startMend(now, sl, judgeJob)
}

// forget drops a key that nobody holds and nobody waits for.
func (m *machine[R]) forget(b *binding[R]) {
	if b.slot == nil && len(b.waiters) == 0 {
		delete(m.keys, b.key)
		m.loose--
	}
}
