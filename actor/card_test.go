package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor/internal/line"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 12 and 13: cards. In a bubble every tracked lease must be put: the collector would
// tell of it from outside.

func TestRule13MaxLeaseKillsTheResourceAndFreesItsPlace(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Minute}, func(b *bed) {
		began := time.Now()
		x := b.get().lease()
		time.Sleep(time.Second)
		w := b.get()
		time.Sleep(59*time.Second - 1)
		w.waits()
		time.Sleep(time.Nanosecond)
		y := w.lease()
		assert.EqualValues(b, []int64{1, 0}, []int64{b.thing(1).kills.Load(), b.thing(1).closes.Load()})
		assert.EqualValues(b, 2, y.Value().id)
		assert.ErrorIs(b, x.Revoked(), ErrRevoked)
		assert.NoError(b, y.Revoked())
		err := x.Put()
		assert.Equal(b, &RevokedError{Reason: ReasonHeld, Held: time.Minute, Limit: time.Minute, At: began.Add(time.Minute)}, err)
		assert.ErrorIs(b, err, ErrRevoked)
		assert.NotErrorIs(b, err, ErrClosed)
		assert.EqualError(b, err, "connection revoked: held longer than MaxLeaseTime (1m0s)")
		assert.Equal(b, ErrNotLeased, x.Put())
		b.put(y)
		assert.EqualValues(b, 1, b.s.Stat().Revoked)
	})
}

func TestRule12LeasesWithCardsPassTheSupervisorByAndTheGateStaysOpen(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{
		"Track": {MaxOpen: 2, Track: true}, "MaxLease": {MaxOpen: 2, MaxLease: time.Hour}, "both": {MaxOpen: 2, Track: true, MaxLease: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, cfg, func(b *bed) {
				b.rest(2)
				kept := b.get().lease()
				assert.False(b, b.shut())
				wakes := b.wakes(func() {
					for range 100 {
						b.put(b.get().lease())
						time.Sleep(time.Millisecond)
					}
				})
				assert.Empty(b, wakes)
				b.put(kept)
			})
		})
	}
}

func TestRule12WithNothingLentTheSupervisorSleepsAndTheFirstGetStartsMaxLease(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Minute}, func(b *bed) {
		b.put(b.get().lease())
		time.Sleep(2 * time.Minute) // it has looked for what the first get had
		assert.Empty(b, b.wakes(func() { time.Sleep(time.Hour) }), "nothing is lent")
		for range 3 {
			assert.Len(b, b.wakes(func() { b.put(b.get().lease()) }), 1, "one get tells")
			assert.Empty(b, b.wakes(func() { b.put(b.get().lease()) }), "the next does not")
			assert.Equal(b, []time.Duration{time.Minute}, b.wakes(func() { time.Sleep(time.Hour) }), "one look, and it sleeps")
		}
		x := b.get().lease()
		time.Sleep(59 * time.Second)
		y := b.get().lease()
		time.Sleep(time.Second)
		synctest.Wait()
		assert.ErrorIs(b, x.Put(), ErrRevoked)
		time.Sleep(59*time.Second - 1)
		synctest.Wait()
		assert.NoError(b, y.Revoked())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.ErrorIs(b, y.Put(), ErrRevoked, "exactly on time")
	})
}

// around are the moments around one.
var around = []time.Duration{-2, -1, 0, 1, 2}

// What ends a lease and its put come at the same virtual instant, or a nanosecond apart:
// one of them wins, and the put knows which.
func TestScenario41Rule12APutAndMaxLeaseHaveExactlyOneWinner(t *testing.T) {
	const rounds = 2000
	won := map[string]int{}
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Second}, func(b *bed) {
		for round := range rounds {
			late := around[round%len(around)]
			if round%2 == 0 {
				late = 0
			}
			l, id := b.get().lease(), b.opens.Load()
			require.EqualValues(b, id, l.Value().id)
			killsBefore, th := b.s.Stat().Revoked, l.Value()
			var err error
			put := in(func() {
				time.Sleep(time.Second + late)
				err = l.Put()
			})
			time.Sleep(2 * time.Second)
			<-put
			require.Equal(b, ErrNotLeased, l.Put(), "whichever has won")
			revoked := b.s.Stat().Revoked - killsBefore
			if err == nil {
				won["the put"]++
				require.EqualValues(b, []any{uint64(0), int64(0)}, []any{revoked, th.kills.Load()})
				require.LessOrEqual(b, late, time.Duration(0))
				b.discard(b.get().lease()) // the next round has a new one
			} else {
				won["MaxLease"]++
				require.ErrorIs(b, err, ErrRevoked)
				require.EqualValues(b, []any{uint64(1), int64(1)}, []any{revoked, th.kills.Load()})
				require.GreaterOrEqual(b, late, time.Duration(0))
			}
			b.counts(0, 0, 0)
		}
	})
	t.Logf("%v", won)
	assert.Len(t, won, 2, "each wins at times")
}

func TestScenario41Rule12APutAndCloseAllHaveExactlyOneWinner(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{"plain": {MaxOpen: 1}, "with a card": {MaxOpen: 1, MaxLease: time.Hour}} {
		won := map[string]int{}
		for round := range 200 * len(around) {
			inBed(t, cfg, func(b *bed) { won[b.closeAllRacesPut(around[round%len(around)])]++ })
		}
		t.Logf("%s: %v", name, won)
		assert.Len(t, won, 2, "each wins at times")
	}
}

// closeAllRacesPut puts a lease when CloseAll's time is over, or that much later, and
// returns the winner.
func (b *bed) closeAllRacesPut(late time.Duration) string {
	l := b.get().lease()
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
	assert.Equal(b, ErrNotLeased, l.Put(), "whichever has won")
	if closed == nil {
		assert.NoError(b, put)
		assert.Equal(b, "closed 1, killed 0", ended)
		return "the put"
	}
	var left *CloseError
	require.True(b, errors.As(closed, &left), "%v", closed)
	assert.Len(b, left.Leases, 1)
	if put != nil { // a put that is on its way to the supervisor does not wait to hear that it is too late
		assert.ErrorIs(b, put, ErrRevoked)
		assert.ErrorIs(b, put, ErrClosed)
	}
	assert.Equal(b, "closed 0, killed 1", ended)
	return "CloseAll"
}

// A put between the card and the line belongs to the put: it has won.
func TestRule12APutThatHasLiftedItsCardIsNotRevokedByMaxLease(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Second}, func(b *bed) {
		x := b.get().lease()
		w := b.get()
		w.waits()
		time.Sleep(time.Second - 1)
		claim := b.stopAt(step(line.LookAtGate)) // it looks at the gate after it has lifted the card
		put := in(func() { assert.NoError(b, x.Put()) })
		claim.holds()
		time.Sleep(time.Second)
		claim.goes()
		<-put
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.Zero(b, b.s.Stat().Revoked)
		b.put(w.l)
	})
}

// The supervisor has the card of a lease in its hands: the put waits until it is back.
func TestRule12APutWaitsWhileTheSupervisorReadsTheCard(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		err   error
	}{"to look": {0, nil}, "to revoke": {time.Second, ErrRevoked}} {
		t.Run(name, func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Second}, func(b *bed) {
				x := b.get().lease()
				back := b.stopAt(atPoint(beforePuttingCard))
				if c.after == 0 {
					in(func() { b.s.Leases() })
				}
				time.Sleep(c.after)
				back.holds()
				var err error
				put := in(func() { err = x.Put() })
				synctest.Wait()
				assert.False(b, isClosed(put))
				back.goes()
				<-put
				assert.ErrorIs(b, err, c.err)
			})
		})
	}
}

func TestRule13ALeaseRevokedByMaxLeaseCannotBeTaken(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Second}, func(b *bed) {
		x := b.get().lease()
		time.Sleep(time.Second)
		synctest.Wait()
		_, err := x.Take()
		assert.ErrorIs(b, err, ErrRevoked)
		assert.Equal(b, ErrNotLeased, x.Put())
		assert.Zero(b, b.s.Stat().Taken)
	})
}

func TestMaxLeaseLetsPauseAndCloseAllEnd(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Minute}, func(b *bed) {
		x := b.get().lease()
		began := time.Now()
		require.NoError(b, b.s.Pause(b.Context()))
		assert.Equal(b, time.Minute, time.Since(began))
		require.NoError(b, b.s.Resume())
		y := b.get().lease()
		require.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, 2*time.Minute, time.Since(began))
		assert.ErrorIs(b, x.Put(), ErrRevoked)
		assert.ErrorIs(b, y.Put(), ErrRevoked)
	})
}

// The time of a resource is over as its holder puts it: it is lent no more, and closed
// once.
func TestScenario41WhatExpiresAsItIsPutIsClosedOnce(t *testing.T) {
	for _, late := range around {
		inBed(t, Config[*thing]{MaxOpen: 1, MaxAge: time.Hour}, func(b *bed) {
			l := b.get().lease()
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
		})
	}
}

// Track.

// tracked is a Config with labels.
func tracked() Config[*thing] {
	return Config[*thing]{MaxOpen: 2, Track: true, Label: func(ctx context.Context) string {
		label, _ := ctx.Value(nameKey{}).(string)
		return label
	}}
}

func labelled(b *bed, label string) context.Context {
	return context.WithValue(b.Context(), nameKey{}, label)
}

// taker is how takeOne is named.
var taker string

func takeOne(b *bed, ctx context.Context) *Lease[*thing] {
	_, _, at, _ := runtime.Caller(0)
	l, err := b.s.Get(ctx)
	taker = fmt.Sprintf("github.com/pgactor/pgactor/actor.takeOne card_test.go:%d", at+1)
	require.NoError(b, err)
	return l
}

func TestTrackNamesTheHolder(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		x := takeOne(b, labelled(b, "report"))
		time.Sleep(time.Second)
		assert.Equal(b, []LeaseInfo{{ID: 1, Holders: 1, AtLeast: time.Second, Holder: taker, Label: "report"}}, b.s.Leases())
		require.NoError(b, b.s.Reset())
		l := b.s.Leases()[0]
		assert.True(b, l.Recalled)
		assert.Equal(b, "#1 for 1s by "+taker+" (report)", l.String())
		b.put(x)
		assert.Empty(b, b.s.Leases())
		y := takeOne(b, b.Context())
		assert.Equal(b, "#2 by "+taker, b.s.Leases()[0].String())
		z, err := b.s.TryGet(b.Context())
		assert.ErrorIs(b, err, ErrExhausted)
		assert.Nil(b, z)
		b.put(y)
	})
}

func TestAWaiterHasItsOwnNameAndTimeOnTheCard(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		x := b.leases(2)
		w := b.getWith(labelled(b, "waited"))
		time.Sleep(time.Second)
		b.put(x[0])
		time.Sleep(time.Second)
		var found bool
		for _, l := range b.s.Leases() {
			if l.Label == "waited" {
				found = true
				assert.Equal(b, time.Second, l.AtLeast, "since it was served")
			}
		}
		assert.True(b, found)
		b.put(w.lease())
		b.put(x[1])
	})
}

func TestCompleteAddsWhatALayerAboveKnows(t *testing.T) {
	cfg := tracked()
	cfg.Complete = func(leases []LeaseInfo) {
		for i := range leases {
			leases[i].Key, leases[i].Doing = "k", "a statement"
		}
	}
	inBed(t, cfg, func(b *bed) {
		x := takeOne(b, b.Context())
		assert.Equal(b, []LeaseInfo{{ID: 1, Holders: 1, Holder: taker, Key: "k", Doing: "a statement"}}, b.s.Leases())
		b.put(x)
	})
}

func TestTrackSkipsWrappers(t *testing.T) {
	o := &Origin{wrappers: []string{"example.com/a.b/wrap"}}
	for function, want := range map[string]string{
		"main.main":                             "main",
		"example.com/a.b/wrap.Get":              "example.com/a.b/wrap",
		"example.com/a.b/wrap%2ego.(*Pool).Get": "example.com/a.b/wrap.go",
		"github.com/pgactor/pgactor/actor.(*Supervisor[...]).Get": ownPackage,
	} {
		assert.Equal(t, want, packageOf(function))
	}
	for _, c := range []struct {
		function, file string
		wraps          bool
	}{
		{"example.com/a.b/wrap.Get", "get.go", true},
		{"example.com/a.b/wrap.Get", "get_test.go", false},
		{"example.com/a.b/wrap_test.Get", "get.go", false},
		{"example.com/a.b/wrap/deeper.Get", "get.go", false},
		{ownPackage + ".(*Supervisor[...]).Get", "get.go", true},
		{ownPackage + "/keyed.(*Table[...]).Get", "get.go", true},
		{"main.main", "main.go", false},
	} {
		assert.Equal(t, c.wraps, o.wraps(runtime.Frame{Function: c.function, File: c.file}), c.function)
	}
}

func TestRule11ALabelThatPanicsCostsTheGetAndNotThePlace(t *testing.T) {
	cfg := tracked()
	fail := true
	label := cfg.Label
	cfg.MaxOpen, cfg.Label = 1, func(ctx context.Context) string {
		if fail {
			panic("no label")
		}
		return label(ctx)
	}
	inBed(t, cfg, func(b *bed) {
		assert.Equal(b, "no label", borrower(func() { _, _ = b.s.Get(b.Context()) }))
		fail = false
		b.put(b.get().lease())
		b.counts(1, 0, 1)
	})
}

// A put, and the end of the context for which it came, at the same moment.
func TestRule05TrackedGetsThatGiveUpLoseNothing(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		ctx, cancel := context.WithCancelCause(b.Context())
		queue := []*pending{b.getWith(ctx), b.getWith(ctx)}
		queue[1].waits()
		loop := b.holdLoop()
		go x.Put()
		go y.Put()
		cancel(errors.New("gone"))
		synctest.Wait()
		loop.goes()
		for _, p := range queue {
			synctest.Wait()
			if p.err == nil {
				b.put(p.l)
			}
		}
		assert.Empty(b, b.s.Leases())
		b.counts(2, 0, 2)
	})
}

// Leaks, in real time: the collector tells from outside any bubble.

func leaky(t *testing.T) *Supervisor[*thing] {
	s, err := Start(t.Context(), Config[*thing]{
		MaxOpen: 3, Track: true,
		Open:  func(context.Context) (*thing, error) { return &thing{}, nil },
		Close: func(context.Context, *thing) error { return nil },
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.CloseAll(ctx)
	})
	return s
}

// collects runs the collector until so many leases have leaked.
func collects(t *testing.T, s *Supervisor[*thing], leaks uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		return s.Stat().Leaked >= leaks
	}, 10*time.Second, time.Millisecond)
	assert.Equal(t, leaks, s.Stat().Leaked)
}

func drop(t *testing.T, s *Supervisor[*thing]) {
	_, err := s.Get(t.Context())
	require.NoError(t, err)
}

func TestALeaseThatIsCollectedWithoutAPutCountsAsLeakedAndKeepsItsPlace(t *testing.T) {
	s := leaky(t)
	drop(t, s)
	collects(t, s, 1)
	l := s.Leases()[0]
	assert.True(t, l.Leaked)
	assert.Contains(t, l.String(), "actor.drop card_test.go:")
	assert.Contains(t, l.String(), ", leaked")
	assert.Equal(t, 1, s.Stat().Leased, "the borrower may have kept the resource")
}

func TestALeakThatALayerAboveTellsOfCounts(t *testing.T) {
	told := make(chan Event, 10)
	inBed(t, Config[*thing]{MaxOpen: 1, OnEvent: func(e Event) { told <- e }}, func(b *bed) {
		told = make(chan Event, 10)
		b.s.NoteLeak(7, Holder{Holder: "main.main", For: time.Second})
		synctest.Wait()
		assert.EqualValues(b, 1, b.s.Stat().Leaked)
		assert.Equal(b, "leaked #7 for 1s by main.main, leaked", (<-told).String())
		require.NoError(b, b.s.CloseAll(b.Context()))
	})
}

func TestALeaseThatIsPutDiscardedTakenOrKilledIsNoLeak(t *testing.T) {
	s := leaky(t)
	for range 100 {
		for _, end := range []func(l *Lease[*thing]) error{
			(*Lease[*thing]).Put, (*Lease[*thing]).Discard,
			func(l *Lease[*thing]) error { _, err := l.Take(); return err },
			func(l *Lease[*thing]) error { return l.Kill(ReasonUsed) },
		} {
			l, err := s.Get(t.Context())
			require.NoError(t, err)
			require.NoError(t, end(l))
		}
	}
	for range 20 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	assert.Zero(t, s.Stat().Leaked)
}

func TestALeaseThatWasRevokedIsNoLeak(t *testing.T) {
	s, err := Start(t.Context(), Config[*thing]{
		MaxOpen: 1, Track: true, MaxLease: time.Millisecond,
		Open:  func(context.Context) (*thing, error) { return &thing{}, nil },
		Close: func(context.Context, *thing) error { return nil },
	})
	require.NoError(t, err)
	l, err := s.Get(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.Stat().Revoked == 1 }, 10*time.Second, time.Millisecond)
	runtime.KeepAlive(l)
	l = nil
	_ = l
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	assert.Zero(t, s.Stat().Leaked)
	require.NoError(t, s.CloseAll(t.Context()))
}
