package actor

import "time"

// A Lease is a borrower's handle on a resource, from its Get to its Put. Each
// get makes a new one, and once put back it is dead: it can never touch the
// next borrower's resource. A lease is for one goroutine at a time.
type Lease[R any] struct {
	slot *slot[R] // nil once put back
	key  any      // if not nil, others may share the slot: only the supervisor writes to it
}

// Value is the resource; the zero value once the lease is put back.
func (l *Lease[R]) Value() (r R) {
	if l.slot == nil {
		return r
	}
	return l.slot.value
}

// Key is the key the resource is lent under, nil without.
func (l *Lease[R]) Key() any { return l.key }

// Put gives the resource back, after Config.Judge has been asked about it. It
// does no I/O and does not wait for anybody. The error is ErrNotLeased if it
// has been put back before, ErrClosed if the supervisor has ended and the lease
// was revoked; either way there is nothing left to do.
func (l *Lease[R]) Put() error {
	sl := l.slot
	if sl == nil {
		return ErrNotLeased
	}
	l.slot = nil
	v := Keep
	if judge := sl.sup.cfg.Judge; judge != nil && l.key == nil {
		v = sl.sup.verdict(sl, judge)
	}
	return sl.sup.putBack(sl, v, l.key != nil)
}

// Discard gives the resource back to be closed; one that is shared under a key
// when its last lease is put. The errors are those of Put.
func (l *Lease[R]) Discard() error {
	sl := l.slot
	if sl == nil {
		return ErrNotLeased
	}
	l.slot = nil
	return sl.sup.putBack(sl, Discard, l.key != nil)
}

// Take takes the resource out of the supervisor for good and frees its place:
// what becomes of it, and its closing, is the caller's business. It waits only for
// the supervisor, which answers at once. The error is ErrNotLeased if the lease
// has been put back before, ErrShared if others hold the resource under the same
// key, and then nothing is changed, or ErrClosed if CloseAll has revoked it.
func (l *Lease[R]) Take() (r R, err error) {
	sl := l.slot
	if sl == nil {
		return r, ErrNotLeased
	}
	err, ok := ask(sl.sup, func(m *machine[R], now time.Duration) error { return m.taken(now, sl) })
	if !ok {
		err = ErrClosed
	}
	if err != ErrShared {
		l.slot = nil
	}
	if err != nil {
		return r, err
	}
	return sl.value, nil
}

// putBack lays a slot on the shelf if it may, and else brings it to the desk.
func (s *Supervisor[R]) putBack(sl *slot[R], v Verdict, keyed bool) error {
	if v == Keep && !keyed && s.toShelf(sl) {
		return nil
	}
	if isClosed(s.closed) || !s.send(message[R]{kind: putMessage, slot: sl, verdict: v}) {
		return ErrClosed
	}
	return nil
}

// toShelf is the fast lane's way back. Whether the slot is recalled is looked at
// when it lies there: a recall that comes later finds it on the shelf, one that
// came before has to be told to the desk. The slot is no longer this
// goroutine's then, so the channel is copied first.
func (s *Supervisor[R]) toShelf(sl *slot[R]) bool {
	if len(s.gate) > 0 {
		return false
	}
	recall := sl.recall
	s.at(beforePush)
	select {
	case s.idle <- sl:
	default:
		return false
	}
	s.at(afterPush)
	if isClosed(recall) {
		s.send(message[R]{kind: nudgeMessage})
	}
	return true
}
