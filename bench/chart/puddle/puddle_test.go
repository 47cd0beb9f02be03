package puddle

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/puddle/v2"
	"github.com/stretchr/testify/require"

	"github.com/pgactor/pgactor/actor"
)

// limit is how many numbers there are to lend.
const limit = 8

// A cycle is a get, hold, and a put. Without an error hold has been called.
type cycle func(ctx context.Context, hold func()) error

var peers = []struct {
	name string
	open func(tb testing.TB) cycle
}{
	{"supervisor", openSupervisor},
	{"puddle", openPuddle},
}

func openSupervisor(tb testing.TB) cycle {
	s, err := actor.Start(tb.Context(), actor.Config[int]{
		MaxOpen: limit,
		Open:    func(context.Context) (int, error) { return 0, nil },
		Close:   func(context.Context, int) error { return nil },
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = s.CloseAll(context.Background()) })
	return func(ctx context.Context, hold func()) error {
		lease, err := s.Get(ctx)
		if err != nil {
			return err
		}
		hold()
		return lease.Put()
	}
}

func openPuddle(tb testing.TB) cycle {
	p, err := puddle.NewPool(&puddle.Config[int]{
		MaxSize:     limit,
		Constructor: func(context.Context) (int, error) { return 0, nil },
		Destructor:  func(int) {},
	})
	require.NoError(tb, err)
	tb.Cleanup(p.Close)
	return func(ctx context.Context, hold func()) error {
		res, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		hold()
		res.Release()
		return nil
	}
}

func BenchmarkGetPut(b *testing.B) {
	for _, h := range []struct {
		name string
		hold func()
	}{{"nothing", func() {}}, {"yield", runtime.Gosched}} {
		for _, goroutines := range []int{1, 2, 8, 64, 1000} {
			for _, p := range peers {
				b.Run(fmt.Sprintf("hold=%s/goroutines=%d/peer=%s", h.name, goroutines, p.name), func(b *testing.B) {
					c := p.open(b)
					require.NoError(b, lendAll(b.Context(), c, func() {}))
					b.ReportAllocs()
					b.ResetTimer()
					require.NoError(b, share(b.Context(), c, goroutines, b.N, h.hold))
				})
			}
		}
	}
}

// share does n cycles among goroutines. Like a request's, the context of each is its own
// and can be cancelled.
func share(ctx context.Context, c cycle, goroutines, n int, hold func()) error {
	failed := make(chan error, goroutines)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for range (n + g) / goroutines {
				if err := c(ctx, hold); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// lendAll calls meanwhile while everything is lent.
func lendAll(ctx context.Context, c cycle, meanwhile func()) error {
	lent, release, done := make(chan struct{}, limit), make(chan struct{}), make(chan error, limit)
	for range limit {
		go func() {
			done <- c(ctx, func() {
				lent <- struct{}{}
				<-release
			})
		}()
	}
	for range limit {
		select {
		case <-lent:
		case err := <-done:
			close(release)
			return err
		}
	}
	meanwhile()
	close(release)
	for range limit {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// What is compared must be the same: so many at once, and no more.
func TestPeersLendUpToTheLimit(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			c := p.open(t)
			require.NoError(t, lendAll(t.Context(), c, func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				err := c(ctx, func() { t.Error("lent one too many") })
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}))
			served := make(chan struct{}, 100)
			require.NoError(t, share(t.Context(), c, 30, 100, func() { served <- struct{}{} }))
			require.Len(t, served, 100, "each cycle is done once")
		})
	}
}
