package actor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Those of the 42 scenarios that are a matter of nanoseconds, or of a year; package
// pool has the others, in files of this name.

// around are the moments around one.
var around = []time.Duration{-2, -1, 0, 1, 2}

// Contexts end within nanoseconds of the puts that serve who waits with them, before,
// after and at the same time: whoever wins, no resource and no grant is lost.
func TestScenario18CancelRacesTheGrant(t *testing.T) {
	for _, key := range []any{nil, "k"} {
		inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
			granted, cancelled := 0, 0
			for round := range 200 * len(around) {
				g, c := b.cancelRacesGrant(key, around[round%len(around)])
				granted, cancelled = granted+g, cancelled+c
			}
			b.Logf("key %v: %d granted, %d cancelled", key, granted, cancelled)
			assert.Positive(b, granted)
			assert.Positive(b, cancelled)
		})
	}
}

// cancelRacesGrant has two things put when the contexts of three who wait end, or that
// much later.
func (b *bed) cancelRacesGrant(key any, late time.Duration) (granted, cancelled int) {
	out := b.leases(2)
	ctx, cancel := context.WithTimeout(b.Context(), time.Second)
	defer cancel()
	var line []*pending
	for range 3 {
		line = append(line, b.getWith(ctx, Request{Key: key}))
	}
	line[2].waits()
	for _, l := range out {
		in(func() {
			time.Sleep(time.Second + late)
			assert.NoError(b, l.Put())
		})
	}
	for _, w := range line {
		if <-w.done; w.err != nil {
			assert.ErrorIs(b, w.err, context.DeadlineExceeded)
			cancelled++
			continue
		}
		granted++
		in(func() { assert.NoError(b, w.l.Put()) })
	}
	time.Sleep(time.Second)
	synctest.Wait()
	st := b.s.Stat()
	require.Equal(b, []int{2, 0, 0, 0}, []int{st.Idle, st.Leased, st.Waiting, st.Keys}, "late by %v: %+v", late, st)
	require.EqualValues(b, 2, st.Opened)
	return granted, cancelled
}

// The clock on the wall is set a year ahead: nothing expires because of it. It is set a
// year back: what is due is done all the same. Virtual time has no clock on a wall, so
// this is real.
func TestScenario36WallClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	t.Run("ahead", func(t *testing.T) {
		cfg := Config[*thing]{MaxOpen: 5, MaxAge: time.Hour, MaxRest: time.Hour, GetTimeout: time.Hour, CheckPeriod: time.Hour}
		s := wall(t, cfg)
		resting, lent := held(t, s, 2), held(t, s, 3)
		for _, l := range resting {
			require.NoError(t, l.Put())
		}
		lent = append(lent, held(t, s, 2)...)
		waiter := make(chan error)
		go func() {
			l, err := s.Get(t.Context())
			if err == nil {
				err = l.Put()
			}
			waiter <- err
		}()
		require.Eventually(t, func() bool { return s.Stat().Waiting == 1 }, time.Minute, time.Millisecond)
		jump(t, s, year)
		for _, l := range s.Leases() {
			assert.Less(t, l.AtLeast, time.Hour)
		}
		for _, l := range lent {
			require.NoError(t, l.Put())
		}
		require.NoError(t, <-waiter, "it has not waited for a year")
		for range 100 {
			for _, l := range held(t, s, 5) {
				require.NoError(t, l.Put())
			}
		}
		st := s.Stat()
		assert.Equal(t, []int{5, 5, 0}, []int{st.Open, st.Idle, st.Closing}, "%+v", st)
		assert.Zero(t, st.Expired+st.Unneeded+st.Refused+st.Cancelled, "%+v", st)
	})
	t.Run("back", func(t *testing.T) {
		s := wall(t, Config[*thing]{MaxOpen: 5, MaxAge: 10 * time.Millisecond, GetTimeout: 500 * time.Millisecond})
		lent := held(t, s, 5)
		jump(t, s, -year)
		_, err := s.Get(t.Context())
		assert.ErrorIs(t, err, ErrTimeout)
		for _, l := range lent {
			require.NoError(t, l.Put())
		}
		require.Eventually(t, func() bool { return s.Stat().Open == 0 }, time.Minute, time.Millisecond)
		assert.EqualValues(t, 5, s.Stat().Expired)
	})
}

// wall starts a Supervisor outside virtual time.
func wall(t *testing.T, cfg Config[*thing]) *Supervisor[*thing] {
	cfg.Open = func(context.Context) (*thing, error) { return &thing{}, nil }
	cfg.Close = func(context.Context, *thing) error { return nil }
	s, err := Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.CloseAll(context.Background())) })
	return s
}

// held gets n leases.
func held(t *testing.T, s *Supervisor[*thing], n int) (list []*Lease[*thing]) {
	for range n {
		l, err := s.Get(t.Context())
		require.NoError(t, err)
		list = append(list, l)
	}
	return list
}

// jump sets the clock on the wall, as far as a Supervisor can see that: by the difference
// to the time when it began. The monotonic clock does not notice.
func jump(t *testing.T, s *Supervisor[*thing], by time.Duration) {
	seconds := int64(by / time.Second)
	_, ok := ask(s, func(*machine[*thing], time.Duration) bool {
		before := s.began
		began := (*struct { // a time.Time
			wall uint64
			ext  int64
			loc  *time.Location
		})(unsafe.Pointer(&s.began))
		if began.wall>>63 != 0 { // with a reading of the monotonic clock
			began.wall -= uint64(seconds) << 30
		} else {
			began.ext -= seconds
		}
		return assert.Equal(t, by, before.Round(0).Sub(s.began.Round(0)), "time.Time has changed: so must this")
	})
	require.True(t, ok)
}

// The time of a lease is over as its holder returns it, be it the lease's own, that of
// CloseAll, or the resource's: either the put wins, or what ends the lease does. The
// resource is kept, closed or killed, and once.
func TestScenario41ExpiryRacesThePut(t *testing.T) {
	for _, key := range []any{nil, "k"} {
		won := map[string]int{}
		for round := range 20 * len(around) {
			inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) { won[b.revocationRacesPut(key, around[round%len(around)])]++ })
		}
		t.Logf("key %v, CloseAll: %v", key, won)
		assert.Len(t, won, 2, "each wins at times")
		clear(won)
		for round := range 20 * len(around) {
			inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Second}, func(b *bed) { won[b.maxLeaseRacesPut(key, around[round%len(around)])]++ })
		}
		t.Logf("key %v, MaxLease: %v", key, won)
		assert.Len(t, won, 2, "each wins at times")
		for _, late := range around {
			inBed(t, Config[*thing]{MaxOpen: 1, MaxAge: time.Hour}, func(b *bed) { b.expiryRacesPut(key, late) })
		}
	}
}

// revocationRacesPut puts a lease when CloseAll's time is over, or that much later, and
// says who has won.
func (b *bed) revocationRacesPut(key any, late time.Duration) string {
	l := b.getKey(key).lease()
	ctx, cancel := context.WithTimeout(b.Context(), time.Second)
	defer cancel()
	var put, closed error
	putter := in(func() {
		time.Sleep(time.Second + late)
		put = l.Put()
	})
	closer := in(func() { closed = b.s.CloseAll(ctx) })
	<-putter
	<-closer
	synctest.Wait()
	th := b.thing(1)
	ended := fmt.Sprintf("closed %d, killed %d", th.closes.Load(), th.kills.Load())
	assert.Equal(b, ErrNotLeased, l.Put(), "whoever has won")
	if closed == nil {
		assert.NoError(b, put)
		assert.Equal(b, "closed 1, killed 0", ended)
		return "the put"
	}
	var left *CloseError
	require.True(b, errors.As(closed, &left), "%v", closed)
	assert.Len(b, left.Leases, 1)
	if put != nil { // it does not wait for the desk's word, so it may not know yet
		assert.ErrorIs(b, put, ErrRevoked)
		assert.ErrorIs(b, put, ErrClosed)
	}
	assert.Equal(b, "closed 0, killed 1", ended)
	return "CloseAll"
}

// maxLeaseRacesPut puts a lease when its own time is over, or that much later, and says
// who has won. In any case who waits is served.
func (b *bed) maxLeaseRacesPut(key any, late time.Duration) string {
	l := b.getKey(key).lease()
	w := b.get()
	time.Sleep(time.Second + late)
	put := l.Put()
	assert.Equal(b, ErrNotLeased, l.Put(), "whoever has won")
	next := w.lease()
	killed := b.thing(1).kills.Load()
	assert.Equal(b, killed, next.Value().id-1, "the same resource, or the one in its place")
	b.put(next)
	if killed == 0 {
		assert.NoError(b, put)
		assert.LessOrEqual(b, late, time.Duration(0))
		return "the put"
	}
	if put != nil || late > 0 { // it does not wait for the desk's word, so it may not know yet
		assert.ErrorIs(b, put, ErrRevoked)
		assert.NotErrorIs(b, put, ErrClosed)
	}
	assert.GreaterOrEqual(b, late, time.Duration(0))
	return "MaxLease"
}

// expiryRacesPut puts a lease when the resource's time is over, or that much later: it is
// lent no more, and closed once.
func (b *bed) expiryRacesPut(key any, late time.Duration) {
	l := b.getKey(key).lease()
	time.Sleep(time.Hour + late)
	w := b.get()
	assert.NoError(b, l.Put())
	time.Sleep(10 * time.Nanosecond) // until it has expired, whichever came first
	next := w.lease()
	if late > 0 { // at the very moment either may come first
		assert.EqualValues(b, 2, next.Value().id, "late by %d ns", late)
	}
	assert.EqualValues(b, 1, b.s.Stat().Expired)
	b.put(next)
	assert.EqualValues(b, []int64{1}, b.closed(), "late by %d ns", late)
	b.put(b.get().lease())
}
