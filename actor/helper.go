package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// A job is the work of one helper. It belongs to the helper until it reports.
type job[R any] struct {
	*core.Job
	slot   *slot[R] // nil for a dial
	cancel context.CancelFunc

	value  R // of a dial
	result core.Result
}

// help does a job and reports exactly once, also when the Config's function panics or
// ends the goroutine.
func (s *Supervisor[R]) help(ctx context.Context, j *job[R]) {
	defer func() { s.send(message[R]{kind: reportMessage, job: j}) }()
	s.guard(ctx, j)
}

// guard does a job, and turns a panic or runtime.Goexit of the Config's function into an
// error. After Goexit its deferred calls run, but it does not return.
func (s *Supervisor[R]) guard(ctx context.Context, j *job[R]) {
	returned := false
	defer func() {
		if !returned {
			j.result = core.Result{Err: panicError(j.Kind.String(), recover()), Why: ReasonUnfit, Cleaned: j.Kind == core.CleanJob}
		}
		j.cancel()
	}()
	s.do(ctx, j)
	returned = true
}

// do calls the Config's function for a job.
func (s *Supervisor[R]) do(ctx context.Context, j *job[R]) {
	r := &j.result
	switch j.Kind {
	case core.OpenJob:
		j.value, r.Err = s.cfg.Open(ctx)
		r.Permanent = r.Err != nil && s.cfg.Permanent != nil && s.cfg.Permanent(r.Err)
	case core.LookJob:
		*r = s.look(ctx, j.slot.value)
	case core.CleanJob:
		*r = s.follow(ctx, j.slot.value, Clean)
	case core.CheckJob:
		*r = s.follow(ctx, j.slot.value, Check)
	case core.CloseJob:
		r.Fault = s.fault(j.slot.value)
		r.Err = s.cfg.Close(ctx, j.slot.value)
	case core.KillJob:
		if s.cfg.Kill != nil {
			s.cfg.Kill(j.slot.value)
		}
	}
}

// look asks Config.Look about a resource at rest, and does what that demands.
func (s *Supervisor[R]) look(ctx context.Context, r R) core.Result {
	v := s.cfg.Look(r)
	result := s.follow(ctx, r, v)
	if result.Err == core.ErrUnfit {
		result.Why = ReasonBroken
	}
	return result
}

// follow does to a resource what a verdict demands. The result of a resource that must be
// closed has an error.
func (s *Supervisor[R]) follow(ctx context.Context, r R, v Verdict) core.Result {
	result := core.Result{Why: ReasonUnfit}
	switch {
	case v == Keep:
	case v == Clean && s.cfg.Clean != nil:
		result.Cleaned = true
		if result.Err = s.cfg.Clean(ctx, r); result.Err == nil {
			result.Fault = s.fault(r)
		}
	case v == Check && s.cfg.Check != nil:
		result.Err = s.cfg.Check(ctx, r)
	default:
		result.Err = core.ErrUnfit
	}
	result.Suspect = v == Alarm || errors.Is(result.Err, ErrAlarm)
	result.Stale = errors.Is(result.Err, ErrStale)
	return result
}

// fault asks Config.Fault.
func (s *Supervisor[R]) fault(r R) error {
	if s.cfg.Fault == nil {
		return nil
	}
	return s.cfg.Fault(r)
}

// reported is the end of a job.
func (l *loop[R]) reported(now time.Duration, j *job[R]) {
	if j.Kind == core.OpenJob && j.result.Err == nil {
		newSlot(l.Supervisor, j.Slot, j.value)
	}
	l.machine.Done(now, j.Job, j.result)
}

func panicError(name string, v any) error {
	if v == nil {
		return fmt.Errorf("%s ended its goroutine", name)
	}
	return fmt.Errorf("%s panicked: %v\n%s", name, v, debug.Stack())
}
