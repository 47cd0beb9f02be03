package actor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 7: demand.

// takes has every Open take so long.
func takes(d time.Duration) func(context.Context, int64) error {
	return func(ctx context.Context, _ int64) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestRule07OneColdGetIsOneDial(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10}, func(b *bed) {
		b.opening = takes(100 * time.Millisecond)
		for range 3 {
			l, err := b.s.Get(b.Context())
			require.NoError(b, err)
			b.put(l)
		}
		assert.EqualValues(b, 1, b.dials.Load(), "invariant 4")
	})
}

func TestRule07FiftyWaitersColdWithLimitTen(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10, MaxDials: 4}, func(b *bed) {
		b.opening = takes(100 * time.Millisecond)
		var line []*pending
		for range 50 {
			w := b.get()
			w.waits()
			line = append(line, w)
		}
		assert.EqualValues(b, 4, b.dials.Load(), "dials under way")
		time.Sleep(300 * time.Millisecond)
		for i, w := range line {
			if i >= 10 { // all ten are lent
				w.waits()
				b.put(line[i-10].l)
			}
			w.lease()
		}
		for _, w := range line[40:] {
			b.put(w.l)
		}
		assert.EqualValues(b, 10, b.dials.Load(), "invariant 4")
		assert.EqualValues(b, 10, b.mostLive.Load(), "invariant 1")
	})
}

func TestRule07WhatComesFirstGoesToTheHead(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		b.opening = takes(500 * time.Millisecond)
		first := b.get()
		first.waits()
		time.Sleep(100 * time.Millisecond)
		b.put(a) // the put wins
		assert.EqualValues(b, 1, first.lease().Value().id, "a waiter waits for the pool, never for its own dial")
		second := b.get()
		second.waits()
		assert.EqualValues(b, 2, b.dials.Load(), "invariant 4: the dial of the first counts for the second")
		time.Sleep(400 * time.Millisecond)
		assert.EqualValues(b, 2, second.lease().Value().id)
		b.put(first.l)
		b.put(second.l)
	})
}

func TestRule07HungDialDoesNotStandIn(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.opening = func(ctx context.Context, n int64) error {
			if n == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		begun := time.Now()
		first := b.get()
		first.waits()
		time.Sleep(999 * time.Millisecond)
		first.waits()
		assert.EqualValues(b, 1, b.dials.Load())
		time.Sleep(time.Millisecond)
		first.lease()
		assert.Equal(b, time.Second, first.at.Sub(begun))
		second := b.get().lease()
		assert.EqualValues(b, 3, b.dials.Load(), "the hung one does not count for the second either")
		b.put(first.l)
		b.put(second)
	})
}

func TestRule07WaitersOfOneKeyAreOneDemand(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10}, func(b *bed) {
		b.opening = takes(time.Millisecond)
		var all []*pending
		for i := range 12 {
			all = append(all, b.getKey(i%3))
		}
		all = append(all, b.get())
		time.Sleep(time.Millisecond)
		for _, p := range all {
			b.put(p.lease())
		}
		assert.EqualValues(b, 4, b.dials.Load())
	})
}

func TestRule07CleaningCountsAsComing(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		dials int64
		at    time.Duration
	}{{"soon done", 100 * time.Millisecond, 1, 100 * time.Millisecond}, {"hung", 2 * time.Second, 2, time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			clean := func(context.Context, *thing) error { time.Sleep(c.takes); return nil }
			judge := func(*thing) Verdict { return Clean }
			inBed(t, Config[*thing]{MaxOpen: 5, Judge: judge, Clean: clean}, func(b *bed) {
				b.put(b.get().lease())
				begun := time.Now()
				w := b.get()
				<-w.done
				assert.Equal(b, c.at, w.at.Sub(begun))
				assert.EqualValues(b, c.dials, b.dials.Load())
				b.put(w.lease())
			})
		})
	}
}

func TestRule07DialCarriesValuesNotCancellation(t *testing.T) {
	type nameKey struct{}
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		var seen context.Context
		b.opening = func(ctx context.Context, _ int64) error {
			seen = ctx
			time.Sleep(100 * time.Millisecond)
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(context.WithValue(b.Context(), nameKey{}, "the borrower's"))
		w := b.getWith(ctx, Request{})
		w.waits()
		cancel()
		w.fails()
		assert.Equal(b, "the borrower's", seen.Value(nameKey{}))
		assert.NoError(b, seen.Err())
		deadline, ok := seen.Deadline()
		assert.True(b, ok)
		assert.Equal(b, 2*time.Minute, time.Until(deadline), "OpenTimeout")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		assert.Equal(b, 1, b.s.Stat().Idle, "the dial went on and is there for the next")
		assert.Error(b, seen.Err(), "the context is released")
	})
}

func TestRule07FirstFillCarriesTheValuesOfStart(t *testing.T) {
	type nameKey struct{}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), nameKey{}, "the program's"))
		b := &bed{T: t, things: make(chan *thing, 8)}
		s, err := Start(ctx, Config[*thing]{
			MaxOpen: 2, MinOpen: 2,
			Open: func(ctx context.Context) (*thing, error) {
				time.Sleep(time.Second)
				assert.Equal(t, "the program's", ctx.Value(nameKey{}))
				return b.open(ctx)
			},
			Close: func(context.Context, *thing) error { return nil },
		})
		require.NoError(t, err)
		cancel()
		require.NoError(t, s.Ready(t.Context()))
		assert.Equal(t, 2, s.Stat().Idle)
		require.NoError(t, s.CloseAll(t.Context()))
	})
}

func TestRule07TryGetNeverDials(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		_, err := b.s.TryGet()
		assert.Equal(b, ErrExhausted, err)
		_, err = b.s.GetWith(b.Context(), Request{Key: "k", Patience: TryOnly})
		assert.Equal(b, ErrExhausted, err)
		synctest.Wait()
		assert.Zero(b, b.dials.Load())
		b.put(b.get().lease())
		l, err := b.s.TryGet()
		require.NoError(b, err)
		_, err = b.s.TryGet()
		assert.Equal(b, ErrExhausted, err)
		assert.EqualValues(b, 1, b.dials.Load())
		b.put(l)
	})
}

func TestRule07NoWaitWaitsForADialButNotForABorrower(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.opening = takes(3 * hedge)
		noWait := Request{Patience: NoWait}
		w := b.getWith(b.Context(), noWait)
		w.waits()
		assert.ErrorIs(b, b.getWith(b.Context(), noWait).fails(), ErrExhausted, "the one that is coming is for the first")
		time.Sleep(2 * hedge)
		w.waits() // also for one that takes long
		time.Sleep(hedge)
		l := w.lease()
		assert.ErrorIs(b, b.getWith(b.Context(), noWait).fails(), ErrExhausted)
		b.put(l)
		b.put(b.getWith(b.Context(), noWait).lease())
	})
}
