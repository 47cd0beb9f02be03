package actor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLeaseIsDeadAfterItsPut(t *testing.T) {
	for name, key := range map[string]any{"unkeyed": nil, "keyed": "k"} {
		t.Run(name, func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
				l := b.getKey(key).lease()
				b.put(l)
				assert.Nil(b, l.Value())
				next := b.getKey(key).lease()
				assert.Equal(b, ErrNotLeased, l.Put())
				assert.Equal(b, ErrNotLeased, l.Discard())
				synctest.Wait()
				assert.EqualValues(b, 1, next.Value().id, "the successor is unharmed")
				assert.Equal(b, []int{1, 0}, []int{b.s.Stat().Leased, b.s.Stat().Idle})
				assert.EqualValues(b, 0, b.thing(1).closes.Load())
				b.discard(next)
				assert.Equal(b, ErrNotLeased, next.Put())
				assert.EqualValues(b, 1, b.thing(1).closes.Load())
			})
		})
	}
}

func TestLeasesAreNeverReused(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		seen := map[*Lease[*thing]]bool{}
		for range 3 * leaseBatch {
			l, err := b.s.Get(b.Context())
			require.NoError(b, err)
			require.False(b, seen[l])
			seen[l] = true
			require.NoError(b, l.Put())
		}
		assert.EqualValues(b, 1, b.dials.Load())
	})
}

func TestLookIsAskedAfterARest(t *testing.T) {
	looks := 0
	verdict := Keep
	look := func(*thing) Verdict { looks++; return verdict }
	check := func(context.Context, *thing) error { return nil }
	inBed(t, Config[*thing]{MaxOpen: 1, Look: look, LookAfter: time.Minute, Check: check}, func(b *bed) {
		b.put(b.get().lease())
		time.Sleep(time.Minute - 1)
		b.put(b.get().lease())
		assert.Zero(b, looks)
		time.Sleep(time.Minute)
		l := b.get().lease()
		assert.Equal(b, 1, looks)
		assert.EqualValues(b, 1, l.Value().id)
		b.put(l)
		verdict = Check
		time.Sleep(time.Minute)
		l = b.get().lease() // looked at, checked, and lent without another look
		assert.Equal(b, 2, looks)
		assert.EqualValues(b, 1, l.Value().id)
		b.put(l)
		verdict = Discard
		time.Sleep(time.Minute)
		l = b.get().lease()
		assert.Equal(b, 3, looks)
		assert.EqualValues(b, 2, l.Value().id)
		b.put(l)
	})
}

func TestWaitErrorTellsHowThingsStand(t *testing.T) {
	cause := errors.New("the user pressed stop")
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		other := b.get()
		other.waits()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeoutCause(b.Context(), 3*time.Second, cause)
		defer cancel()
		err := func() error { w := b.getWith(ctx, Request{}); <-w.done; return w.fails() }()
		var w *WaitError
		require.ErrorAs(b, err, &w)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.ErrorIs(b, err, cause)
		assert.ErrorIs(b, err, ErrExhausted)
		assert.NotErrorIs(b, err, ErrUnavailable)
		assert.Equal(b, []any{3 * time.Second, 2, 2, 1, 4 * time.Second}, []any{w.Waited, w.Limit, w.Leased, w.Waiting, w.Oldest})
		assert.EqualError(b, err, "context deadline exceeded: the user pressed stop after 3s: pool exhausted (2 leased of 2, 1 others waiting, oldest lease at least 4s)")

		ctx, stop := context.WithCancel(b.Context())
		p := b.getWith(ctx, Request{})
		p.waits()
		stop()
		assert.ErrorIs(b, p.fails(), context.Canceled)
		assert.NotErrorIs(b, p.err, context.DeadlineExceeded)
		b.put(x)
		b.put(y)
		b.put(other.lease())
	})
}

// A resource that has just been checked is not looked at again, however late
// its borrower wakes: in real time, where that takes more than a nanosecond.
func TestFreshIsNotLookedAtAgain(t *testing.T) {
	ok := func(context.Context, int) error { return nil }
	s, err := Start(t.Context(), Config[int]{
		Open: func(context.Context) (int, error) { return 1, nil }, Close: ok, Check: ok,
		Look: func(int) Verdict { return Check }, LookAfter: time.Nanosecond, MaxOpen: 1,
	})
	require.NoError(t, err)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		l, err := s.Get(ctx)
		cancel()
		require.NoError(t, err)
		require.NoError(t, l.Put())
	}
	require.NoError(t, s.CloseAll(t.Context()))
}

// What ended the wait of a fill, and of a get while dials fail, is not that
// something is lent.
func TestWaitErrorNamesTheCause(t *testing.T) {
	var dials atomic.Int64
	oneHangs := func(ctx context.Context) (*thing, error) {
		if dials.Add(1) == 2 {
			<-ctx.Done()
		}
		return nil, ctx.Err()
	}
	inBed(t, Config[*thing]{MaxOpen: 2, MinOpen: 2, Open: oneHangs}, func(b *bed) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		err := b.s.Ready(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.ErrorIs(b, err, ErrUnavailable)
		assert.NotErrorIs(b, err, ErrExhausted)
	})
	inBed(t, Config[*thing]{MaxOpen: 2, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
		x := b.get().lease()
		b.opening = failing(0, 2)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		_, err := b.s.Get(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.ErrorIs(b, err, errServer, "why nothing was opened")
		b.put(x)
	})
}

func TestWaitErrorOfAnOutage(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, Outage: WaitForServer}, func(b *bed) {
		b.opening = func(context.Context, int64) error { return errServer }
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		_, err := b.s.Get(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.ErrorIs(b, err, ErrUnavailable)
		assert.ErrorIs(b, err, errServer)
		assert.NotErrorIs(b, err, ErrExhausted)
	})
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		b.opening = takes(time.Hour) // not down, but slow
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		_, err := b.s.Get(ctx)
		assert.ErrorIs(b, err, ErrUnavailable)
	})
}

func TestReady(t *testing.T) {
	slow := func(context.Context) (*thing, error) { time.Sleep(time.Second); return nil, nil }
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 3, Open: slow}, func(b *bed) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Millisecond)
		defer cancel()
		assert.ErrorIs(b, b.s.Ready(ctx), context.DeadlineExceeded)
		err := b.s.Ready(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		var we *WaitError
		require.ErrorAs(b, err, &we, "it would have waited")
		assert.ErrorIs(b, we, ErrUnavailable)
		assert.Equal(b, 4, we.Limit)
		begun := time.Now()
		assert.NoError(b, b.s.Ready(b.Context()))
		assert.Equal(b, time.Second-time.Millisecond, time.Since(begun))
		assert.Equal(b, 3, b.s.Stat().Idle)
		assert.NoError(b, b.s.Ready(b.Context()))
		err = b.s.Ready(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.False(b, errors.As(err, &we), "it would not have waited")
	})
	inBed(t, Config[*thing]{MaxOpen: 4}, func(b *bed) {
		assert.NoError(b, b.s.Ready(b.Context()), "nothing is to be opened")
	})
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 2, Open: func(context.Context) (*thing, error) { return nil, errServer }}, func(b *bed) {
		err := b.s.Ready(b.Context())
		assert.ErrorIs(b, err, ErrUnavailable)
		assert.ErrorIs(b, err, errServer)
	})
}

func TestStatCountsWhatTheFastLaneHides(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		for range 5 {
			l, err := b.s.Get(b.Context())
			require.NoError(b, err)
			require.NoError(b, l.Put())
		}
		k := b.getKey("k").lease() // brings the slot by the desk
		st := b.s.Stat()
		assert.EqualValues(b, 6, st.Leases)
		assert.Equal(b, []int{2, 1, 1, 0}, []int{st.Limit, st.Open, st.Leased, st.Idle})
		b.put(k)
		st = b.s.Stat()
		assert.Equal(b, []int{1, 0, 1}, []int{st.Open, st.Leased, st.Idle})
	})
}

func TestCloseFailedIsCounted(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, Close: func(context.Context, *thing) error { return errServer }}, func(b *bed) {
		b.discard(b.get().lease())
		assert.EqualValues(b, []uint64{1, 1}, []uint64{b.s.Stat().Closed, b.s.Stat().CloseFailed})
	})
}
