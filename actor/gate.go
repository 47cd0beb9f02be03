package actor

import "time"

// shutGate sends every get and put over the desk.
func (m *machine[R]) shutGate(now time.Duration) {
	if !m.shut {
		m.shut, m.shutAt = true, now
		m.fx.shutGate()
	}
}

// pressed says that nothing may rest on the shelf: somebody waits, or there is a
// pause, or too many are open.
func (m *machine[R]) pressed() bool { return m.queue.len > 0 || m.pause.on || m.excess() > 0 }

// arrangeGate opens the gate when nobody waits, and lays what the hands hold
// on the shelf. What does not fit stays in the hands, up to MaxIdle. If the desk
// must see every lease, the hands are the shelf.
func (m *machine[R]) arrangeGate(now time.Duration) {
	if m.pressed() {
		return
	}
	if !m.cfg.watched() {
		m.layOut()
	}
	for m.cfg.MaxIdle > 0 && m.hands.len() > 0 && m.idle() > m.cfg.MaxIdle {
		m.close(now, m.hands.pop(), ReasonExcess, nil)
	}
	m.keepWatch(now)
}

// layOut opens the gate.
func (m *machine[R]) layOut() {
	if m.shut {
		m.shut = false
		m.fx.openGate()
	}
	for m.hands.len() > 0 && m.lay(m.hands.pop()) {
	}
}

// keepWatch has a borrower tell when it leaves fewer than MinIdle on the shelf.
// While there are fewer it need not, if what comes, makes room, or ends an outage
// brings the desk here again.
func (m *machine[R]) keepWatch(now time.Duration) {
	if m.cfg.MinIdle == 0 || m.cfg.watched() {
		return
	}
	again := m.room() <= 0 || m.dialing+m.mends() > 0 || m.outage.failures > 0
	if again && m.idle() < m.cfg.MinIdle {
		return
	}
	m.fx.lookout()
	m.dial(now) // for what was taken just before
}

// lay puts an idle slot on the shelf. It keeps it in the hands, and says so,
// while the gate is shut or the shelf is full.
func (m *machine[R]) lay(sl *slot[R]) bool {
	if !m.shut {
		before := sl.desk
		sl.desk.leave() // before a borrower can bring it back
		if m.fx.offer(sl) {
			return true
		}
		sl.desk = before
	}
	sl.desk.place = inHand
	m.hands.push(sl)
	return false
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
	m.lower(now)
	for range m.fx.shelved() {
		m.sift(now, m.fx.take())
	}
}

// sift keeps an idle slot unless it is recalled.
func (m *machine[R]) sift(now time.Duration, sl *slot[R]) {
	switch {
	case sl == nil:
	case sl.desk.recalled:
		m.close(now, sl, ReasonNone, nil)
	case sl.desk.tainted:
		m.hands.push(sl)
	default:
		m.lay(sl)
	}
}

// lower moves what is on top of the shelf to the others, before a walk along it that
// lays each back: the top may be a busy borrower's again and again. With the gate shut
// it comes into the hands, so that is for before the settle serves who waits.
func (m *machine[R]) lower(now time.Duration) {
	if sl := m.fx.takeTop(); sl != nil {
		m.sift(now, sl)
	}
}
