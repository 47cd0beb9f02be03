package actor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWakeBesideAnotherMessage: the timer fires while the desk handles what came before,
// so the wake is read with a clock from before the deadline.
func TestWakeBesideAnotherMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Start(t.Context(), Config[int]{MaxOpen: 1, GetTimeout: 50 * time.Millisecond,
			Open:  func(context.Context) (int, error) { return 1, nil },
			Close: func(context.Context, int) error { return nil }})
		require.NoError(t, err)
		l, err := s.Get(t.Context())
		require.NoError(t, err)
		began := time.Now()
		go func() {
			time.Sleep(40 * time.Millisecond)
			s.tellNow(func(*machine[int], time.Duration) { time.Sleep(30 * time.Millisecond) })
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = s.Get(ctx)
		require.ErrorIs(t, err, ErrTimeout)
		assert.Equal(t, 70*time.Millisecond, time.Since(began))
		require.NoError(t, l.Put())
		require.NoError(t, s.CloseAll(t.Context()))
	})
}
