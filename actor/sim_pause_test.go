package actor

import (
	"errors"
	"time"
)

// Pause and Resume.

// simPauses is the world's account of them.
type simPauses struct {
	paused  bool
	quiet   bool // a Pause has returned
	resumes int
	resumed bool // Resume is being handled
}

// resume is the owner's.
func (w *simWorld) resume() {
	w.step("owner", 0, "calls Resume", nil)
	w.ask(func(m *machine[*simThing], _ time.Duration) {
		was := w.paused
		w.resumed = was
		m.resume()
		w.paused, w.quiet, w.resumed = false, false, false
		if was {
			w.resumes++
			w.heal()
		}
		w.must(w.pausing(nil) == 0, "everyPauseReturns", "a Pause waits on after Resume")
	})
}

// callsOfPause is how many are under way, on either side.
func (w *simWorld) callsOfPause() (n int) {
	for _, b := range w.borrowers {
		if b.pc != pcRest && b.want == forQuiet {
			n++
		}
	}
	return n
}

// pausing is how many calls of Pause wait, that of b aside.
func (w *simWorld) pausing(b *simBorrower) (n int) {
	for _, o := range w.borrowers {
		if o != b && o.arrived && o.want == forQuiet {
			n++
		}
	}
	return n
}

// checkPause is about the answer to a Pause. One that gave up has had no effect
// unless another has or may have.
func (w *simWorld) checkPause(b *simBorrower, err error) {
	var gaveUp *WaitError
	switch {
	case err == nil:
		w.must(w.paused && !w.closing, "inv6RightError", "a Pause is told of a pause that is not")
		w.must(w.lent() == 0, "inv9NothingInAPause", "a Pause returns, %d are lent", w.lent())
		w.quiet = true
	case w.cancelling == b.t:
		w.must(errors.As(err, &gaveUp), "inv6RightError", "a Pause was cancelled and gets %v", err)
		w.paused = w.quiet || w.pausing(b) > 0
	default:
		w.must(err == ErrResumed && w.resumed || err == ErrClosed && w.closing, "inv6RightError", "a Pause gets %v", err)
	}
}

// inv9Lease: no get that began after Pause had returned ends with a lease
// before Resume, unless under a key that was bound then; but only what is dead was.
func (w *simWorld) inv9Lease(b *simBorrower) {
	w.must(!b.shut || b.sl.value.revoked || w.resumes > b.resumes, "inv9NothingInAPause", "borrower %d, which began in the pause, has a lease", b.id)
}

// everyPauseReturns: as soon as nothing is lent, and nothing lies where it
// could be taken.
func (w *simWorld) everyPauseReturns() {
	w.must(w.m.pause.on == w.paused, "inv9NothingInAPause", "paused is %v, not %v", w.paused, w.m.pause.on)
	w.must(w.pausing(nil) == 0 || w.lent()+len(w.lying()) > 0, "everyPauseReturns", "a Pause waits, and nothing is lent")
}
