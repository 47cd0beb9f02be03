package actor

import (
	"context"
	"errors"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// patience is how long a get waits for a repair that Prepare demands. After that the
// resource is left to the repair, and the get tries another one.
const patience = time.Second

// repair does what v demands to sl, which the get owns. It reports whether sl is fit. If
// it is not, or if the get gives up first, sl has been given away, or will be when the
// repair ends; without an error the get tries another one.
func (g *get[R]) repair(sl *slot[R], v Verdict) (fit bool, err error) {
	if v == Clean && g.cfg.Clean == nil || v == Check && g.cfg.Check == nil {
		g.bring(sl, Discard, ReasonRefused)
		return false, nil
	}
	g.begin()
	began, most := g.now(), patience
	if g.left > 0 {
		most = g.left
	}
	r := g.startRepair(sl, v)
	timer := time.NewTimer(most)
	defer timer.Stop()
	underWay := true
	select {
	case result := <-r.done:
		if g.repaired(sl, result) {
			return true, nil
		}
		underWay = false
	case <-g.ctx.Done():
		err = contextError(g.ctx)
	case <-g.late:
		err = ErrTimeout
	case <-timer.C:
	case <-sl.gone:
	}
	g.ended = g.now()
	switch {
	case err != nil:
		err = g.inVain(err)
	case g.left > 0:
		if g.left -= g.ended - began; g.left <= 0 {
			err = ErrExhausted
		}
	}
	if underWay {
		g.leaveRepair(sl, r)
	}
	return false, err
}

// A repair is one that Prepare demands, under way.
type repair struct {
	done   <-chan core.Result
	cancel context.CancelFunc
}

var errOverdue = errors.New("it took too long")

// startRepair has a goroutine of its own do the repair: giving up on it does not cost
// the resource. The resource of a repair that ignores its context is killed, also if the
// repair ends at that moment.
func (s *Supervisor[R]) startRepair(sl *slot[R], v Verdict) repair {
	timeout := s.cfg.CheckTimeout
	if v == Clean {
		timeout = s.cfg.CleanTimeout
	}
	ctx, cancel := context.WithTimeout(s.values, timeout)
	overdue := time.AfterFunc(timeout+s.cfg.CloseGrace, func() {
		s.post(func(l *loop[R], now time.Duration) { l.machine.Overdue(now, sl.Slot) })
	})
	done := make(chan core.Result, 1)
	go background(func() {
		j := &job[R]{Job: &core.Job{Kind: core.CheckJob}, slot: sl, cancel: cancel}
		if v == Clean {
			j.Kind = core.CleanJob
		}
		defer func() { // also if the function ends the goroutine
			if !overdue.Stop() && j.result.Err == nil {
				j.result = core.Result{Err: errOverdue, Why: ReasonOverdue}
			}
			done <- j.result
		}()
		s.guard(ctx, j)
	})
	return repair{done, cancel}
}

// repaired is the end of a repair of a slot that the caller owns. It reports whether the
// slot is fit.
func (s *Supervisor[R]) repaired(sl *slot[R], r core.Result) bool {
	if r.Err != nil {
		s.post(func(l *loop[R], now time.Duration) { l.machine.Unfit(now, sl.Slot, r) })
		return false
	}
	if r.Cleaned {
		s.post(func(l *loop[R], _ time.Duration) { l.machine.Cleaned(sl.Slot, r.Fault) })
	}
	return true
}

// leaveRepair has a goroutine of its own finish a repair. It is a function so that the
// caller's get stays where it is, on a stack.
func (s *Supervisor[R]) leaveRepair(sl *slot[R], r repair) {
	go background(func() { s.finishRepair(sl, r) })
}

// finishRepair waits for the end of a repair that its get has left. If the slot is
// revoked, the repair is cancelled.
func (s *Supervisor[R]) finishRepair(sl *slot[R], r repair) {
	var result core.Result
	select {
	case result = <-r.done:
	case <-sl.gone:
		r.cancel()
		result = <-r.done
	}
	if s.repaired(sl, result) {
		sl.Proven, sl.Since = true, s.now()
		s.putBack(sl, Keep, ReasonNone)
	}
}
