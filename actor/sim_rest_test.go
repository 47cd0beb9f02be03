package actor

import "time"

// MaxAge, MaxRest and the rounds: what is closed though it works, and why.

// simRest is the world's account of what nobody needs.
type simRest struct {
	mostIdle int         // the most that the desk saw idle in this settle
	vetoed   bool        // a get found the shelf empty since the last settle
	samples  []simSample // of the settles within MaxRest
	roundDue time.Duration

	unneededThen uint64 // at the last settle
	shed         int    // in this one
}

// simSample is what one settle may have seen; needed: that nothing was too many.
type simSample struct {
	at     time.Duration
	idle   int
	needed bool
}

func newSimRest() simRest { return simRest{roundDue: never} }

// age rolls the age of a new thing when the machine asks.
func (w *simWorld) age(th *simThing) {
	th.expires = never
	if w.pool.MaxAge > 0 {
		th.expires = w.clock + w.pool.MaxAge
		if w.pool.AgeJitter > 0 {
			w.aging = th
		}
	}
}

func (w *simWorld) rollAge(most time.Duration) time.Duration {
	w.must(most == w.pool.AgeJitter, "nothingOldIsLent", "an age is rolled up to %v", most)
	d := w.upTo(most)
	w.aging.expires += d
	w.aging = nil
	return d
}

// beforeSettle counts what the settle must find expired.
func (w *simWorld) beforeSettle() {
	w.mostIdle, w.justPut, w.justTaken = 0, 0, 0
	if w.closing {
		return
	}
	for _, sl := range w.m.slots {
		if !isClosed(sl.recall) && w.clock >= sl.value.expires && !w.isOverlong(sl.value) {
			w.expired++
		}
	}
}

// nothingOldIsLent: what is too old is recalled, and the timer is set for the
// next.
func (w *simWorld) nothingOldIsLent() {
	w.must(w.m.stats.expired == w.expired, "nothingOldIsLent", "%d have expired, not %d", w.expired, w.m.stats.expired)
	for _, sl := range w.m.slots {
		if !isClosed(sl.recall) {
			w.must(w.next <= sl.value.expires, "timerIsRight", "nothing is set for the age of thing %d", sl.value.id)
		}
	}
}

// checkClose: everything that is closed has a reason.
func (w *simWorld) checkClose(sl *simSlot) {
	th := sl.value
	switch {
	case w.closing, th.killed, th.late, isClosed(sl.recall), th.resets != w.resets, th.verdict == Discard,
		th.changed > 0 && w.pool.Judge == nil, th.verdict == Clean && w.pool.Clean == nil, th.verdict == Check && w.pool.Check == nil:
	case w.unneeded < w.m.stats.unneeded:
		w.unneeded++
		w.must(w.usable() >= w.least, "onlyUnneededIsClosed", "%d are left open, at least %d", w.usable(), w.least)
		w.must(w.idleThen >= w.pool.MinIdle, "onlyUnneededIsClosed", "%d are left idle, at least %d", w.idleThen, w.pool.MinIdle)
	case w.openInBooks() >= w.limit: // it is one too many
	default:
		w.must(w.pool.MaxIdle > 0 && w.idleThen > w.pool.MaxIdle && (!w.gate || w.pool.watched()), "nothingIsClosedWithoutReason",
			"thing %d is closed, %d open of %d, %d idle of %d", th.id, w.openInBooks(), w.limit, w.idleThen, w.pool.MaxIdle)
	}
}

// onlyUnneededIsClosed: as many as every settle within MaxRest may have seen
// idle and above MinIdle. A get that found the shelf empty, a pause, or another
// shrink begins that time anew.
func (w *simWorld) onlyUnneededIsClosed() {
	w.must(w.unneeded == w.m.stats.unneeded, "onlyUnneededIsClosed", "%d closed, not %d", w.unneeded, w.m.stats.unneeded)
	if w.pool.MaxRest == 0 {
		w.must(w.unneeded == 0, "onlyUnneededIsClosed", "%d closed without MaxRest", w.unneeded)
		return
	}
	now := simSample{at: w.clock, idle: w.mostIdle, needed: w.vetoed || w.paused}
	w.samples = append(w.samples, now)
	for len(w.samples) > 0 && w.samples[0].at <= w.clock-w.pool.MaxRest {
		w.samples = w.samples[1:]
	}
	n := int(w.unneeded - w.unneededThen)
	w.shed = n
	if n > 0 {
		for _, s := range w.samples {
			w.must(!s.needed && s.idle-w.pool.MinIdle >= n, "onlyUnneededIsClosed", "%d closed, but at %v: %+v", n, s.at, s)
		}
	}
	if n > 0 || w.usable() <= w.fewest() {
		w.samples[len(w.samples)-1].needed = true
	}
	w.vetoed, w.unneededThen = false, w.unneeded
}

// checkRound is about a look at what rests: one at a time, while nobody waits.
func (w *simWorld) checkRound(h *simHelper) {
	sl := h.j.slot
	h.round = true
	for _, o := range w.helpers {
		w.must(!o.round || w.clock >= o.grace, "roundsTakeOne", "thing %d is checked beside another", sl.value.id)
	}
	w.must(w.waiting() == 0 && !w.paused && !w.closing, "roundsTakeOne", "thing %d is checked while %d wait", sl.value.id, w.waiting())
	w.must(h.j.kind == checkJob == w.pool.KeepAlive, "roundsTakeOne", "thing %d: %s", sl.value.id, jobNames[h.j.kind])
	w.must(h.j.kind == checkJob || w.pool.Look != nil && w.pool.MaxRest > 0, "roundsTakeOne", "thing %d: there is no reason", sl.value.id)
	w.must(w.clock-sl.since >= w.pool.CheckPeriod, "roundsTakeOne", "thing %d rested %v only", sl.value.id, w.clock-sl.since)
}

// roundIsSet: there is a next round while there is a reason, and none else.
func (w *simWorld) roundIsSet() {
	switch {
	case !w.hasRounds():
		w.roundDue = never
	case w.roundDue == never || w.clock >= min(w.roundDue, w.was): // it has had one, perhaps
		w.roundDue = w.clock + w.pool.CheckPeriod
	}
	w.must(w.next <= w.roundDue, "timerIsRight", "nothing is set for the round at %v", w.roundDue)
}

// fewest are open by the minimums.
func (w *simWorld) fewest() int { return max(w.least, w.pool.MinIdle) }

func (w *simWorld) hasRounds() bool {
	return w.pool.KeepAlive && w.openInBooks() > 0 || w.pool.MaxRest > 0 && !w.paused && w.usable()+w.shed > w.fewest()
}

// sleeps says that nothing will ever happen by itself.
func (w *simWorld) sleeps() bool { return w.next == never && len(w.helpers) == 0 }

// restLong lets a pool rest until what nobody needs must be gone, and what
// rests must have been checked. A round may have one of the idle in its hands
// whenever they are counted.
func (w *simWorld) restLong() {
	p := &w.pool
	periods, most := 4, max(w.known, w.fewest()) // a minimum may still be filled
	if most > w.shelfSize {
		periods += 2 * most // the order is lost between the shelf and the hands
	}
	round := time.Duration(periods)*p.CheckPeriod + time.Duration(2*most)*(w.slow+200*w.tick)
	long := max(round, 2*(p.MaxRest+p.CheckPeriod))
	tooMuch := p.MaxAge > 0 && long > 50*p.MaxAge || long > 500*p.CheckPeriod
	if w.closing || !p.KeepAlive && p.MaxRest == 0 || tooMuch || !w.in(40) {
		return
	}
	end := w.now + long
	w.until("nobodyRestsForever", func() bool { return (w.now >= end || w.sleeps()) && w.read() })
	w.must(p.MaxRest == 0 || w.usable() <= w.fewest() || w.idle() <= p.MinIdle+1, "unneededIsClosed",
		"%d open and %d idle after a long rest, %d and %d would do", w.usable(), w.idle(), w.least, p.MinIdle)
	rests := w.lying()
	if hands := w.m.hands; p.watched() { // else the order is lost
		rests = hands.slots[hands.head:]
	}
	for _, sl := range rests {
		w.must(!p.KeepAlive || w.now-sl.since <= round, "everythingIsChecked", "thing %d has rested for %v", sl.value.id, w.now-sl.since)
	}
}
