package keyed

import (
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A duty is what a goroutine that has changed a note does once the note is back.
type duty struct {
	report  bool   // a hold has ended: tell OnEnd
	release bool   // nobody holds the resource: take the entry off the table, and end the lease
	discard bool   // in this way
	killed  error  // the lease has ended: the layer has killed the resource
	granted uint64 // the note's
}

// do does what d says. It returns the error of the end of the lease, if that is part
// of it, and else that of a resource that was revoked.
func (e *entry[R]) do(d duty) (err error) {
	if d.release {
		e.unlist(true, d.granted)
		defer func() { err = e.endLease(d) }() // also if OnEnd panics
	}
	if d.report {
		e.report()
	}
	if d.killed != nil {
		return d.killed
	}
	return e.lease.Revoked()
}

// endLease gives the lease back. One that the layer has killed has ended.
func (e *entry[R]) endLease(d duty) error {
	switch {
	case d.killed != nil:
		return d.killed
	case d.discard:
		return e.lease.Discard()
	default:
		return e.lease.Put()
	}
}

// report tells OnEnd that a hold has ended.
func (e *entry[R]) report() {
	if e.table.config.OnEnd != nil {
		e.table.config.OnEnd(e.value)
	}
}

// doAlone is do in a goroutine of the layer's own. A panic of the pool or of OnEnd, which
// no caller could see, ends there: it costs the resource, which the pool has seen to, and
// not the process.
func (e *entry[R]) doAlone(d duty) {
	defer func() { _ = recover() }()
	_ = e.do(d)
}

// put is the borrower's put.
func (h *ref[R]) put(discard bool) error { return h.putWith(<-h.entry.note, discard) }

// putWith ends the reference, and puts n, the note, back. A use under way delays the
// reference's return. If its context has ended the reference before, putWith notes that
// its borrower is done.
func (h *ref[R]) putWith(n *note[R], discard bool) error {
	e, was := h.entry, h.phase
	if h.ended() == actor.ErrNotLeased {
		e.note <- n
		return actor.ErrNotLeased
	}
	h.phase, h.exposed = returned, false
	n.discard = n.discard || discard && h.out
	var d duty
	if was == held {
		d = e.end(n, h)
	} else {
		d = e.settle(n, h)
	}
	t := h.tether
	h.tether = tether{}
	e.note <- n
	t.cut()
	err := e.do(d)
	if was == expired {
		return nil
	}
	return err
}

// expire is the end of the context that the reference is tied to. It runs in a
// goroutine of its own.
func (h *ref[R]) expire() {
	e := h.entry
	n := <-e.note
	if h.phase != held {
		e.note <- n
		return
	}
	h.phase = expired
	d := e.end(n, h)
	e.note <- n
	e.doAlone(d)
}

// end is for a reference that is not held any more. If it is in use, EndGrace begins.
func (e *entry[R]) end(n *note[R], h *ref[R]) duty {
	n.live--
	if n.uses(h) {
		h.grace = time.AfterFunc(e.table.config.EndGrace, h.overstay)
	}
	return e.settle(n, h)
}

// settle brings a reference back that has ended and is not in use, and says what
// follows from that.
func (e *entry[R]) settle(n *note[R], h *ref[R]) (d duty) {
	if h.out && h.phase != held && !n.uses(h) {
		n.refs.remove(h)
		h.out = false
		if h.grace != nil {
			h.grace.Stop()
		}
		d.report = !h.silent
		h.silent = true
	}
	d.discard, d.killed, d.granted = n.discard, n.killed, n.granted
	switch {
	case n.state == over:
	case n.refs.len == 0:
		d.release = true
		n.state = over
	case n.live == 0 && n.state == bound:
		n.state = draining // a get that finds it takes it off the table
	}
	return d
}

// uses reports whether the holder of h uses the resource, or may.
func (n *note[R]) uses(h *ref[R]) bool { return n.user == h || h.exposed }

// take takes the resource out of the pool, if nobody else holds it. From the moment in
// which that is certain the entry serves nobody, so the pool is asked without the note.
func (h *ref[R]) take() (r R, err error) {
	e := h.entry
	revoked := e.lease.Revoked()
	n := <-e.note
	err = h.free(n, revoked)
	if err != nil && (err == revoked || err == n.killed) {
		_ = h.putWith(n, false)
		return r, err
	}
	if err == nil && n.refs.len > 1 {
		err = actor.ErrShared
	}
	if err != nil {
		e.note <- n
		return r, h.explain(err)
	}
	h.phase, h.exposed = returned, false
	n.live--
	d := e.settle(n, h)
	t := h.tether
	h.tether = tether{}
	e.note <- n
	t.cut()
	e.unlist(true, d.granted)
	defer e.report() // the lease must end also if OnEnd panics
	return e.lease.Take()
}
