package actor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
	"github.com/pgactor/pgactor/actor/internal/line"
)

// Get lends a resource: an idle one, or the first that is put or opened. It blocks until
// ctx ends at the latest; then errors.Is finds the context's error, and a [*WaitError]
// tells what was waited for. Gets that wait are served first come, first served. If ctx has
// ended before, the error is ctx.Err() itself, even if a resource is idle. Other errors:
// ErrClosed, ErrUnavailable (see [OutagePolicy]), ErrTooManyWaiting, and what Config.Prepare
// returns.
func (s *Supervisor[R]) Get(ctx context.Context) (*Lease[R], error) {
	g := get[R]{Supervisor: s, ctx: ctx}
	return g.lease()
}

// lease gets a lease, however long that takes.
func (g *get[R]) lease() (*Lease[R], error) {
	if err := g.ctx.Err(); err != nil {
		return nil, err
	}
	for {
		sl, ok := g.line.Take()
		if ok {
			g.sayFew()
		} else {
			var err error
			if sl, err = g.wait(); err != nil {
				return nil, err
			}
		}
		if fit, err := g.fit(sl); fit {
			return g.lend(sl), nil
		} else if err != nil {
			return nil, err
		}
	}
}

// TryGet lends an idle resource, or returns ErrExhausted. It opens none and waits for no
// borrower. If nothing is idle but resources are being looked at, cleaned or checked, it
// waits for one of them; with what Config.Prepare demands that takes a second at most.
// Other errors: ErrClosed, ErrPaused, the context's, what Prepare returns, and in an outage
// ErrUnavailable, which tells more.
func (s *Supervisor[R]) TryGet(ctx context.Context) (*Lease[R], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g := get[R]{Supervisor: s, ctx: ctx, left: patience}
	for {
		sl, ok := s.line.Take()
		if ok {
			s.sayFew()
		} else { // the supervisor knows why, or has one in its hands
			var err error
			if sl, err = g.pick(); err != nil {
				return nil, err
			}
		}
		if fit, err := g.fit(sl); fit {
			return g.lend(sl), nil
		} else if err != nil {
			return nil, err
		}
	}
}

// A get is one call of Get or TryGet.
type get[R any] struct {
	*Supervisor[R]
	ctx     context.Context
	noWait  bool             // for no borrower
	waited  bool             // it has joined the line
	begun   bool             // it has had to wait, in the line or for a repair
	began   time.Duration    // when it first had
	ended   time.Duration    // when its last wait ended
	late    <-chan time.Time // of GetTimeout
	timer   *time.Timer      // of late
	left    time.Duration    // of a TryGet: the time for which it may still wait for repairs
	handed  bool             // the slot was handed over at that moment
	refused int              // proven resources that Prepare refused
}

// sayFew tells the supervisor that fewer than MinIdle are idle, unless another get has.
func (s *Supervisor[R]) sayFew() {
	if s.cfg.MinIdle == 0 || s.line.Idle() >= s.cfg.MinIdle {
		return
	}
	select {
	case <-s.fewIdle:
		s.send(message[R]{kind: wakeMessage})
	default:
	}
}

// wait joins the line and waits for a slot.
func (g *get[R]) wait() (*slot[R], error) {
	g.begin()
	g.waited = true
	ctx, dismissed := g.ctx, (<-chan error)(nil)
	ctx.Done() // allocates at its first call, which can take long; the place in line comes later
	switch {
	case g.noWait:
		noWait := newNoWait()
		if err := g.admit(noWait); err != nil {
			return nil, err
		}
		defer g.hasLeft(noWait)
		ctx, dismissed = admitted{ctx}, dismissal(noWait)
	case g.cfg.MaxWaiting > 0 && g.line.Waiting() >= g.cfg.MaxWaiting:
		if err := g.admit(nil); err != nil {
			return nil, err
		}
		ctx = admitted{ctx}
	default:
		g.line.Join()
	}
	sl, err := g.line.Await(ctx, g.late, dismissed)
	g.ended, g.handed = g.now(), true
	switch {
	case err == nil:
		return sl, nil
	case errors.Is(err, line.ErrEnded):
		err = ErrClosed
	case errors.Is(err, line.ErrGaveUp):
		err = g.inVain(contextError(g.ctx))
	case errors.Is(err, line.ErrLate):
		err = g.inVain(ErrTimeout)
	case dismissed != nil:
		err = g.named(err)
	}
	g.stop()
	return nil, err
}

// begin notes that the get has to wait.
func (g *get[R]) begin() {
	if g.begun {
		return
	}
	g.begun, g.began = true, g.now()
	if g.cfg.GetTimeout > 0 && g.left == 0 {
		g.timer = time.NewTimer(g.cfg.GetTimeout)
		g.late = g.timer.C
	}
}

// stop ends the timer of GetTimeout.
func (g *get[R]) stop() {
	if g.timer != nil {
		g.timer.Stop()
	}
}

// An admitted context is that of a get for which the supervisor has joined the line.
type admitted struct{ context.Context }

// admit asks whether the get may wait. If it may, the supervisor has joined the line on
// its behalf.
func (g *get[R]) admit(noWait *core.NoWait) error {
	quiet := !g.cfg.Track && g.cfg.OnEvent == nil // nobody wants to know more than the board says
	if quiet && noWait == nil && g.line.Full() {  // only borrowers could help
		g.turnedAway.add()
		return &TooManyWaitingError{g.shortage()}
	}
	ctx := g.ctx // or g would be allocated
	err, ok := ask(g.Supervisor, func(l *loop[R], now time.Duration) error {
		ok, why, err := l.machine.Admit(now, noWait)
		if !ok {
			return l.refusal(why, err)
		}
		l.line.Join()
		l.causes.add(ctx)
		return nil
	})
	if !ok {
		return ErrClosed
	}
	return g.named(err)
}

// lend begins the lease of sl.
func (g *get[R]) lend(sl *slot[R]) *Lease[R] {
	g.stop()
	if g.waited {
		sl.Waits++
		sl.Waited += g.ended - g.began
		sl.WaitEnded = g.ended
	}
	if sl.card == nil {
		return sl.lease()
	}
	return g.track(sl)
}

// fit decides whether sl, which the get owns, can be lent. If it cannot, sl has been
// given away; without an error the get tries another slot.
func (g *get[R]) fit(sl *slot[R]) (bool, error) {
	sl.Uses++ // it counts as a lease whatever is found
	g.at(beforeLook)
	if isClosed(sl.recall) {
		g.bring(sl, Keep, ReasonNone)
		return false, nil
	}
	proven := sl.Proven
	sl.Proven = false
	if g.cfg.Look != nil || g.cfg.KeepAlive {
		now := g.ended
		if !g.handed {
			now = g.now()
		}
		rested := now - sl.Since // at most: it may have been lent for a part of it
		if g.handed && proven {
			rested = 0
		}
		sl.Since, g.handed = now, false
		if g.cfg.Look != nil && rested >= g.cfg.LookAfter {
			proven = false
			if v := g.verdict(sl, g.cfg.Look); v != Keep {
				g.bring(sl, v, ReasonBroken)
				return false, nil
			}
		}
	}
	if g.cfg.Prepare == nil {
		return true, nil
	}
	return g.prepare(sl, proven)
}

// prepare has Config.Prepare decide, and does what that demands.
func (g *get[R]) prepare(sl *slot[R], proven bool) (bool, error) {
	v, err := g.askPrepare(sl, proven)
	if err == nil && (v == Clean || v == Check) {
		if fit, err := g.repair(sl, v); !fit {
			if err != nil {
				g.stop()
			}
			return false, err
		}
		proven = true
		v, err = g.askPrepare(sl, proven)
	}
	why := ReasonRefused
	if g.contextEnded() { // which may be why
		why = ReasonDiscarded
	}
	switch {
	case v == Keep && err == nil:
		return true, nil
	case v == Keep && g.cfg.Judge != nil:
		g.putBack(sl, g.verdict(sl, g.cfg.Judge), why)
	default:
		g.putBack(sl, v, why)
	}
	if err == nil && proven {
		if g.refused++; g.refused > g.cfg.MaxOpen {
			err = fmt.Errorf("%w: Prepare refused %d resources in a row", ErrUnavailable, g.refused)
		}
	}
	if err != nil {
		g.stop()
	}
	return false, err
}

// contextEnded reports whether the context of the get has ended, or is about to: a
// resource may notice its deadline first.
func (g *get[R]) contextEnded() bool {
	if g.ctx.Err() != nil {
		return true
	}
	deadline, ok := g.ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

func (g *get[R]) askPrepare(sl *slot[R], proven bool) (Verdict, error) {
	returned := false
	defer g.discardUnless(&returned, sl)
	v, err := g.cfg.Prepare(g.ctx, sl.value, proven)
	returned = true
	return v, err
}

// verdict asks f about a slot that this goroutine owns. If f panics, the slot is
// brought to the supervisor to be closed while the panic goes on.
func (s *Supervisor[R]) verdict(sl *slot[R], f func(R) Verdict) (v Verdict) {
	returned := false
	defer s.discardUnless(&returned, sl)
	v = f(sl.value)
	returned = true
	return v
}

// discardUnless is deferred by a caller that owns sl and calls a function that may panic.
func (s *Supervisor[R]) discardUnless(returned *bool, sl *slot[R]) {
	if !*returned {
		s.bring(sl, Discard, ReasonPanicked)
	}
}
