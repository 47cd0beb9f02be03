package actor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 9 and 10: epochs, and refusal in an outage.

func TestRule09DialsThatFailTogetherCountOnce(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10, Outage: WaitForServer, BackoffMin: time.Second, BackoffMax: time.Hour}, func(b *bed) {
		b.opening = failing(time.Millisecond, 1, 2, 3, 4, 5, 6, 7, 8)
		var all []*pending
		for range 8 {
			all = append(all, b.get())
		}
		synctest.Wait()
		assert.EqualValues(b, 8, b.dials.Load())
		time.Sleep(time.Millisecond)
		all[0].waits()
		st := b.s.Stat()
		assert.Equal(b, 1, st.Failures)
		assert.EqualValues(b, 8, st.DialsFailed)
		assert.Equal(b, errServer, st.LastError)
		time.Sleep(time.Second) // the backoff of one failure, whatever the jitter
		for _, w := range all {
			b.put(w.lease())
		}
		assert.Zero(b, b.s.Stat().Failures)
		assert.NoError(b, b.s.Stat().LastError)
	})
}

func TestRule09FailureFromBeforeTheRecoveryIsNotCounted(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10, Outage: WaitForServer}, func(b *bed) {
		b.opening = func(ctx context.Context, n int64) error {
			switch n {
			case 1:
				time.Sleep(900 * time.Millisecond)
				return errServer
			case 2:
				return errServer
			}
			return nil
		}
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		assert.Equal(b, 1, b.s.Stat().Failures)
		time.Sleep(10 * time.Millisecond) // the probe
		b.put(first.lease())
		b.put(second.lease())
		assert.Zero(b, b.s.Stat().Failures)
		time.Sleep(890 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(b, 2, b.s.Stat().DialsFailed)
		assert.Zero(b, b.s.Stat().Failures, "it began before the recovery")
	})
}

func TestRule09HungProbeThatFailsAfterTheRecoveryIsNotCounted(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 10, Outage: WaitForServer}, func(b *bed) {
		b.opening = func(_ context.Context, n int64) error {
			switch n {
			case 2:
				time.Sleep(10 * time.Second)
				fallthrough
			case 1:
				return errServer
			}
			return nil
		}
		l, err := b.s.Get(b.Context())
		require.NoError(b, err)
		b.put(l)
		assert.EqualValues(b, 3, b.dials.Load(), "a failure, a probe that hangs, and another one")
		assert.Zero(b, b.s.Stat().Failures)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.EqualValues(b, 2, b.s.Stat().DialsFailed)
		assert.Zero(b, b.s.Stat().Failures, "it began before the recovery")
	})
}

func TestRule09DialBegunBeforeResetIsClosedOnArrival(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.opening = func(_ context.Context, n int64) error {
			if n == 1 {
				time.Sleep(500 * time.Millisecond) // its cancel is ignored
			}
			return nil
		}
		w := b.get()
		w.waits()
		require.NoError(b, b.s.Reset())
		time.Sleep(500 * time.Millisecond)
		assert.EqualValues(b, 2, w.lease().Value().id, "rule 3")
		assert.EqualValues(b, 1, b.thing(1).closes.Load())
		assert.EqualValues(b, 1, b.mostLive.Load(), "rule 1")
		b.put(w.l)
	})
}

func TestRule09ResetCancelsDialsAndEndsTheOutage(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, Outage: WaitForServer, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
		b.opening = func(ctx context.Context, n int64) error {
			switch n {
			case 1:
				return errServer
			case 2:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		w := b.get()
		w.waits()
		assert.Equal(b, 1, b.s.Stat().Failures)
		require.NoError(b, b.s.Reset()) // no backoff any more: dial 2
		w.waits()
		assert.EqualValues(b, 2, b.dials.Load())
		require.NoError(b, b.s.Reset()) // ends dial 2, whose failure is no news
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.Zero(b, b.s.Stat().Failures)
		b.put(w.l)
	})
}

func TestRule09BackoffDoublesWithFullJitter(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, Outage: WaitForServer}, func(b *bed) {
		var at []time.Time
		b.opening = func(context.Context, int64) error {
			at = append(at, time.Now())
			return errServer
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		_, err := b.s.Get(ctx)
		require.ErrorIs(b, err, errServer)
		most, longest := 10*time.Millisecond, time.Duration(0)
		for i := 1; i < len(at); i++ {
			pause := at[i].Sub(at[i-1])
			require.Positive(b, pause)
			require.LessOrEqual(b, pause, most, "pause %d", i)
			most = min(2*most, 200*time.Millisecond)
			longest = max(longest, pause)
		}
		assert.Greater(b, len(at), 300, "a minute of pauses of 200 ms at most")
		assert.Greater(b, longest, 150*time.Millisecond)
	})
}

func TestRule10FailFastRefusesUntilTheBackoffIsOver(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 5, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
		b.opening = failing(time.Millisecond, 1, 2)
		first, second := b.get(), b.get()
		time.Sleep(time.Millisecond)
		for _, err := range []error{first.fails(), second.fails()} {
			assert.ErrorIs(b, err, ErrUnavailable)
			assert.ErrorIs(b, err, errServer)
		}
		for _, w := range []*pending{b.get(), b.get()} {
			assert.ErrorIs(b, w.fails(), errServer, "a newcomer")
		}
		assert.EqualValues(b, 2, b.dials.Load(), "newcomers cost no dial")
		time.Sleep(time.Hour)
		b.put(b.get().lease())
	})
}

func TestRule10OneProbeAndTheFirstGetsItsResult(t *testing.T) {
	for _, heals := range []bool{true, false} {
		inBed(t, Config[*thing]{MaxOpen: 5, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
			b.opening = func(_ context.Context, n int64) error {
				if n == 1 {
					return errServer
				}
				time.Sleep(100 * time.Millisecond)
				if !heals {
					return context.DeadlineExceeded
				}
				return nil
			}
			b.get().fails()
			time.Sleep(time.Hour)
			first := b.get()
			first.waits()
			second, third := b.get(), b.get()
			third.waits()
			assert.EqualValues(b, 2, b.dials.Load(), "one probe")
			time.Sleep(100 * time.Millisecond)
			if !heals {
				for _, w := range []*pending{first, second, third} {
					err := w.fails()
					assert.ErrorIs(b, err, context.DeadlineExceeded)
					assert.NotErrorIs(b, err, errServer, "no error older than the backoff")
				}
				assert.EqualValues(b, 2, b.dials.Load())
				return
			}
			assert.EqualValues(b, 1, first.lease().Value().id)
			second.waits()
			assert.EqualValues(b, 4, b.dials.Load(), "after the recovery everybody is dialed for")
			time.Sleep(100 * time.Millisecond)
			b.put(first.l)
			b.put(second.lease())
			b.put(third.lease())
		})
	}
}

func TestRule10RefusalIsACondition(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		b.opening = failing(0, 3)
		w := b.get()
		w.waits() // something is open: it may come back
		assert.Equal(b, 1, b.s.Stat().Failures)
		b.discard(x)
		w.waits()
		b.discard(y) // nothing is left, and nothing failed just now
		assert.ErrorIs(b, w.fails(), errServer)
	})
}

func TestRule10WithNoWaitAGetIsRefusedThoughSomethingIsLent(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
		x := b.getNow().lease()
		b.opening = failing(time.Second, 2)
		w := b.getNow()
		w.waits()
		time.Sleep(time.Second)
		err := w.fails()
		assert.ErrorIs(b, err, ErrUnavailable)
		assert.ErrorIs(b, err, errServer)
		assert.ErrorIs(b, b.getNow().fails(), errServer, "a newcomer")
		b.put(x)
		b.put(b.getNow().lease())
	})
}

func TestRule10TryGetInAnOutageTellsOfIt(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
		b.opening = failing(0, 1)
		b.get().fails()
		_, err := b.s.TryGet(b.Context())
		assert.ErrorIs(b, err, ErrUnavailable)
		assert.ErrorIs(b, err, errServer)
	})
}

func TestRule10NobodyIsRefusedWhileSomethingIsComing(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(b *bed) {
		b.opening = func(ctx context.Context, n int64) error {
			err := takes(time.Duration(n)*250*time.Millisecond)(ctx, n)
			if n == 1 {
				return errServer
			}
			return err
		}
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		time.Sleep(250 * time.Millisecond)
		second.waits()
		assert.Equal(b, 1, b.s.Stat().Failures)
		time.Sleep(250 * time.Millisecond)
		l := first.lease()
		second.waits()
		b.put(l)
		b.put(second.lease())
	})
}

func TestRule10WaitForServerKeepsWaiters(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, Outage: WaitForServer}, func(b *bed) {
		b.opening = func(_ context.Context, n int64) error {
			if n < 20 {
				return errServer
			}
			return nil
		}
		l, err := b.s.Get(b.Context())
		require.NoError(b, err)
		assert.EqualValues(b, 20, b.dials.Load())
		b.put(l)
	})
}

func TestRule10PermanentFailureRefusesUnderBoth(t *testing.T) {
	for _, policy := range []OutagePolicy{FailFast, WaitForServer} {
		permanent := func(err error) bool { return err == errServer }
		inBed(t, Config[*thing]{MaxOpen: 1, Outage: policy, Permanent: permanent}, func(b *bed) {
			b.opening = failing(0, 1, 2)
			assert.ErrorIs(b, b.get().fails(), errServer)
			assert.ErrorIs(b, b.get().fails(), errServer)
			assert.EqualValues(b, 1, b.dials.Load())
			time.Sleep(200 * time.Millisecond)
			assert.ErrorIs(b, b.get().fails(), errServer)
			time.Sleep(200 * time.Millisecond)
			b.put(b.get().lease())
		})
	}
}
