package actor

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Leases that are never put, in real time: the collector tells from outside any
// bubble.

func frame(function, file string) runtime.Frame { return runtime.Frame{Function: function, File: file} }

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

func drop(t *testing.T, s *Supervisor[*thing], r Request) {
	_, err := s.GetWith(t.Context(), r)
	require.NoError(t, err)
}

func TestLeakIsReported(t *testing.T) {
	s := leaky(t)
	drop(t, s, Request{})
	collects(t, s, 1)
	l := s.Leases()[0]
	assert.True(t, l.Leaked)
	assert.Contains(t, l.String(), "actor.drop leak_test.go:")
	assert.Contains(t, l.String(), ", leaked")
	assert.Equal(t, 1, s.Stat().Leased, "its place is not free: the borrower may have kept the resource")
}

func TestLeakUnderAKey(t *testing.T) {
	s := leaky(t)
	kept, err := s.GetWith(t.Context(), Request{Key: "k"})
	require.NoError(t, err)
	drop(t, s, Request{Key: "k"})
	collects(t, s, 1)
	l := s.Leases()[0]
	assert.True(t, l.Leaked)
	assert.True(t, l.Others[0].Leaked)
	require.NoError(t, kept.Put())
	assert.Equal(t, 1, s.Leases()[0].Holders)
}

func TestWhatIsPutIsNoLeak(t *testing.T) {
	s := leaky(t)
	ctx, cancel := context.WithCancel(t.Context())
	for range 100 {
		l, err := s.Get(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Put())
		l, err = s.Get(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Discard())
		l, err = s.Get(t.Context())
		require.NoError(t, err)
		_, err = l.Take()
		require.NoError(t, err)
		for _, key := range []string{"a", "b"} {
			l, err = s.GetWith(t.Context(), Request{Key: key})
			require.NoError(t, err)
			if key == "b" {
				_, err = l.Take()
			} else {
				err = l.Put()
			}
			require.NoError(t, err)
		}
		drop(t, s, Request{Key: "c"})
		require.NoError(t, s.PutKey(t.Context(), "c", false))
	}
	_, err := s.GetWith(ctx, Request{Key: "tied", Tied: true}) // its context puts it
	require.NoError(t, err)
	for range 20 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	cancel()
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
