package actor

import (
	"errors"
	"time"
)

// Resize, MaxIdle, MaxWaiting and GetTimeout: how many there may be.

// simSizes are the sizes in force, and what was too many when they shrank: from
// then on it may only become less.
type simSizes struct {
	least, limit int
	allowed      int // places, by the world's account
	booked       int // places, in the books
}

// resize is the owner's, with sizes that a Supervisor would let pass.
func (w *simWorld) resize() {
	most := w.between(1, 8)
	least := w.n(most+1) * w.n(2)
	if w.pool.MaxIdle > 0 && min(w.pool.MaxIdle, most) < least {
		return
	}
	w.step("owner", 0, "calls Resize", nil)
	w.ask(func(m *machine[*simThing], _ time.Duration) {
		m.resize(least, most)
		w.least, w.limit = least, most
		w.allowed, w.booked = max(w.allowed, most), max(w.booked, most)
	})
}

// inv1PlacesWithinLimit: by the world's account, and by the books, in which a
// dial that lost its place takes one again while what it brought is closed.
func (w *simWorld) inv1PlacesWithinLimit() {
	w.must(w.taken() <= w.allowed, "inv1PlacesWithinLimit", "%d of %d places", w.taken(), w.allowed)
	taken, booked := w.taken(), w.m.open+w.m.closing+w.m.dialing
	for _, h := range w.helpers {
		if h.j.kind < closeJob && !h.j.freed && w.clock >= h.grace {
			taken++ // its report may come before its grace is noticed
		}
		if h.j.kind == closeJob && h.thing.late && !h.j.freed {
			booked--
		}
	}
	w.allowed = max(w.limit, min(w.allowed, taken))
	w.must(booked <= w.booked, "inv1PlacesWithinLimit", "%d of %d places in the books", booked, w.booked)
	w.booked = max(w.limit, min(w.booked, booked))
}

// room is how many places are free.
func (w *simWorld) room() int { return w.limit - w.m.open - w.m.closing - w.m.dialing }

// openInBooks is how many are open: what a hung mend has may exist, but its
// place is given up.
func (w *simWorld) openInBooks() int {
	n := w.known
	for _, h := range w.helpers {
		if h.j.kind.mends() && h.j.freed {
			n--
		}
	}
	return n
}

func (w *simWorld) inExcess() bool { return w.openInBooks() > w.limit }

// idle is how many are ready to be lent.
func (w *simWorld) idle() int { return w.m.hands.len() + len(w.lying()) }

// inv1ShrinkCloses: in excess nothing is kept, so that open is within the limit
// once everything has been put.
func (w *simWorld) inv1ShrinkCloses() {
	w.must(!w.inExcess() || w.gate && w.searched && w.m.hands.len() == 0, "inv1ShrinkCloses",
		"%d open, at most %d: gate shut %v, shelf searched %v, %d in hand", w.openInBooks(), w.limit, w.gate, w.searched, w.m.hands.len())
}

// maxIdleIsKept while nobody waits. Who puts one on the shelf just after it was
// counted tells nobody: the next settle sees it.
func (w *simWorld) maxIdleIsKept() {
	pressed := w.waiting() > 0 || w.paused || w.inExcess()
	w.must(pressed || w.pool.MaxIdle == 0 || w.idle()-w.justPut <= w.pool.MaxIdle, "maxIdleIsKept",
		"%d in hand and %d on the shelf, at most %d", w.m.hands.len(), len(w.lying()), w.pool.MaxIdle)
}

// checkTooMany: refused is the last of those who came since the last settle, if
// more wait for borrowers than may.
func (w *simWorld) checkTooMany(b *simBorrower, err error) {
	var e *TooManyWaitingError
	w.must(errors.As(err, &e) && e.Limit == w.limit && e.Waiting == w.waiting()-1, "inv6RightError",
		"borrower %d is refused, %d others wait, limit %d: %v", b.id, w.waiting()-1, w.limit, err)
	w.must(w.crowded(), "maxWaitingIsKept", "borrower %d is refused, %d wait, %d come", b.id, w.waiting(), w.coming(w.clock))
	w.must(b.arrival > w.settled, "maxWaitingIsKept", "borrower %d is refused, but has waited already", b.id)
	for _, o := range w.borrowers {
		w.must(!o.waits() || o.arrival <= b.arrival, "maxWaitingIsKept", "borrower %d is refused, borrower %d came later", b.id, o.id)
	}
}

// crowded says whether more wait for borrowers than may: neither for what is
// coming, nor for a free place where no failure keeps a dial back for long.
func (w *simWorld) crowded() bool {
	most := w.pool.MaxWaiting + w.coming(w.clock)
	if w.out.failures == 0 && !w.paused {
		most += max(0, w.room())
	}
	return w.pool.MaxWaiting > 0 && w.waiting() > max(most, w.pool.MaxWaiting)
}

// crowdIsRefused: nobody is left who came last and is one too many.
func (w *simWorld) crowdIsRefused() {
	for _, b := range w.borrowers {
		w.must(!b.waits() || b.arrival <= w.settled || !w.crowded(), "maxWaitingIsKept",
			"borrower %d came as one too many and waits", b.id)
	}
}

// endOf is when GetTimeout refuses b.
func (w *simWorld) endOf(b *simBorrower) time.Duration {
	if w.pool.GetTimeout == 0 {
		return never
	}
	return b.since + w.pool.GetTimeout
}

// getTimeoutIsKept: whoever has waited for so long has its answer, and the
// timer is set for the others.
func (w *simWorld) getTimeoutIsKept() {
	for _, b := range w.borrowers {
		w.must(!b.waits() || w.clock < w.endOf(b), "getTimeoutIsKept", "borrower %d waits on", b.id)
		w.must(!b.waits() || w.next <= w.endOf(b), "timerIsRight", "nothing is set for the timeout of borrower %d", b.id)
	}
}
