package actor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// MaxWaiting and GetTimeout.

func TestMaxWaitingRefusesTheNewcomer(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxWaiting: 2}, func(b *bed) {
		x := b.get().lease()
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		for range 3 {
			assert.ErrorIs(b, b.get().fails(), ErrTooManyWaiting)
		}
		assert.ErrorIs(b, b.getKey("k").fails(), ErrTooManyWaiting)
		first.waits()
		second.waits()
		assert.EqualValues(b, 4, b.s.Stat().Refused)
		b.put(x)
		x = first.lease()
		third := b.get()
		third.waits()
		assert.ErrorIs(b, b.get().fails(), ErrTooManyWaiting)
		b.put(x)
		b.put(second.lease())
		b.put(third.lease())
		b.put(b.get().lease())
		assert.EqualValues(b, 1, b.dials.Load())
	})
}

// The error says how things stood, and with Track who holds what.
func TestTooManyWaitingTellsHowThingsStand(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxWaiting: 1}, func(b *bed) {
		x := b.leases(2)
		w := b.get()
		w.waits()
		time.Sleep(time.Second)
		err := b.get().fails()
		var e *TooManyWaitingError
		require.ErrorAs(b, err, &e)
		assert.Equal(b, Shortage{Limit: 2, Leased: 2, Waiting: 1, Oldest: time.Second}, e.Shortage)
		assert.EqualError(b, err, "too many gets are waiting (2 leased of 2, 1 others waiting, oldest lease at least 1s)")
		b.put(x[0])
		b.put(w.lease())
		b.put(x[1])
	})
	cfg, told := tracked(), make(chan Event, 100)
	cfg.MaxOpen, cfg.MaxWaiting = 1, 1
	cfg.OnEvent = func(e Event) { told <- e }
	inBed(t, cfg, func(b *bed) {
		x := takeOne(b, labelled(b, "orders"), Request{})
		w := b.get()
		w.waits()
		time.Sleep(time.Second)
		desk := b.holdDesk() // two come at once
		late := []*pending{b.get(), b.get()}
		synctest.Wait()
		desk.goes()
		for _, p := range late {
			var e *TooManyWaitingError
			require.ErrorAs(b, p.fails(), &e)
			require.Len(b, e.Leases, 1)
			assert.Equal(b, []any{taker, "orders", time.Second}, []any{e.Leases[0].Holder, e.Leases[0].Label, e.Leases[0].AtLeast})
			e.Leases[0].Holder = "its own copy"
		}
		b.put(x)
		b.put(w.lease())
		refused := 0
		for range len(told) {
			if e := <-told; e.Kind == EventRefused {
				refused++
				assert.ErrorContains(b, e.Err, taker+" (orders)")
			}
		}
		assert.Equal(b, 2, refused)
	})
}

func TestMaxWaitingAndAColdStart(t *testing.T) {
	for _, dials := range []int{0, 1} {
		inBed(t, Config[*thing]{MaxOpen: 20, MaxWaiting: 1, MaxDials: dials}, func(b *bed) {
			b.opening = takes(10 * time.Millisecond)
			var all []*pending
			for range 20 {
				all = append(all, b.get())
			}
			time.Sleep(time.Second)
			for _, w := range all {
				w.lease()
			}
			one := b.get()
			one.waits()
			assert.ErrorIs(b, b.get().fails(), ErrTooManyWaiting)
			for _, w := range all {
				b.put(w.l)
			}
			b.put(one.lease())
		})
	}
}

func TestMaxWaitingLetsGoOnWhoHasWaited(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3, MaxWaiting: 1}, func(b *bed) {
		x := b.get().lease()
		b.opening = failing(time.Millisecond, 2, 3)
		line := []*pending{b.get(), b.get()}
		line[1].waits()
		time.Sleep(time.Millisecond) // no dial is coming any more
		line[0].waits()
		line[1].waits()
		assert.ErrorIs(b, b.get().fails(), ErrTooManyWaiting)
		time.Sleep(time.Second)
		for _, w := range line {
			b.put(w.lease())
		}
		b.put(x)
	})
}

func TestGetTimeout(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, GetTimeout: time.Second}, func(b *bed) {
		x := b.leases(2)
		begun := time.Now()
		a := b.get()
		time.Sleep(time.Second / 4)
		k := b.getKey("k")
		time.Sleep(time.Second / 4)
		served := b.get()
		time.Sleep(time.Second/2 - 1)
		a.waits()
		time.Sleep(time.Nanosecond)
		err := a.fails()
		k.waits()
		assert.Equal(b, time.Second, a.at.Sub(begun), "exactly on time")
		for _, is := range []error{ErrTimeout, context.DeadlineExceeded, ErrExhausted} {
			assert.ErrorIs(b, err, is)
		}
		var w *WaitError
		require.ErrorAs(b, err, &w)
		assert.Equal(b, ErrTimeout, w.Err)
		assert.Equal(b, []any{time.Second, 2, 2, 2}, []any{w.Waited, w.Limit, w.Leased, w.Waiting})
		assert.EqualError(b, err, "get timed out: context deadline exceeded after 1s: pool exhausted (2 leased of 2, 2 others waiting, oldest lease at least 1s)")
		time.Sleep(time.Second / 4)
		assert.ErrorIs(b, k.fails(), ErrTimeout)
		assert.Equal(b, 1250*time.Millisecond, k.at.Sub(begun))
		b.put(x[0])
		l := served.lease()
		time.Sleep(time.Hour) // who is served has all the time
		b.put(l)
		b.put(x[1])
		assert.EqualValues(b, 2, b.s.Stat().Cancelled)
	})
}

func TestGetTimeoutIsNotTheContexts(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, GetTimeout: time.Second}, func(b *bed) {
		x := b.get().lease()
		ctx, cancel := context.WithTimeout(b.Context(), time.Second/2)
		defer cancel()
		w := b.getWith(ctx, Request{})
		time.Sleep(time.Second / 2)
		err := w.fails()
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.NotErrorIs(b, err, ErrTimeout)
		l, err := b.s.GetWith(b.Context(), Request{Patience: NoWait})
		assert.Nil(b, l)
		assert.ErrorIs(b, err, ErrExhausted)
		time.Sleep(10 * time.Second)
		b.put(x)
	})
	inBed(t, Config[*thing]{MaxOpen: 1, GetTimeout: time.Second, Outage: WaitForServer}, func(b *bed) {
		b.opening = func(context.Context, int64) error { return errServer }
		begun := time.Now()
		_, err := b.s.Get(b.Context())
		assert.Equal(b, time.Second, time.Since(begun))
		assert.ErrorIs(b, err, ErrTimeout)
		assert.ErrorIs(b, err, errServer)
		assert.NotErrorIs(b, err, ErrExhausted)
	})
	inBed(t, Config[*thing]{MaxOpen: 1, GetTimeout: time.Second}, func(b *bed) {
		require.NoError(b, b.s.Pause(b.Context()))
		_, err := b.s.Get(b.Context())
		assert.ErrorIs(b, err, ErrTimeout)
		assert.ErrorIs(b, err, ErrPaused)
		require.NoError(b, b.s.Resume())
	})
}
