package actor

// The machine's books compared with the world.

// checkBooks is done after every event.
func (w *simWorld) checkBooks() {
	w.booksOfPlaces()
	w.booksOfSlots()
	w.booksOfQueue()
	w.booksOfKeys()
	w.inv1PlacesWithinLimit()
}

// booksOfPlaces: the counters are what they count.
func (w *simWorld) booksOfPlaces() {
	m := w.m
	w.must(len(m.jobs) == len(w.helpers), "booksOfJobs", "%d jobs, %d helpers", len(m.jobs), len(w.helpers))
	dialing, closing, lost := 0, 0, 0
	for _, h := range w.helpers {
		switch {
		case h.j.freed:
			w.must(w.clock >= h.grace || h.isExtra(), "graceIsKept", "the place of %s was freed too early", jobNames[h.j.kind])
			if h.j.kind.mends() {
				lost++
			}
		case h.j.kind == dialJob:
			dialing++
		case h.j.kind >= closeJob:
			closing++
		}
	}
	w.must(m.dialing == dialing, "booksOfPlaces", "dialing is %d, not %d", dialing, m.dialing)
	w.must(m.closing == closing, "booksOfPlaces", "closing is %d, not %d", closing, m.closing)
	w.must(len(m.slots) == w.known, "booksOfPlaces", "%d slots are open, not %d", w.known, len(m.slots))
	w.must(m.open == w.known-lost, "booksOfPlaces", "open is %d, not %d", w.known-lost, m.open)
	w.must(m.usable == w.usable(), "booksOfPlaces", "usable is %d, not %d", w.usable(), m.usable)
	w.must(m.shut == w.gate, "gateHasOneToken", "shut is %v, the gate %v", m.shut, w.gate)
}

// isExtra is a job that took no place from the start: for a mend that lost its
// own.
func (h *simHelper) isExtra() bool { return h.j.kind >= closeJob && (h.thing.killed || h.thing.late) }

// usable counts the slots that may be lent, now or after a mend.
func (w *simWorld) usable() (n int) {
	for _, sl := range w.m.slots {
		if !isClosed(sl.recall) && !sl.value.killed {
			n++
		}
	}
	return n
}

// booksOfSlots: every slot is where the books say.
func (w *simWorld) booksOfSlots() {
	held := 0
	for i, sl := range w.m.slots {
		th, r := sl.value, &sl.desk
		w.must(r.index == i, "booksOfSlots", "thing %d has index %d, not %d", th.id, i, r.index)
		w.must(r.recalled == isClosed(sl.recall), "booksOfSlots", "thing %d recalled: %v", th.id, r.recalled)
		w.must((r.binding != nil) == (th.refs > 0), "booksOfKeys", "thing %d has %d references", th.id, th.refs)
		w.must(r.place == simPlace(th), "booksOfSlots", "thing %d is with %s, its place is %d", th.id, simOwners[th.owner], r.place)
		w.changedIsBooked(sl)
		if r.place == inHand {
			held++
		}
	}
	hands := w.m.hands
	w.must(hands.len() == held, "booksOfSlots", "%d in hand, not %d", held, hands.len())
	for _, sl := range hands.slots[hands.head:] {
		w.must(sl.desk.place == inHand, "booksOfSlots", "thing %d is in hand, its place is %d", sl.value.id, sl.desk.place)
	}
}

// simPlace is the place of a thing in the books, by its owner.
func simPlace(th *simThing) place {
	switch {
	case th.killed:
		return closing
	case th.owner == theDesk:
		return inHand
	case th.owner == aHelper:
		return mending
	default:
		return away
	}
}

// booksOfQueue: the queue holds everybody who waits, once, by arrival.
func (w *simWorld) booksOfQueue() {
	q := &w.m.queue
	n, unkeyed := 0, 0
	var last *simTicket
	for t := q.first; t != nil; t = t.wait.next {
		w.must(t.wait.prev == last && t.wait.queued, "booksOfQueue", "a broken link")
		w.must(last == nil || last.wait.arrival < t.wait.arrival, "booksOfQueue", "not by arrival")
		w.must(w.whose(t).waits(), "booksOfQueue", "borrower %d is queued and does not wait", w.whose(t).id)
		if t.wait.key == nil {
			unkeyed++
		}
		n++
		w.must(n <= q.len, "booksOfQueue", "longer than its length %d", q.len)
		last = t
	}
	w.must(q.last == last && q.len == n && q.unkeyed == unkeyed, "booksOfQueue", "%d queued, not %d; %d without key, not %d", n, q.len, unkeyed, q.unkeyed)
	w.must(q.len == w.waiting(), "booksOfQueue", "%d wait, %d are queued", w.waiting(), q.len)
}

func (w *simWorld) waiting() (n int) {
	for _, b := range w.borrowers {
		if b.waits() {
			n++
		}
	}
	return n
}

// booksOfKeys is inv12 too: the holders are the references.
func (w *simWorld) booksOfKeys() {
	found, loose := 0, 0
	for key := 1; key <= w.keys; key++ {
		b := w.m.keys[key]
		if b == nil {
			continue
		}
		found++
		if b.slot == nil {
			loose++
			w.must(len(b.waiters) > 0 && b.holders == 0, "booksOfKeys", "key %d: nobody waits, %d hold nothing", key, b.holders)
		} else {
			w.must(len(b.waiters) == 0 && b.holders > 0 && b.holders == b.slot.value.refs && b.slot.desk.binding == b, "inv12Holders",
				"key %d: %d holders, %d references, %d wait", key, b.holders, b.slot.value.refs, len(b.waiters))
		}
		for _, t := range b.waiters {
			w.must(t.wait.queued && t.wait.key == b && t.key == key, "booksOfKeys", "key %d: a waiter of another", key)
		}
	}
	w.must(len(w.m.keys) == found && w.m.loose == loose, "booksOfKeys", "%d keys, not %d; %d loose, not %d", found, len(w.m.keys), loose, w.m.loose)
	w.must(w.m.queue.unkeyed+w.m.loose == w.demand(), "booksOfKeys", "the demand is %d, not %d", w.demand(), w.m.queue.unkeyed+w.m.loose)
}

// checkSettled is done after every settle.
func (w *simWorld) checkSettled() {
	w.must(w.next > w.clock, "timerIsRight", "settle asks for the past")
	for _, h := range w.helpers {
		w.must(h.j.freed || w.clock < h.grace, "graceIsKept", "%s still takes a place", jobNames[h.j.kind])
		w.must(h.j.freed || w.next <= h.grace, "timerIsRight", "nothing is set for the grace of %s", jobNames[h.j.kind])
	}
	w.noLeaseIsOverlong()
	w.noKeyIsDeadForEver()
	if w.closing {
		w.must(w.m.queue.len+len(w.m.ready)+w.m.hands.len() == 0, "inv10NobodyServedAtTheEnd", "somebody or something waits for a pool that closes")
		w.must(!w.forced || w.m.end.answered || w.next <= w.forceAt, "inv10CloseAllReturns", "not even after its grace")
		return
	}
	w.must(w.gate == (w.m.queue.len > 0 || w.paused || w.inExcess() || w.pool.watched()), "gateFollowsQueue",
		"%d wait, paused %v, in excess %v, the gate is shut: %v", w.m.queue.len, w.paused, w.inExcess(), w.gate)
	w.must(w.readies() == 0 || !w.enough() && !w.stuck(w.clock), "everyReadyReturns", "a Ready waits on")
	w.inv1ShrinkCloses()
	w.inv3NobodyWaitsBesideIdle()
	w.inv3DemandIsMet()
	w.inv8NothingOldAtRest()
	w.changedIsJudged()
	w.everyPauseReturns()
	w.nothingOldIsLent()
	w.onlyUnneededIsClosed()
	w.roundIsSet()
	w.maxIdleIsKept()
	w.crowdIsRefused()
	w.getTimeoutIsKept()
	w.timerIsRight()
	w.settled = w.arrivals
}

// inv3NobodyWaitsBesideIdle: what the hands keep did not fit on the shelf, or
// everybody waits for a look.
func (w *simWorld) inv3NobodyWaitsBesideIdle() {
	if w.m.hands.len() == 0 || w.paused {
		return
	}
	w.must(w.gate || w.overflowed, "inv3NobodyWaitsBesideIdle", "the hands keep %d, the gate is open", w.m.hands.len())
	for _, b := range w.borrowers {
		w.must(!b.waits() || w.promised(b), "inv3NobodyWaitsBesideIdle", "borrower %d waits, the desk has %d", b.id, w.m.hands.len())
	}
}

// inv3DemandIsMet: a dial is made wherever one is allowed, for who waits or a
// minimum, and who cannot hope is refused: not in a pause, or while what is lent
// is too many. What is old may stand in for one of a minimum until the desk is
// told.
func (w *simWorld) inv3DemandIsMet() {
	w.must(!w.dialIsDue(w.clock) || w.demand() <= w.coming(w.clock) && w.nudgeComes(), "inv3DemandIsMet", "%d come for %d, %d open and %d idle, %d places are free",
		w.coming(w.clock), w.demand(), w.usable(), w.idle(), w.room())
	w.must(w.m.queue.len == 0 || w.paused || w.inExcess() || !w.hopeless(), "inv6RefusalIsACondition", "%d wait without hope", w.m.queue.len)
	for _, b := range w.borrowers {
		if b.waits() && b.patience != Wait && (w.paused || !w.promised(b)) {
			w.must(b.patience == NoWait && w.inReach(b) && !w.paused && !w.stuck(w.clock), "noWaitWaitsForWhatComes", "borrower %d waits for a borrower", b.id)
		}
	}
}

// inv8NothingOldAtRest: no recalled slot rests, unless somebody is about to
// tell the desk.
func (w *simWorld) inv8NothingOldAtRest() {
	hands := w.m.hands
	for _, sl := range hands.slots[hands.head:] {
		w.must(!isClosed(sl.recall), "inv8NothingOldAtRest", "thing %d is old and in hand", sl.value.id)
	}
	for _, sl := range w.lying() {
		w.must(!isClosed(sl.recall) || w.gate || w.nudgeComes(), "inv8NothingOldAtRest", "thing %d is old and on the shelf", sl.value.id)
	}
}

func (w *simWorld) nudgeComes() bool {
	for _, b := range w.borrowers {
		if b.pc == pcPushed {
			return true
		}
	}
	for _, msg := range w.inbox {
		if msg.kind == nudgeMessage {
			return true
		}
	}
	return w.m.sweep
}
