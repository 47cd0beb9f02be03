package line

import (
	"testing"
	"testing/synctest"
	"time"
)

// What the rules do not say.

func TestAwaitIsToldWhatEndedIt(t *testing.T) {
	inBubble(t, "the context, which the owner is woken with", 1, 8, func(r *rig) {
		goOn := r.stop(Receive)
		w := r.wait()
		if len(r.wakes) != 1 || r.wakes[0].Err() != nil {
			r.t.Fatalf("the owner is woken with %v, want the waiter's context", r.wakes)
		}
		w.cancel()
		if r.wakes[0].Err() == nil {
			r.t.Fatal("the owner is woken with another context than the waiter's")
		}
		goOn()
		r.gets(w, 0, ErrGaveUp)
		r.rests(0, 0, 0)
	})
	inBubble(t, "the timer, at its time", 1, 8, func(r *rig) {
		begin := time.Now()
		w := r.start(true, time.After(time.Second))
		time.Sleep(time.Second)
		r.gets(w, 0, ErrLate)
		if d := time.Since(begin); d != time.Second {
			r.t.Fatalf("after %v, want 1s", d)
		}
		r.rests(0, 0, 0)
	})
	inBubble(t, "a value, before the timer", 1, 8, func(r *rig) {
		w := r.start(true, time.After(time.Second))
		time.Sleep(time.Second - 1)
		synctest.Wait()
		r.passes(r.Give(1))
		r.gets(w, 1, nil)
		time.Sleep(time.Second)
		r.rests(0, 0, 0)
	})
}

func TestGiveWaitsForRoomInHand(t *testing.T) {
	inBubble(t, "", 2, 1, func(r *rig) {
		r.Join()
		r.Join()
		r.passes(r.Give(1))
		given := make(chan bool, 1)
		go func() { _, ok := r.Give(2); given <- ok }()
		synctest.Wait()
		r.rests(0, 1, 0)
		if len(given) > 0 {
			r.t.Fatal("Give returned without room in hand")
		}
		r.gets(r.await(), 1, nil)
		r.gets(r.await(), 2, nil)
		if !<-given {
			r.t.Fatal("Give did not pass its value on")
		}
	})
}

func TestGiveReturnsWhatIdleHasNoRoomFor(t *testing.T) {
	for room := range 4 {
		inBubble(t, "", room, 8, func(r *rig) {
			for v := 1; v <= room; v++ {
				r.passes(r.Give(v))
			}
			r.rests(0, 0, room)
			r.keeps(9)(r.Give(9))
			r.keeps(9)(r.Hand(9))
			r.keeps(9)(r.Return(9, false))
			r.keeps(9)(r.Return(9, true))
			r.rests(0, 0, room)
		})
	}
}

func TestTakeTakesTheTopFirstAndTheRestInOrder(t *testing.T) {
	inBubble(t, "", 3, 8, func(r *rig) {
		for v := 1; v <= 3; v++ {
			r.passes(r.Give(v))
		}
		for want := 1; want <= 3; want++ {
			if v, ok := r.Take(); v != want || !ok {
				r.t.Fatalf("%d, %v is taken, want %d", v, ok, want)
			}
		}
		if v, ok := r.Take(); ok {
			r.t.Fatalf("%d is taken from nothing", v)
		}
	})
}

func TestDrawTakesWhatLiesBelowTheTop(t *testing.T) {
	inBubble(t, "", 3, 8, func(r *rig) {
		for v := 1; v <= 3; v++ {
			r.passes(r.Give(v))
		}
		for _, want := range []int{2, 3, 1} {
			if v, ok := drawAny(r.Line); v != want || !ok {
				r.t.Fatalf("%d, %v is drawn, want %d", v, ok, want)
			}
		}
		if v, ok := r.DrawTop(); ok {
			r.t.Fatalf("%d is drawn from nothing", v)
		}
	})
}

func TestReturnLaysAValueWhereItWas(t *testing.T) {
	inBubble(t, "on top and below", 3, 8, func(r *rig) {
		r.passes(r.Return(1, false))
		r.passes(r.Return(2, true))
		if v, ok := r.DrawTop(); v != 2 || !ok {
			r.t.Fatalf("%d, %v lies on top, want 2", v, ok)
		}
		if v, ok := r.DrawTop(); ok {
			r.t.Fatalf("%d lies on top too", v)
		}
		if v, ok := drawAny(r.Line); v != 1 || !ok {
			r.t.Fatalf("%d, %v lies below, want 1", v, ok)
		}
	})
	inBubble(t, "on top if there is nothing below", 1, 8, func(r *rig) {
		r.passes(r.Return(1, false))
		if v, ok := r.DrawTop(); v != 1 || !ok {
			r.t.Fatalf("%d, %v lies on top, want 1", v, ok)
		}
	})
}

func TestEveryStepHasAName(t *testing.T) {
	names := map[string]bool{}
	for s := LookAtGate; s <= Finish; s++ {
		names[s.String()] = true
	}
	if len(names) != int(Finish)+1 || names[""] || names["unknown step"] || (Finish+1).String() != "unknown step" {
		t.Fatalf("the steps are called %v", names)
	}
}
