package core

import (
	"slices"
	"time"
)

// The borrowers of a world, and its line. The line is package line's without its
// concurrency: every get and put is one step, but for the races of a scene.

// holding is the slot of a number that a borrower holds, or held when it was revoked.
func (w *world) holding(number string) *Slot {
	sl := w.byID[uint64(w.number(number))]
	if sl == nil {
		w.fail("there is no slot %s", number)
	}
	if _, held := w.lent[sl]; !held {
		w.fail("nobody holds slot %s", number)
	}
	return sl
}

func (w *world) get(name string) {
	b := &borrower{name: name, began: w.now}
	if w.noWait {
		b.noWait = &NoWait{Body: b}
	}
	w.names[name] = b
	w.ask(b)
}

func (w *world) getNow(name string) {
	b := &borrower{name: name, began: w.now}
	b.noWait = &NoWait{Body: b}
	w.names[name] = b
	w.ask(b)
}

func (w *world) ask(b *borrower) {
	if !w.shut {
		if sl := w.take(); sl != nil {
			w.printf("%s takes %d", b.name, sl.ID)
			w.sayFew()
			w.own(sl, inLine, onItsWay)
			w.fit(b, sl, false)
			return
		}
	}
	if b.noWait != nil || w.cfg.MaxWaiting > 0 && len(w.waiting) >= w.cfg.MaxWaiting {
		if b.noWait == nil && w.full {
			w.printf("%s is turned away", b.name)
			return
		}
		w.inbox = append(w.inbox, func() {
			if ok, why, err := w.m.Admit(w.now, b.noWait); !ok {
				w.printf("%s is refused: %s", b.name, refusalText(why, err))
				return
			}
			w.join(b)
		})
		return
	}
	w.join(b)
	if !w.full {
		w.inbox = append(w.inbox, w.m.Waits)
	}
}

func (w *world) join(b *borrower) {
	if w.ended {
		w.printf("%s finds the end", b.name)
		return
	}
	b.waits = true
	if !w.shut { // the second look of Await
		if sl := w.take(); sl != nil {
			w.leave(b)
			w.printf("%s takes %d", b.name, sl.ID)
			w.own(sl, inLine, onItsWay)
			w.fit(b, sl, true)
			return
		}
	}
	w.waiting = append(w.waiting, b)
}

// leave ends the wait of b.
func (w *world) leave(b *borrower) {
	b.waits = false
	if b.noWait != nil {
		w.inbox = append(w.inbox, func() { w.m.Left(b.noWait) })
	}
}

func (w *world) sayFew() {
	if w.cfg.MinIdle > 0 && w.fewIdle && w.lying() < w.cfg.MinIdle {
		w.fewIdle = false
		w.printf("few are idle")
		w.inbox = append(w.inbox, func() {})
	}
}

func (w *world) try(name string) {
	b := &borrower{name: name, began: w.now}
	w.names[name] = b
	if !w.shut {
		if sl := w.take(); sl != nil {
			w.printf("%s takes %d", name, sl.ID)
			w.sayFew()
			w.own(sl, inLine, onItsWay)
			w.fit(b, sl, false)
			return
		}
	}
	w.inbox = append(w.inbox, func() {
		p := &Picker{Until: w.now + patience, Body: b}
		w.pickers[p] = true
		w.m.Pick(w.now, p)
	})
}

// patience is how long a TryGet waits for what is being repaired.
const patience = 800 * time.Millisecond // not the hedge: the earlier of the two counts

// Picked answers a TryGet.
func (w *world) Picked(p *Picker, sl *Slot, why Refusal, err error) {
	b := p.Body.(*borrower)
	if !w.pickers[p] {
		w.fail("%s is answered twice", b.name)
	}
	delete(w.pickers, p)
	if sl == nil {
		if why == Exhausted && w.m.excess() <= 0 && w.m.idle() > len(w.waiting) {
			w.fail("%s is refused, and %d are idle", b.name, w.m.idle())
		}
		w.printf("%s is refused: %s", b.name, refusalText(why, err))
		return
	}
	w.printf("%s is given %d", b.name, sl.ID)
	w.drawn = nil
	w.own(sl, machine, onItsWay)
	w.fit(b, sl, false)
}

// fit begins the lease of sl, unless the borrower finds it recalled.
func (w *world) fit(b *borrower, sl *Slot, handed bool) {
	if sl.Recalled() {
		w.printf("%s brings %d", b.name, sl.ID)
		w.own(sl, onItsWay, inLine)
		w.inbox = append(w.inbox, func() { w.put(sl, Keep, ReasonNone) })
		w.ask(b)
		return
	}
	w.own(sl, onItsWay, lentOut)
	if w.quiet {
		w.fail("%d is lent in a pause", sl.ID)
	}
	if w.ended {
		w.fail("%d is lent after the end", sl.ID)
	}
	if w.cfg.Look || w.cfg.KeepAlive {
		sl.Since = w.now
	}
	sl.Proven = false
	sl.Uses++
	if !w.picky { // else its Prepare will refuse it
		sl.Lent = true
	}
	if handed {
		sl.Waits++
		sl.Waited += w.now - b.began
		sl.WaitEnded = w.now
	}
	w.lent[sl] = lease{b.name, w.now}
	if w.cfg.MaxLease > 0 && w.unlent {
		w.unlent = false
		w.inbox = append(w.inbox, func() { w.m.Lent(w.now) })
	}
}

func (w *world) cancel(name string) {
	b := w.names[name]
	for p := range w.pickers {
		if p.Body == b {
			w.inbox = append(w.inbox, func() {
				if w.m.Unpick(p) {
					delete(w.pickers, p)
				} else {
					w.printf("too late")
				}
			})
			return
		}
	}
	if b == nil || !b.waits {
		w.fail("%s does not wait", name)
	}
	w.leave(b)
	if i := slices.Index(w.waiting, b); i >= 0 {
		w.waiting = slices.Delete(w.waiting, i, i+1)
		return
	}
	i := slices.IndexFunc(w.hand, func(a answered) bool { return a.to == b }) // an answer is on its way
	sl := w.hand[i].slot
	w.hand = slices.Delete(w.hand, i, i+1)
	if sl != nil && !w.slots[sl].revoked {
		w.own(sl, onItsWay, inLine)
		w.pass(sl)
	}
}

// letGo ends the lease of sl. The line, or the inbox, has it next.
func (w *world) letGo(sl *Slot) {
	delete(w.lent, sl)
	if !w.slots[sl].revoked {
		w.own(sl, lentOut, inLine)
	}
}

// giveBack is a put.
func (w *world) giveBack(sl *Slot, v Verdict, why Reason) {
	w.letGo(sl)
	if v == Keep && !w.slots[sl].revoked {
		w.pass(sl)
		return
	}
	w.inbox = append(w.inbox, func() { w.put(sl, v, why) })
}

// pass gives sl, which is on its way into the line, to the first who waits.
func (w *world) pass(sl *Slot) {
	if w.shut {
		w.inbox = append(w.inbox, func() { w.put(sl, Keep, ReasonNone) })
		return
	}
	w.passAfter(sl)
}

// passAfter is pass after the look at the gate.
func (w *world) passAfter(sl *Slot) {
	switch {
	case w.slots[sl].revoked:
		if w.ended { // its lease had no card, or none any more
			w.lay(sl)
		}
	case len(w.waiting) > 0:
		w.answer(sl)
		w.printf("put %d to %s", sl.ID, w.hand[len(w.hand)-1].to.name)
	case w.lying() < w.room:
		w.lay(sl)
	default:
		w.inbox = append(w.inbox, func() { w.put(sl, Keep, ReasonNone) })
	}
}

// lay lays sl, which the line owns, idle.
func (w *world) lay(sl *Slot) {
	if w.top == nil {
		w.top = sl
	} else {
		w.below = append(w.below, sl)
	}
	if sl.Recalled() {
		w.inbox = append(w.inbox, w.m.Sweep)
	}
}

// put brings sl to the machine.
func (w *world) put(sl *Slot, v Verdict, why Reason) {
	if sl.state == Out {
		w.own(sl, inLine, machine)
	}
	w.m.Put(w.now, sl, v, why)
}

// The line.

func (w *world) lying() int {
	n := len(w.below)
	if w.top != nil {
		n++
	}
	return n
}

func (w *world) take() *Slot {
	if sl := w.top; sl != nil {
		w.top = nil
		return sl
	}
	if len(w.below) == 0 {
		return nil
	}
	sl := w.below[0]
	w.below = w.below[1:]
	return sl
}

func (w *world) takeAll() (all []*Slot) {
	for sl := w.take(); sl != nil; sl = w.take() {
		all = append(all, sl)
	}
	return all
}

// answer sends sl to the first in line.
func (w *world) answer(sl *Slot) {
	b := w.waiting[0]
	w.waiting = w.waiting[1:]
	w.own(sl, inLine, onItsWay)
	w.hand = append(w.hand, answered{b, sl})
}

// receive has those whose answers are on their way receive them.
func (w *world) receive() {
	for len(w.hand) > 0 {
		a := w.hand[0]
		w.hand = w.hand[1:]
		w.leave(a.to)
		if a.slot != nil && !w.slots[a.slot].revoked {
			w.fit(a.to, a.slot, true)
		}
	}
}

// own notes that the ownership of sl passes.
func (w *world) own(sl *Slot, from, to owner) {
	r := w.slots[sl]
	if r == nil {
		w.fail("an unknown slot")
	}
	if r.owner != from {
		w.fail("slot %d is not %v's: it is %v's", sl.ID, from, r.owner)
	}
	r.owner = to
}
