package actor

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 1 to 3 of the package comment, by schedules in virtual time: gate and
// shelf. The other rules are in the files beside.

func TestRule01PutThatSawTheGateOpenServesWhoWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		push := b.stopAt(beforePush)
		put := in(func() { a.Put() })
		push.holds()
		w := b.get()
		w.waits() // the gate is shut now
		push.goes()
		assert.EqualValues(b, 1, w.lease().Value().id, "invariant 3: nobody waits beside an idle resource")
		assert.EqualValues(b, 1, b.dials.Load(), "invariant 4")
		<-put
		b.put(w.l)
	})
}

func TestRule01PutThatSawTheGateOpenIsNotLostAtTheEnd(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		push := b.stopAt(beforePush)
		in(func() { a.Put() })
		push.holds()
		done := in(func() { assert.NoError(b, b.s.CloseAll(b.Context())) })
		synctest.Wait()
		assert.False(b, isClosed(done))
		push.goes()
		<-done
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "invariant 10: opens = closes")
	})
}

func TestRule01LooksOnceMoreBeforeAnybodyWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		desk := b.holdDesk()
		w := b.get()
		w.waits() // it found the shelf empty
		b.put(a)  // the gate is still open
		desk.goes()
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.EqualValues(b, 1, b.dials.Load(), "invariant 4: no dial beside an idle resource")
		b.put(w.l)
	})
}

func TestRule01GateIsAHint(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		take := b.stopAt(beforeTake)
		late := b.get()
		take.holds() // it saw the gate open
		first := b.get()
		first.waits()
		take.goes()
		late.waits() // it found nothing, and stands in line
		b.put(a)
		l := first.lease()
		late.waits()
		b.put(l)
		b.put(late.lease())
	})
}

func TestRule01GateIsShutWhileSomebodyWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		assert.Empty(b, b.s.gate)
		w := b.get()
		w.waits()
		assert.Len(b, b.s.gate, 1)
		push := b.stopAt(beforePush)
		b.put(a)
		assert.False(b, isClosed(push.reached), "a put passes by the desk")
		assert.Empty(b, b.s.gate, "nobody waits any more")
		b.stops[beforePush].Store(nil)
		b.put(w.lease())
		assert.Equal(b, 1, b.shelved())
	})
}

func TestRule02ResetBetweenTakeAndLook(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		b.put(b.get().lease())
		take := b.stopAt(afterTake)
		w := b.get()
		take.holds()
		require.NoError(b, b.s.Reset())
		take.goes()
		assert.EqualValues(b, 2, w.lease().Value().id, "invariant 8")
		assert.EqualValues(b, 1, b.thing(1).closes.Load())
		b.put(w.l)
	})
}

func TestRule02ResetBeforeThePush(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		push := b.stopAt(beforePush)
		in(func() { a.Put() })
		push.holds()
		require.NoError(b, b.s.Reset())
		synctest.Wait()
		push.goes()
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "invariant 8: an old one rests on the shelf")
		assert.Zero(b, b.shelved())
	})
}

func TestRule02ResetBetweenThePushAndTheSecondLook(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		push := b.stopAt(afterPush)
		in(func() { a.Put() })
		push.holds()
		require.NoError(b, b.s.Reset())
		synctest.Wait()
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "the sweep finds what lies there already")
		w := b.get().lease()
		assert.EqualValues(b, 2, w.Value().id)
		b.put(w)
		push.goes() // its nudge finds nothing old
		assert.Equal(b, 1, b.shelved())
		assert.EqualValues(b, 0, b.thing(2).closes.Load())
	})
}

func TestRule02SlotLentAgainBeforeTheSecondLook(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		push := b.stopAt(afterPush)
		in(func() { a.Put() })
		push.holds()
		next := b.get().lease() // the putter knows nothing of it
		assert.EqualValues(b, 1, next.Value().id)
		require.NoError(b, b.s.Reset())
		push.goes()
		assert.EqualValues(b, 0, b.thing(1).closes.Load(), "invariant 2: closed while lent")
		b.put(next)
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "invariant 8")
	})
}

func TestRule02RecalledWhileLentNeedsNoShutGate(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		require.NoError(b, b.s.Reset())
		synctest.Wait()
		assert.Empty(b, b.s.gate)
		assert.EqualValues(b, 0, b.thing(1).closes.Load(), "invariant 2: closed while lent")
		b.put(a)
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "invariant 8: closed without further traffic")
		assert.Zero(b, b.shelved())
	})
}

func TestRule02ResetClosesIdleOnesWithoutTraffic(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, y, z := b.get(), b.get(), b.get()
		b.put(x.lease())
		b.put(y.lease())
		require.NoError(b, b.s.Reset())
		synctest.Wait()
		assert.Equal(b, 1, b.s.Stat().Open, "invariant 8")
		b.put(z.lease())
		assert.Equal(b, 0, b.s.Stat().Open, "invariant 8")
	})
}

// What a sweep does between two of its steps is seen by a borrower that comes
// then: the machine's own goroutine is this test's.
func TestRule03SweepHidesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t}
		s := &Supervisor[*thing]{
			inbox: make(chan message[*thing], 1), idle: make(chan *slot[*thing], 5), gate: make(chan struct{}, 1),
		}
		d := newDesk(s)
		d.machine.cfg.MaxOpen = 5
		for range 5 {
			d.machine.dialing++
			d.machine.dialed(0, &job[*thing]{value: &thing{}})
		}
		d.machine.settle(0)
		require.Len(b, s.idle, 5)
		least := 5
		watched := watch{desk: d, step: func() { least = min(least, len(s.idle)) }}
		d.machine.fx = watched
		d.machine.nudged()
		d.machine.settle(0)
		d.machine.leases(0)
		assert.Equal(t, 4, least, "rule 3: one at a time")
		assert.Len(t, s.idle, 5)
	})
}

// watch calls step after each effect on the shelf.
type watch struct {
	*desk[*thing]
	step func()
}

func (w watch) take() *slot[*thing] {
	defer w.step()
	return w.desk.take()
}

func (w watch) offer(sl *slot[*thing]) bool {
	defer w.step()
	return w.desk.offer(sl)
}

// A sweep sees the top too, however busy it is.
func TestRule03SweepSeesTheTop(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		all := b.leases(3)
		for _, l := range all {
			b.put(l)
		}
		require.Len(b, b.s.top, 1)
		require.NoError(b, b.s.Reset())
		synctest.Wait()
		assert.Len(b, b.closed(), 3)
		assert.Zero(b, b.shelved())
	})
}

// One borrower after the other has the same resource, and the others rest.
func TestRule13TheTopIsTakenFirst(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		for _, l := range b.leases(3) {
			b.put(l)
		}
		first := b.get().lease()
		id := first.Value().id
		b.put(first)
		for range 10 {
			l := b.get().lease()
			assert.Equal(b, id, l.Value().id)
			b.put(l)
		}
		b.s.Stat() // walks the shelf
		assert.Equal(b, 3, b.shelved())
		assert.Empty(b, b.s.top, "the top has gone to the others")
	})
}

// A put that saw the gate open and lays its slot on top reaches who waits.
func TestRule01APutThatRacedToTheTopIsNotLost(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		l := b.get().lease()
		w := b.get()
		w.waits()
		sl := l.slot
		l.slot = nil
		require.True(b, b.s.ontoShelf(sl), "as by a put that looked at the gate before")
		synctest.Wait()
		b.put(w.lease())
	})
}
