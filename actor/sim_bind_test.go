package actor

import (
	"fmt"
	"time"
)

// Bind, which changes a resource for a key, and what is taken from the holders of
// a key since one of them does not let go of it.

// simBinds is the world's account of both.
type simBinds struct {
	seizing *simThing // takeAway of it is being handled
	seized  int
}

// simBindError is what Bind says.
type simBindError struct{ step int }

func (e *simBindError) Error() string { return fmt.Sprintf("not bound in step %d", e.step) }

// changes is what Bind has done.
func (h *simHelper) changes() {
	if h.j.binds {
		h.thing.changed = h.j.bound.key.(int)
	}
}

// bindDone is the end of a look for which Bind was called and failed, or was to
// be called but for what Look says.
func (w *simWorld) bindDone(h *simHelper) {
	if w.pool.Look != nil && w.in(30) {
		h.j.err = errSimJob
		return
	}
	h.changes()
	h.j.refusal = &simBindError{w.steps}
	switch {
	case w.in(30): // it panics
		h.j.err = h.j.refusal
	case w.pool.Judge == nil:
		h.j.err = errUnfit
	case w.in(30): // and Judge says so
		h.j.err = errSimJob
	default:
		h.thing.changed = 0
	}
}

// checkBind is about a look for a key: Bind is called if the first who waits for
// it asks for that.
func (w *simWorld) checkBind(h *simHelper) {
	key := h.j.bound.key.(int)
	var first *simBorrower
	for _, b := range w.borrowers {
		if b.waits() && b.key == key && (first == nil || b.arrival < first.arrival) {
			first = b
		}
	}
	w.must(first != nil && w.m.keys[key] == h.j.bound, "bindIsCalled", "a look for key %d, for which nobody waits", key)
	w.must(h.j.binds == first.binds, "bindIsCalled", "borrower %d waits first for key %d: Bind is asked for: %v, called: %v", first.id, key, first.binds, h.j.binds)
	for _, o := range w.helpers {
		again := o.j.binds && o.j.bound == h.j.bound && w.comes(o, w.clock)
		w.must(!again, "bindIsCalled", "a look for key %d, for which Bind is being called", key)
	}
	w.must(h.j.cause == first.ctx, "bindIsCalled", "borrower %d waits first for key %d, the look has another's context", first.id, key)
}

// checkBound is about a thing that is bound to the key of b, who waited first.
func (w *simWorld) checkBound(b *simBorrower, th *simThing) {
	w.must(th.changed == 0 || th.changed == b.key, "changedForAnother", "thing %d is bound to key %d, Bind changed it for key %d", th.id, b.key, th.changed)
	w.must(!b.binds || th.changed == b.key, "bindIsCalled", "thing %d is bound to key %d without the Bind that borrower %d asks for", th.id, b.key, b.id)
}

// changedIsBooked: the desk knows of what it has that it is changed.
func (w *simWorld) changedIsBooked(sl *simSlot) {
	th, r := sl.value, &sl.desk
	w.must(th.changed == 0 || th.owner != theShelf, "changedForAnother", "thing %d is on the shelf, changed for key %d", th.id, th.changed)
	w.must(th.changed == 0 || th.owner != theDesk || r.tainted && w.m.tainted, "changedForAnother", "thing %d is in hand, changed for key %d, and the desk does not know", th.id, th.changed)
	w.must(!r.tainted || r.place != away, "changedForAnother", "thing %d is lent or laid, and said to be tainted", th.id)
}

// changedIsJudged: nobody waits for it any more, so it does not stay in the hands.
func (w *simWorld) changedIsJudged() {
	hands := w.m.hands
	for _, sl := range hands.slots[hands.head:] {
		w.must(sl.value.changed == 0, "changedIsJudged", "thing %d stays in hand, changed for key %d", sl.value.id, sl.value.changed)
	}
}

// overstay is a turn that lasts too long after the end of its lease: what is lent
// under the key is killed, whoever else holds it.
func (b *simBorrower) overstay(w *simWorld) {
	sl, key := b.sl, b.key
	w.ask(func(m *machine[*simThing], now time.Duration) {
		th, was := sl.value, w.revoked
		w.must(th.refs > 0, "inv12Holders", "thing %d is taken away for a holder whom nobody knows", th.id)
		w.must(th.revoked || th.key == key, "inv12Holders", "thing %d is taken away for key %d, it is lent under %v", th.id, key, th.key)
		th.refs--
		if !th.revoked {
			w.seizing = th
			was++
		}
		m.takeAway(now, sl)
		w.seizing = nil
		w.must(th.revoked && w.revoked == was, "inv2ClosedOnce", "thing %d is taken away: killed %v, %d in all, not %d", th.id, th.revoked, w.revoked, was)
	})
	b.end(w, "stays too long")
}

// seize is the kill of what is taken away from all who share it.
func (w *simWorld) seize(th *simThing) {
	w.must(th.owner == theSharers, "inv2OneOwner", "thing %d is taken away from %s", th.id, simOwners[th.owner])
	w.seized++
}

// deadKeyIsKept: the key of what was killed is nobody else's as long as b holds it,
// but for no longer than a lease may last.
func (w *simWorld) deadKeyIsKept(b *simBorrower) {
	if b.key == 0 || w.closing || w.tooLongDead(b.sl.value) {
		return
	}
	k := w.m.keys[b.key]
	w.must(k != nil && k.slot == b.sl, "inv12OneSlotPerKey", "borrower %d holds dead thing %d, key %d is free", b.id, b.sl.value.id, b.key)
}

// tooLongDead says that a thing that was killed keeps its key no longer.
func (w *simWorld) tooLongDead(th *simThing) bool {
	return th.revoked && w.pool.MaxLease > 0 && w.clock >= th.died+w.pool.MaxLease
}

// checkDeadKey: who comes for a key is told what became of the thing that it is bound
// to, as long as somebody holds that.
func (w *simWorld) checkDeadKey(b *simBorrower, err error) {
	k := w.m.keys[b.key]
	w.must(k != nil && k.slot != nil, "inv6RightError", "borrower %d gets %v, key %d is not bound", b.id, err, b.key)
	th := k.slot.value
	w.must(th.revoked && th.refs > 0 && th.key == b.key, "inv6RightError", "borrower %d gets %v, thing %d is alive, or not held", b.id, err, th.id)
	w.must(err == k.slot.fate, "inv6RightError", "borrower %d gets %v, not what became of thing %d: %v", b.id, err, th.id, k.slot.fate)
}

// noKeyIsDeadForEver: what was killed gives up its key, and the timer is set for that.
func (w *simWorld) noKeyIsDeadForEver() {
	if w.pool.MaxLease == 0 {
		return
	}
	for key := 1; key <= w.keys; key++ {
		if k := w.m.keys[key]; k != nil && k.slot != nil && k.slot.value.revoked {
			th := k.slot.value
			w.must(!w.tooLongDead(th), "noKeyIsDeadForEver", "key %d is bound to thing %d, killed at %v", key, th.id, th.died)
			w.must(w.next <= th.died+w.pool.MaxLease, "timerIsRight", "nothing is set for key %d, bound to dead thing %d", key, th.id)
		}
	}
}
