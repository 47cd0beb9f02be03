package actor

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 8: demand is exact.

func TestRule08OneColdGetIsOneDial(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10}, func(b *bed) {
		b.opening = takes(100 * time.Millisecond)
		for range 3 {
			l, err := b.s.Get(b.Context())
			require.NoError(b, err)
			b.put(l)
		}
		assert.EqualValues(b, 1, b.dials.Load())
	})
}

func TestRule08FiftyColdWaitersOpenTenWithLimitTenAndFourAtOnce(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10, MaxDials: 4}, func(b *bed) {
		b.opening = takes(100 * time.Millisecond)
		var queue []*pending
		for range 50 {
			w := b.get()
			w.waits()
			queue = append(queue, w)
		}
		assert.EqualValues(b, 4, b.dials.Load(), "dials under way")
		time.Sleep(300 * time.Millisecond)
		for i, w := range queue {
			if i >= 10 { // all ten are lent
				w.waits()
				b.put(queue[i-10].l)
			}
			w.lease()
		}
		for _, w := range queue[40:] {
			b.put(w.l)
		}
		assert.EqualValues(b, 10, b.dials.Load())
		assert.EqualValues(b, 10, b.mostLive.Load(), "rule 1")
	})
}

func TestRule08AWaiterWaitsForThePoolAndNotForItsOwnDial(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		a := b.get().lease()
		b.opening = takes(500 * time.Millisecond)
		first := b.get()
		first.waits()
		time.Sleep(100 * time.Millisecond)
		b.put(a) // the put wins
		assert.EqualValues(b, 1, first.lease().Value().id)
		second := b.get()
		second.waits()
		assert.EqualValues(b, 2, b.dials.Load(), "the dial of the first counts for the second")
		time.Sleep(400 * time.Millisecond)
		assert.EqualValues(b, 2, second.lease().Value().id)
		b.put(first.l)
		b.put(second.l)
	})
}

func TestRule08ADialThatHangsCountsForASecond(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.opening = func(ctx context.Context, n int64) error {
			if n == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		began := time.Now()
		first := b.get()
		first.waits()
		time.Sleep(999 * time.Millisecond)
		first.waits()
		assert.EqualValues(b, 1, b.dials.Load())
		time.Sleep(time.Millisecond)
		first.lease()
		assert.Equal(b, time.Second, first.at.Sub(began))
		second := b.get().lease()
		assert.EqualValues(b, 3, b.dials.Load(), "the hung one does not count for the second either")
		b.put(first.l)
		b.put(second)
	})
}

func TestRule08ACleanUnderWayCountsForASecond(t *testing.T) {
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
				began := time.Now()
				w := b.get()
				<-w.done
				assert.Equal(b, c.at, w.at.Sub(began))
				assert.EqualValues(b, c.dials, b.dials.Load())
				b.put(w.lease())
			})
		})
	}
}

type nameKey struct{}

func TestRule08ADialCarriesTheValuesAndNotTheEndOfTheGetThatCausedIt(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		var seen context.Context
		b.opening = func(ctx context.Context, _ int64) error {
			seen = ctx
			time.Sleep(100 * time.Millisecond)
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(context.WithValue(b.Context(), nameKey{}, "the borrower's"))
		w := b.getWith(ctx)
		w.waits()
		cancel()
		w.fails()
		assert.Equal(b, "the borrower's", seen.Value(nameKey{}))
		assert.NoError(b, seen.Err())
		deadline, ok := seen.Deadline()
		assert.True(b, ok)
		assert.Equal(b, 2*time.Minute, time.Until(deadline), "OpenTimeout")
		time.Sleep(100 * time.Millisecond)
		b.counts(1, 0, 1) // the dial went on and is there for the next
		assert.Error(b, seen.Err(), "the context is released")
	})
}

func TestRule08EachOfTwoDialsCarriesTheValuesOfAGetThatWaits(t *testing.T) {
	for _, noWait := range []bool{false, true} {
		t.Run(fmt.Sprint("without waiting for borrowers: ", noWait), func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
				get := b.s.Get
				if noWait {
					get = b.s.GetNoWait
				}
				x := b.get().lease()
				names := make(chan any, 2)
				b.opening = func(ctx context.Context, _ int64) error {
					names <- ctx.Value(nameKey{})
					time.Sleep(time.Second)
					return nil
				}
				one := b.getBy(context.WithValue(b.Context(), nameKey{}, "one"), get)
				one.waits()
				two := b.getBy(context.WithValue(b.Context(), nameKey{}, "two"), get)
				two.waits()
				assert.Equal(b, []any{"one", "two"}, []any{<-names, <-names})
				time.Sleep(time.Second)
				b.put(one.lease())
				b.put(two.lease())
				b.put(x)
			})
		})
	}
}

func TestRule08TheFirstFillCarriesTheValuesOfStart(t *testing.T) {
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

func TestRule08TryGetNeverDials(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		_, err := b.s.TryGet(b.Context())
		assert.Equal(b, ErrExhausted, err)
		synctest.Wait()
		assert.Zero(b, b.dials.Load())
		b.put(b.get().lease())
		l, err := b.s.TryGet(b.Context())
		require.NoError(b, err)
		_, err = b.s.TryGet(b.Context())
		assert.Equal(b, ErrExhausted, err)
		assert.EqualValues(b, 1, b.dials.Load())
		_, err = b.s.TryGet(b.ended())
		assert.ErrorIs(b, err, context.Canceled)
		b.put(l)
	})
}

func TestRule08ABorrowedPlaceIsNoReasonToDial(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x := b.leases(2)
		b.opening = takes(time.Second)
		waiting := []*pending{b.get(), b.get(), b.get()} // one place is free
		waiting[2].waits()
		assert.EqualValues(b, 3, b.dials.Load())
		b.put(x[0])
		b.put(x[1])
		time.Sleep(time.Second)
		for _, w := range waiting {
			b.put(w.lease())
		}
		assert.EqualValues(b, 3, b.dials.Load())
	})
}
