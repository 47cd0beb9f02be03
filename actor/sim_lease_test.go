package actor

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
