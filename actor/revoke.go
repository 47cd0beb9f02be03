package actor

import "time"

// A lease is revoked when CloseAll runs out of time, when it lasts longer than
// MaxLease, and when its use outlasts it by EndGrace. Its resource is killed under
// whoever uses it, and its place is free with that. The slot is nobody's from then
// on: a put that comes later finds it so, and changes nothing. A put that came
// before has been handled before, so only one of the two happens.
//
// A key stays bound to what was killed until every holder has let go of it: who
// comes for it meanwhile shares what is dead, and learns so, as do the others. On
// another resource they would go on as if nothing had happened.

// revokeOne takes a lent slot from its borrowers.
func (m *machine[R]) revokeOne(now time.Duration, sl *slot[R], why Reason) {
	m.tellOfLease(now, EventRevoked, sl, why, nil)
	sl.fate = &RevokedError{Reason: why, Held: now - m.leasedAt(sl)}
	m.strike(sl)
	sl.desk.place = revoked
	if m.end.closing { // nobody comes for the key any more
		m.unbind(sl)
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

// letGo takes back one reference to a slot that is revoked. The last frees the key.
func (m *machine[R]) letGo(sl *slot[R]) {
	b := sl.desk.binding
	if b == nil {
		return
	}
	if b.holders--; b.holders == 0 {
		m.unbind(sl)
	}
}

// leases with a limit are noted when they begin; nothing is due before m.overlong.

func (m *machine[R]) limitLease(now time.Duration) {
	if m.cfg.MaxLease > 0 {
		m.overlong = min(m.overlong, now+m.cfg.MaxLease)
	}
}

// endOverlong revokes what is held for too long. All that is away is lent: the gate
// is shut for good.
func (m *machine[R]) endOverlong(now time.Duration) {
	if m.overlong == never {
		return
	}
	if m.hands.len()+m.mends() == m.open { // nothing is lent: let the timer rest
		m.overlong = never
		return
	}
	if now < m.overlong {
		return
	}
	m.overlong = never
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
