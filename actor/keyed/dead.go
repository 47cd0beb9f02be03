package keyed

import (
	"errors"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A resource is revoked by the pool, or by the layer when a use outlasts its hold by
// EndGrace. Its key stays bound to it until those who held it then have let go: they
// may be in the midst of something, and learn the truth when they use it. Code that
// they call and that comes for the key would go on elsewhere as if nothing had happened,
// outside the transaction that it takes itself to be in. So a get is refused with the
// error that the holders will get, and holds nothing. With MaxLease, a holder that is
// lost does not keep the key for ever.

// dead returns an error if the resource of a bound entry was revoked.
func (e *entry[R]) dead(n *note[R]) error {
	if n.killed != nil {
		return n.killed
	}
	return e.lease.Revoked()
}

// overdue reports whether a resource that was revoked with err is dead for MaxLease. A
// pool that does not say when it was revoked is taken to have done so just now.
func (e *entry[R]) overdue(n *note[R], err error) bool {
	limit := e.table.config.MaxLease
	if limit == 0 {
		return false
	}
	if n.deadSince.IsZero() {
		var r *actor.RevokedError
		if errors.As(err, &r) {
			n.deadSince = r.At
		}
		if n.deadSince.IsZero() {
			n.deadSince = time.Now()
		}
	}
	return time.Since(n.deadSince) >= limit
}

// abandon frees the key of a dead resource, which its holders still have. It puts n,
// the note, back.
func (e *entry[R]) abandon(n *note[R]) {
	n.state = draining
	ended := 0
	for h := n.refs.first; h != nil; h = h.next {
		if !h.silent {
			h.silent = true
			ended++
		}
	}
	granted := n.granted
	e.note <- n
	e.unlist(true, granted)
	for range ended {
		e.report()
	}
}

// overstay is the end of EndGrace. It kills the resource, unless the use has ended or
// the resource was revoked, and brings the reference back. It runs in a goroutine of
// its own.
func (h *ref[R]) overstay() {
	e := h.entry
	revoked := e.lease.Revoked()
	n := <-e.note
	if !h.out {
		e.note <- n
		return
	}
	kills := n.killed == nil && revoked == nil
	if kills {
		now := time.Now()
		n.killed = &actor.RevokedError{Reason: actor.ReasonUsed, Held: now.Sub(e.since), At: now}
	}
	e.note <- n
	if kills {
		e.kill()
	}
	n = <-e.note
	if n.user == h {
		n.user, n.doing = nil, ""
	}
	h.exposed = false
	d := e.settle(n, h)
	e.note <- n
	e.doAlone(d)
}

// kill kills the resource. From then on the lease's own error is the one to tell.
func (e *entry[R]) kill() {
	defer func() { _ = recover() }() // see doAlone
	_ = e.lease.Kill(actor.ReasonUsed)
	if err := e.lease.Revoked(); err != nil {
		n := <-e.note
		n.killed = err
		e.note <- n
	}
}
