package actor

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// How many resources there are: minimums, maximums, and changing them.

// tries is how many Opens have ended.
func (b *bed) tries() uint64 {
	synctest.Wait()
	st := b.s.Stat()
	return st.Opened + st.DialsFailed
}

func TestRule16MinOpenIsRestoredAtOnce(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 3}, func(b *bed) {
		require.NoError(b, b.s.Ready(b.Context()))
		x := b.leases(2)
		b.discard(x[0])
		assert.Equal(b, []int{3, 2}, []int{b.s.Stat().Open, b.s.Stat().Idle})
		b.put(x[1])
		require.NoError(b, b.s.Reset())
		require.NoError(b, b.s.Ready(b.Context()), "it waits for new ones")
		assert.Equal(b, 3, b.s.Stat().Open)
		assert.EqualValues(b, 7, b.dials.Load())
		assert.ElementsMatch(b, []int64{1, 2, 3, 4}, b.closed())
	})
}

func TestRule16InAnOutageAMinimumIsTriedEveryCheckPeriod(t *testing.T) {
	var srv server
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 3, Open: opens(srv.opening)}, func(b *bed) {
		require.NoError(b, b.s.Ready(b.Context()))
		x := b.leases(3)
		srv.down.Store(true)
		for _, l := range x {
			b.discard(l)
		}
		assert.EqualValues(b, 4, b.tries(), "the first that was lost")
		wakes := b.wakes(func() { time.Sleep(3*time.Minute - 1) })
		assert.Equal(b, []time.Duration{time.Minute, 2 * time.Minute}, wakes)
		assert.EqualValues(b, 6, b.tries(), "a probe every CheckPeriod")
		srv.down.Store(false)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(b, []int{3, 3}, []int{b.s.Stat().Open, b.s.Stat().Idle})
		assert.EqualValues(b, 9, b.tries())
	})
}

func TestRule16AMinimumIsRestoredWithTheNextThatIsOpened(t *testing.T) {
	var srv server
	srv.down.Store(true)
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 3, Open: opens(srv.opening)}, func(b *bed) {
		require.ErrorIs(b, b.s.Ready(b.Context()), errServer)
		srv.down.Store(false)
		time.Sleep(time.Second) // the backoff, but not a CheckPeriod
		assert.Zero(b, b.s.Stat().Open)
		b.put(b.get().lease())
		assert.Equal(b, 3, b.s.Stat().Open)
	})
}

// A backoff that is longer than a CheckPeriod must not be the end of it.
func TestRule16AMinimumIsRestoredAfterABackoffLongerThanCheckPeriod(t *testing.T) {
	inBed(t, Config[*thing]{
		MaxOpen: 1, MinOpen: 1, CheckPeriod: time.Second, BackoffMin: time.Hour, BackoffMax: time.Hour,
		Open: opens(failing(0, 1, 2, 3)),
	}, func(b *bed) {
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		assert.Equal(b, 1, b.s.Stat().Open)
		assert.EqualValues(b, 4, b.tries())
	})
}

func TestRule16MinIdleIsKeptAsLongAsMaxOpenAllows(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 5, MinIdle: 2}, func(b *bed) {
		require.NoError(b, b.s.Ready(b.Context()))
		var out []*Lease[*thing]
		for open := 3; open <= 5; open++ {
			out = append(out, b.get().lease())
			synctest.Wait()
			st := b.s.Stat()
			assert.Equal(b, []int{open, 2}, []int{st.Open, st.Idle})
		}
		out = append(out, b.get().lease())
		assert.Equal(b, []int{5, 1}, []int{b.s.Stat().Open, b.s.Stat().Idle}, "as long as MaxOpen allows")
		require.NoError(b, b.s.Resize(0, 6))
		synctest.Wait()
		assert.Equal(b, []int{6, 2}, []int{b.s.Stat().Open, b.s.Stat().Idle})
		for _, l := range out {
			b.put(l)
		}
		assert.Equal(b, []int{6, 6}, []int{b.s.Stat().Open, b.s.Stat().Idle})
	})
}

func TestRule17AGetThatLeavesTooFewTellsOnce(t *testing.T) {
	client := func(b *bed) {
		for range 100 {
			l, err := b.s.Get(b.Context())
			require.NoError(b, err)
			time.Sleep(time.Millisecond)
			b.put(l)
			time.Sleep(time.Millisecond)
		}
	}
	inBed(t, Config[*thing]{MaxOpen: 4, MinIdle: 2}, func(b *bed) {
		require.NoError(b, b.s.Ready(b.Context()))
		wakes := b.wakes(func() { client(b) })
		assert.Equal(b, []time.Duration{0}, wakes, "the first take leaves one and is told, the others leave two")
		assert.Equal(b, 3, b.s.Stat().Open)
		out := b.leases(3) // at the limit, with one idle
		synctest.Wait()
		require.Equal(b, []int{4, 1}, []int{b.s.Stat().Open, b.s.Stat().Idle})
		assert.Empty(b, b.wakes(func() { client(b) }), "nothing can be done about it")
		for _, l := range out {
			b.put(l)
		}
		require.Equal(b, 4, b.s.Stat().Idle)
		assert.Empty(b, b.wakes(func() { client(b) }), "there are enough")
	})
}

func TestMaxIdleClosesWhatIsPutBeyondIt(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 5, MaxIdle: 2}, func(b *bed) {
		for i, l := range b.leases(5) {
			b.put(l)
			assert.Equal(b, min(i+1, 2), b.s.Stat().Idle)
		}
		assert.Len(b, b.closed(), 3)
		b.rest(2)
		assert.EqualValues(b, 5, b.dials.Load(), "two are enough for two")
		out := b.leases(5)
		for _, l := range out {
			in(func() { l.Put() })
		}
		synctest.Wait()
		assert.Equal(b, []int{2, 2}, []int{b.s.Stat().Open, b.s.Stat().Idle})
	})
}

func TestKeepNoneClosesWhatIsPutUnlessAGetWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxIdle: KeepNone, MaxWaiting: 1}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		w := b.get()
		w.waits()
		assert.ErrorIs(b, b.get().fails(), ErrTooManyWaiting)
		value := x.Value()
		b.put(x)
		assert.Same(b, value, w.lease().Value())
		assert.Empty(b, b.closed())
		b.put(y)
		b.put(w.lease())
		synctest.Wait()
		assert.Len(b, b.closed(), 2)
		b.counts(0, 0, 0)
		_, err := b.s.TryGet(b.Context())
		assert.ErrorIs(b, err, ErrExhausted)
		require.NoError(b, b.s.Ready(b.Context()))
		require.NoError(b, b.s.Pause(b.Context()))
		w = b.get()
		w.waits()
		require.NoError(b, b.s.Resume())
		require.NoError(b, b.s.Resize(0, 1))
		b.put(w.lease())
		assert.EqualValues(b, 3, b.dials.Load())
	})
}

func TestMaxRestShrinksToTheMinimum(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 9, MinOpen: 2, MaxRest: 10 * time.Minute}, func(b *bed) {
		b.rest(6)
		wakes := b.wakes(func() {
			time.Sleep(10*time.Minute - 1)
			synctest.Wait()
			assert.Equal(b, 6, b.s.Stat().Open)
			time.Sleep(time.Nanosecond)
		})
		assert.Len(b, wakes, 11, "every CheckPeriod, and the question above")
		assert.Equal(b, []int{2, 2}, []int{b.s.Stat().Open, b.s.Stat().Idle})
		assert.EqualValues(b, 4, b.s.Stat().Unneeded)
		assert.Empty(b, b.wakes(func() { time.Sleep(10 * time.Hour) }))
	})
}

func TestMaxRestIsPutOffByAGetThatFoundNothingIdle(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 6, MinOpen: 2, MaxRest: 10 * time.Minute}, func(b *bed) {
		b.rest(6)
		time.Sleep(9*time.Minute + 30*time.Second)
		out := b.leases(6)
		_, err := b.s.TryGet(b.Context())
		require.Equal(b, ErrExhausted, err)
		for _, l := range out {
			require.NoError(b, l.Put())
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Empty(b, b.closed())
		time.Sleep(30 * time.Second) // the round after
		assert.Len(b, b.closed(), 4)
	})
}

func TestMaxRestKeepsWhatIsNeeded(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 6, MaxRest: 10 * time.Minute}, func(b *bed) {
		b.rest(6)
		for range 40 { // not in step with CheckPeriod
			out := b.leases(4)
			time.Sleep(40 * time.Second)
			for _, l := range out {
				b.put(l)
			}
			time.Sleep(25 * time.Second)
		}
		assert.Len(b, b.closed(), 2)
		assert.Equal(b, 4, b.s.Stat().Open)
	})
}

func TestMaxRestWithASequentialClient(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 6, MinOpen: 1, MaxRest: 10 * time.Minute}, func(b *bed) {
		b.rest(6)
		for range 11 * 30 {
			l := b.get().lease()
			time.Sleep(time.Second)
			b.put(l)
			time.Sleep(time.Second)
		}
		assert.Equal(b, 1, b.s.Stat().Open, "one is enough for one client")
		assert.EqualValues(b, 6, b.dials.Load())
	})
}

func TestResizeServesThoseWhoWaitFromNewPlaces(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.get().lease()
		line := []*pending{b.get(), b.get(), b.get()}
		for _, w := range line {
			w.waits()
		}
		require.NoError(b, b.s.Resize(0, 3))
		synctest.Wait()
		served := 0
		for _, w := range line {
			if isClosed(w.done) {
				served++
			}
		}
		assert.Equal(b, 2, served)
		assert.Equal(b, 3, b.s.Stat().Limit)
		require.NoError(b, b.s.Resize(4, 5))
		synctest.Wait()
		for _, w := range line {
			b.put(w.lease())
		}
		b.put(x)
		assert.Equal(b, 4, b.s.Stat().Open, "the new minimum")
	})
}

func TestRule14ResizeTakesNothingFromItsBorrower(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 6}, func(b *bed) {
		out := b.leases(6)
		b.put(out[0])
		b.put(out[1])
		require.NoError(b, b.s.Resize(0, 3))
		synctest.Wait()
		assert.Equal(b, []int{4, 0}, []int{b.s.Stat().Open, b.s.Stat().Idle}, "what is idle is closed at once")
		for i, open := range []int{3, 3, 3, 3} {
			assert.NotNil(b, out[2+i].Value(), "nothing is taken from its borrower")
			b.put(out[2+i])
			assert.Equal(b, open, b.s.Stat().Open, "never below")
		}
		assert.Equal(b, 3, b.s.Stat().Idle)
		require.NoError(b, b.s.Resize(0, 1))
		synctest.Wait()
		assert.Equal(b, []int{1, 1}, []int{b.s.Stat().Open, b.s.Stat().Idle})
		b.rest(1)
		assert.EqualValues(b, 6, b.dials.Load())
	})
}

func TestResizeUnderLoad(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 8}, func(b *bed) {
		b.opening = takes(time.Millisecond)
		var clients []chan struct{}
		var stop atomic.Bool
		var served atomic.Int64
		for i := range 12 {
			clients = append(clients, in(func() {
				for !stop.Load() {
					l, err := b.s.Get(b.Context())
					if !assert.NoError(b, err) {
						return
					}
					time.Sleep(time.Duration(i+1) * time.Millisecond)
					assert.NoError(b, l.Put())
					served.Add(1)
				}
			}))
		}
		for _, most := range []int{2, 8, 1, 3, 8, 2, 16, 5, 1} {
			require.NoError(b, b.s.Resize(0, most))
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			before := served.Load()
			assert.LessOrEqual(b, b.live.Load(), int64(most), "everybody has put since")
			assert.LessOrEqual(b, b.s.Stat().Open, most)
			time.Sleep(100 * time.Millisecond)
			assert.Greater(b, served.Load(), before, "with %d", most)
		}
		stop.Store(true)
		for _, c := range clients {
			<-c
		}
		synctest.Wait()
		assert.Equal(b, []int{1, 1}, []int{b.s.Stat().Open, b.s.Stat().Idle})
		assert.LessOrEqual(b, b.mostLive.Load(), int64(16), "rule 1")
	})
}

func TestResizeShrinkThenGrowQuickly(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		out := b.leases(3)
		w := b.get()
		w.waits()
		require.NoError(b, b.s.Resize(0, 1))
		require.NoError(b, b.s.Resize(0, 4))
		b.put(w.lease())
		for _, l := range out {
			b.put(l)
		}
		assert.Empty(b, b.closed())
		assert.Equal(b, 4, b.s.Stat().Idle)
	})
}

func TestResizeRefusesInvalidSizesAndChangesNothing(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 4, MaxIdle: 3, MinIdle: 2}, func(b *bed) {
		require.NoError(b, b.s.Ready(b.Context()))
		for _, c := range []struct {
			least, most int
			field       string
		}{
			{0, 0, "MaxOpen"}, {0, -1, "MaxOpen"}, {-1, 4, "MinOpen"}, {5, 4, "MinOpen"},
			{4, 4, "MaxIdle"}, // which is 3
		} {
			var ce *ConfigError
			require.ErrorAs(b, b.s.Resize(c.least, c.most), &ce, "%+v", c)
			assert.Equal(b, c.field, ce.Field)
		}
		synctest.Wait()
		assert.Equal(b, []int{4, 2}, []int{b.s.Stat().Limit, b.s.Stat().Open}, "nothing is changed")

		require.NoError(b, b.s.Resize(1, 1), "below MinIdle and MaxIdle")
		require.NoError(b, b.s.Ready(b.Context()))
		assert.Equal(b, 1, b.s.Stat().Open)
		require.NoError(b, b.s.Resize(3, 8))
		require.NoError(b, b.s.Ready(b.Context()))
		out := b.leases(6)
		for _, l := range out {
			b.put(l)
		}
		assert.Equal(b, []int{3, 3}, []int{b.s.Stat().Open, b.s.Stat().Idle}, "MaxIdle is as it was")
		out = b.leases(2)
		synctest.Wait()
		assert.Equal(b, 2, b.s.Stat().Idle, "MinIdle is as it was")
		for _, l := range out {
			b.put(l)
		}
		require.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, ErrClosed, b.s.Resize(0, 1))
	})
}

func TestRule16AServerThatHangsIsDialedOnceAtATimeForMinIdle(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 50, MinIdle: 1, Open: func(ctx context.Context) (*thing, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, func(b *bed) {
		time.Sleep(time.Hour)
		assert.LessOrEqual(b, b.s.Stat().DialsFailed, uint64(30), "2 minutes each")
	})
}

func TestRule17InAnOutageTheSupervisorIsNotToldOfEveryGetThatLeavesTooFew(t *testing.T) {
	var dials atomic.Int64
	inBed(t, Config[*thing]{MaxOpen: 5, MinIdle: 3, Open: func(context.Context) (*thing, error) {
		if dials.Add(1) > 3 {
			return nil, errServer
		}
		return nil, nil
	}}, func(b *bed) {
		time.Sleep(time.Millisecond)
		b.discard(b.get().lease())
		time.Sleep(time.Minute)
		settled := b.wakes(func() {
			for range 100 {
				time.Sleep(time.Millisecond)
				b.put(b.get().lease())
			}
		})
		assert.Less(b, len(settled), 10)
	})
}
