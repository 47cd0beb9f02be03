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

// Rules 4, 14 and 17: how long a resource lives, and what is done about it while it is idle.

func TestRule14WhatIsOpenedTogetherExpiresAtMomentsOfItsOwn(t *testing.T) {
	var began time.Time
	ends := make(chan time.Duration, 8)
	closing := func(context.Context, *thing) error { ends <- time.Since(began); return nil }
	inBed(t, Config[*thing]{MaxOpen: 8, MaxAge: time.Hour, AgeJitter: time.Minute, Close: closing}, func(b *bed) {
		began, ends = time.Now(), make(chan time.Duration, 8)
		b.rest(8)
		require.Zero(b, time.Since(began), "opened together")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Empty(b, ends, "none before MaxAge")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(b, ends, 8, "all until MaxAge and AgeJitter are over")
		seen, fine := map[time.Duration]bool{}, 0
		for range 8 {
			d := <-ends
			seen[d] = true
			if d%time.Millisecond != 0 {
				fine++
			}
		}
		assert.Len(b, seen, 8, "each at a moment of its own")
		assert.Positive(b, fine, "not on the millisecond")
		assert.EqualValues(b, 8, b.s.Stat().Expired)
		assert.Empty(b, b.wakes(func() { time.Sleep(10 * time.Hour) }))
	})
}

func TestRule14WhatIsIdleWhenItReachesMaxAgeIsClosedThen(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxAge: time.Hour}, func(b *bed) {
		b.rest(1)
		time.Sleep(time.Hour - 1)
		synctest.Wait()
		b.put(b.get().lease())
		assert.Empty(b, b.closed())
		time.Sleep(time.Nanosecond)
		assert.EqualValues(b, []int64{1}, b.closed(), "without traffic")
		l := b.get().lease()
		assert.EqualValues(b, 2, l.Value().id)
		b.put(l)
	})
}

func TestRule03MaxAgeReachedBetweenTakeAndLookIsSeen(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxAge: time.Hour}, func(b *bed) {
		b.rest(1)
		take := b.stopAt(atPoint(beforeLook))
		w := b.get()
		take.holds()
		time.Sleep(time.Hour)
		synctest.Wait()
		take.goes()
		assert.EqualValues(b, 2, w.lease().Value().id)
		assert.EqualValues(b, []int64{1}, b.closed())
		b.put(w.l)
	})
}

func TestRule14WhatIsLentWhenItReachesMaxAgeIsClosedWhenItIsPut(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxAge: time.Hour}, func(b *bed) {
		l := b.get().lease()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.Empty(b, b.closed(), "rule 2: closed while lent")
		assert.EqualValues(b, 1, b.s.Stat().Expired)
		b.put(l)
		assert.EqualValues(b, []int64{1}, b.closed())
	})
}

func TestRule16WhatExpiresIsReplacedForTheMinimum(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3, MinOpen: 2, MaxAge: time.Hour}, func(b *bed) {
		time.Sleep(10*time.Hour + time.Minute)
		synctest.Wait()
		assert.Equal(b, 2, b.s.Stat().Idle)
		assert.EqualValues(b, 22, b.dials.Load())
	})
}

func TestRule17AnIdleSupervisorSleeps(t *testing.T) {
	ok := func(context.Context, *thing) error { return nil }
	look := func(*thing) Verdict { return Keep }
	lendAndPut := func(b *bed) { b.rest(1) }
	for _, c := range []struct {
		name   string
		config Config[*thing]
		before func(b *bed)
		wakes  []time.Duration
	}{
		{"nothing open", Config[*thing]{MaxOpen: 5, MaxRest: time.Minute, KeepAlive: true, Check: ok}, func(*bed) {}, nil},
		{"some open", Config[*thing]{MaxOpen: 5, Look: look}, func(b *bed) { b.rest(3) }, nil},
		{"at MinOpen", Config[*thing]{MaxOpen: 5, MinOpen: 3, MaxRest: time.Minute}, lendAndPut, nil},
		{"at MinIdle", Config[*thing]{MaxOpen: 5, MinIdle: 3, MaxRest: time.Minute}, func(*bed) {}, nil},
		{"MinOpen and Look", Config[*thing]{MaxOpen: 5, MinOpen: 1, Look: look, CheckPeriod: 4 * time.Hour}, func(*bed) {}, []time.Duration{4 * time.Hour, 8 * time.Hour}},
		{"at both", Config[*thing]{MaxOpen: 5, MinOpen: 3, MinIdle: 2, MaxIdle: 3, MaxRest: time.Minute}, func(*bed) {}, nil},
		{"all lent", Config[*thing]{MaxOpen: 1, MinOpen: 1, GetTimeout: time.Minute, MaxRest: time.Minute}, func(b *bed) {
			l := b.get().lease()
			b.Cleanup(func() { _ = l })
			in(func() { time.Sleep(11 * time.Hour); l.Put() })
		}, nil},
		{"after an outage", Config[*thing]{MaxOpen: 5, MinOpen: 1, MaxWaiting: 1}, func(b *bed) {
			b.opening = failing(0, 2)
			b.discard(b.get().lease())
			time.Sleep(time.Minute)
		}, nil},
		{"after a pause", Config[*thing]{MaxOpen: 5, MinOpen: 1}, func(b *bed) {
			require.NoError(b, b.s.Pause(b.Context()))
		}, nil},
		{"MaxAge", Config[*thing]{MaxOpen: 5, MaxAge: 3 * time.Hour}, lendAndPut, []time.Duration{3 * time.Hour}},
		{"MaxAge and MinOpen", Config[*thing]{MaxOpen: 5, MinOpen: 1, MaxAge: 4 * time.Hour}, func(*bed) {}, []time.Duration{4 * time.Hour, 8 * time.Hour}},
		{"KeepAlive", Config[*thing]{MaxOpen: 5, MinOpen: 1, KeepAlive: true, Check: ok, CheckPeriod: 4 * time.Hour}, func(*bed) {}, []time.Duration{4 * time.Hour, 8 * time.Hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBed(t, c.config, func(b *bed) {
				synctest.Wait()
				c.before(b)
				synctest.Wait()
				assert.Equal(b, c.wakes, b.wakes(func() { time.Sleep(10 * time.Hour) }))
				time.Sleep(2 * time.Hour)
				synctest.Wait()
			})
		})
	}
}

// checking counts the Checks of each thing, and how many ran at once.
type checking struct {
	takes     time.Duration
	now, most atomic.Int64
	of        [20]atomic.Int64
}

func (c *checking) check(_ context.Context, th *thing) error {
	c.most.Store(max(c.most.Load(), c.now.Add(1)))
	defer c.now.Add(-1)
	time.Sleep(c.takes)
	c.of[th.id].Add(1)
	return nil
}

func (c *checking) counts(n int) (of []int64) {
	synctest.Wait()
	for i := range n {
		of = append(of, c.of[i+1].Load())
	}
	return of
}

func TestKeepAliveChecksWhatIsIdleEveryPeriod(t *testing.T) {
	var c checking
	inBed(t, Config[*thing]{MaxOpen: 5, KeepAlive: true, Check: c.check}, func(b *bed) {
		out := b.leases(5)
		for _, l := range out[2:] {
			b.put(l)
		}
		time.Sleep(time.Minute - 1)
		assert.Equal(b, []int64{0, 0, 0, 0, 0}, c.counts(5))
		time.Sleep(time.Nanosecond)
		assert.Equal(b, []int64{0, 0, 1, 1, 1}, c.counts(5), "not what is lent")
		time.Sleep(time.Minute)
		assert.Equal(b, []int64{0, 0, 2, 2, 2}, c.counts(5))
		b.put(out[0])
		b.put(out[1])
		assert.EqualValues(b, 5, b.s.Stat().Idle)
	})
}

func TestKeepAliveSparesWhatIsUsed(t *testing.T) {
	for name, look := range map[string]func(*thing) Verdict{"with Look": func(*thing) Verdict { return Keep }, "without": nil} {
		t.Run(name, func(t *testing.T) {
			var c checking
			inBed(t, Config[*thing]{MaxOpen: 5, KeepAlive: true, Check: c.check, Look: look}, func(b *bed) {
				b.rest(1)
				for range 20 {
					time.Sleep(10 * time.Second)
					b.put(b.get().lease()) // over the shelf
				}
				assert.Equal(b, []int64{0}, c.counts(1))
				time.Sleep(2 * time.Minute)
				assert.Positive(b, c.counts(1)[0])
			})
		})
	}
}

func TestRule04ARoundOfChecksHasOneSlotAwayAtATime(t *testing.T) {
	c := checking{takes: 500 * time.Millisecond}
	inBed(t, Config[*thing]{MaxOpen: 10, KeepAlive: true, Check: c.check}, func(b *bed) {
		b.rest(4)
		time.Sleep(time.Minute)
		synctest.Wait()
		for range 20 {
			assert.Equal(b, []int{4, 3, 1}, []int{b.s.Stat().Open, b.s.Stat().Idle, b.s.Stat().Mending}, "one at a time")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		assert.Equal(b, []int64{1, 1, 1, 1}, c.counts(4))
		assert.EqualValues(b, 1, c.most.Load())
		time.Sleep(time.Minute - 2*time.Second)
		synctest.Wait()
		for range 5 { // a client finds all others
			for _, l := range b.leases(3) {
				b.put(l)
			}
		}
		assert.EqualValues(b, 4, b.dials.Load())
		assert.EqualValues(b, 1, c.now.Load())
		time.Sleep(2*time.Minute - 100*time.Millisecond)
		synctest.Wait()
		began := time.Now()
		var all []*pending
		for range 4 {
			all = append(all, b.get())
		}
		synctest.Wait()
		time.Sleep(500 * time.Millisecond)
		for _, w := range all {
			l := w.lease()
			assert.LessOrEqual(b, w.at.Sub(began), 500*time.Millisecond)
			b.put(l)
		}
		assert.EqualValues(b, 4, b.dials.Load(), "the one that is checked is waited for")
	})
}

// Nobody else would notice that a minimum has died at rest.
func TestRoundsLookAtAMinimumAndReplaceWhatIsDead(t *testing.T) {
	var dead atomic.Int64
	look := func(th *thing) Verdict {
		if th.id == dead.Load() {
			return Discard
		}
		return Keep
	}
	for name, cfg := range map[string]Config[*thing]{
		"MinOpen": {MaxOpen: 4, MinOpen: 2, Look: look},
		"MinIdle": {MaxOpen: 4, MinIdle: 2, Look: look},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, cfg, func(b *bed) {
				time.Sleep(150 * time.Second)
				dead.Store(2)
				time.Sleep(time.Minute)
				synctest.Wait()
				assert.EqualValues(b, []int64{2}, b.closed(), "within CheckPeriod")
				assert.Equal(b, 2, b.s.Stat().Idle)
				assert.EqualValues(b, 3, b.dials.Load())
			})
		})
	}
}

func TestRoundsLook(t *testing.T) {
	var looks atomic.Int64
	var dead atomic.Int64
	look := func(th *thing) Verdict {
		looks.Add(1)
		if th.id == dead.Load() {
			return Discard
		}
		return Keep
	}
	inBed(t, Config[*thing]{MaxOpen: 4, MaxRest: time.Hour, Look: look}, func(b *bed) {
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.Zero(b, looks.Load(), "nothing is open")
		for _, l := range b.leases(3) {
			b.put(l)
		}
		looks.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.EqualValues(b, 3, looks.Load())
		dead.Store(2)
		time.Sleep(time.Minute)
		assert.EqualValues(b, []int64{2}, b.closed(), "nobody had to come across it")
	})
}
