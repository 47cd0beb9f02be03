package actor

import (
	"errors"
	"time"
)

// The invariants of what happens, checked as it happens. The world judges by
// its own account of owners, arrivals, resets, dials and failures; of the
// machine's books it uses only what sim_books_test.go compares with that
// account after every event.

// checkAnswer is about the one answer to a request.
func (w *simWorld) checkAnswer(b *simBorrower, a answer[*simThing]) {
	w.must(b.arrived, "inv6AnsweredOnce", "borrower %d does not wait", b.id)
	w.must(a.slot == nil || a.err == nil, "inv6AnsweredOnce", "both a slot and an error")
	if a.slot == nil {
		w.checkError(b, a.err)
		w.refusedOne(a.err)
		return
	}
	w.must(!w.closing, "inv10NobodyServedAtTheEnd", "borrower %d is served after CloseAll", b.id)
	th := a.slot.value
	w.must(!th.closed && !th.killed && !th.revoked, "inv2NeverLentAfterClose", "thing %d", th.id)
	if b.key == 0 {
		w.inv5InOrderOfArrival(b)
		w.checkGrant(b, a.slot)
		w.itsOwnIsMended(b, th)
		if a.fresh {
			w.checkRested(th, w.clock)
			w.must(th.mended, "freshHasJustProved", "thing %d", th.id)
		}
		w.move(a.slot, theDesk, aReply, b)
		th.lentAt = w.clock
		w.granted(b)
		return
	}
	w.checkShare(b, a.slot)
}

// checkShare is about a grant under a key: the first binds, later ones share.
func (w *simWorld) checkShare(b *simBorrower, sl *simSlot) {
	th := sl.value
	if th.refs == 0 {
		w.inv5InOrderOfArrival(b)
		w.checkGrant(b, sl)
		w.checkRested(th, w.clock)
		w.must(w.pool.Prepare == nil || th.vetted == w.m.keys[b.key], "prepareIsAsked", "thing %d is bound to key %d unasked", th.id, b.key)
		w.checkBound(b, th)
		w.move(sl, theDesk, theSharers, nil)
		th.key, th.bound, th.lentAt = b.key, w.resets, w.clock
		for _, o := range w.things {
			w.must(o == th || o.refs == 0 || o.key != b.key || w.tooLongDead(o), "inv12OneSlotPerKey",
				"key %d is bound to things %d and %d", b.key, o.id, th.id)
		}
	}
	w.must(th.owner == theSharers && th.key == b.key, "inv12OneSlotPerKey", "thing %d is bound to key %v, not %d", th.id, th.key, b.key)
	th.refs++
	w.granted(b)
}

// granted counts a lease, and a wait that was not over at once.
func (w *simWorld) granted(b *simBorrower) {
	w.leases++
	w.owned[b.lease] = true
	if b.arrival <= w.settled {
		w.waited++
		w.waitTime += w.clock - b.since
	}
}

// inv5InOrderOfArrival: whoever came earlier has been served, or waits for a
// rested slot that is being looked at for its key, or for its Bind, however long.
func (w *simWorld) inv5InOrderOfArrival(b *simBorrower) {
	for _, o := range w.borrowers {
		w.must(!o.waits() || o.arrival >= b.arrival || w.promised(o) || w.isBinding(o), "inv5InOrderOfArrival",
			"borrower %d is served before borrower %d, who came before", b.id, o.id)
	}
}

// waits says whether b has a request in the queue.
func (b *simBorrower) waits() bool { return b.arrived && b.want == forResource }

// promised says whether b waits for a look for its key, or for what it brought
// to be mended, which counts for a bounded time.
func (w *simWorld) promised(b *simBorrower) bool {
	if b.patience == TryOnly && w.clock >= b.since+hedge {
		return false
	}
	for _, h := range w.helpers {
		if h == b.mends && w.comes(h, w.clock) {
			return true
		}
	}
	for _, h := range w.helpers {
		if h.j.bound != nil && h.j.bound.key == b.key && h.j.bound == w.m.keys[b.key] && w.comes(h, w.clock) {
			return true
		}
	}
	return false
}

// checkGrant: nothing old is granted, and nothing at all in a pause.
func (w *simWorld) checkGrant(b *simBorrower, sl *simSlot) {
	w.must(!isClosed(sl.recall) && sl.value.resets == w.resets, "inv8NothingOldAfterReset", "thing %d is granted", sl.value.id)
	w.must(w.clock < sl.value.expires, "nothingOldIsLent", "thing %d is granted", sl.value.id)
	w.must(!w.paused, "inv9NothingInAPause", "borrower %d is served", b.id)
}

// checkRested: what rested for LookAfter is looked at before it is lent.
func (w *simWorld) checkRested(th *simThing, at time.Duration) {
	w.must(w.pool.Look == nil || at-th.proven < w.pool.LookAfter, "restedIsLookedAt",
		"thing %d is lent unseen, last known to work %v ago", th.id, at-th.proven)
}

// checkError is about a refusal.
func (w *simWorld) checkError(b *simBorrower, err error) {
	var gaveUp *WaitError
	switch {
	case b.want == forQuiet:
		w.checkPause(b, err)
	case w.cancelling == b.t:
		w.must(errors.As(err, &gaveUp), "inv6RightError", "borrower %d cancelled and gets %v", b.id, err)
		w.must(!w.paused || errors.Is(err, ErrPaused), "inv6RightError", "borrower %d waited in a pause and is told %v", b.id, err)
	case errors.Is(err, ErrClosed):
		w.must(w.closing, "inv6RightError", "borrower %d gets ErrClosed", b.id)
	case b.want == forMinimum:
		w.checkReady(b, err)
	case w.vetting != nil:
		w.checkRefused(b, err)
	case errors.Is(err, ErrTimeout):
		w.must(w.clock >= w.endOf(b), "getTimeoutIsKept", "borrower %d is refused too early", b.id)
	case errors.Is(err, ErrPaused):
		w.must(w.paused && b.patience != Wait, "inv6RightError", "borrower %d gets %v", b.id, err)
	case errors.Is(err, ErrTooManyWaiting):
		w.checkTooMany(b, err)
	case errors.Is(err, ErrExhausted):
		w.checkExhausted(b)
	case errors.Is(err, ErrRevoked):
		w.checkDeadKey(b, err)
	default:
		w.checkUnavailable(b, err)
	}
}

// refusedOne counts an error, by who is to blame for it.
func (w *simWorld) refusedOne(err error) {
	var gaveUp *WaitError
	switch {
	case errors.As(err, &gaveUp):
		w.cancelled++
	case err != nil:
		w.refused++
	}
}

// checkExhausted: only who does not want to wait gets it, and only if there is
// nothing for it, or only its Bind when it has waited long enough.
func (w *simWorld) checkExhausted(b *simBorrower) {
	w.must(b.patience != Wait, "inv6RightError", "borrower %d waits and gets ErrExhausted", b.id)
	late := b.patience == TryOnly && w.clock >= b.since+hedge
	w.must(w.m.hands.len() == 0 || late && w.isBinding(b), "inv3NobodyWaitsBesideIdle", "borrower %d is refused, the desk has %d", b.id, w.m.hands.len())
	w.must(late || !w.promised(b), "noWaitWaitsForWhatComes", "borrower %d is refused beside what is mended for it", b.id)
	w.must(b.patience != NoWait || !w.inReach(b), "noWaitWaitsForWhatComes", "borrower %d is refused beside what comes for it", b.id)
}

// isBinding says whether Bind is being called for the key of b. If b is being refused,
// the desk may have forgotten that key.
func (w *simWorld) isBinding(b *simBorrower) bool {
	k := w.m.keys[b.key]
	for _, h := range w.helpers {
		if h.j.binds && h.j.bound.key == b.key && (h.j.bound == k || k == nil) && w.clock < h.grace && !isClosed(h.j.slot.recall) {
			return true
		}
	}
	return false
}

// inReach says whether b can be served without a borrower's help, those before
// it served: a place is not lent, whatever is being done about it.
func (w *simWorld) inReach(b *simBorrower) bool {
	return w.ahead(b) < w.limit-(w.m.open-w.m.mends())
}

// ahead is how many slots go to those who are served before b.
func (w *simWorld) ahead(b *simBorrower) (n int) {
	place := w.placeOf(b)
	for _, o := range w.borrowers {
		if o.waits() && w.placeOf(o) == o.arrival && o.arrival < place {
			n++
		}
	}
	return n
}

// placeOf is the arrival of the first who waits for what b waits for.
func (w *simWorld) placeOf(b *simBorrower) uint64 {
	place := b.arrival
	for _, o := range w.borrowers {
		if b.key > 0 && o.waits() && o.key == b.key {
			place = min(place, o.arrival)
		}
	}
	return place
}

// demand is how many slots would serve everybody who waits.
func (w *simWorld) demand() (n int) {
	for _, o := range w.borrowers {
		if o.waits() && w.placeOf(o) == o.arrival {
			n++
		}
	}
	return n
}

// checkUnavailable: the error is of the present backoff, and there is nothing
// else to wait for.
func (w *simWorld) checkUnavailable(b *simBorrower, err error) {
	w.must(errors.Is(err, ErrUnavailable), "inv6RightError", "borrower %d gets %v", b.id, err)
	w.must(w.out.err != nil && errors.Is(err, w.out.err), "inv6NoOldError", "borrower %d gets %q, the outage's is %v", b.id, err, w.out.err)
	w.must(w.hopeless() || b.patience == NoWait && w.stuck(w.clock), "inv6NoOldError", "borrower %d is refused though there is hope", b.id)
}

// What the passing of time changes is asked for a time: now, or a later one
// until which nothing happens.

func (w *simWorld) backoff(at time.Duration) bool { return w.out.failures > 0 && at < w.out.until }

func (w *simWorld) hopeless() bool {
	return w.usable() == 0 && w.stuck(w.clock)
}

func (w *simWorld) stuck(at time.Duration) bool {
	return w.backoff(at) && (w.pool.Outage == FailFast || w.out.permanent) && w.coming(at) == 0
}

// coming is how many slots are on their way.
func (w *simWorld) coming(at time.Duration) (n int) {
	for _, h := range w.helpers {
		if w.comes(h, at) {
			n++
		}
	}
	return n
}

func (w *simWorld) comes(h *simHelper, at time.Duration) bool {
	switch {
	case at >= h.began+hedge && !w.isAwaited(h) || at >= h.grace:
		return false
	case h.j.kind == dialJob:
		return h.resets == w.resets
	default:
		return h.j.kind.mends() && !isClosed(h.j.slot.recall)
	}
}

// isAwaited says that Bind is called for a key that somebody waits for still.
func (w *simWorld) isAwaited(h *simHelper) bool {
	if !h.j.binds || w.m.keys[h.j.bound.key] != h.j.bound {
		return false
	}
	for _, b := range w.borrowers {
		if b.waits() && b.key == h.j.bound.key {
			return true
		}
	}
	return false
}

// dials counts the fresh dials, and of those the ones of this epoch.
func (w *simWorld) dials(at time.Duration) (all, probes int) {
	for _, h := range w.helpers {
		if h.j.kind != dialJob || at >= h.began+hedge || at >= h.grace {
			continue
		}
		all++
		if h.epoch == w.out.epoch {
			probes++
		}
	}
	return all, probes
}

// mayDial says whether a dial is allowed, a free place aside.
func (w *simWorld) mayDial(at time.Duration) bool {
	all, probes := w.dials(at)
	return !w.backoff(at) && all < w.pool.MaxDials && (w.out.failures == 0 || probes == 0)
}

// checkDial is about a dial that begins.
func (w *simWorld) checkDial(h *simHelper) {
	w.must(!w.closing, "inv10NobodyServedAtTheEnd", "a dial after CloseAll")
	w.must(!w.paused, "inv9NothingInAPause", "a dial in a pause")
	w.must(w.taken() < w.limit, "inv1PlacesWithinLimit", "a dial, though %d of %d places are taken", w.taken(), w.limit)
	w.inv4OpensWithinPeak()
	_, probes := w.dials(w.clock)
	w.must(!w.backoff(w.clock), "inv7Backoff", "a dial in the backoff")
	w.must(w.out.failures == 0 || probes == 0, "inv7OneProbe", "a second probe")
	w.must(w.mayDial(w.clock), "dialsWithinMaxDials", "a dial too many")
	lacks := w.lacking(w.clock, w.idleThen)
	waits := w.waiting() > 0 && w.demand() > w.coming(w.clock)
	w.must(waits || lacks && w.mayFill(w.clock), "inv4OneGetOneDial", "a dial, though %d come for %d, minimum lacking: %v", w.coming(w.clock), w.demand(), lacks)
	w.must(lacks || w.m.hands.len() == 0, "inv4OneGetOneDial", "a dial, though the desk has %d", w.m.hands.len())
	w.must(!waits || w.searched, "gateRule1", "a dial, though the shelf was not looked at since the gate was shut")
	w.must(w.causes(h), "dialHasItsCause", "the dial's context is nobody's")
}

// causes says whether a dial carries the values of the first who waits and has
// not caused one; of nobody if everybody has.
func (w *simWorld) causes(h *simHelper) bool {
	var first *simBorrower
	for _, b := range w.borrowers {
		if b.waits() && !b.caused && (first == nil || b.arrival < first.arrival) {
			first = b
		}
	}
	if first == nil {
		return h.j.cause == nil
	}
	first.caused = true
	return h.j.cause == first.ctx
}

// taken is how many places the world knows to be taken: resources that exist
// and dials under way, those aside that the grace excuses.
func (w *simWorld) taken() (n int) {
	for _, h := range w.helpers {
		if h.thing != nil && w.clock >= h.grace {
			h.thing.late = true
		}
		if h.j.kind == dialJob && h.thing == nil && !h.reported && w.clock < h.grace {
			n++
		}
	}
	for _, th := range w.things {
		if !th.late {
			n++
		}
	}
	return n
}

// inv4OpensWithinPeak: if nothing fails, a pool never opens more than there were
// borrowers at once. What excuses a dial is a put still in the inbox: its
// borrower may have come again, over the shelf, and overtaken a get that is
// before that put.
func (w *simWorld) inv4OpensWithinPeak() {
	if !w.pure {
		return
	}
	opens := w.opened + 1
	for _, h := range w.helpers {
		if h.j.kind == dialJob && !h.reported {
			opens++
		}
	}
	for _, msg := range w.inbox {
		if msg.kind == putMessage {
			opens--
		}
	}
	w.must(opens <= w.peak, "inv4OpensWithinPeak", "%d opens, at most %d borrowers at once", opens, w.peak)
}

// checkLease is about a lease that begins.
func (w *simWorld) checkLease(b *simBorrower) {
	w.checkUse(b)
	w.inv9Lease(b)
	th := b.sl.value
	since := b.resets
	if b.key > 0 {
		since = min(since, th.bound)
	}
	w.must(th.resets >= since, "inv8NothingOldAfterReset",
		"thing %d, dialed after %d resets, in a get that began after %d", th.id, th.resets, b.resets)
}

// checkUse is about a resource in use.
func (w *simWorld) checkUse(b *simBorrower) {
	th := b.sl.value
	if th.revoked {
		w.deadKeyIsKept(b)
		return
	}
	mine := th.owner == aBorrower && th.holder == b
	if b.key > 0 {
		mine = th.owner == theSharers && th.refs > 0 && th.key == b.key
	}
	w.must(mine, "inv2OneOwner", "borrower %d uses thing %d, %s has it", b.id, th.id, simOwners[th.owner])
	w.must(!th.closed && !th.killed, "inv2NeverClosedWhileLent", "thing %d is used after its close", th.id)
}

// lent counts what is in the borrowers' hands, on the way there, or on the way
// back.
func (w *simWorld) lent() (n int) {
	for _, th := range w.things {
		if th.isLent() {
			n++
		}
	}
	return n
}

func (th *simThing) isLent() bool {
	if th.revoked {
		return false
	}
	return th.owner == aBorrower || th.owner == aReply || th.owner == theInbox || th.owner == theSharers
}

// question is inv11: the desk answers, whatever the others do, and its numbers
// are right.
func (w *simWorld) question() {
	w.step("owner", 0, "asks", nil)
	if w.in(50) {
		w.ask(func(m *machine[*simThing], _ time.Duration) { w.checkStat(m.stat()) })
		return
	}
	w.ask(func(m *machine[*simThing], now time.Duration) {
		began := w.steps
		w.checkLeases(began, m.leases(now))
	})
}

func (w *simWorld) checkStat(s Stat) {
	w.must(s.Leased == w.lentThen || w.forced, "inv11StatIsRight", "%d leased, Stat says %d", w.lentThen, s.Leased)
	w.must(s.Open == s.Leased+s.Idle+s.Mending || w.forced, "inv11StatIsRight", "the parts do not add up: %+v", s)
	w.must(s.Waiting == w.waiting(), "inv11StatIsRight", "%d wait, Stat says %d", w.waiting(), s.Waiting)
	w.must(s.Failures == w.out.failures || w.closing, "inv11StatIsRight", "%d failures, Stat says %d", w.out.failures, s.Failures)
	w.must(s.Limit == w.limit && s.Paused == w.paused, "inv11StatIsRight", "limit %d, paused %v, Stat says %d, %v", w.limit, w.paused, s.Limit, s.Paused)
}

// checkLeases knows no better than the desk about what moved meanwhile, or came
// onto the shelf while the gate is shut: that is a put still on its way.
func (w *simWorld) checkLeases(began int, leases []LeaseInfo) {
	for _, sl := range w.m.slots {
		th := sl.value
		if th.moved >= began || th.revoked || w.gate && th.owner == theShelf {
			continue
		}
		listed, info := simListed(leases, sl.desk.id)
		w.must(listed == th.isLent(), "inv11LeasesAreRight", "thing %d is with %s, listed: %v", th.id, simOwners[th.owner], listed)
		w.must(!listed || info.Holders == max(1, th.refs), "inv12Holders", "thing %d has %d holders, listed: %d", th.id, th.refs, info.Holders)
		if listed {
			w.checkOrigins(sl, info)
		}
	}
}

func simListed(leases []LeaseInfo, id uint64) (listed bool, info LeaseInfo) {
	for _, l := range leases {
		if l.ID == id {
			return true, l
		}
	}
	return false, info
}

// inv10CloseAllTells: when CloseAll returns, nothing is open that it does not
// name.
func (w *simWorld) inv10CloseAllTells() {
	if len(w.m.end.callers) == 0 {
		return
	}
	named := 0
	var left *CloseError
	if errors.As(w.m.result(), &left) {
		named = len(left.Leases)
	}
	w.must(named == w.named, "inv10CloseAllTells", "%d leases were revoked, %d are named", w.named, named)
	w.must(w.lent() == 0, "inv10CloseAllTells", "%d are still lent", w.lent())
	w.must(w.forced || w.taken() == 0, "inv10CloseAllTells", "%d places are still taken", w.taken())
}
