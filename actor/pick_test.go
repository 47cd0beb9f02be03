package actor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A TryGet that finds nothing idle because the pool is looking after what was.

// afterCheck has a TryGet wait while the only resource is checked, for so long.
func afterCheck(t *testing.T, lasts time.Duration, play func(b *bed, try func(context.Context) (*Lease[*thing], error))) {
	inBed(t, Config[*thing]{
		MaxOpen: 1,
		Look:    func(*thing) Verdict { return Check },
		Check: func(ctx context.Context, _ *thing) error {
			select {
			case <-time.After(lasts):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}, func(b *bed) {
		b.rest(1)
		time.Sleep(time.Second)
		play(b, b.s.TryGet)
	})
}

func TestTryGetWaitsForTheCheckOfWhatWasIdle(t *testing.T) {
	afterCheck(t, time.Second/2, func(b *bed, try func(context.Context) (*Lease[*thing], error)) {
		began := time.Now()
		l, err := try(b.Context())
		require.NoError(b, err)
		assert.Equal(b, time.Second/2, time.Since(began))
		assert.EqualValues(b, 1, b.dials.Load(), "it opens none")
		b.put(l)
	})
}

func TestTryGetWaitsForASecondAtMost(t *testing.T) {
	afterCheck(t, 3*time.Second, func(b *bed, try func(context.Context) (*Lease[*thing], error)) {
		began := time.Now()
		_, err := try(b.Context())
		assert.Equal(b, ErrExhausted, err)
		assert.Equal(b, time.Second, time.Since(began))
	})
}

func TestTryGetThatWaitsEndsWithItsContext(t *testing.T) {
	afterCheck(t, time.Second/2, func(b *bed, try func(context.Context) (*Lease[*thing], error)) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second/4)
		defer cancel()
		began := time.Now()
		_, err := try(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.Equal(b, time.Second/4, time.Since(began))
		assert.EqualValues(b, 1, b.s.Stat().Cancelled)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(b, 1, b.s.Stat().Idle, "the resource is nobody's")
	})
}

func TestTryGetThatWaitsHearsOfAPauseAndOfTheEnd(t *testing.T) {
	for _, c := range []struct {
		is error
		do func(b *bed)
	}{
		{ErrPaused, func(b *bed) { require.NoError(b, b.s.Pause(b.Context())) }},
		{ErrClosed, func(b *bed) { require.NoError(b, b.s.CloseAll(b.Context())) }},
	} {
		afterCheck(t, time.Second/2, func(b *bed, try func(context.Context) (*Lease[*thing], error)) {
			var err error
			done := in(func() { _, err = try(b.Context()) })
			synctest.Wait()
			c.do(b)
			<-done
			assert.Equal(b, c.is, err)
		})
	}
}
