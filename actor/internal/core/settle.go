package core

import "time"

// Settle does what follows from the books and the time. It returns the moment at which
// it wants to be called again if nothing happens; now means at once, after others ran.
//
// The order of the steps is the design. Each step says what it relies on and what it
// leaves behind. Borrowers go on meanwhile, so a statement about the line is about what
// the machine has seen: a borrower that changes it later sends a message if the machine
// can do something about that, or is seen by step 9.
func (m *Machine) Settle(now time.Duration) time.Duration {
	m.again = false

	// 1. Free the places of jobs and leases that take too long, and see whether an outage is
	// over.
	// Before: every event is in the books.
	// After: every place that is taken is taken by a resource that is open, or by a job
	// within its deadline. Steps 3 to 6 count places.
	m.freeOverdue(now)
	m.revokeOverlong(now)
	m.endBrief(now)

	// 2. Close what is idle and too old, or recalled for another reason.
	// After: no recalled slot is kept or idle in the line, except one put since; its put
	// says so, see Sweep. Steps 4 to 7 take idle slots as fit.
	m.expire(now)
	m.sweepIdle(now)

	// 3. Shut or open the gate, and close what is above the limit.
	// After: the gate is shut if there is a pause, if too many are open, or at the end.
	// While it is shut nothing idle is in the line, except what a put lays there that
	// looked at the gate before; see gather. Above the limit nothing is kept either.
	m.arrangeGate(now)
	if m.end.closing {
		// Nobody is served, and nothing is opened or checked any more.
		// After: every waiter is refused, unless the line has no room for the answer.
		// CloseAll is answered if every waiter is, and every place is free.
		m.servePickers(now)
		m.end.refused = m.refuse(0, Closed, nil) || m.end.refused
		m.finish(now)
		return m.deadline(now)
	}
	for m.excess() > 0 && m.kept.len() > 0 {
		m.shedExcess(now)
		m.arrangeGate(now) // the last one too many may be closed by now, or a late put have come
	}

	// 4. Give what is kept to the waiters, and what is left to the idle ones.
	// Before: whatever is kept may be lent, if the gate is open.
	// After, if the gate is open: nobody waits beside a slot that is kept or idle, unless
	// the line has no room for the answer. If nobody waits, no more than MaxIdle are idle.
	// A picker that is left waits for a repair.
	m.give(now)
	m.servePickers(now)

	// 5. Refuse the waiters that nothing can help.
	// Before: no idle slot is left for the waiters, but what is kept for want of room.
	// After: every waiter has hope: something is coming, may be opened now or after the
	// backoff, or will be put; in a pause, its end. A get that does not wait for borrowers,
	// nor for the end of a pause, has another hope.
	m.refuseHopeless(now)

	// 6. Open what the waiters and the minimums lack.
	// Before: every waiter that is left is a demand; a refused one is none.
	// After: for every waiter something is kept or coming, and the minimums are open or
	// coming, as far as the pause, the limit, MaxDials and the backoff allow. The next get
	// that leaves fewer than MinIdle says so.
	m.dial(now)
	m.watchIdle(now)
	m.tellOutage(now)

	// 7. Close what nobody needs, and check what has rested.
	// Before: what is idle has nobody who waits for it. If somebody waits, or the gate is
	// shut, this step takes nothing.
	// After: no more are idle than were needed in the last MaxRest. One slot at a time is
	// away for a check.
	m.shedSurplus(now)
	m.inspect(now)

	// 8. Answer those who wait for a condition.
	// Before: in a pause, what is not Out cannot be lent: step 3 has seen to that.
	// After: no Ready waits whose minimum is open, or cannot be opened; no Pause waits
	// while nothing is lent.
	m.answerWaiters(now)

	// 9. Say whether another waiter must wake the machine, and look for one that came
	// during the steps above and did not, since the line was full.
	// After: if the line is full the machine can do nothing for a waiter. If something is
	// kept and somebody waits, the machine settles again.
	if full := m.full(now); full != m.isFull {
		m.isFull = full
		m.fx.SetFull(full)
		m.told = m.fx.Waiting() // those that found the line full
		m.again = m.again || !full && m.told > 0
	}
	if !m.shut && m.kept.len() > 0 { // what step 7 could not lay back is for step 4
		m.again = m.again || m.fx.Waiting() > 0 || m.idle() > m.cfg.MaxIdle
	}
	return m.deadline(now)
}

// full reports whether the machine can do nothing for another waiter: it may open
// nothing, it has nothing to give, and there is no outage in which to refuse. With
// MaxWaiting a get that finds the line full may be refused without a question, so nothing
// may be coming either, see provided.
func (m *Machine) full(now time.Duration) bool {
	return m.kept.len() == 0 && m.outage.failures == 0 && m.room() <= 0 &&
		(m.cfg.MaxWaiting == 0 || m.coming(now) == 0)
}

// deadline is when Settle has something to do even if nothing happens.
func (m *Machine) deadline(now time.Duration) time.Duration {
	if m.again {
		return now
	}
	next := Never
	at := func(d time.Duration) {
		if d > now {
			next = min(next, d)
		}
	}
	waits := m.fx.Waiting() > 0 || len(m.ready) > 0 || len(m.pickers) > 0
	if m.outage.failures > 0 && waits {
		at(m.outage.until)
	}
	if m.outage.failures > 0 && m.belowMinimum() {
		at(m.outage.refillAt)
	}
	if m.outageIsToTell() {
		at(m.outage.began + m.cfg.ReconnectTimeout)
	}
	if len(m.noWaits) > 0 {
		at(now + barged)
	}
	if m.outage.failures > 0 && m.outage.lost > 0 {
		for _, sl := range m.slots {
			if sl.epoch == m.outage.epoch {
				at(sl.opened + fresh)
			}
		}
	}
	if m.belowMinimum() {
		at(m.fillAt)
	}
	at(m.expiry)
	at(m.overlong)
	at(m.round.at)
	for _, p := range m.pickers {
		at(p.Until)
	}
	for _, j := range m.jobs {
		if !j.late() {
			at(j.deadline)
		}
		if waits || m.cfg.MinOpen+m.cfg.MinIdle > 0 {
			at(j.comes)
		}
	}
	if m.end.forced {
		at(m.end.forceAt)
	}
	return next
}
