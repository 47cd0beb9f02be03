package actor

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A lease from its get to its put, Take and Kill; Look; and what Stat counts of them.

func TestRule02ALeaseIsDeadAfterItsPut(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{"plain": {MaxOpen: 1}, "with a card": {MaxOpen: 1, MaxLease: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			inBed(t, cfg, func(b *bed) {
				l := b.get().lease()
				assert.EqualValues(b, 1, l.ID())
				assert.True(b, l.Of(b.s))
				b.put(l)
				assert.Nil(b, l.Value())
				next := b.get().lease()
				for _, again := range []func() error{l.Put, l.Discard, func() error { _, err := l.Take(); return err }, func() error { return l.Kill(ReasonUsed) }} {
					assert.Equal(b, ErrNotLeased, again())
				}
				assert.NoError(b, l.Revoked())
				b.counts(1, 1, 0)
				assert.EqualValues(b, 1, next.Value().id, "the successor is unharmed")
				assert.Empty(b, b.closed())
				b.discard(next)
				assert.Equal(b, ErrNotLeased, next.Put())
				assert.Equal(b, []int64{1}, b.closed())
			})
		})
	}
}

func TestRule02ALeaseIsNeverUsedAgain(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		seen := map[*Lease[*thing]]bool{}
		for range 3 * mostLeases {
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

// A lease that was long may have been idle in its holder's hands.
func TestWhatAPutHandsToAWaiterIsLookedAtAfterALongLease(t *testing.T) {
	looks := 0
	look := func(*thing) Verdict { looks++; return Keep }
	inBed(t, Config[*thing]{MaxOpen: 1, Look: look, LookAfter: time.Minute}, func(b *bed) {
		l := b.get().lease()
		w := b.get()
		w.waits()
		time.Sleep(time.Minute - 1)
		b.put(l)
		l = w.lease()
		assert.Zero(b, looks)
		w = b.get()
		w.waits()
		time.Sleep(time.Minute)
		b.put(l)
		b.put(w.lease())
		assert.Equal(b, 1, looks)
		b.put(b.get().lease())
		assert.Equal(b, 1, looks, "it was lent a moment ago")
	})
}

func TestWhatIsIdleThroughAPauseIsLookedAt(t *testing.T) {
	looks := 0
	look := func(*thing) Verdict { looks++; return Keep }
	inBed(t, Config[*thing]{MaxOpen: 1, Look: look, LookAfter: time.Minute}, func(b *bed) {
		b.rest(1)
		require.NoError(b, b.s.Pause(b.Context()))
		w := b.get()
		time.Sleep(time.Hour)
		require.NoError(b, b.s.Resume())
		b.put(w.lease())
		assert.Equal(b, 1, looks)
	})
}

// In real time, where a get wakes more than a nanosecond late.
func TestWhatWasJustCheckedIsNotLookedAtAgain(t *testing.T) {
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

func TestTakeFreesThePlaceAtOnceAndTheResourceIsTheCallers(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		l := b.get().lease()
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		b.take(l)
		synctest.Wait()
		assert.Nil(b, l.Value())
		for _, again := range []func() error{l.Put, l.Discard, func() error { _, err := l.Take(); return err }} {
			assert.Equal(b, ErrNotLeased, again())
		}
		st := b.s.Stat()
		assert.EqualValues(b, []any{1, uint64(1), uint64(0)}, []any{st.Open, st.Taken, st.Closed})
		assert.EqualValues(b, 2, first.lease().Value().id)
		b.put(first.l)
		b.put(second.lease())
		require.NoError(b, b.s.CloseAll(b.Context()))
		st = b.s.Stat()
		assert.Equal(b, st.Opened, st.Closed+st.Taken)
	})
}

func TestRule16WhatIsTakenIsReplacedForTheMinimum(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 2}, func(b *bed) {
		require.NoError(b, b.s.Ready(b.Context()))
		b.take(b.get().lease())
		b.counts(2, 0, 2)
	})
}

func TestTakeWhileCloseAllWaitsIsGranted(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		var err error
		done := in(func() { err = b.s.CloseAll(b.Context()) })
		synctest.Wait()
		b.take(x) // CloseAll waits for it, one way or the other
		assert.False(b, isClosed(done))
		b.put(y)
		<-done
		assert.NoError(b, err)
	})
}

func TestRule13WhatWasRevokedCannotBeTaken(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x := b.get().lease()
		release := make(chan struct{})
		b.opening = func(context.Context, int64) error { <-release; return nil }
		b.get()
		synctest.Wait()
		require.Error(b, b.s.CloseAll(b.ended()))
		require.False(b, isClosed(b.s.closed), "an Open is still under way")
		_, err := x.Take()
		assert.ErrorIs(b, err, ErrRevoked)
		assert.Nil(b, x.Value())
		close(release)
		synctest.Wait()
		require.True(b, isClosed(b.s.closed))
		assert.Zero(b, b.s.Stat().Taken)
	})
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x := b.get().lease()
		require.Error(b, b.s.CloseAll(b.ended()))
		synctest.Wait()
		require.True(b, isClosed(b.s.closed))
		_, err := x.Take()
		assert.ErrorIs(b, err, ErrClosed, "the supervisor has ended")
		assert.Equal(b, ErrNotLeased, x.Put())
	})
}

func TestRule13KillFreesThePlaceAndTheResourceIsKilled(t *testing.T) {
	for name, held := range map[string]time.Duration{"plain": 0, "with a card": time.Second} {
		t.Run(name, func(t *testing.T) {
			told := make(chan Event, 20)
			cfg := Config[*thing]{MaxOpen: 1, OnEvent: func(e Event) { told <- e }}
			if held > 0 {
				cfg.MaxLease = time.Hour
			}
			inBed(t, cfg, func(b *bed) {
				told = make(chan Event, 20)
				x := b.get().lease()
				w := b.get()
				time.Sleep(time.Second)
				require.NoError(b, x.Kill(ReasonUsed))
				assert.EqualValues(b, 2, w.lease().Value().id)
				assert.EqualValues(b, []int64{1, 0}, []int64{b.thing(1).kills.Load(), b.thing(1).closes.Load()})
				assert.ErrorIs(b, x.Revoked(), ErrRevoked)
				assert.Equal(b, ErrNotLeased, x.Put())
				assert.EqualValues(b, 1, b.s.Stat().Revoked)
				b.put(w.l)
				for range len(told) {
					if e := <-told; e.Kind == EventRevoked {
						assert.Equal(b, []any{ReasonUsed, held, uint64(1)}, []any{e.Reason, e.Lease.AtLeast, e.Lease.ID})
					}
				}
			})
		})
	}
}

func TestStatCountsLeasesThatTheSupervisorDidNotSee(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		for range 5 {
			b.put(b.get().lease())
		}
		st := b.s.Stat()
		assert.EqualValues(b, []uint64{5, 1}, []uint64{st.Leases, st.Waited})
		b.counts(1, 0, 1)
		x := b.leases(2) // one idle, one opened
		w := b.get()
		w.waits()
		b.put(x[0])
		b.put(w.lease())
		b.put(x[1])
		st = b.s.Stat()
		assert.EqualValues(b, []uint64{8, 3}, []uint64{st.Leases, st.Waited})
		b.counts(2, 0, 2)
	})
}

func TestStatCountsTheTimeThatGetsWaited(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.get().lease()
		w := b.get()
		time.Sleep(time.Second)
		v := b.get()
		time.Sleep(time.Second)
		b.put(x)
		b.put(w.lease())
		b.put(v.lease())
		st := b.s.Stat()
		assert.Equal(b, 3*time.Second, st.WaitTime)
		assert.EqualValues(b, 3, st.Waited)
		assert.Equal(b, st, b.s.Stat(), "asking changes nothing")
	})
}

func TestStatCountsAFailedClose(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, Close: func(context.Context, *thing) error { return errServer }}, func(b *bed) {
		b.discard(b.get().lease())
		assert.EqualValues(b, []uint64{1, 1}, []uint64{b.s.Stat().Closed, b.s.Stat().CloseFailed})
	})
}

// 0 allocations: a lease is one of a batch.
func TestAGetAndAPutAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for name, cfg := range map[string]Config[*thing]{
		"plain": {}, "Look": {Look: func(*thing) Verdict { return Keep }, LookAfter: time.Hour}, "MaxLease": {MaxLease: time.Hour}, "MinIdle": {MinIdle: 1},
		"GetTimeout": {GetTimeout: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.MaxOpen = 2
			s := wall(t, cfg)
			per := testing.AllocsPerRun(1000, func() {
				l, err := s.Get(t.Context())
				if err != nil || l.Put() != nil {
					t.Error(err)
				}
			})
			assert.Zero(t, int(per*10), "%v a get and put", per) // one in 64 is left
		})
	}
}

func TestAGetThatWaitsAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	s := wall(t, Config[*thing]{MaxOpen: 1})
	work, done := make(chan int), make(chan struct{})
	const borrowers, gets = 4, 500
	for range borrowers {
		go func() {
			for n := range work {
				for range n {
					l, err := s.Get(context.Background())
					if err != nil {
						t.Error(err)
						break
					}
					runtime.Gosched() // the others come to wait
					if err := l.Put(); err != nil {
						t.Error(err)
					}
				}
				done <- struct{}{}
			}
		}()
	}
	before := s.Stat().Waited
	per := testing.AllocsPerRun(10, func() {
		for range borrowers {
			work <- gets
		}
		for range borrowers {
			<-done
		}
	})
	close(work)
	waited := s.Stat().Waited - before
	t.Logf("%v allocations in %d gets and puts; %d of %d have waited", per, borrowers*gets, waited, 11*borrowers*gets)
	assert.Greater(t, waited, uint64(borrowers*gets), "few have waited")
	assert.Less(t, per, float64(borrowers*gets)/20) // one in 64 makes handles
}
