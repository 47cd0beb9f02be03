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

// Rule 16: Ready waits for the minimums.

func TestRule16ReadyWaitsForTheMinimums(t *testing.T) {
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
		began := time.Now()
		assert.NoError(b, b.s.Ready(b.Context()))
		assert.Equal(b, time.Second-time.Millisecond, time.Since(began))
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

func TestReadyWhileOpenFails(t *testing.T) {
	ready := func(b *bed, ctx context.Context) (after time.Duration, err error) {
		began := time.Now()
		err = b.s.Ready(ctx)
		return time.Since(began), err
	}
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 2, BackoffMin: time.Minute, BackoffMax: time.Minute, Open: opens(failing(time.Second, 1, 2))}, func(b *bed) {
		after, err := ready(b, b.Context())
		assert.ErrorIs(b, err, ErrUnavailable)
		assert.ErrorIs(b, err, errServer)
		assert.Equal(b, time.Second, after)
		after, err = ready(b, b.Context())
		assert.ErrorIs(b, err, errServer, "in the backoff")
		assert.Zero(b, after)
		time.Sleep(time.Minute)
		assert.NoError(b, b.s.Ready(b.Context()), "it has another try made")
		assert.Equal(b, 2, b.s.Stat().Open)
	})
	nineteen := func(_ context.Context, n int64) error {
		if n < 20 {
			return errServer
		}
		return nil
	}
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 2, Outage: WaitForServer, Open: opens(nineteen)}, func(b *bed) {
		after, err := ready(b, b.Context())
		assert.NoError(b, err)
		assert.Equal(b, 2, b.s.Stat().Open)
		assert.Less(b, after, 20*200*time.Millisecond, "after each backoff, not each CheckPeriod")
	})
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 2, Outage: WaitForServer, Permanent: func(error) bool { return true }, Open: opens(failing(0, 1, 2))}, func(b *bed) {
		_, err := ready(b, b.Context())
		assert.ErrorIs(b, err, errServer)
		assert.ErrorIs(b, err, ErrUnavailable)
	})
	var srv server
	srv.down.Store(true)
	inBed(t, Config[*thing]{MaxOpen: 4, MinIdle: 2, Outage: WaitForServer, Open: opens(srv.opening)}, func(b *bed) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		after, err := ready(b, ctx)
		assert.Equal(b, time.Second, after)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		var w *WaitError
		require.ErrorAs(b, err, &w)
		assert.ErrorIs(b, w.Cause, ErrUnavailable)
		assert.ErrorIs(b, w.Cause, errServer)
		after, err = ready(b, b.ended())
		assert.ErrorIs(b, err, context.Canceled)
		assert.Zero(b, after)
	})
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 2, Open: opens(takes(time.Hour))}, func(b *bed) {
		var err error
		done := in(func() { err = b.s.Ready(b.Context()) })
		synctest.Wait()
		assert.False(b, isClosed(done))
		require.NoError(b, b.s.CloseAll(b.Context()))
		<-done
		assert.Equal(b, ErrClosed, err)
		assert.Equal(b, ErrClosed, b.s.Ready(b.Context()))
	})
}
