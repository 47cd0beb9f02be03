package actor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
	"github.com/pgactor/pgactor/actor/internal/line"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 2 to 7, by schedules: borrowers, the line and the supervisor. Package line proves
// its own rules.

func TestRule02APutThatSawTheGateOpenIsNotLostAtTheEnd(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		lay := b.stopAt(step(line.LayTop))
		in(func() { a.Put() })
		lay.holds()
		done := in(func() { assert.NoError(b, b.s.CloseAll(b.Context())) })
		synctest.Wait()
		assert.False(b, isClosed(done))
		lay.goes()
		<-done
		assert.EqualValues(b, 1, b.thing(1).closes.Load())
	})
}

func TestRule02AnAnswerThatItsGetHasNotReceivedIsALeaseAtTheEnd(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		w := b.getWith(ctx)
		w.waits()
		claim := b.stopAt(step(line.Claim))
		cancel()
		claim.holds()
		b.put(a) // on its way to w, which gives up
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.Len(b, c.Leases, 1)
		claim.goes()
		assert.ErrorIs(b, w.fails(), context.Canceled)
		assert.EqualValues(b, []int64{1, 0}, []int64{b.thing(1).kills.Load(), b.thing(1).closes.Load()})
	})
}

func TestRule03ResetBetweenTakeAndLookIsSeen(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		b.rest(1)
		look := b.stopAt(atPoint(beforeLook))
		w := b.get()
		look.holds()
		require.NoError(b, b.s.Reset())
		look.goes()
		assert.EqualValues(b, 2, w.lease().Value().id)
		assert.Equal(b, []int64{1}, b.closed())
		b.put(w.l)
	})
}

func TestRule03ResetBeforeAPutLaysItsSlotIsSeenByThePut(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		lay := b.stopAt(step(line.LayTop))
		in(func() { a.Put() })
		lay.holds()
		require.NoError(b, b.s.Reset())
		lay.goes()
		assert.Equal(b, []int64{1}, b.closed(), "an old one lies idle")
		assert.Zero(b, b.s.line.Idle())
	})
}

func TestRule03ResetAfterAPutHasLaidItsSlotIsSeenByTheSupervisor(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		look := b.stopAt(atPoint(beforeSecondLook))
		in(func() { a.Put() })
		look.holds()
		require.NoError(b, b.s.Reset())
		assert.Equal(b, []int64{1}, b.closed())
		w := b.get().lease()
		assert.EqualValues(b, 2, w.Value().id)
		b.put(w)
		look.goes() // it has the supervisor look once more, which finds nothing old
		b.counts(1, 0, 1)
	})
}

func TestRule03ASlotLentAgainBeforeThePutLooksIsNotClosed(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		look := b.stopAt(atPoint(beforeSecondLook))
		in(func() { a.Put() })
		look.holds()
		next := b.get().lease() // the put knows nothing of it
		assert.EqualValues(b, 1, next.Value().id)
		require.NoError(b, b.s.Reset())
		look.goes()
		assert.Empty(b, b.closed(), "rule 2: closed while lent")
		b.put(next)
		assert.Equal(b, []int64{1}, b.closed())
	})
}

func TestRule03ASlotHandedToAWaiterAndRecalledMeanwhileIsNotLent(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		w := b.get()
		w.waits()
		look := b.stopAt(atPoint(beforeLook))
		require.NoError(b, a.Put())
		look.holds() // w has it
		require.NoError(b, b.s.Reset())
		look.goes()
		assert.EqualValues(b, 2, w.lease().Value().id)
		b.put(w.l)
	})
}

func TestRule03ASlotThatAGetInVainPassesOnAfterAResetIsClosed(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		w := b.getWith(ctx)
		w.waits()
		claim := b.stopAt(step(line.Claim))
		cancel()
		claim.holds()
		b.put(a) // on its way to w, which gives up
		require.NoError(b, b.s.Reset())
		claim.goes()
		assert.ErrorIs(b, w.fails(), context.Canceled)
		assert.Equal(b, []int64{1}, b.closed(), "without further traffic")
	})
}

func TestRule03ResetClosesIdleOnesNowAndLentOnesWhenTheyArePutWithTheGateOpen(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x := b.leases(3)
		b.put(x[0])
		b.put(x[1]) // one on top, one below
		require.NoError(b, b.s.Reset())
		b.counts(1, 1, 0)
		assert.False(b, b.shut())
		assert.Equal(b, []int64{1, 2}, b.closed(), "rule 2: closed while lent")
		b.put(x[2])
		b.counts(0, 0, 0)
	})
}

func TestRule03ALeaseThatBeginsAfterResetIsOfANewResource(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 4}, func(b *bed) {
		stop := make(chan struct{})
		for range 3 {
			in(func() {
				for !isClosed(stop) {
					if l, err := b.s.Get(b.Context()); assert.NoError(b, err) {
						l.Put()
					}
					time.Sleep(time.Nanosecond)
				}
			})
		}
		for range 100 {
			time.Sleep(10 * time.Nanosecond)
			opened := b.opens.Load()
			require.NoError(b, b.s.Reset())
			l, err := b.s.Get(b.Context())
			require.NoError(b, err)
			require.Greater(b, l.Value().id, opened)
			require.NoError(b, l.Put())
		}
		close(stop)
		synctest.Wait()
		time.Sleep(time.Second)
	})
}

func TestRule04AWalkHasOneSlotAwayAtATimeAndChangesNoOrder(t *testing.T) {
	walks := map[string]func(b *bed){
		"Stat":   func(b *bed) { b.s.Stat() },
		"Leases": func(b *bed) { b.s.Leases() },
		"sweep": func(b *bed) {
			ask(b.s, func(l *loop[*thing], _ time.Duration) bool { l.machine.Sweep(); return true })
		},
	}
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 5}, func(b *bed) {
				x := b.leases(5)
				for _, i := range []int{2, 0, 4, 1, 3} {
					b.put(x[i])
				}
				steps, least := 0, 5
				b.watch(func() { steps, least = steps+1, min(least, b.s.line.Idle()) }, func() { walk(b) })
				assert.Positive(b, steps)
				assert.Equal(b, 4, least)
				x = b.leases(5)
				var order []int64
				for _, l := range x {
					order = append(order, l.Value().id)
				}
				assert.Equal(b, []int64{3, 1, 5, 2, 4}, order)
				for _, l := range x {
					b.put(l)
				}
			})
		})
	}
}

func TestRule05AGetThatGivesUpWhileItsAnswerComesLosesNothing(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		w := b.getWith(ctx)
		w.waits()
		claim := b.stopAt(step(line.Claim))
		cancel()
		claim.holds()
		b.put(a) // for w
		_, err := b.s.TryGet(b.Context())
		require.ErrorIs(b, err, ErrExhausted)
		claim.goes()
		assert.ErrorIs(b, w.fails(), context.Canceled)
		l, err := b.s.TryGet(b.Context())
		require.NoError(b, err, "a lease is lost")
		assert.EqualValues(b, 1, l.Value().id)
		b.put(l)
	})
}

func TestRule05AGetThatGivesUpBeforeAnythingIsPutLeavesTheOthersTheirPlaces(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		w := b.getWith(ctx)
		w.waits()
		other := b.get()
		other.waits()
		cancel()
		assert.ErrorIs(b, w.fails(), context.Canceled)
		other.waits()
		b.put(a)
		b.put(other.lease())
		assert.EqualValues(b, 1, b.s.Stat().Cancelled)
		assert.Zero(b, b.s.Stat().Waiting)
	})
}

func TestRule05AGetWhoseContextHasEndedFailsBesideAnIdleResource(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.rest(1)
		_, err := b.s.Get(b.ended())
		assert.Equal(b, context.Canceled, err, "the context's error itself: programs compare it")
		_, err = b.s.TryGet(b.ended())
		assert.Equal(b, context.Canceled, err)
		ctx, cancel := context.WithCancelCause(b.Context())
		cancel(errors.New("the caller went away"))
		_, err = b.s.Get(ctx)
		assert.Equal(b, context.Canceled, err)
	})
}

func TestRule05NobodyWaitsBesideAnIdleSlotLaidByAPutThatSawNobody(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		lay := b.stopAt(step(line.LayTop))
		put := in(func() { a.Put() })
		lay.holds()
		w := b.get()
		w.waits()
		lay.goes()
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.EqualValues(b, 1, b.dials.Load(), "rule 8")
		<-put
		b.put(w.l)
	})
}

func TestRule05NobodyDialsBesideAnIdleSlotThatTheSupervisorHasNotSeen(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		loop := b.holdLoop()
		w := b.get()
		w.waits() // it found nothing idle
		b.put(a)
		loop.goes()
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.EqualValues(b, 1, b.dials.Load(), "rule 8")
		b.put(w.l)
	})
}

// A put that saw the gate open lays its slot idle while the gate is shut, and a get that
// comes then looks for nothing idle.
func TestRule05OpeningTheGateMatchesWhatLiesIdleWithTheWaiters(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		lay := b.stopAt(step(line.LayTop))
		put := in(func() { assert.NoError(b, a.Put()) })
		lay.holds()
		p := b.pause(b.Context())
		loop := b.holdLoop()
		lay.goes()
		<-put
		w := b.get()
		w.waits()
		resumed := in(func() { assert.NoError(b, b.s.Resume()) })
		synctest.Wait()
		loop.goes()
		<-resumed
		assert.Equal(b, ErrResumed, p.err)
		b.put(w.lease())
	})
}

func TestRule06GetsAreServedFirstComeFirstServed(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		l := b.get().lease()
		var queue []*pending
		for range 50 {
			w := b.get()
			w.waits()
			queue = append(queue, w)
		}
		for i, w := range queue {
			b.put(l)
			l = w.lease()
			if i < len(queue)-1 {
				queue[i+1].waits()
			}
		}
		b.put(l)
	})
}

func TestRule06AGetThatComesLaterDoesNotTakeWhatIsPutForAWaiter(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		w := b.get()
		w.waits()
		lay := b.stopAt(step(line.LayTop))
		b.put(a)
		lay.unreached("it lay idle, where another get could find it")
		b.put(w.lease())
	})
}

func TestTheTopIsLentAgainAndAgain(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(3)
		first := b.get().lease()
		id := first.Value().id
		b.put(first)
		for range 10 {
			l := b.get().lease()
			assert.Equal(b, id, l.Value().id)
			b.put(l)
		}
	})
}

func TestRule07CloseAllRefusesThoseWhoWaitAndAllThatComeLater(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		w, v := b.get(), b.get()
		v.waits()
		done := in(func() { assert.NoError(b, b.s.CloseAll(b.Context())) })
		assert.Equal(b, ErrClosed, w.fails())
		assert.Equal(b, ErrClosed, v.fails())
		assert.True(b, isClosed(b.s.Closing()))
		assert.Equal(b, ErrClosed, b.get().fails(), "a newcomer")
		b.put(a)
		<-done
		assert.Equal(b, ErrClosed, b.get().fails())
		_, err := b.s.TryGet(b.Context())
		for _, err := range []error{err, b.s.Ready(b.Context()), b.s.Ready(b.ended()), b.s.Reset(), b.s.Resume(), b.s.Pause(b.Context())} {
			assert.Equal(b, ErrClosed, err)
		}
		assert.Empty(b, b.s.Leases())
	})
}

func TestRule07EveryGetIsAnsweredAtTheEndHoweverManyThereAre(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		var gets []*pending
		for range 1000 { // the line has no room for so many answers
			gets = append(gets, b.get())
		}
		gets[0].waits()
		loop := b.holdLoop()
		done := in(func() { assert.Error(b, b.s.CloseAll(b.ended())) })
		synctest.Wait()
		for range 2 * inboxSize { // the inbox has no room for half of what these send
			gets = append(gets, b.get())
		}
		synctest.Wait()
		loop.goes()
		<-done
		for _, w := range gets {
			require.Equal(b, ErrClosed, w.fails())
		}
		assert.ErrorIs(b, a.Put(), ErrClosed)
	})
}

// The end comes while senders wait for room in the inbox.
func TestRule07SendersSeeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervisor(t.Context(), Config[*thing]{MaxOpen: 1}.withDefaults())
		s.inbox = make(chan message[*thing])
		lost := newSlot(s, &core.Slot{}, &thing{})
		s.line.Shut()
		var errs [5]error
		done := []chan struct{}{
			in(func() { _, errs[0] = s.TryGet(t.Context()) }),
			in(func() { errs[1] = (&Lease[*thing]{slot: lost}).Put() }),
			in(func() { errs[2] = s.Reset() }),
			in(func() { errs[3] = s.CloseAll(t.Context()) }),
			in(func() { errs[4] = s.Pause(t.Context()) }),
		}
		synctest.Wait()
		for i := range done {
			require.False(t, isClosed(done[i]), i)
		}
		close(s.closed)
		synctest.Wait()
		for i := range done {
			require.True(t, isClosed(done[i]), "call %d does not see the end", i)
			assert.Equal(t, ErrClosed, errs[i], i)
		}
	})
}

func TestRule07WhatWasSentBeforeTheEndIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSupervisor(t.Context(), Config[*thing]{MaxOpen: 1}.withDefaults())
		l := newLoop(s)
		first := make(chan error, 1)
		l.machine.CloseAll(0, &core.Waiter{For: core.Ended, Body: first})
		for !l.machine.Over() {
			l.machine.Settle(0)
		}
		var get, try, second error
		done := []chan struct{}{
			in(func() { _, get = s.Get(t.Context()) }),
			in(func() { _, try = s.TryGet(t.Context()) }),
			in(func() { second = s.CloseAll(t.Context()) }),
		}
		synctest.Wait()
		require.NotEmpty(t, s.inbox)
		answered := false
		s.post(func(*loop[*thing], time.Duration) {
			// The end is visible now, so the answer must be there already.
			answered = isClosed(s.closed) && len(first) == 1
		})
		l.finish()
		synctest.Wait()
		for i := range done {
			require.True(t, isClosed(done[i]), "call %d waits", i)
		}
		assert.Equal(t, []error{ErrClosed, ErrClosed, ErrClosed}, []error{get, try, second})
		assert.True(t, answered, "CloseAll would have found the end, and no answer")
		assert.NoError(t, <-first)
		require.Empty(t, s.inbox)

		// Nobody reads the inbox any more, which still has room.
		_, err := s.Get(t.Context())
		assert.Equal(t, ErrClosed, err)
		_, err = s.TryGet(t.Context())
		assert.Equal(t, ErrClosed, err)
	})
}
