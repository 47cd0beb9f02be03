package actor

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a get waits for may come later than the promise lasts, which is a second.

// slowCheck is a pool whose resources must be checked at every get, which takes
// as long as takes, unless they are proven.
func slowCheck(takes time.Duration, checks *atomic.Int64) Config[*thing] {
	return Config[*thing]{
		MaxOpen: 10,
		Look:    func(*thing) Verdict { return Keep },
		Prepare: func(_ context.Context, _ *thing, proven bool) (Verdict, error) {
			if proven {
				return Keep, nil
			}
			return Check, nil
		},
		Check: func(context.Context, *thing) error {
			checks.Add(1)
			time.Sleep(takes)
			return nil
		},
	}
}

func TestPromiseKeptLate(t *testing.T) {
	for name, key := range map[string]any{"unkeyed": nil, "keyed": "k"} {
		t.Run(name, func(t *testing.T) {
			var checks atomic.Int64
			inBed(t, slowCheck(1500*time.Millisecond, &checks), func(b *bed) {
				b.rest(10)
				checks.Store(0)
				time.Sleep(time.Second)
				began := time.Now()
				w := b.getKey(key)
				<-w.done
				require.NoError(b, w.err)
				assert.Equal(b, 1500*time.Millisecond, w.at.Sub(began), "the first that was checked")
				time.Sleep(10 * time.Second)
				assert.LessOrEqual(b, checks.Load(), int64(2), "and another after a second")
				b.put(w.l)
			})
		})
	}
}

func TestTryOnlyWaitsForOnePromise(t *testing.T) {
	var checks atomic.Int64
	inBed(t, slowCheck(4*time.Second, &checks), func(b *bed) {
		b.rest(10)
		time.Sleep(time.Second)
		began := time.Now()
		w := b.getWith(b.Context(), Request{Patience: TryOnly})
		<-w.done
		assert.Equal(b, ErrExhausted, w.err)
		assert.Equal(b, time.Second, w.at.Sub(began))
		time.Sleep(10 * time.Second)
		assert.Equal(b, 10, b.s.Stat().Idle)
	})
}

// A server that hangs is not dialed again and again to have something idle.
func TestMinIdleAtAServerThatHangs(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 50, MinIdle: 1, Open: func(ctx context.Context) (*thing, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, func(b *bed) {
		time.Sleep(time.Hour)
		assert.LessOrEqual(b, b.s.Stat().DialsFailed, uint64(30), "2 minutes each, one at a time")
	})
}

// In an outage the desk is not told of every get that leaves too few.
func TestMinIdleTellsOnceInAnOutage(t *testing.T) {
	var dials atomic.Int64
	inBed(t, Config[*thing]{MaxOpen: 5, MinIdle: 3, Open: func(context.Context) (*thing, error) {
		if dials.Add(1) > 3 {
			return nil, errServer
		}
		return nil, nil
	}}, func(b *bed) {
		time.Sleep(time.Millisecond)
		b.discard(b.get().lease())
		time.Sleep(time.Minute)
		settled := b.wakes(func() {
			for range 100 {
				time.Sleep(time.Millisecond)
				b.put(b.get().lease())
			}
		})
		assert.Less(b, len(settled), 10)
	})
}
