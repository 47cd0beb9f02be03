package actor

import (
	"errors"
	"fmt"
)

// Prepare, which borrowers ask themselves, and helpers for a key.

// simVetting is the world's account of Prepare for keys.
type simVetting struct {
	vetting *simVet // its report is being handled, and refuses who waits
	noGood  map[*simBinding]int
}

// simVet is a report by which those who wait for a key are refused: with the
// error that Prepare gave, or since it has refused too many.
type simVet struct {
	bound *simBinding
	err   error
}

// simPrepareError is what Prepare says against one get.
type simPrepareError struct{ step int }

func (e *simPrepareError) Error() string { return fmt.Sprintf("not prepared in step %d", e.step) }

// afterLook is where fit goes on.
func (w *simWorld) afterLook() simPC {
	if w.pool.Prepare != nil {
		return pcPrepare
	}
	return pcLend
}

// prepare asks Prepare, and then Judge if the get ends though the slot may be
// good. What is to be mended goes to the desk with the request. If one of them panics, the slot goes to the desk to be closed.
func (b *simBorrower) prepare(w *simWorld) {
	b.note(w, "prepares")
	v, err := w.prepared()
	switch {
	case v == Keep && err == nil:
		b.pc = pcLend
		return
	case v == Keep && w.pool.Judge != nil:
		v = w.verdict()
	}
	b.verdict = v
	if v == Discard && w.in(30) {
		b.t, b.then, b.pc = nil, pcRest, pcUnfit
		return
	}
	if b.isFresh() {
		b.refused++
	}
	over := err != nil || b.refused > w.pool.MaxOpen
	switch {
	case over:
		b.putBack(pcRest)
	case b.viaDesk && v < Discard:
		b.brings, b.pc = true, pcAgain
	case b.viaDesk:
		b.putBack(pcAgain)
	case v < Discard:
		b.brings, b.pc = true, pcTicket
	default:
		b.putBack(pcGate)
	}
}

// bringsAlong sends what Prepare wants mended with the request.
func (b *simBorrower) bringsAlong(w *simWorld) {
	if b.brings {
		b.laysDown(w, theInbox)
		b.t.brings = brought[*simThing]{b.sl, b.verdict}
		b.sl, b.brings = nil, false
	}
}

// itsOwnIsMended: who brought a slot to be mended waits for that, and gets it
// once it is; also one it brought before, whose mend came late, while the next is mended.
func (w *simWorld) itsOwnIsMended(b *simBorrower, th *simThing) {
	w.must(!w.promised(b) || th.mendedFor == b && th.mendedAt == b.arrival, "itsOwnIsMended", "borrower %d is served, what it brought is still mended", b.id)
	for _, o := range w.things {
		w.must(o == th || o.owner != theDesk || o.mendedFor != b || o.mendedAt != b.arrival || th.mendedFor == b, "itsOwnIsMended",
			"borrower %d gets thing %d, thing %d was mended for it", b.id, th.id, o.id)
	}
}

// prepared is what Prepare says: whatever the verdict, it may add an error.
func (w *simWorld) prepared() (v Verdict, err error) {
	v = w.verdict()
	if !w.draining && w.in(w.unfit/4) {
		err = &simPrepareError{w.steps}
	}
	return v, err
}

// vetDone is the end of a look for a key with a Prepare or a Bind: what it stood for
// may have failed, or Prepare may have refused the slot, or the get, or both.
func (w *simWorld) vetDone(h *simHelper, late bool) {
	switch {
	case w.draining || !late && !w.in(w.unfit):
		h.changes()
		return
	case h.j.binds && (w.pool.Prepare == nil || w.in(50)):
		w.bindDone(h)
		return
	}
	if w.in(60) {
		h.j.refusal = &simPrepareError{w.steps}
	}
	switch {
	case w.in(30):
		h.j.err = errSimJob
	case h.j.refusal == nil || w.in(50):
		h.j.err = errRefused
	}
}

// heardVet is such a report before the machine gets it.
func (w *simWorld) heardVet(j *simJob) {
	switch {
	case j.refusal != nil:
		w.vetting = &simVet{j.bound, j.refusal}
	case j.err == errRefused:
		if w.noGood[j.bound]++; w.noGood[j.bound] > w.limit {
			w.vetting = &simVet{j.bound, ErrUnavailable}
		}
	}
}

// checkRefused is about the answer to who waits for the key.
func (w *simWorld) checkRefused(b *simBorrower, err error) {
	w.must(b.t.wait.key == w.vetting.bound || w.m.keys[b.key] == w.vetting.bound, "prepareIsAsked", "borrower %d waits for another key", b.id)
	w.must(errors.Is(err, w.vetting.err), "inv6RightError", "borrower %d gets %v, Prepare says %v", b.id, err, w.vetting.err)
}

// afterVetting: nobody waits on whom Prepare has refused.
func (w *simWorld) afterVetting() {
	if w.vetting == nil {
		return
	}
	for _, b := range w.borrowers {
		w.must(!b.waits() || b.t.wait.key != w.vetting.bound, "prepareIsAsked", "borrower %d waits though Prepare has refused it", b.id)
	}
	w.vetting = nil
}
