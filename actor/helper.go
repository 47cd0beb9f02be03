package actor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// start has a helper goroutine do j. The job is the helper's until it reports.
func (d *desk[R]) start(j *job[R]) {
	cause := j.cause
	if cause == nil {
		cause = d.values
	}
	ctx := context.WithoutCancel(cause)
	ctx, j.cancel = context.WithTimeout(ctx, j.timeout)
	go d.Supervisor.help(ctx, j)
}

func (d *desk[R]) cancel(j *job[R]) { j.cancel() }

// jitter is full: anything up to most, so that many pools whose server is gone
// do not come back in step.
func (d *desk[R]) jitter(most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(most)) + 1)
}

// help does a job and reports exactly once, also when the Config's function
// panics or ends the goroutine.
func (s *Supervisor[R]) help(ctx context.Context, j *job[R]) {
	returned := false
	defer func() {
		if !returned {
			j.err = panicError(s.cfg.hook(j), recover())
			if j.refusal == errRefused {
				j.refusal = j.err
			}
		}
		j.cancel()
		s.send(message[R]{kind: reportMessage, job: j})
	}()
	s.do(ctx, j)
	returned = true
}

func (s *Supervisor[R]) do(ctx context.Context, j *job[R]) {
	switch j.kind {
	case dialJob:
		j.value, j.err = s.cfg.Open(ctx)
		if j.err != nil && s.cfg.Permanent != nil {
			j.permanent = s.cfg.Permanent(j.err)
		}
	case judgeJob:
		j.err = s.follow(ctx, j, s.cfg.Judge(j.slot.value))
	case lookJob:
		s.vet(ctx, j)
	case cleanJob:
		j.err = s.follow(ctx, j, Clean)
	case checkJob:
		j.err = s.follow(ctx, j, Check)
	case closeJob:
		j.err = s.cfg.Close(ctx, j.slot.value)
	case killJob:
		if s.cfg.Kill != nil {
			s.cfg.Kill(j.slot.value)
		}
	}
}

// The reports of a resource that is to be closed: its verdict says so; Look says
// so; Prepare says so.
var (
	errUnfit   = errors.New("unfit")
	errBroken  = errors.New("broken")
	errRefused = errors.New("refused by Prepare")
)

// follow does what a verdict asks for. An error closes the resource.
func (s *Supervisor[R]) follow(ctx context.Context, j *job[R], v Verdict) error {
	switch {
	case v == Keep:
		return nil
	case v == Clean && s.cfg.Clean != nil:
		j.cleaned = true
		return s.cfg.Clean(ctx, j.slot.value)
	case v == Check && s.cfg.Check != nil:
		return s.cfg.Check(ctx, j.slot.value)
	case v == Alarm:
		return ErrAlarm
	default:
		return errUnfit
	}
}

// vet looks at a slot that rests, or is to be bound to a key: then it is
// prepared too.
func (s *Supervisor[R]) vet(ctx context.Context, j *job[R]) {
	if s.cfg.Look != nil {
		if j.err = s.follow(ctx, j, s.cfg.Look(j.slot.value)); j.err == errUnfit {
			j.err = errBroken
		}
		if j.err != nil {
			return
		}
	}
	if s.cfg.Prepare != nil && j.bound != nil && !s.prepareKeyed(ctx, j) {
		return
	}
	if j.binds {
		s.bind(ctx, j)
	}
}

// bind calls Bind for a key. If it does not return, that is what those who wait
// are told, see help.
func (s *Supervisor[R]) bind(ctx context.Context, j *job[R]) {
	j.refusal = errRefused
	err := s.cfg.Bind(ctx, j.bound.key, j.slot.value)
	j.refusal = err
	if err != nil && s.cfg.Judge != nil {
		j.err = s.follow(ctx, j, s.cfg.Judge(j.slot.value))
	} else if err != nil {
		j.err = errUnfit
	}
}

// prepareKeyed asks Prepare about a slot that is to be bound to a key.
func (s *Supervisor[R]) prepareKeyed(ctx context.Context, j *job[R]) bool {
	v, err := s.prepareFor(ctx, j, false)
	if err == nil && (v == Clean || v == Check) {
		if j.err = s.follow(ctx, j, v); j.err != nil {
			return false
		}
		v, err = s.prepareFor(ctx, j, true)
	}
	switch {
	case v == Keep && err == nil:
		return true
	case v == Discard || err == nil:
		j.err = errRefused
	case v == Keep && s.cfg.Judge != nil:
		j.err = s.follow(ctx, j, s.cfg.Judge(j.slot.value))
	default:
		j.err = s.follow(ctx, j, v)
	}
	return false
}

// prepareFor asks Prepare for those who wait for a key. If it does not return,
// that is what they are told, see help.
func (s *Supervisor[R]) prepareFor(ctx context.Context, j *job[R], proven bool) (v Verdict, err error) {
	j.refusal = errRefused
	v, err = s.cfg.Prepare(ctx, j.slot.value, proven)
	j.refusal = err
	return v, err
}

func panicError(name string, v any) error {
	if v == nil {
		return fmt.Errorf("%s ended its goroutine", name)
	}
	return fmt.Errorf("%s panicked: %v\n%s", name, v, debug.Stack())
}
