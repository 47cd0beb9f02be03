package actor

import (
	"slices"
	"time"
)

// MaxLease, and the gate that is shut for good.

// isOverlong says that a lent thing has been held for MaxLease.
func (w *simWorld) isOverlong(th *simThing) bool {
	return w.pool.MaxLease > 0 && th.isLent() && w.clock >= th.lentAt+w.pool.MaxLease
}

// noLeaseIsOverlong: what was held for so long is revoked, and the timer is set
// for the others.
func (w *simWorld) noLeaseIsOverlong() {
	if w.pool.MaxLease == 0 {
		return
	}
	for _, th := range w.things {
		if th.isLent() {
			w.must(!w.isOverlong(th), "noLeaseIsOverlong", "thing %d is held since %v", th.id, th.lentAt)
			w.must(w.next <= th.lentAt+w.pool.MaxLease, "timerIsRight", "nothing is set for the lease of thing %d", th.id)
		}
	}
}

// origin is who takes a lease, with Track.
func (w *simWorld) origin() *origin {
	if !w.pool.Track {
		return nil
	}
	return &origin{}
}

// sendPut brings one reference, or the slot. A tracked one under a key says whose it
// is.
func (b *simBorrower) sendPut(w *simWorld) {
	sl, v, o := b.sl, b.verdict, b.lease
	if b.key == 0 || o == nil {
		w.send(simMessage{kind: putMessage, slot: sl, verdict: v, why: ReasonDiscarded})
		return
	}
	w.ask(func(m *machine[*simThing], now time.Duration) {
		delete(w.owned, o)
		w.brought(sl, v)
		m.giveBack(now, sl, v, o)
	})
}

// checkOrigins: what is listed is whose it is, and nobody else's.
func (w *simWorld) checkOrigins(sl *simSlot, info LeaseInfo) {
	if !w.pool.Track {
		w.must(info.by == nil && info.Others == nil, "trackedIsRight", "thing %d has an origin", sl.value.id)
		return
	}
	found := []*origin{info.by}
	for _, o := range info.Others {
		found = append(found, o.by)
	}
	w.must(len(found) == info.Holders, "trackedIsRight", "thing %d: %d holders, %d origins", sl.value.id, info.Holders, len(found))
	leaked := false
	for i, o := range found {
		w.must(o != nil && w.owned[o] && !slices.Contains(found[:i], o), "trackedIsRight", "thing %d: origin %d is nobody's", sl.value.id, i)
		leaked = leaked || o.leaked
	}
	w.must(leaked == info.Leaked, "trackedIsRight", "thing %d: leaked %v, listed %v", sl.value.id, leaked, info.Leaked)
}

// lose has the collector find a lease: here its borrower goes on, and puts the bare
// resource.
func (w *simWorld) lose(b *simBorrower) {
	if !w.pool.Track {
		return
	}
	sl, o := b.sl, b.lease
	b.note(w, "loses the lease")
	w.ask(func(m *machine[*simThing], now time.Duration) {
		was, lent := o.leaked, !sl.value.revoked && w.owned[o]
		m.lost(now, sl, o)
		w.must(o.leaked == (was || lent), "trackedIsRight", "thing %d: lent %v, leaked %v", sl.value.id, lent, o.leaked)
		if o.leaked && !was {
			w.leaks++
		}
		w.must(m.stats.leaked == w.leaks, "trackedIsRight", "%d are lost, not %d", w.leaks, m.stats.leaked)
	})
}
