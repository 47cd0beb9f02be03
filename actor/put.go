package actor

import (
	"context"
	"runtime"
	"time"
)

// A Lease is a borrower's handle on a resource, from its Get to its Put. Each
// get makes a new one, and once put back it is dead: it can never touch the
// next borrower's resource. A lease is for one goroutine at a time.
type Lease[R any] struct {
	slot *slot[R] // nil once put back, and for a keyed lease
	hold *hold[R] // of a keyed lease
}

// Of says whether the lease is, or was, one of s. It is false for one without
// key that is put back.
func (l *Lease[R]) Of(s *Supervisor[R]) bool {
	switch {
	case l.hold != nil:
		return l.hold.slot.sup == s
	case l.slot != nil:
		return l.slot.sup == s
	default:
		return false
	}
}

// Value is the resource; the zero value once the lease has ended. With a key it
// is for a look at what never changes: others may use the resource, see
// [Lease.Use] and [Lease.Expose].
func (l *Lease[R]) Value() (r R) {
	switch {
	case l.slot != nil:
		return l.slot.value
	case l.hold != nil && l.hold.look() == nil:
		return l.hold.slot.value
	default:
		return r
	}
}

// Key is the key the resource is lent under, nil without.
func (l *Lease[R]) Key() any {
	if l.hold == nil {
		return nil
	}
	return l.hold.key
}

// Context is the context that the lease is tied to, see [Request].Tied; nil if
// there is none.
func (l *Lease[R]) Context() context.Context {
	if l.hold == nil || l.hold.untie == nil {
		return nil
	}
	return l.hold.ctx
}

// Watch returns a function that says whether a lease under a key has ended; nil
// without a key. It may be kept with the resource: unlike the lease, it does not
// keep that from being found, see Config.Track.
func (l *Lease[R]) Watch() func() bool {
	if l.hold == nil {
		return nil
	}
	return l.hold.isOver
}

// Use takes the turn to use the resource, until Done. Of all who hold it under a
// key, whatever their goroutines, one has the turn; the others, and the same one
// again, get a [*BusyError] that says what for, or a [*RevokedError] if the resource
// was killed. After the end of the lease it is ErrNotLeased, and the error of the
// context if that was the end. It never waits.
// Without a key the turn is always the lease's.
func (l *Lease[R]) Use(doing string) (r R, err error) {
	switch {
	case l.slot != nil:
		return l.slot.value, nil
	case l.hold == nil:
		return r, ErrNotLeased
	}
	if err := l.hold.use(doing); err != nil {
		return r, err
	}
	return l.hold.slot.value, nil
}

// Doing changes what the others are told.
func (l *Lease[R]) Doing(what string) {
	if l.hold != nil {
		l.hold.does(what)
	}
}

// Done gives the turn back. If the lease has ended meanwhile, so does its hold
// on the resource.
func (l *Lease[R]) Done() {
	if l.hold != nil {
		l.hold.leave()
	}
}

// Expose is Value for who will use the resource without Use and Done. Nobody
// else is kept from using it. The end of the context that the lease is tied to
// waits for the put then, for EndGrace.
func (l *Lease[R]) Expose() (r R) {
	switch {
	case l.hold == nil:
		return l.Value()
	case l.hold.expose() == nil:
		return l.hold.slot.value
	default:
		return r
	}
}

// Put gives the resource back, after Config.Judge has been asked about it. It
// does no I/O and does not wait for anybody. The error is ErrNotLeased if it
// has been put back before, a [*RevokedError] if it was revoked, and its resource
// killed; either way there is nothing left to do. Without an error the lease was not
// revoked before. A lease that its context
// has ended may be put once: that changes nothing and is no error. One with a key
// that is put during a turn goes back with the end of that, or after EndGrace, when
// the resource is killed.
func (l *Lease[R]) Put() error { return l.giveBack(Keep) }

// Discard gives the resource back to be closed; one that is shared under a key
// when its last lease is put. The errors are those of Put.
func (l *Lease[R]) Discard() error { return l.giveBack(Discard) }

func (l *Lease[R]) giveBack(v Verdict) error {
	if l.hold != nil {
		err := l.hold.giveBack(v)
		runtime.KeepAlive(l)
		return err
	}
	sl := l.slot
	if sl == nil {
		return ErrNotLeased
	}
	l.end(sl)
	if judge := sl.sup.cfg.Judge; judge != nil && v == Keep {
		v = sl.sup.verdict(sl, judge)
	}
	return sl.sup.putBack(sl, v, ReasonDiscarded)
}

// end makes the handle dead.
func (l *Lease[R]) end(sl *slot[R]) {
	l.slot = nil
	sl.untrack()
	runtime.KeepAlive(l) // or it could count as lost just before
}

// PutKey puts the newest lease that key has, those that are their holder's Own (see
// [Request]) aside: of those got with ctx, or with one
// that ends with it, if there are any, else of all. If ctx has ended only the former
// count, and that there are none is no error: they have gone back. Leases whose
// resource was killed count as long as the key is bound to that (see [Request]), and
// the put is a [*RevokedError]. With discard the resource is closed when the last is
// put. It does not wait. Errors: ErrNotLeased if key has no lease, [*KeyError],
// ErrClosed.
func (s *Supervisor[R]) PutKey(ctx context.Context, key any, discard bool) error {
	if err := checkKey(key); err != nil {
		return err
	}
	share, ok := ask(s, func(m *machine[R], _ time.Duration) chan *sharing[R] {
		if b := m.keys[key]; b != nil && b.slot != nil {
			return b.slot.share
		}
		return nil
	})
	switch {
	case !ok:
		return ErrClosed
	case share == nil:
		return noneOf(ctx)
	}
	done := ctx.Done()
	sh := <-share
	h := sh.newest(done)
	if h == nil {
		share <- sh
		return noneOf(ctx)
	}
	v := Keep
	if discard {
		v = Discard
	}
	return h.giveBackWith(sh, v)
}

// noneOf is the answer to a PutKey that finds nothing to put.
func noneOf(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return ErrNotLeased
}

// Take takes the resource out of the supervisor for good and frees its place:
// what becomes of it, and its closing, is the caller's business. It waits only for
// the supervisor, which answers at once. The error is ErrNotLeased if the lease
// has been put back before, or a [*RevokedError]; or, and then
// nothing is changed, ErrShared if others hold the resource under the same key,
// [*BusyError] in somebody's turn.
func (l *Lease[R]) Take() (r R, err error) {
	if h := l.hold; h != nil {
		err := h.take(func() error { return h.slot.sup.take(h.slot) })
		runtime.KeepAlive(l)
		if err != nil {
			return r, err
		}
		return h.slot.value, nil
	}
	sl := l.slot
	if sl == nil {
		return r, ErrNotLeased
	}
	l.end(sl)
	if err := sl.sup.take(sl); err != nil {
		return r, err
	}
	return sl.value, nil
}

func (s *Supervisor[R]) take(sl *slot[R]) error {
	err, ok := ask(s, func(m *machine[R], now time.Duration) error { return m.taken(now, sl) })
	if !ok {
		return s.over(sl)
	}
	return err
}

// putBack lays a slot on the shelf if it may, and else brings it to the desk. One
// that is revoked cannot be laid there: CloseAll has shut the gate, or it was never
// open.
func (s *Supervisor[R]) putBack(sl *slot[R], v Verdict, why Reason) error {
	if v == Keep && s.toShelf(sl) {
		return nil
	}
	if err := s.over(sl); err != nil {
		return err
	}
	return s.sent(message[R]{kind: putMessage, slot: sl, verdict: v, why: why})
}

// putKeyed brings one reference back to the desk: that of a slot that is revoked
// too, for the sake of the key.
func (s *Supervisor[R]) putKeyed(sl *slot[R], v Verdict, o *origin) error {
	if isClosed(s.closed) {
		return s.over(sl)
	}
	gone := sl.revoked()
	msg := message[R]{kind: putMessage, slot: sl, verdict: v}
	if o != nil {
		msg = message[R]{kind: askMessage, ask: func(m *machine[R], now time.Duration) { m.giveBack(now, sl, v, o) }}
	}
	if err := s.sent(msg); gone == nil {
		return err
	}
	return gone
}

// over is an error if there is nothing left to put.
func (s *Supervisor[R]) over(sl *slot[R]) error {
	if err := sl.revoked(); err != nil {
		return err
	}
	if isClosed(s.closed) {
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
	if !s.ontoShelf(sl) {
		return false
	}
	s.at(afterPush)
	if isClosed(recall) {
		s.send(message[R]{kind: nudgeMessage})
	}
	return true
}
