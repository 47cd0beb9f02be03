package keyed

import "github.com/pgactor/pgactor/actor"

// free returns an error if h cannot take the turn. revoked is the lease's Revoked. A
// BusyError has no Key yet: explain adds that.
func (h *ref[R]) free(n *note[R], revoked error) error {
	err, over := h.ended(), h.scope.look()
	switch {
	case err != nil:
		return err
	case over != nil:
		return over
	case revoked != nil:
		return revoked
	case n.killed != nil:
		return n.killed
	case n.user != nil:
		return &actor.BusyError{Doing: n.doing}
	default:
		return nil
	}
}

// begin takes the turn.
func (h *ref[R]) begin(doing string) error {
	e := h.entry
	revoked := e.lease.Revoked()
	n := <-e.note
	err := h.free(n, revoked)
	if err == nil {
		n.user, n.doing = h, doing
	}
	e.note <- n
	return h.explain(err)
}

// setDoing changes what the turn is for, if it is h's.
func (h *ref[R]) setDoing(doing string) {
	n := <-h.entry.note
	if n.user == h {
		n.doing = doing
	}
	h.entry.note <- n
}

// endTurn gives the turn back, if it is h's. A reference that has ended meanwhile goes
// back with it.
func (h *ref[R]) endTurn() {
	e := h.entry
	n := <-e.note
	if n.user != h {
		e.note <- n
		return
	}
	n.user, n.doing = nil, ""
	d := e.settle(n, h)
	e.note <- n
	_ = e.do(d)
}
