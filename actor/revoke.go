package actor

import "time"

// A lease is revoked when CloseAll runs out of time, when it lasts longer than
// MaxLease, and when its use outlasts it by EndGrace. Its resource is killed under
// whoever uses it, and its place is free with that. The slot is nobody's from then
// on: a put that comes later finds it so, and changes nothing. A put that came
// before has been handled before, so only one of the two happens.
//
// A key stays bound to what was killed until those who held it then have let go of
// it, by a put or by the end of a context. They may be in the midst of something, and
// learn the truth only when they use it: code that they call and that comes for the
// key would go on elsewhere as if nothing had happened, outside the transaction that
// it takes itself to be in. So whoever comes is refused with the error that they will
// get. He holds nothing, so the key is free when they have let go, however many come.
// One who never does, since his lease is lost, must not keep the key for ever: with
// MaxLease it is free when it was dead for as long as a lease may last, whatever it was
// killed for. Without MaxLease nobody is ever taken to be lost. While CloseAll waits
// keys are free at once: nobody is served any more.

// revokeOne takes a lent slot from its borrowers.
func (m *machine[R]) revokeOne(now time.Duration, sl *slot[R], why Reason) {
	m.tellOfLease(now, EventRevoked, sl, why, nil)
	sl.fate = &RevokedError{Reason: why, Held: now - m.leasedAt(sl)}
	m.strike(sl)
	sl.desk.place = revoked
	if b := sl.desk.binding; m.end.closing {
		m.unbind(sl)
	} else if b != nil {
		b.since = now
		m.limitLease(now)
	}
	m.open--
	if !sl.desk.recalled {
		m.usable--
	}
	m.closing++
	m.stats.revoked++
	m.fx.revoke(sl)
	m.start(&job[R]{kind: killJob, slot: sl, deadline: now + m.cfg.CloseGrace})
}

// takeAway kills what is lent under a key whose holder does not let go of it, unless
// that is done, and takes the holder's reference back.
func (m *machine[R]) takeAway(now time.Duration, sl *slot[R]) {
	if sl.desk.binding == nil {
		return
	}
	if sl.desk.place != revoked {
		m.revokeOne(now, sl, ReasonUsed)
	}
	m.letGo(sl)
}

// letGo takes back one reference to a slot that is revoked. The last frees the key. If
// that is free already, it may be bound to another slot by now: nothing is changed.
func (m *machine[R]) letGo(sl *slot[R]) {
	b := sl.desk.binding
	if b == nil {
		return
	}
	if b.holders--; b.holders == 0 {
		m.unbind(sl)
	}
}

// freeKeys frees the keys that were bound to what is dead for too long.
func (m *machine[R]) freeKeys(now time.Duration) {
	for _, b := range m.keys {
		if b.slot == nil || b.slot.desk.place != revoked {
			continue
		}
		if ends := b.since + m.cfg.MaxLease; now >= ends {
			m.unbind(b.slot)
		} else {
			m.overlong = min(m.overlong, ends)
		}
	}
}

// limitLease notes the end of a lease that begins, or of the time for which a key may
// be dead: nothing is due before m.overlong.
func (m *machine[R]) limitLease(now time.Duration) {
	if m.cfg.MaxLease > 0 {
		m.overlong = min(m.overlong, now+m.cfg.MaxLease)
	}
}

// endOverlong revokes what is held for too long, and frees the keys of what was. All
// that is away is lent: the gate is shut for good.
func (m *machine[R]) endOverlong(now time.Duration) {
	if m.overlong == never {
		return
	}
	if m.hands.len()+m.mends() == m.open && len(m.keys) == m.loose { // nothing is lent, no key is bound: let the timer rest
		m.overlong = never
		return
	}
	if now < m.overlong {
		return
	}
	m.overlong = never
	m.freeKeys(now)
	for i := len(m.slots) - 1; i >= 0; i-- { // revokeOne moves the last to i
		sl := m.slots[i]
		if sl.desk.place != away {
			continue
		}
		if ends := m.leasedAt(sl) + m.cfg.MaxLease; now >= ends {
			m.revokeOne(now, sl, ReasonHeld)
		} else {
			m.overlong = min(m.overlong, ends)
		}
	}
}
