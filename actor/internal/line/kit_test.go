package line

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A rig is a line with an owner that only takes notes. Its tests run in a synctest
// bubble, and make one order of steps happen with before. For all orders there are the
// simulation (sim_test.go, with keeper and ledger) and the stress test.
type rig struct {
	*Line[int]
	t       *testing.T
	wakes   []context.Context
	brought []int
	then    map[Step]func()
}

// newRig makes a line with room for so many idle values, and so many answers in hand.
func newRig(t *testing.T, room, answers int) *rig {
	r := &rig{t: t, then: map[Step]func(){}}
	r.Line = New(room, Owner[int]{
		Wake:  func(ctx context.Context) { r.wakes = append(r.wakes, ctx) },
		Bring: func(v int) { r.brought = append(r.brought, v) },
		Step: func(s Step) {
			if f := r.then[s]; f != nil {
				delete(r.then, s)
				f()
			}
		},
	})
	r.hand = make(chan answer[int], answers)
	return r
}

// before has f run, once, before the next step s, by the goroutine that takes it.
func (r *rig) before(s Step, f func()) { r.then[s] = f }

// stop stops the next goroutine that takes step s before that, until goOn is called.
func (r *rig) stop(s Step) (goOn func()) {
	c := make(chan struct{})
	r.before(s, func() { <-c })
	return func() { close(c) }
}

// A waiter is a goroutine that has joined a rig's line.
type waiter struct {
	cancel context.CancelFunc
	result chan outcome
}

type outcome struct {
	value int
	err   error
}

// wait starts a goroutine that joins and awaits, and returns once that is blocked or done.
func (r *rig) wait() waiter { return r.start(true, nil) }

// await is wait for a waiter for which the owner has joined.
func (r *rig) await() waiter { return r.start(false, nil) }

func (r *rig) start(join bool, late <-chan time.Time) waiter {
	ctx, cancel := context.WithCancel(r.t.Context())
	w := waiter{cancel, make(chan outcome, 1)}
	go func() {
		if join {
			r.Join()
		}
		v, err := r.Await(ctx, late, nil)
		w.result <- outcome{v, err}
	}()
	synctest.Wait()
	return w
}

// gets fails unless w has been told this by now.
func (r *rig) gets(w waiter, value int, err error) {
	r.t.Helper()
	synctest.Wait()
	select {
	case o := <-w.result:
		if o != (outcome{value, err}) {
			r.t.Fatalf("the waiter is told %d, %v; want %d, %v", o.value, o.err, value, err)
		}
	default:
		w.cancel()
		r.t.Fatalf("the waiter still waits; want %d, %v", value, err)
	}
	w.cancel()
}

// rests fails unless so many wait, so many answers are under way and so many values idle.
func (r *rig) rests(waiting, answers, idle int) {
	r.t.Helper()
	if r.Waiting() != waiting || r.Answers() != answers || r.Idle() != idle {
		r.t.Fatalf("%d wait, %d answers, %d idle; want %d, %d, %d", r.Waiting(), r.Answers(), r.Idle(), waiting, answers, idle)
	}
}

// passes fails unless ok, which is of Give, Hand, Match or Return, and there is no rest.
func (r *rig) passes(rest int, ok bool) {
	r.t.Helper()
	if !ok || rest != 0 {
		r.t.Fatalf("%d, %v is returned; want that the value is passed on", rest, ok)
	}
}

// keeps fails unless the value is returned, for which there was no room.
func (r *rig) keeps(value int) func(rest int, ok bool) {
	return func(rest int, ok bool) {
		r.t.Helper()
		if ok || rest != value {
			r.t.Fatalf("%d, %v is returned; want %d, false", rest, ok, value)
		}
	}
}

// inBubble runs the subtest name in a synctest bubble with a rig.
func inBubble(t *testing.T, name string, room, answers int, f func(*rig)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(newRig(t, room, answers)) })
	})
}

// drawAny draws as an owner does that takes whatever there is: the top last.
func drawAny[T any](l *Line[T]) (v T, ok bool) {
	if v, ok = l.Draw(); ok {
		return v, true
	}
	return l.DrawTop()
}
