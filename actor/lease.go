package actor

import (
	"runtime"
	"time"
)

// A Lease is a borrower's handle on a resource, from its Get to its Put. Each get makes a
// new one, and once put it is dead: it can never touch the next borrower's resource. A
// lease is for one goroutine at a time.
type Lease[R any] struct {
	slot *slot[R]
	over bool // it has been put, or ended in another way
}

// Of reports whether the lease is, or was, one of s.
func (l *Lease[R]) Of(s *Supervisor[R]) bool { return l.slot.sup == s }

// ID is the number of the resource: 1 for the first opened, and so on.
func (l *Lease[R]) ID() uint64 { return l.slot.ID }

// Value is the resource; the zero value once the lease has ended.
func (l *Lease[R]) Value() (r R) {
	if l.over {
		return r
	}
	return l.slot.value
}

// Revoked is a [*RevokedError] once the lease was revoked, else nil. It may be called
// from any goroutine until the lease is put.
func (l *Lease[R]) Revoked() error { return l.slot.revoked() }

// Put gives the resource back, after Config.Judge has been asked about it. It does no I/O
// and waits for nobody. The error is ErrNotLeased if the lease has been put before, a
// [*RevokedError] if it was revoked, and its resource killed; either way there is nothing
// left to do.
func (l *Lease[R]) Put() error {
	sl, err := l.end()
	if err != nil {
		return err
	}
	v := Keep
	if judge := sl.sup.cfg.Judge; judge != nil {
		v = sl.sup.verdict(sl, judge)
	}
	return sl.sup.putBack(sl, v, ReasonDiscarded)
}

// Discard gives the resource back to be closed. The errors are those of Put.
func (l *Lease[R]) Discard() error {
	sl, err := l.end()
	if err != nil {
		return err
	}
	return sl.sup.putBack(sl, Discard, ReasonDiscarded)
}

// Kill gives the resource back while somebody may still use it: Config.Kill is called,
// as after MaxLease, and its place is free. The lease was revoked for the reason why. The
// errors are those of Put.
func (l *Lease[R]) Kill(why Reason) error {
	sl, since := l.slot, time.Duration(0)
	if sl.card != nil && !l.over {
		c := <-sl.card
		sl.card <- c
		since = c.since
	}
	if _, err := l.end(); err != nil {
		return err
	}
	if err := sl.revoked(); err != nil {
		return err
	}
	ok := sl.sup.post(func(l *loop[R], now time.Duration) {
		held := time.Duration(0)
		if sl.card != nil {
			held = now - since
		}
		l.machine.Kill(now, sl.Slot, why, held)
	})
	if !ok {
		return sl.lost()
	}
	return nil
}

// Take takes the resource out of the supervisor for good and frees its place: what
// becomes of it, and its closing, is the caller's business. It waits only for the
// supervisor, which answers at once. The error is ErrNotLeased if the lease has been put
// before, ErrClosed, or a [*RevokedError].
func (l *Lease[R]) Take() (r R, err error) {
	sl, err := l.end()
	if err != nil {
		return r, err
	}
	taken, ok := ask(sl.sup, func(l *loop[R], _ time.Duration) bool { return l.machine.Hijack(sl.Slot) })
	switch {
	case ok && taken:
		return sl.value, nil
	case ok:
		return r, sl.revoked()
	default:
		return r, sl.lost()
	}
}

// end ends the lease. Its slot is the caller's then, unless the lease was revoked.
func (l *Lease[R]) end() (*slot[R], error) {
	if l.over {
		return nil, ErrNotLeased
	}
	l.over = true
	sl := l.slot
	if sl.card == nil {
		return sl, nil
	}
	sl.sup.at(beforeLiftingCard)
	<-sl.card // the supervisor may be reading it
	sl.watch.Stop()
	sl.watch = runtime.Cleanup{}
	runtime.KeepAlive(l) // or it could count as leaked just before
	return sl, sl.revoked()
}

// lost is the error of a slot that could not be brought back.
func (sl *slot[R]) lost() error {
	if err := sl.revoked(); err != nil {
		return err
	}
	return ErrClosed
}

// putBack passes sl, which the caller owns, on: to a waiter, to idle, or to the supervisor.
func (s *Supervisor[R]) putBack(sl *slot[R], v Verdict, why Reason) error {
	if v != Keep {
		return s.bring(sl, v, why)
	}
	recall, ok := sl.recall, false
	if sl, ok = s.line.Give(sl); !ok {
		return s.bring(sl, Keep, ReasonNone)
	}
	s.lookAgain(recall)
	return nil
}

// lookAgain looks at the recall of a slot that the caller has given away. A recall that
// comes later finds the slot where it lies; the supervisor must be told of one that came
// before.
func (s *Supervisor[R]) lookAgain(recall <-chan struct{}) {
	s.at(beforeSecondLook)
	if isClosed(recall) {
		s.send(message[R]{kind: sweepMessage})
	}
}

// bring gives sl, which the caller owns, to the supervisor.
func (s *Supervisor[R]) bring(sl *slot[R], v Verdict, why Reason) error {
	if err := sl.revoked(); err != nil {
		return err
	}
	if !s.send(message[R]{kind: putMessage, slot: sl, verdict: v, why: why}) {
		return sl.lost()
	}
	return nil
}
