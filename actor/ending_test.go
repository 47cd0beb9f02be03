package actor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// CloseAll. Every bed also ends with one, and with an audit.

func TestCloseAllWaitsForBorrowers(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		b.put(x)
		done := in(func() { assert.NoError(b, b.s.CloseAll(b.Context())) })
		synctest.Wait()
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "idle ones are closed now")
		assert.False(b, isClosed(done))
		time.Sleep(time.Hour)
		assert.EqualValues(b, 0, b.thing(2).closes.Load(), "rule 2: closed while lent")
		assert.NoError(b, y.Put())
		<-done
		assert.EqualValues(b, 1, b.thing(2).closes.Load())
	})
}

func TestCloseAllRevokesWhatIsLentWhenItsContextEnds(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{"plain": {MaxOpen: 4}, "with cards": {MaxOpen: 4, MaxLease: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			held := map[bool]time.Duration{true: time.Second}[cfg.carded()] // known from the card
			inBed(t, cfg, func(b *bed) {
				cause := errors.New("shutdown takes too long")
				x, y, idle := b.get().lease(), b.get().lease(), b.get().lease()
				b.put(idle)
				ctx, cancel := context.WithTimeoutCause(b.Context(), time.Second, cause)
				defer cancel()
				began := time.Now()
				err := b.s.CloseAll(ctx)
				assert.Equal(b, time.Second, time.Since(began))
				var c *CloseError
				require.ErrorAs(b, err, &c)
				assert.ErrorIs(b, err, cause)
				assert.Empty(b, c.Hooks)
				assert.ElementsMatch(b, []LeaseInfo{
					{ID: 1, Holders: 1, AtLeast: held, Recalled: true}, {ID: 2, Holders: 1, AtLeast: held, Recalled: true},
				}, c.Leases)
				for id, want := range [][]int64{{1, 0}, {1, 0}, {0, 1}} {
					th := b.thing(int64(id) + 1)
					assert.Equal(b, want, []int64{th.kills.Load(), th.closes.Load()})
				}
				st := b.s.Stat()
				assert.EqualValues(b, []uint64{3, 1, 2}, []uint64{st.Opened, st.Closed, st.Revoked})
				assert.ErrorIs(b, x.Revoked(), ErrRevoked)
				err = x.Put()
				assert.ErrorIs(b, err, ErrClosed, "a late put returns")
				assert.Equal(b, &RevokedError{Reason: ReasonClosing, Held: held, At: began.Add(time.Second)}, err)
				assert.EqualError(b, err, map[bool]string{true: "connection revoked after 1s: pool closing", false: "connection revoked: pool closing"}[cfg.carded()])
				assert.Equal(b, ErrNotLeased, x.Put())
				assert.ErrorIs(b, y.Discard(), ErrRevoked)
			})
		})
	}
}

func TestCloseAllWithAnEndedContext(t *testing.T) {
	var closeErr error
	closing := func(ctx context.Context, _ *thing) error { closeErr = ctx.Err(); return nil }
	inBed(t, Config[*thing]{MaxOpen: 3, Close: closing}, func(b *bed) {
		idle, lent := b.get().lease(), b.get().lease()
		b.put(idle)
		began := time.Now()
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.Zero(b, time.Since(began))
		assert.ErrorIs(b, c, context.Canceled)
		assert.NoError(b, closeErr, "a Close that begins gets its time")
		assert.ErrorIs(b, lent.Put(), ErrRevoked)
	})
}

func TestCloseAllWithNothingLeftBehindIsNoError(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.put(b.get().lease())
		assert.NoError(b, b.s.CloseAll(b.ended()))
	})
}

func TestCloseAllTwice(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		l := b.get().lease()
		var first, second error
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		one := in(func() { first = b.s.CloseAll(b.Context()) })
		synctest.Wait()
		two := in(func() { second = b.s.CloseAll(ctx) }) // its time counts for both
		<-one
		<-two
		var c *CloseError
		require.ErrorAs(b, first, &c)
		assert.Equal(b, first, second, "a concurrent one shares the result")
		assert.ErrorIs(b, c, context.DeadlineExceeded)
		assert.Equal(b, ErrClosed, b.s.CloseAll(b.Context()))
		assert.Equal(b, ErrClosed, b.s.CloseAll(b.ended()))
		assert.ErrorIs(b, l.Put(), ErrClosed)
	})
}

func TestCloseAllCancelsOpens(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.opening = takes(time.Hour)
		w := b.get()
		w.waits()
		began := time.Now()
		assert.NoError(b, b.s.CloseAll(b.Context()))
		assert.Zero(b, time.Since(began))
		assert.Equal(b, ErrClosed, w.fails())
	})
}

func TestCloseAllNamesAnOpenThatIgnoresItsContext(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.opening = func(context.Context, int64) error { time.Sleep(time.Hour); return nil }
		w := b.get()
		w.waits()
		began := time.Now()
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.Context()), &c)
		assert.Equal(b, 250*time.Millisecond, time.Since(began), "CloseGrace")
		assert.Equal(b, []string{"Open"}, c.Hooks)
		assert.Equal(b, ErrClosed, w.fails())
		assert.Equal(b, ErrClosed, b.s.CloseAll(b.Context()))
		assert.Equal(b, ErrClosed, b.get().fails())
		assert.Zero(b, b.s.Stat().Open)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.True(b, isClosed(b.s.closed), "the supervisor ends when the last helper has reported")
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "rule 2: somebody closes what came late")
	})
}

func TestCloseAllNamesHooksThatHang(t *testing.T) {
	hang := func(context.Context, *thing) error { time.Sleep(time.Hour); return nil }
	cfg := Config[*thing]{
		MaxOpen: 4, Clean: hang, Close: hang, Kill: func(*thing) { time.Sleep(time.Hour) },
		Judge: func(th *thing) Verdict { return map[int64]Verdict{1: Clean}[th.id] },
	}
	inBed(t, cfg, func(b *bed) {
		cleaned, closed, lent := b.get().lease(), b.get().lease(), b.get().lease()
		b.put(cleaned)
		b.discard(closed)
		ctx, cancel := context.WithTimeout(b.Context(), time.Millisecond)
		defer cancel()
		began := time.Now()
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(ctx), &c)
		assert.Equal(b, 251*time.Millisecond, time.Since(began), "the context and the grace")
		assert.ElementsMatch(b, []string{"Clean", "Close", "Kill"}, c.Hooks)
		assert.Len(b, c.Leases, 1)
		assert.ErrorIs(b, lent.Put(), ErrRevoked, "a late put returns")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		assert.True(b, isClosed(b.s.closed))
		assert.EqualValues(b, []int64{0, 1}, []int64{b.thing(3).closes.Load(), b.thing(3).kills.Load()}, "revoked")
	})
}

func TestCloseAllReturnsAtTheEndOfTheGrace(t *testing.T) {
	cfg := Config[*thing]{
		MaxOpen: 1, Judge: func(*thing) Verdict { return Clean },
		Clean: func(ctx context.Context, _ *thing) error {
			<-ctx.Done()
			time.Sleep(200 * time.Millisecond)
			return ctx.Err()
		},
		Close: func(context.Context, *thing) error { time.Sleep(time.Hour); return nil }, // begins late
	}
	inBed(t, cfg, func(b *bed) {
		b.put(b.get().lease())
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		began := time.Now()
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(ctx), &c)
		assert.Equal(b, 1250*time.Millisecond, time.Since(began))
		assert.Equal(b, []string{"Close"}, c.Hooks)
		time.Sleep(time.Hour)
	})
}

func TestCloseAllWhileTheFirstFillGoesOn(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3, MinOpen: 3}, func(b *bed) {
		assert.NoError(b, b.s.CloseAll(b.Context()))
	})
}

func TestCloseAllWaitsForACleanUnderWay(t *testing.T) {
	clean := func(context.Context, *thing) error { time.Sleep(time.Second); return nil }
	inBed(t, Config[*thing]{MaxOpen: 1, Clean: clean, Judge: func(*thing) Verdict { return Clean }}, func(b *bed) {
		b.put(b.get().lease())
		began := time.Now()
		assert.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, time.Second, time.Since(began))
	})
}

func TestStartedAndClosed(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		assert.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, Stat{Limit: 1}, b.s.Stat())
		assert.Zero(b, b.dials.Load())
	})
}
