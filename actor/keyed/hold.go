package keyed

import (
	"context"
	"runtime"
)

// A Hold is a borrower's handle on a resource that is shared under a key, from its Get
// to its Put. Each get makes a new one. Once it has ended it never touches the
// resource again. Its methods may be called from any goroutine.
type Hold[R any] struct {
	ref *ref[R]
}

// Value returns the resource; the zero value once the hold has ended. It is for a look
// at what never changes: others may use the resource, see [Hold.Begin] and
// [Hold.Expose].
func (h *Hold[R]) Value() (r R) {
	if h.ref.hasEnded() {
		return r
	}
	return h.ref.entry.value
}

// ID returns the number of the resource, also after the end of the hold.
func (h *Hold[R]) ID() uint64 { return h.ref.entry.id }

// Key returns the key that the resource is shared under.
func (h *Hold[R]) Key() any { return h.ref.entry.key }

// Context returns the context whose end ends the hold, see [Request].Tied; nil if there
// is none.
func (h *Hold[R]) Context() context.Context {
	if !h.ref.tied {
		return nil
	}
	return h.ref.ctx
}

// Ended reports whether the hold has ended.
func (h *Hold[R]) Ended() bool { return h.ref.hasEnded() }

// Revoked returns a [*actor.RevokedError] once the resource was revoked, else nil.
func (h *Hold[R]) Revoked() error {
	e := h.ref.entry
	n := <-e.note
	err := e.dead(n)
	e.note <- n
	return err
}

// Watch returns a function that reports whether the hold has ended. The function may be
// kept with the resource: it does not keep the Hold reachable, so a leaked Hold is still
// detected.
func (h *Hold[R]) Watch() func() bool { return h.ref.hasEnded }

// Begin takes the turn to use the resource, until End. One of all who hold it, whatever
// their goroutines, has the turn; the others, and the same one again, get a
// [*actor.BusyError] that says what for, or a [*actor.RevokedError] if the resource was
// revoked. After the end of the hold the error is ErrNotLeased, and the context's if
// that has ended it. Begin never waits.
func (h *Hold[R]) Begin(doing string) (r R, err error) {
	if err := h.ref.begin(doing); err != nil {
		return r, err
	}
	return h.ref.entry.value, nil
}

// ScopeErr returns the error of the hold's scope if that has ended, see
// [Request].Scope. It is for a second look, in a turn that began before the end.
func (h *Hold[R]) ScopeErr() error { return h.ref.scope.look() }

// SetDoing changes what the others are told that the turn is for. Without the turn it
// does nothing.
func (h *Hold[R]) SetDoing(doing string) { h.ref.setDoing(doing) }

// End gives the turn back. If the hold has ended meanwhile, its reference to the
// resource goes back before End returns. Without the turn it does nothing.
func (h *Hold[R]) End() { h.ref.endTurn() }

// Expose is Value for a borrower that will use the resource without Begin and End.
// Nobody else is kept from using it. The end of the context that the hold is tied to
// waits for the put then, for EndGrace.
func (h *Hold[R]) Expose() (r R) {
	if h.ref.expose() != nil {
		return r
	}
	return h.ref.entry.value
}

// Put gives the reference back, and the resource with the last one: then the error is
// that of the lease's Put. Else it is a [*actor.RevokedError] if the resource was
// revoked; there is nothing left to do in that case. A hold that was put before is
// ErrNotLeased. One that its context has ended may be put once: that is no error. One
// that is put during its turn goes back when the turn ends, or after EndGrace, when the
// resource is killed. Put waits for nobody.
func (h *Hold[R]) Put() error { return h.giveBack(false) }

// Discard is Put, but the resource is closed once its last holder has put it.
func (h *Hold[R]) Discard() error { return h.giveBack(true) }

func (h *Hold[R]) giveBack(discard bool) error {
	err := h.ref.put(discard)
	runtime.KeepAlive(h) // it counts as leaked if it is collected before the ref has ended
	return err
}

// Take takes the resource out of the pool for good, and ends the hold. Errors that
// change nothing: ErrNotLeased; [*actor.BusyError] in a turn; ErrShared if others hold
// the resource, or use it still. Any other error is that of the lease, and the hold has
// ended.
func (h *Hold[R]) Take() (R, error) {
	r, err := h.ref.take()
	runtime.KeepAlive(h)
	return r, err
}
