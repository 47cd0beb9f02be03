package actor

import (
	"errors"
	"time"
)

// Lease.Take: a borrower keeps what it has.

// takeAway asks the desk, which answers at once.
func (b *simBorrower) takeAway(w *simWorld) {
	sl, took := b.sl, make(chan error, 1)
	b.took, b.pc = took, pcTaken
	b.note(w, "asks to take it away")
	w.ask(func(m *machine[*simThing], now time.Duration) {
		want := w.mayTake(sl.value)
		err := m.taken(now, sl)
		w.must(errors.Is(err, want), "takeIsRight", "borrower %d takes thing %d: %v, not %v", b.id, sl.value.id, err, want)
		if err == nil {
			w.takenAway(sl.value)
		}
		if err != nil && err != ErrShared && b.key > 0 {
			sl.value.refs--
		}
		took <- err
	})
}

// mayTake: it is still the borrower's, and nobody else's.
func (w *simWorld) mayTake(th *simThing) error {
	switch {
	case th.revoked:
		return ErrRevoked
	case th.owner == theSharers && th.refs > 1:
		return ErrShared
	}
	return nil
}

// takenAway: the thing exists, but not for the pool.
func (w *simWorld) takenAway(th *simThing) {
	w.must(th.owner == aBorrower || th.owner == theSharers, "inv2OneOwner", "thing %d is taken away from %s", th.id, simOwners[th.owner])
	th.owner, th.holder, th.refs, th.key = nobody, nil, 0, nil
	w.drop(th)
	w.known--
	w.away++
}

// taken receives the answer. False: it has not come. What is shared is used a
// while longer.
func (b *simBorrower) taken(w *simWorld) bool {
	err := ErrClosed
	select {
	case err = <-b.took:
	default:
		if !w.closed {
			return false
		}
	}
	if err == ErrShared {
		b.note(w, "may not take it away")
		b.uses, b.pc = w.n(3), pcUse
		return true
	}
	b.end(w, "has taken it away, or lost it")
	return true
}
