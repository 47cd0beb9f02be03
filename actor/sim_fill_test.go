package actor

import (
	"errors"
	"time"
)

// MinOpen, MinIdle and Ready: what is opened for nobody who waits, and when.

// lacking says whether a minimum is not kept, with so many idle, what is on its
// way then counted.
func (w *simWorld) lacking(at time.Duration, idle int) bool {
	dialing, mending := w.underWay()
	return w.usable()+dialing < w.least || w.pool.MinIdle > 0 && idle+dialing+mending-w.demand() < w.pool.MinIdle
}

// underWay counts the dials and mends that have not lost their places.
func (w *simWorld) underWay() (dialing, mending int) {
	for _, h := range w.helpers {
		switch {
		case w.clock >= h.grace:
		case h.j.kind == dialJob:
			dialing++
		case h.j.kind.mends():
			mending++
		}
	}
	return dialing, mending
}

// mayFill says whether a dial for a minimum is not put off in an outage.
func (w *simWorld) mayFill(at time.Duration) bool {
	return w.out.failures == 0 || w.readies() > 0 || at >= w.out.refill
}

// readies is how many calls of Ready wait.
func (w *simWorld) readies() (n int) {
	for _, b := range w.borrowers {
		if b.arrived && b.want == forMinimum {
			n++
		}
	}
	return n
}

// dialIsDue says whether a dial has to be made, at a time until which nothing
// happens.
func (w *simWorld) dialIsDue(at time.Duration) bool {
	if w.paused || w.room() <= 0 || !w.mayDial(at) {
		return false
	}
	return w.waiting() > 0 && w.demand() > w.coming(at) || w.mayFill(at) && w.lacking(at, w.knownIdle(at))
}

// knownIdle leaves out what the desk will hear of: somebody has taken one and
// is about to tell, or need not since something comes. Past a shut gate only who has
// read it before takes one, and tells nobody: somebody waits then, and what ends his
// wait brings the desk to look again.
func (w *simWorld) knownIdle(at time.Duration) int {
	dialing, mending := w.underWay()
	if w.tellsOfTooFew() || !w.gate && (dialing+mending > 0 || w.out.failures > 0) {
		return max(w.idle(), w.pool.MinIdle)
	}
	return w.idle() + w.justTaken
}

func (w *simWorld) tellsOfTooFew() bool {
	for _, b := range w.borrowers {
		if b.pc == pcTell || b.pc == pcToken && w.low || b.pc == pcTold {
			return true
		}
	}
	for _, msg := range w.inbox {
		if msg.kind == wakeMessage {
			return true
		}
	}
	return false
}

// enough says whether Ready has what it waits for.
func (w *simWorld) enough() bool {
	return w.usable() >= min(w.fewest(), w.limit)
}

// checkReady is about the answer to a Ready.
func (w *simWorld) checkReady(b *simBorrower, err error) {
	if err == nil {
		w.must(w.enough(), "inv6RightError", "borrower %d is told of a minimum that is not open", b.id)
		return
	}
	w.must(errors.Is(err, ErrUnavailable) && w.stuck(w.clock), "inv6RightError", "borrower %d waits for the minimum and gets %v", b.id, err)
	w.must(errors.Is(err, w.out.err), "inv6NoOldError", "borrower %d gets %q, the outage's is %v", b.id, err, w.out.err)
}

// minimumsAtRest: when nobody does anything and nothing fails, the minimums are
// kept as far as there is room.
func (w *simWorld) minimumsAtRest() {
	if w.closing || w.paused || w.anyFrozen() || w.room() <= 0 || w.out.failures > 0 || len(w.helpers)+len(w.inbox) > 0 {
		return
	}
	w.must(w.usable() >= w.least, "minimumsAreKept", "%d open, at least %d", w.usable(), w.least)
	w.must(w.idle() >= w.pool.MinIdle, "minimumsAreKept", "%d idle, at least %d", w.idle(), w.pool.MinIdle)
}

// timerIsRight: whatever changes by time alone is looked at in time. Who waits
// may be served or refused then, so every such time counts; else only those at
// which a dial is due.
func (w *simWorld) timerIsRight() {
	due := []time.Duration{w.out.until, w.out.refill}
	for _, h := range w.helpers {
		if h.j.kind < closeJob {
			due = append(due, h.began+hedge)
		}
	}
	waits := w.waiting()+w.readies() > 0
	for i, at := range due {
		if at > w.clock && at < w.next {
			w.must(!waits || i == 1, "timerIsRight", "nothing is set for %v (%d)", at, i)
			w.must(!w.dialIsDue(at), "timerIsRight", "nothing is set for the dial due at %v (%d)", at, i)
		}
	}
}
