package line

import (
	"errors"
	"testing"
	"testing/synctest"
)

// The rules of doc.go, each with the orders of steps that would break it.

func TestRule1EveryWaiterHasOneAnswer(t *testing.T) {
	inBubble(t, "a value", 2, 8, func(r *rig) {
		w := r.wait()
		r.passes(r.Give(1))
		r.gets(w, 1, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "an error", 2, 8, func(r *rig) {
		w := r.wait()
		if !r.Refuse(errRefused) {
			r.t.Fatal("not refused")
		}
		r.gets(w, 0, errRefused)
		r.rests(0, 0, 0)
	})
	inBubble(t, "a value found idle, with the token taken back", 2, 8, func(r *rig) {
		r.before(Post, func() { r.passes(r.Give(1)) })
		r.gets(r.wait(), 1, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "a value found idle is given away if an answer is on its way", 2, 8, func(r *rig) {
		r.before(Post, func() {
			r.passes(r.Give(1))
			r.before(Claim, func() { r.passes(r.Give(2)) })
		})
		r.gets(r.wait(), 2, nil)
		r.rests(0, 0, 1)
	})
	inBubble(t, "its token back, if it gives up", 2, 8, func(r *rig) {
		w := r.wait()
		w.cancel()
		r.gets(w, 0, ErrGaveUp)
		r.rests(0, 0, 0)
	})
	inBubble(t, "an answer that comes while it gives up is given away", 2, 8, func(r *rig) {
		w := r.wait()
		r.before(Claim, func() { r.passes(r.Give(1)) })
		w.cancel()
		r.gets(w, 0, ErrGaveUp)
		r.rests(0, 0, 1)
	})
	inBubble(t, "an answer that comes while it gives up goes to the owner if the gate is shut", 2, 8, func(r *rig) {
		w := r.wait()
		r.before(Claim, func() { r.Shut(); r.passes(r.Hand(1)) })
		w.cancel()
		r.gets(w, 0, ErrGaveUp)
		r.rests(0, 0, 0)
		if len(r.brought) != 1 || r.brought[0] != 1 {
			r.t.Fatalf("%v is brought to the owner, want 1", r.brought)
		}
	})
	inBubble(t, "the owner puts the token back if hand has no room", 2, 1, func(r *rig) {
		r.Join()
		r.Join()
		r.passes(r.Hand(1))
		r.keeps(2)(r.Hand(2))
		r.rests(1, 1, 0)
		if r.Refuse(errRefused) {
			r.t.Fatal("refused without room")
		}
		r.rests(1, 1, 0)
		r.gets(r.await(), 1, nil)
		r.passes(r.Hand(2))
		r.gets(r.await(), 2, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "a waiter that gives up takes the token that the owner puts back", 2, 1, func(r *rig) {
		r.Join()
		r.passes(r.Hand(1))
		var w waiter
		r.Join()
		r.before(Post, func() {
			// The owner has the only token now, and found no room for its answer.
			r.gets(r.await(), 1, nil)
			w = r.await()
			w.cancel()
			synctest.Wait()
		})
		r.keeps(2)(r.Hand(2))
		r.gets(w, 0, ErrGaveUp)
		r.rests(0, 0, 0)
	})
}

func TestRule2NoValueLiesIdleWhileSomebodyWaits(t *testing.T) {
	inBubble(t, "a put finds a waiter that came before it laid its value", 2, 8, func(r *rig) {
		var w waiter
		r.before(LayTop, func() { w = r.wait() })
		r.passes(r.Give(1))
		r.gets(w, 1, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "a get finds a value that came before it posted its token", 2, 8, func(r *rig) {
		r.before(Post, func() { r.passes(r.Give(1)) })
		r.gets(r.wait(), 1, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "the owner finds a waiter that came before it laid its value", 2, 8, func(r *rig) {
		var w waiter
		r.before(LayTop, func() { w = r.wait() })
		r.passes(r.Hand(1))
		r.gets(w, 1, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "the owner finds a waiter that came before it returned a value", 2, 8, func(r *rig) {
		for _, top := range []bool{false, true} {
			r.passes(r.Give(1))
			v, _ := drawAny(r.Line)
			w := r.wait()
			r.passes(r.Return(v, top))
			r.gets(w, 1, nil)
			r.rests(0, 0, 0)
		}
	})
	inBubble(t, "Match finds a waiter that saw the gate shut, beside a value that was laid late", 2, 8, func(r *rig) {
		r.before(Claim, r.Shut)
		r.passes(r.Give(1))
		w := r.wait()
		r.rests(1, 0, 1)
		r.passes(r.Match())
		r.rests(1, 0, 1) // not before the gate is open
		r.Open()
		r.passes(r.Match())
		r.gets(w, 1, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "Match serves every waiter, as long as there are values", 4, 8, func(r *rig) {
		r.Shut()
		ws := []waiter{r.wait(), r.wait(), r.wait()}
		r.passes(r.Return(1, true))
		r.passes(r.Return(2, false))
		r.Open()
		r.passes(r.Match())
		r.gets(ws[0], 1, nil)
		r.gets(ws[1], 2, nil)
		r.rests(1, 0, 0)
		ws[2].cancel()
	})
	inBubble(t, "Match finds a value that was laid while the owner had the token", 2, 1, func(r *rig) {
		r.Join()
		r.Join()
		r.passes(r.Hand(1))
		r.before(Hand, func() { r.passes(r.Give(2)) })
		if r.Refuse(errRefused) {
			r.t.Fatal("refused without room")
		}
		r.rests(1, 1, 1)
		r.keeps(2)(r.Match())
		r.gets(r.await(), 1, nil)
		r.passes(r.Hand(2))
		r.gets(r.await(), 2, nil)
		r.rests(0, 0, 0)
	})
	inBubble(t, "a waiter wakes the owner unless the line is full", 2, 8, func(r *rig) {
		w := r.wait()
		r.SetFull(true)
		r.SetFull(true)
		w2 := r.wait()
		r.SetFull(false)
		w3 := r.wait()
		for _, w := range []waiter{w, w2, w3} {
			w.cancel()
			r.gets(w, 0, ErrGaveUp)
		}
		if len(r.wakes) != 2 {
			r.t.Fatalf("the owner is woken %d times, want 2", len(r.wakes))
		}
	})
}

func TestRule3WaitersAreServedInTheirOrder(t *testing.T) {
	inBubble(t, "", 2, 8, func(r *rig) {
		var ws []waiter
		for range 200 {
			ws = append(ws, r.wait())
		}
		for i, w := range ws {
			switch i % 3 {
			case 0:
				r.passes(r.Give(i))
				r.gets(w, i, nil)
			case 1:
				r.passes(r.Hand(i))
				r.gets(w, i, nil)
			default:
				r.Refuse(errRefused)
				r.gets(w, 0, errRefused)
			}
		}
	})
}

func TestRule4NothingMovesThroughIdleWhileTheGateIsShut(t *testing.T) {
	inBubble(t, "no get and no put", 2, 8, func(r *rig) {
		r.passes(r.Give(1))
		r.Shut()
		r.Shut()
		if v, ok := r.Take(); ok {
			r.t.Fatalf("%d is taken", v)
		}
		r.keeps(2)(r.Give(2))
		w := r.wait()
		r.rests(1, 0, 1)
		r.keeps(2)(r.Give(2)) // not to a waiter either
		r.rests(1, 0, 1)
		w.cancel()
		r.gets(w, 0, ErrGaveUp)
		r.Open()
		r.Open()
		if v, ok := r.Take(); v != 1 || !ok {
			r.t.Fatalf("%d, %v is taken once the gate is open, want 1", v, ok)
		}
	})
	inBubble(t, "a put that saw it open lays its value, and the owner draws that", 2, 8, func(r *rig) {
		r.before(Claim, r.Shut)
		r.passes(r.Give(1))
		if v, ok := drawAny(r.Line); v != 1 || !ok {
			r.t.Fatalf("%d, %v is drawn, want 1", v, ok)
		}
		r.Open()
		r.before(Claim, r.Shut)
		r.passes(r.Give(2))
		idle, top := r.Laid()
		select {
		case v := <-idle:
			r.t.Fatalf("%d lies on idle", v)
		case v := <-top:
			if v != 2 {
				r.t.Fatalf("%d lies on top, want 2", v)
			}
		}
		r.rests(0, 0, 0)
	})
	inBubble(t, "a get that saw it open takes a value", 2, 8, func(r *rig) {
		r.passes(r.Give(1))
		r.before(TakeTop, r.Shut)
		if v, ok := r.Take(); v != 1 || !ok {
			r.t.Fatalf("%d, %v is taken, want 1", v, ok)
		}
	})
	inBubble(t, "the owner serves waiters all the same", 2, 8, func(r *rig) {
		r.Shut()
		w := r.wait()
		r.passes(r.Hand(1))
		r.gets(w, 1, nil)
	})
}

func TestRule5EveryWaiterHasAnAnswerAfterEnd(t *testing.T) {
	errClosing := errors.New("closing")
	finish := func(r *rig) {
		r.Shut()
		r.End()
		for r.Refuse(errClosing) {
		}
	}
	inBubble(t, "those that wait are refused, those that come are told", 2, 8, func(r *rig) {
		ws := []waiter{r.wait(), r.wait()}
		finish(r)
		for _, w := range ws {
			r.gets(w, 0, errClosing)
		}
		r.gets(r.wait(), 0, ErrEnded)
		r.rests(0, 0, 0)
	})
	inBubble(t, "a token posted before the end is refused", 2, 8, func(r *rig) {
		r.before(LookAtFull, func() { finish(r) })
		r.gets(r.wait(), 0, errClosing)
		r.rests(0, 0, 0)
	})
	inBubble(t, "an answer to one that comes later is its result", 2, 8, func(r *rig) {
		r.Shut()
		r.End()
		r.before(Claim, func() { r.Refuse(errClosing) })
		r.gets(r.wait(), 0, errClosing)
		r.rests(0, 0, 0)
	})
	inBubble(t, "a value for one that comes later goes to the owner", 2, 8, func(r *rig) {
		r.Shut()
		r.End()
		r.before(Claim, func() { r.passes(r.Hand(1)) })
		r.gets(r.wait(), 0, ErrEnded)
		if len(r.brought) != 1 || r.brought[0] != 1 {
			r.t.Fatalf("%v is brought to the owner, want 1", r.brought)
		}
		r.rests(0, 0, 0)
	})
	inBubble(t, "one that comes later does not take the answer of another and let its token lie", 2, 8, func(r *rig) {
		for range 64 { // leave must not choose at random
			r := newRig(r.t, 2, 8)
			goOn := r.stop(LookAtFull)
			first := r.wait()
			finish(r)
			r.gets(r.wait(), 0, ErrEnded)
			goOn()
			r.gets(first, 0, errClosing)
			r.rests(0, 0, 0)
		}
	})
}
