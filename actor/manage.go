package actor

import (
	"context"
	"errors"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// Reset makes every resource old: idle ones are closed now, lent ones when they are put,
// those being opened when they arrive. A Get that begins after Reset returned never
// yields an old one. Reset returns at once; the error is ErrClosed once the supervisor
// has ended.
func (s *Supervisor[R]) Reset() error { return s.change((*core.Machine).Reset) }

// Ready blocks until MinOpen and MinIdle resources are open, or until ctx ends: then the
// error is a [*WaitError]. If Open fails it returns with ErrUnavailable that wraps the
// failure (see [OutagePolicy]). The other error is ErrClosed.
func (s *Supervisor[R]) Ready(ctx context.Context) error {
	return s.waitFor(ctx, core.Filled, (*core.Machine).Ready)
}

// WaitReady blocks until MinOpen and MinIdle resources are open, or until ctx ends: then
// the error is a [*WaitError] that wraps the last failure of Open. Whatever the
// [OutagePolicy], Open is tried again after each backoff; only a failure that is permanent
// (see [Config].Permanent), and comes after the call, is ErrUnavailable at once. The other
// error is ErrClosed.
func (s *Supervisor[R]) WaitReady(ctx context.Context) error {
	return s.waitFor(ctx, core.Filled, func(m *core.Machine, w *core.Waiter) {
		w.Patient = true
		m.Ready(w)
	})
}

// CheckIdle has Config.Check called for every resource that is idle now, one after the
// other, so that borrowers find the others meanwhile. What fails is closed, and replaced up
// to the minimums. It blocks until all that are still idle have been checked, or until ctx
// ends: then the error is a [*WaitError], and the checks go on. In a pause it waits for the
// end of that. The other error is ErrClosed. Without Config.Check it does nothing.
func (s *Supervisor[R]) CheckIdle(ctx context.Context) error {
	return s.waitFor(ctx, core.Checked, (*core.Machine).CheckIdle)
}

// Pause stops lending and blocks until nothing is lent. A get then waits until Resume,
// and one that does not wait gets ErrPaused. Idle resources stay open, nothing new is
// opened. If ctx ends before everything is back the error is a [*WaitError], and the
// pause has had no effect, unless another one is in force. Other errors: ErrResumed if
// Resume came first, ErrClosed.
func (s *Supervisor[R]) Pause(ctx context.Context) error {
	return s.waitFor(ctx, core.Quiet, (*core.Machine).Pause)
}

// Resume ends a pause; the gets that wait are served. Without a pause it does nothing. It
// returns at once; the error is ErrClosed once the supervisor has ended.
func (s *Supervisor[R]) Resume() error { return s.change((*core.Machine).Resume) }

// Resize sets MinOpen and MaxOpen anew. Growing has an effect at once. Shrinking closes
// what is idle and too many, and what is put until there are no more than maxOpen;
// nothing is taken from its borrower. It returns at once; the error is a [*ConfigError]
// for invalid sizes, and then nothing is changed, or ErrClosed once the supervisor has
// ended.
func (s *Supervisor[R]) Resize(minOpen, maxOpen int) error {
	cfg := s.cfg
	cfg.MinOpen, cfg.MaxOpen = minOpen, maxOpen
	cfg.MinIdle, cfg.MaxIdle = min(cfg.MinIdle, maxOpen), min(cfg.MaxIdle, maxOpen)
	if err := cfg.validate(); err != nil {
		return err
	}
	return s.change(func(m *core.Machine) { m.Resize(minOpen, maxOpen) })
}

// Closing is closed when CloseAll has begun.
func (s *Supervisor[R]) Closing() <-chan struct{} { return s.closing }

// change has the supervisor change its books, and waits until it has.
func (s *Supervisor[R]) change(f func(*core.Machine)) error {
	changed, ok := ask(s, func(l *loop[R], _ time.Duration) bool {
		if l.machine.Answered() { // CloseAll may have returned, though closed is not closed yet
			return false
		}
		f(l.machine)
		return true
	})
	if !ok || !changed {
		return ErrClosed
	}
	return nil
}

// waitFor waits for a condition.
func (s *Supervisor[R]) waitFor(ctx context.Context, c core.Condition, begin func(*core.Machine, *core.Waiter)) error {
	began := s.now()
	if ctx.Err() != nil { // say what the call would have waited for
		now, ok := ask(s, func(l *loop[R], _ time.Duration) stance {
			return stance{!l.machine.Holds(c), l.shortage(), l.standing()}
		})
		switch {
		case !ok:
			return ErrClosed
		case !now.waits:
			return ctx.Err()
		}
		return s.waitedInVain(ctx, c, began, now)
	}
	done := make(chan error, 1)
	w := &core.Waiter{For: c, Body: done}
	if !s.post(func(l *loop[R], _ time.Duration) { begin(l.machine, w) }) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-s.closed:
		return s.lastAnswer(done)
	case <-ctx.Done():
	}
	now, ok := ask(s, func(l *loop[R], _ time.Duration) stance {
		now := stance{false, l.shortage(), l.standing()} // before the end of a pause changes it
		now.waits = l.machine.GiveUp(w)
		return now
	})
	if !ok || !now.waits {
		return s.lastAnswer(done)
	}
	return s.waitedInVain(ctx, c, began, now)
}

// A stance is how things stand for a call that waits for a condition.
type stance struct {
	waits    bool // the condition does not hold yet
	shortage Shortage
	standing standing
}

// errChecking is what a CheckIdle has waited for in vain.
var errChecking = errors.New("not all that is idle has been checked")

// lastAnswer is the answer that was given before the supervisor ended.
func (s *Supervisor[R]) lastAnswer(done <-chan error) error {
	select {
	case err := <-done:
		return err
	default:
		return ErrClosed
	}
}

// waitedInVain is the error of a wait for a condition that the end of ctx has ended.
func (s *Supervisor[R]) waitedInVain(ctx context.Context, c core.Condition, began time.Duration, now stance) error {
	e := &WaitError{Err: contextError(ctx), Cause: ErrExhausted, Waited: s.now() - began, Shortage: now.shortage}
	switch {
	case c != core.Quiet && now.standing.paused:
		e.Cause = ErrPaused
	case c == core.Filled:
		e.Cause = unavailable(now.standing.err)
	case c == core.Checked:
		e.Cause = errChecking
	}
	return s.reportVain(e)
}

// CloseAll ends the supervisor. Requests that wait, and all that come later, get
// ErrClosed; idle resources are closed; Opens under way are cancelled. Borrowers may
// finish until ctx ends: then the resources still lent are killed, and the error is a
// [*CloseError] that names their leases. With an ended ctx that happens at once.
//
// CloseAll returns when everything is closed, at the latest CloseGrace after ctx has
// ended. A function of the Config that ignores its context is named in the error; its
// goroutine, and the supervisor's that waits for it, are all that can outlive CloseAll. A
// second call gets ErrClosed; one that comes while the first still waits shares its
// result, and the first context that ends counts for both.
//
// When everything is closed, CloseAll waits until OnEvent was told of it, for CloseGrace at
// most: a call from OnEvent itself takes that long.
func (s *Supervisor[R]) CloseAll(ctx context.Context) error {
	err := s.closeAll(ctx)
	left, _ := err.(*CloseError)
	switch {
	case err == ErrClosed: // another call has ended the supervisor
	case left != nil && len(left.Hooks) > 0: // the end comes after those
	case s.cfg.OnEvent != nil:
		s.awaitReporter()
	}
	return err
}

func (s *Supervisor[R]) closeAll(ctx context.Context) error {
	done := make(chan error, 1)
	w := &core.Waiter{For: core.Ended, Body: done}
	cause := context.Cause(ctx) // asked here: a context may be the caller's own code
	if !s.post(func(l *loop[R], now time.Duration) {
		l.machine.CloseAll(now, w)
		if cause != nil {
			l.force(now, cause)
		}
	}) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return s.named(err)
	case <-s.closed:
	case <-ctx.Done():
		ended := context.Cause(ctx)
		s.post(func(l *loop[R], now time.Duration) { l.force(now, ended) })
	}
	select {
	case err := <-done:
		return s.named(err)
	case <-s.closed:
		return s.named(s.lastAnswer(done))
	}
}

// force is the end of CloseAll's patience: what is still lent is revoked.
func (l *loop[R]) force(now time.Duration, cause error) {
	if l.machine.Forced() {
		return
	}
	l.end.err = cause
	l.machine.Force(now)
}
