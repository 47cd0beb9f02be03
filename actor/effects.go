package actor

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// The effects of the machine's decisions; see core.Effects.

// of is the record that belongs to a slot of the machine's.
func of[R any](sl *core.Slot) *slot[R] { return sl.Body.(*slot[R]) }

// bare is the machine's record of a slot that the supervisor has got, nil if it has none.
func bare[R any](sl *slot[R], ok bool) *core.Slot {
	if !ok {
		return nil
	}
	return sl.Slot
}

func (l *loop[R]) Waiting() int           { return l.line.Waiting() }
func (l *loop[R]) Idle() (below, top int) { return l.line.Lengths() }
func (l *loop[R]) Draw() *core.Slot       { return bare(l.line.Draw()) }
func (l *loop[R]) DrawTop() *core.Slot    { return bare(l.line.DrawTop()) }
func (l *loop[R]) SetFull(full bool)      { l.line.SetFull(full) }

func (l *loop[R]) Give(sl *core.Slot) *core.Slot {
	rest, ok := l.line.Hand(of[R](sl))
	return bare(rest, !ok)
}

func (l *loop[R]) Return(sl *core.Slot, top bool) *core.Slot {
	rest, ok := l.line.Return(of[R](sl), top)
	return bare(rest, !ok)
}

func (l *loop[R]) Refuse(why core.Refusal, err error) bool {
	return l.line.Refuse(l.refusal(why, err))
}

func (l *loop[R]) Shut() {
	l.shut = true
	l.line.Shut()
}

func (l *loop[R]) Open() {
	l.shut = false
	l.line.Open()
}

func (l *loop[R]) End() {
	close(l.closing)
	l.line.End()
}

func (l *loop[R]) WatchIdle()   { offer(l.fewIdle, struct{}{}) }
func (l *loop[R]) WatchLeases() { offer(l.unlent, struct{}{}) }

// offer sends v if there is room.
func offer[T any](c chan<- T, v T) bool {
	select {
	case c <- v:
		return true
	default:
		return false
	}
}

func (l *loop[R]) Recall(sl *core.Slot) {
	l.at(beforeRecall)
	close(of[R](sl).recall)
}

func (l *loop[R]) Revoke(sl *core.Slot, why Reason, held time.Duration) {
	s := of[R](sl)
	if why == ReasonClosing {
		l.end.leases = append(l.end.leases, *l.info(s, held))
	}
	l.at(beforeRevoke)
	s.fate = &RevokedError{Reason: why, Held: held, At: l.began.Add(l.clock)}
	if why == ReasonHeld {
		s.fate.Limit = l.cfg.MaxLease
	}
	close(s.gone)
}

func (l *loop[R]) TakeCard(sl *core.Slot) (since time.Duration, ok bool) {
	s := of[R](sl)
	l.at(beforeTakingCard)
	select {
	case s.seen = <-s.card:
		return s.seen.since, true
	default: // not lent, or being lent or put at this moment
		return 0, false
	}
}

func (l *loop[R]) PutCard(sl *core.Slot) {
	s := of[R](sl)
	l.at(beforePuttingCard)
	s.card <- s.seen // there is room: nobody else lays a card before this one is lifted
	s.seen = card{}
}

// Start has a helper do a job.
func (l *loop[R]) Start(j *core.Job) {
	work := &job[R]{Job: j}
	j.Body = work
	values := l.values
	if j.Kind == core.OpenJob {
		if ctx := l.causes.next(); ctx != nil {
			values = context.WithoutCancel(ctx)
		}
	}
	if j.Slot.Body != nil {
		work.slot = of[R](j.Slot)
	}
	ctx, cancel := context.WithTimeout(values, j.Timeout)
	work.cancel = cancel
	go background(func() { l.help(ctx, work) })
}

func (l *loop[R]) Cancel(j *core.Job) { j.Body.(*job[R]).cancel() }

func (l *loop[R]) Answer(w *core.Waiter, o core.Outcome, err error) {
	w.Body.(chan error) <- l.outcome(w, o, err)
}

// Jitter is full: anything up to most, so that many pools whose server is gone do not
// come back in step.
func (l *loop[R]) Jitter(most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(most)) + 1)
}

// refusal is the error of a get that is refused.
func (l *loop[R]) refusal(why core.Refusal, err error) error {
	switch why {
	case core.Closed:
		return ErrClosed
	case core.Unavailable:
		return unavailable(err)
	case core.Exhausted:
		return &ExhaustedError{l.shortage()}
	case core.Crowded:
		return &TooManyWaitingError{l.shortage()}
	default:
		return ErrPaused
	}
}

// outcome is the error of a call that waited for a condition.
func (l *loop[R]) outcome(w *core.Waiter, o core.Outcome, err error) error {
	switch {
	case o == core.Hopeless:
		return unavailable(err)
	case o == core.Resumed:
		return ErrResumed
	case o == core.Refused:
		return ErrClosed
	case w.For == core.Ended:
		return l.closeError()
	default:
		return nil
	}
}

// closeError is the result of CloseAll.
func (l *loop[R]) closeError() error {
	e := &CloseError{Err: l.end.err, Leases: l.end.leases}
	slices.SortFunc(e.Leases, func(a, b LeaseInfo) int {
		return cmp.Or(cmp.Compare(b.AtLeast, a.AtLeast), cmp.Compare(a.ID, b.ID))
	})
	for _, j := range l.machine.Unfinished(l.clock) {
		e.Hooks = append(e.Hooks, j.Kind.String())
	}
	if len(e.Leases) == 0 && len(e.Hooks) == 0 {
		return nil
	}
	return e
}

func (l *loop[R]) Match() *core.Slot {
	rest, ok := l.line.Match()
	return bare(rest, !ok)
}
