package actor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor/internal/line"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 19: gets that wait in vain, and gets that may not wait: GetTimeout, MaxWaiting,
// GetNoWait, and what their errors tell.

func TestRule19TheErrorOfAGetInVainTellsHowThingsStandWithoutTheSupervisor(t *testing.T) {
	cause := errors.New("the user pressed stop")
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		other := b.get()
		other.waits()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeoutCause(b.Context(), 3*time.Second, cause)
		defer cancel()
		late := b.getWith(ctx)
		late.waits()
		loop := b.holdLoop()
		<-late.done
		err := late.fails()
		loop.goes()
		var w *WaitError
		require.ErrorAs(b, err, &w)
		for _, is := range []error{context.DeadlineExceeded, cause, ErrExhausted} {
			assert.ErrorIs(b, err, is)
		}
		assert.NotErrorIs(b, err, ErrUnavailable)
		assert.Equal(b, Shortage{Limit: 2, Leased: 2, Waiting: 1}, w.Shortage)
		assert.Equal(b, 3*time.Second, w.Waited)
		assert.EqualError(b, err, "context deadline exceeded: the user pressed stop after 3s: pool exhausted (2 of 2 in use, 1 others waiting)")

		ctx, stop := context.WithCancel(b.Context())
		p := b.getWith(ctx)
		p.waits()
		stop()
		assert.ErrorIs(b, p.fails(), context.Canceled)
		assert.NotErrorIs(b, p.err, context.DeadlineExceeded)
		assert.EqualValues(b, 2, b.s.Stat().Cancelled)
		b.put(x)
		b.put(y)
		b.put(other.lease())
	})
}

func TestRule19WithTrackTheErrorNamesTheHolders(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		x := takeOne(b, labelled(b, "one"))
		time.Sleep(time.Second)
		y := takeOne(b, labelled(b, "two"))
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		_, err := b.s.Get(ctx)
		at := taker
		assert.EqualError(b, err, "context deadline exceeded after 1s: pool exhausted (2 of 2 in use, 0 others waiting, oldest lease 2s: "+
			"#1 for 2s by "+at+" (one), #2 for 1s by "+at+" (two))")
		_, err = b.s.TryGet(b.Context())
		assert.Equal(b, ErrExhausted, err)
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.ErrorContains(b, c, "2 leases revoked: #1 for 2s by "+at+" (one), #2 for 1s")
		assert.Error(b, x.Put())
		assert.Error(b, y.Put())
	})
}

// What ended the wait of a fill, and of a get while dials fail, is not that something is
// lent.
func TestRule19TheErrorOfAGetInVainNamesWhatItWaitedFor(t *testing.T) {
	var dials atomic.Int64
	oneHangs := func(ctx context.Context) (*thing, error) {
		if dials.Add(1) == 2 {
			<-ctx.Done()
		}
		return nil, ctx.Err()
	}
	t.Run("a fill", func(t *testing.T) {
		inBed(t, Config[*thing]{MaxOpen: 2, MinOpen: 2, Open: oneHangs}, func(b *bed) {
			ctx, cancel := context.WithTimeout(b.Context(), time.Second)
			defer cancel()
			err := b.s.Ready(ctx)
			assert.ErrorIs(b, err, context.DeadlineExceeded)
			assert.ErrorIs(b, err, ErrUnavailable)
			assert.NotErrorIs(b, err, ErrExhausted)
		})
	})
	for _, c := range []struct {
		name    string
		cfg     Config[*thing]
		opening func(context.Context, int64) error
		lent    int
		is      []error
	}{
		{"a dial that fails", Config[*thing]{MaxOpen: 2, BackoffMin: time.Hour, BackoffMax: time.Hour}, failing(0, 2), 1, []error{errServer, ErrUnavailable}},
		{"an outage", Config[*thing]{MaxOpen: 2, Outage: WaitForServer}, func(context.Context, int64) error { return errServer }, 0, []error{errServer, ErrUnavailable}},
		{"a server that is slow", Config[*thing]{MaxOpen: 2}, takes(time.Hour), 0, []error{ErrUnavailable}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBed(t, c.cfg, func(b *bed) {
				x := b.leases(c.lent)
				b.opening = c.opening
				ctx, cancel := context.WithTimeout(b.Context(), time.Second)
				defer cancel()
				_, err := b.s.Get(ctx)
				assert.ErrorIs(b, err, context.DeadlineExceeded)
				assert.NotErrorIs(b, err, ErrExhausted)
				for _, is := range c.is {
					assert.ErrorIs(b, err, is)
				}
				for _, l := range x {
					b.put(l)
				}
			})
		})
	}
}

func TestGetTimeoutIsTheGetsOwnAndExact(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, GetTimeout: time.Second}, func(b *bed) {
		x := b.leases(2)
		began := time.Now()
		a := b.get()
		time.Sleep(time.Second / 4)
		k := b.getWith(b.Context())
		time.Sleep(time.Second / 4)
		served := b.get()
		wakes := b.wakes(func() {
			time.Sleep(time.Second/2 - 1)
			a.waits()
			time.Sleep(time.Nanosecond)
			a.fails()
		})
		assert.Empty(b, wakes, "the supervisor hears nothing of it")
		err := a.fails()
		k.waits()
		assert.Equal(b, time.Second, a.at.Sub(began), "exactly on time")
		for _, is := range []error{ErrTimeout, context.DeadlineExceeded, ErrExhausted} {
			assert.ErrorIs(b, err, is)
		}
		var w *WaitError
		require.ErrorAs(b, err, &w)
		assert.Equal(b, ErrTimeout, w.Err)
		assert.Equal(b, []any{time.Second, 2, 2, 2}, []any{w.Waited, w.Limit, w.Leased, w.Waiting})
		assert.EqualError(b, err, "get timed out after 1s: pool exhausted (2 of 2 in use, 2 others waiting)")
		time.Sleep(time.Second / 4)
		assert.ErrorIs(b, k.fails(), ErrTimeout)
		assert.Equal(b, 1250*time.Millisecond, k.at.Sub(began))
		b.put(x[0])
		l := served.lease()
		time.Sleep(time.Hour) // a get that was served has all the time
		b.put(l)
		b.put(x[1])
		assert.EqualValues(b, 2, b.s.Stat().Cancelled)
	})
}

func TestGetTimeoutIsToldFromTheContexts(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, GetTimeout: time.Second}, func(b *bed) {
		x := b.get().lease()
		ctx, cancel := context.WithTimeout(b.Context(), time.Second/2)
		defer cancel()
		w := b.getWith(ctx)
		time.Sleep(time.Second / 2)
		err := w.fails()
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.NotErrorIs(b, err, ErrTimeout)
		b.put(x)
	})
	inBed(t, Config[*thing]{MaxOpen: 1, GetTimeout: time.Second, Outage: WaitForServer}, func(b *bed) {
		b.opening = func(context.Context, int64) error { return errServer }
		began := time.Now()
		_, err := b.s.Get(b.Context())
		assert.Equal(b, time.Second, time.Since(began))
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

func TestGetTimeoutCountsFromTheFirstWaitOfAGet(t *testing.T) {
	first := true
	cfg := Config[*thing]{MaxOpen: 1, GetTimeout: time.Second, Prepare: func(_ context.Context, th *thing, _ bool) (Verdict, error) {
		if th.id == 1 && !first {
			return Discard, nil
		}
		first = false
		return Keep, nil
	}}
	inBed(t, cfg, func(b *bed) {
		x := b.get().lease()
		began := time.Now()
		w := b.get()
		b.opening = takes(time.Hour)
		time.Sleep(time.Second / 2)
		b.put(x) // w has it, refuses it, and waits on
		<-w.done
		assert.ErrorIs(b, w.err, ErrTimeout)
		assert.Equal(b, time.Second, w.at.Sub(began))
	})
}

func TestMaxWaitingRefusesTheNewcomer(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxWaiting: 2}, func(b *bed) {
		x := b.get().lease()
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		assert.Empty(b, b.wakes(func() {
			for range 4 {
				assert.ErrorIs(b, b.get().fails(), ErrTooManyWaiting)
			}
		}), "the supervisor hears nothing of it")
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

func TestRule19TheErrorOfMaxWaitingTellsHowThingsStand(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxWaiting: 1}, func(b *bed) {
		x := b.leases(2)
		w := b.get()
		w.waits()
		err := b.get().fails()
		var e *TooManyWaitingError
		require.ErrorAs(b, err, &e)
		assert.Equal(b, Shortage{Limit: 2, Leased: 2, Waiting: 1}, e.Shortage)
		assert.EqualError(b, err, "too many gets are waiting (2 of 2 in use, 1 others waiting)")
		b.put(x[0])
		b.put(w.lease())
		b.put(x[1])
	})
}

func TestMaxWaitingDoesNotCountGetsForWhichResourcesAreComingOrWillBeOpened(t *testing.T) {
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

func TestMaxWaitingRefusesNobodyWhoHasBegunToWait(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3, MaxWaiting: 1}, func(b *bed) {
		x := b.get().lease()
		b.opening = failing(time.Millisecond, 2, 3)
		queue := []*pending{b.get(), b.get()}
		queue[1].waits()
		time.Sleep(time.Millisecond) // no dial is coming any more
		queue[0].waits()
		queue[1].waits()
		assert.ErrorIs(b, b.get().fails(), ErrTooManyWaiting)
		time.Sleep(time.Second)
		for _, w := range queue {
			b.put(w.lease())
		}
		b.put(x)
	})
}

func TestNoWaitWaitsForADialAndAClosingButNotForABorrower(t *testing.T) {
	closing := func(context.Context, *thing) error { time.Sleep(time.Millisecond); return nil }
	inBed(t, Config[*thing]{MaxOpen: 1, Close: closing}, func(b *bed) {
		b.opening = takes(3 * time.Second)
		w := b.getNow()
		w.waits()
		assert.ErrorIs(b, b.getNow().fails(), ErrExhausted, "the one that is coming is for the first")
		time.Sleep(2 * time.Second)
		w.waits() // also for one that takes long
		time.Sleep(time.Second)
		l := w.lease()
		assert.ErrorIs(b, b.getNow().fails(), ErrExhausted)
		b.discard(l)
		v := b.getNow()
		time.Sleep(3*time.Second + time.Millisecond)
		b.put(v.lease())
		b.put(b.getNow().lease())
	})
}

// A get that comes later takes the one that a GetNoWait counts on, in the moment in which
// that lies idle: nobody tells the supervisor, which looks again.
func TestGetNoWaitIsDismissedWhenAnotherGetTakesItsPlace(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.get().lease()
		take := b.stopAt(step(line.TakeIdle))
		w := b.getNow()
		take.holds()
		b.put(x)
		await := b.stopAt(step(line.LookAtEnd))
		take.goes()
		await.holds()
		y := b.get().lease()
		await.goes()
		time.Sleep(time.Second)
		assert.ErrorIs(b, w.fails(), ErrExhausted)
		b.put(y)
		b.put(b.getNow().lease())
	})
}

func TestRule19TheErrorOfAGetThatDoesNotWaitTellsHowThingsStand(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{"plain": {MaxOpen: 1}, "tracked": {MaxOpen: 1, Track: true}} {
		t.Run(name, func(t *testing.T) {
			inBed(t, cfg, func(b *bed) {
				x := takeOne(b, b.Context())
				_, err := b.s.GetNoWait(b.Context())
				var e *ExhaustedError
				require.ErrorAs(b, err, &e)
				assert.ErrorIs(b, err, ErrExhausted)
				assert.Equal(b, []int{1, 1, 0}, []int{e.Limit, e.Leased, e.Waiting})
				assert.ErrorContains(b, err, "pool exhausted (1 of 1 in use, 0 others waiting")
				if cfg.Track {
					require.Len(b, e.Leases, 1)
					assert.Equal(b, taker, e.Leases[0].Holder)
				}
				b.put(x)
			})
		})
	}
}

// With Track the error of a get that is refused names the holders, and each has its own
// copy.
func TestRule19WithTrackTheErrorOfMaxWaitingNamesTheHolders(t *testing.T) {
	cfg := tracked()
	cfg.MaxOpen, cfg.MaxWaiting = 1, 1
	inBed(t, cfg, func(b *bed) {
		x := takeOne(b, labelled(b, "orders"))
		w := b.get()
		w.waits()
		time.Sleep(time.Second)
		for range 2 {
			var e *TooManyWaitingError
			require.ErrorAs(b, b.get().fails(), &e)
			require.Len(b, e.Leases, 1)
			assert.Equal(b, []any{taker, "orders", time.Second}, []any{e.Leases[0].Holder, e.Leases[0].Label, e.Leases[0].AtLeast})
			e.Leases[0].Holder = "its own copy"
		}
		b.put(x)
		b.put(w.lease())
	})
}

// A reader of the board posts what it has read: never in the place of something newer.
func TestRule19NoReaderOfTheBoardLosesTheNewestStanding(t *testing.T) {
	const posts = 20_000
	b := newBoard()
	done := make(chan struct{})
	for range 4 {
		go func() {
			last := uint64(0)
			for last < posts {
				last = max(last, b.read().version) // it may be older than what another has in its hands
			}
			done <- struct{}{}
		}()
	}
	for v := range uint64(posts) {
		b.post(standing{version: v + 1})
	}
	for range 4 {
		<-done
	}
	assert.EqualValues(t, posts, b.read().version)
}

func TestRule19AReaderThatIsHeldWhileTheSupervisorPostsTwicePutsNothingOldBack(t *testing.T) {
	b := newBoard()
	old := <-b // a reader has it in its hands
	b.post(standing{version: 1})
	b.post(standing{version: 2})
	b.post(old)
	assert.EqualValues(t, 2, b.read().version)
	older := <-b
	b.post(standing{version: 3})
	b.post(older)
	assert.EqualValues(t, 3, b.read().version)
}

// Contexts end within nanoseconds of the puts that serve those who wait, before, after and
// at the same time: whatever wins, no resource and no answer is lost.
func TestScenario18Rule05ACancelAtTheMomentOfItsAnswerLosesNothing(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{"plain": {MaxOpen: 2}, "with cards": {MaxOpen: 2, MaxLease: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			inBed(t, cfg, func(b *bed) {
				served, cancelled := 0, 0
				for round := range 200 * len(around) {
					s, c := b.cancelRacesAnswer(around[round%len(around)])
					served, cancelled = served+s, cancelled+c
				}
				b.Logf("%d served, %d cancelled", served, cancelled)
				assert.Positive(b, served)
				assert.Positive(b, cancelled)
			})
		})
	}
}

// cancelRacesAnswer has two things put when the contexts of three who wait end, or that
// much later.
func (b *bed) cancelRacesAnswer(late time.Duration) (served, cancelled int) {
	out := b.leases(2)
	ctx, cancel := context.WithTimeout(b.Context(), time.Second)
	defer cancel()
	var queue []*pending
	for range 3 {
		queue = append(queue, b.getWith(ctx))
	}
	queue[2].waits()
	for _, l := range out {
		in(func() {
			time.Sleep(time.Second + late)
			assert.NoError(b, l.Put())
		})
	}
	for _, w := range queue {
		if <-w.done; w.err != nil {
			assert.ErrorIs(b, w.err, context.DeadlineExceeded)
			cancelled++
			continue
		}
		served++
		in(func() { assert.NoError(b, w.l.Put()) })
	}
	time.Sleep(time.Second)
	synctest.Wait()
	st := b.s.Stat()
	require.Equal(b, []int{2, 0, 0}, []int{st.Idle, st.Leased, st.Waiting}, "late by %v: %+v", late, st)
	require.EqualValues(b, 2, st.Opened)
	return served, cancelled
}
