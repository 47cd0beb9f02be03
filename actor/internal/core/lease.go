package core

import "time"

// A lease is revoked when it lasts longer than MaxLease, when CloseAll runs out of
// time, and when the layer above asks for it. The resource is killed under its user. The
// slot is nobody's from then on: a put that comes later changes nothing.

// Kill revokes the lease of sl at the request of its holder, who no longer touches it.
func (m *Machine) Kill(now time.Duration, sl *Slot, why Reason, held time.Duration) {
	if sl.state == Out {
		m.tally(sl)
		m.revoke(now, sl, why, held)
	}
}

// Overdue revokes the lease of sl because a function that its holder called ignores its
// context.
func (m *Machine) Overdue(now time.Duration, sl *Slot) {
	if sl.state == Out {
		m.revoke(now, sl, ReasonOverdue, 0)
	}
}

// revoke takes a lent slot from its borrower. Its place is free as soon as the resource
// is killed.
func (m *Machine) revoke(now time.Duration, sl *Slot, why Reason, held time.Duration) {
	m.tell(Event{Kind: EventRevoked, Slot: sl, Reason: why, Held: held})
	m.stats.Revoked++
	m.move(sl, Closing)
	m.fx.Revoke(sl, why, held)
	m.start(&Job{Kind: KillJob, Slot: sl, began: now, deadline: now + m.cfg.CloseGrace})
}

// Lent is the news that a lease has begun after WatchLeases.
func (m *Machine) Lent(now time.Duration) {
	if m.cfg.MaxLease > 0 {
		m.overlong = min(m.overlong, now+m.cfg.MaxLease)
	}
}

// revokeOverlong revokes the leases that last too long, and finds the next deadline: the
// end of the oldest lease there is. With nothing lent the machine sleeps until the next
// get says that it has begun one.
func (m *Machine) revokeOverlong(now time.Duration) {
	if m.cfg.MaxLease == 0 || m.overlong > now && m.overlong != Never {
		return
	}
	m.fx.WatchLeases() // before the look: a lease that begins after it says so
	m.overlong = Never
	for i := len(m.slots) - 1; i >= 0; i-- { // revoke moves the last slot to i
		sl := m.slots[i]
		if sl.state != Out {
			continue
		}
		since, lent := m.fx.TakeCard(sl)
		if !lent {
			continue
		}
		if ends := since + m.cfg.MaxLease; now >= ends {
			m.tally(sl) // with its card in hand nobody else touches it
			m.revoke(now, sl, ReasonHeld, now-since)
		} else {
			m.overlong = min(m.overlong, ends)
		}
		m.fx.PutCard(sl)
	}
}
