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
			j.err = panicError(jobNames[j.kind], recover())
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
		j.err = s.follow(ctx, s.cfg.Judge(j.slot.value), j.slot.value)
	case lookJob:
		j.err = s.follow(ctx, s.cfg.Look(j.slot.value), j.slot.value)
	case cleanJob:
		j.err = s.follow(ctx, Clean, j.slot.value)
	case checkJob:
		j.err = s.follow(ctx, Check, j.slot.value)
	case closeJob:
		j.err = s.cfg.Close(ctx, j.slot.value)
	case killJob:
		if s.cfg.Kill != nil {
			s.cfg.Kill(j.slot.value)
		}
	}
}

// errUnfit is the report of a resource that its verdict closes.
var errUnfit = errors.New("unfit")

// follow does what a verdict asks for. An error closes the resource.
func (s *Supervisor[R]) follow(ctx context.Context, v Verdict, r R) error {
	switch {
	case v == Keep:
		return nil
	case v == Clean && s.cfg.Clean != nil:
		return s.cfg.Clean(ctx, r)
	case v == Check && s.cfg.Check != nil:
		return s.cfg.Check(ctx, r)
	default:
		return errUnfit
	}
}

func panicError(name string, v any) error {
	if v == nil {
		return fmt.Errorf("%s ended its goroutine", name)
	}
	return fmt.Errorf("%s panicked: %v\n%s", name, v, debug.Stack())
}
