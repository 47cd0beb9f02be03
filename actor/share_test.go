package actor

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is shared under keys, by many at once.

// A shared resource has fields that only who has the turn, or is alone with it, may
// touch: the race detector tells of two.
type shared struct {
	uses   int // no atomic: guarded by the turns
	key    any // whom it was bound to: guarded by the turns and by Judge
	bound  any // and by Bind
	kills  atomic.Int64
	closes atomic.Int64
}

// A crowd shares a few resources under many keys.
type crowd struct {
	*testing.T
	s       *Supervisor[*shared]
	endures bool // all turns end in time: nothing is killed
	turns   atomic.Int64
	busy    atomic.Int64
	dead    atomic.Int64 // uses and gets of what was killed
	ended   atomic.Int64 // leases that their contexts ended
	opens   atomic.Int64
	kills   atomic.Int64
	closes  atomic.Int64
	inTurn  [50]atomic.Int64 // by key

	mu    sync.Mutex
	holds [50]int // leases by key that are not tied: they share one resource
	holdy [50]*shared
}

func (c *crowd) start(cfg Config[*shared], grace time.Duration) {
	cfg.MaxOpen, cfg.EndGrace = 5, grace
	cfg.Open = func(context.Context) (*shared, error) { c.opens.Add(1); return &shared{}, nil }
	cfg.Close = func(_ context.Context, r *shared) error {
		r.key, r.bound = nil, nil
		r.uses++
		if r.closes.Add(1) != 1 || r.kills.Load() != 0 {
			c.Error("closed twice, or after it was killed")
		}
		c.closes.Add(1)
		return nil
	}
	cfg.Kill = func(r *shared) {
		if r.kills.Add(1) != 1 || r.closes.Load() != 0 {
			c.Error("killed twice, or after it was closed")
		}
		c.kills.Add(1)
	}
	cfg.Judge = func(r *shared) Verdict {
		r.uses++
		r.key = nil
		if r.bound != nil {
			return Clean
		}
		return Keep
	}
	cfg.Clean = func(_ context.Context, r *shared) error { r.bound = nil; return nil }
	cfg.Bind = func(_ context.Context, key any, r *shared) error {
		if r.bound != nil || r.key != nil {
			c.Errorf("bound to %v, and was %v's", key, r.bound)
		}
		r.bound = key
		if key == 7 {
			return errNotNow
		}
		return nil
	}
	s, err := Start(c.Context(), cfg)
	require.NoError(c, err)
	c.s = s
}

// hold says that a lease that is not tied begins or ends.
func (c *crowd) hold(key int, r *shared, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds[key] == 0 {
		c.holdy[key] = r
	}
	if c.holdy[key] != r {
		c.Errorf("key %d has two resources at a time", key)
	}
	c.holds[key] += n
}

// borrow is one lease, of a client that uses it, and waits, as it likes.
func (c *crowd) borrow(rng *rand.Rand, idles func()) {
	key := rng.IntN(50)
	q := Request{Key: key, Tied: rng.IntN(3) > 0, Bind: rng.IntN(2) == 0}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	canceller := make(chan struct{})
	defer func() { <-canceller }()
	if rng.IntN(2) == 0 {
		moments := rng.IntN(4)
		go func() {
			defer close(canceller)
			for range moments {
				idles()
			}
			cancel()
		}()
	} else {
		close(canceller)
	}
	l, err := c.s.GetWith(ctx, q)
	switch {
	case err == nil:
	case errors.Is(err, ErrRevoked) && !c.endures: // those who hold it have not put it
		c.dead.Add(1)
		return
	default:
		if !errors.Is(err, context.Canceled) && err != errNotNow {
			c.Errorf("get: %v", err)
		}
		return
	}
	r := l.Value()
	watched := !q.Tied // what was killed under it keeps its key
	if watched {
		c.hold(key, r, 1)
	}
	for range rng.IntN(4) {
		c.use(ctx, l, key, idles)
		idles()
	}
	if watched {
		c.hold(key, r, -1)
	}
	c.give(ctx, l, rng, watched)
}

func (c *crowd) use(ctx context.Context, l *Lease[*shared], key int, idles func()) {
	r, err := l.Use("first")
	switch {
	case err == nil:
		if r.key == nil {
			r.key = key
		}
		if r.key != key || r.bound != nil && r.bound != key {
			c.Errorf("a resource of %v, bound to %v, in a turn of %v", r.key, r.bound, key)
		}
		if n := c.inTurn[key].Add(1); c.endures && n != 1 {
			c.Errorf("%d turns of one key at a time", n)
		}
		r.uses++
		idles()
		l.Doing("second")
		r.uses++
		c.turns.Add(1)
		c.inTurn[key].Add(-1)
		l.Done()
	case errors.Is(err, ErrBusy):
		c.busy.Add(1)
	case errors.Is(err, ErrRevoked) && !c.endures: // another's turn outlasted its lease
		c.dead.Add(1)
	case errors.Is(err, ErrNotLeased):
		if ctx.Err() == nil || l.Context() == nil || !errors.Is(err, context.Canceled) {
			c.Errorf("use: %v", err)
		}
		c.ended.Add(1)
	default:
		c.Errorf("use: %v", err)
	}
}

// give puts a lease, one way or another.
func (c *crowd) give(ctx context.Context, l *Lease[*shared], rng *rand.Rand, watched bool) {
	var err error
	switch rng.IntN(8) {
	case 0:
		err = l.Discard()
	case 1: // the turn outlives the lease
		r, use := l.Use("last")
		err = l.Put()
		if use == nil {
			r.uses++
			l.Done()
		}
	case 2: // the newest of its context is its own, if nothing has ended that
		if watched {
			err = c.s.PutKey(ctx, l.Key(), false)
		} else {
			err = l.Put()
		}
	case 3:
		l.Expose()
		err = l.Put()
	default:
		err = l.Put()
	}
	if errors.Is(err, ErrRevoked) {
		err = nil // another's turn outlasted its lease
	}
	if err != nil || l.Put() != ErrNotLeased || l.Discard() != ErrNotLeased {
		c.Errorf("put: %v", err)
	}
}

// end checks that nothing is lost.
func (c *crowd) end() {
	st := c.s.Stat()
	assert.Zero(c, st.Waiting)
	require.NoError(c, c.s.CloseAll(c.Context()))
	st = c.s.Stat()
	assert.Zero(c, st.Open+st.Leased+st.Keys+st.Mending+st.Closing+st.Dialing)
	assert.EqualValues(c, c.opens.Load(), st.Opened)
	assert.EqualValues(c, c.kills.Load(), st.Revoked)
	assert.Equal(c, c.opens.Load(), c.closes.Load()+c.kills.Load(), "each is closed or killed")
	c.Logf("%d turns, %d busy, %d of what was dead, %d ended by their contexts, %d opened, %d killed, %d leases, %d cancelled",
		c.turns.Load(), c.busy.Load(), c.dead.Load(), c.ended.Load(), c.opens.Load(), c.kills.Load(), st.Leases, st.Cancelled)
	assert.Positive(c, c.turns.Load())
}

func (c *crowd) run(clients, leases int, idles func(n int)) {
	done := make(chan struct{})
	for i := range clients {
		go func() {
			defer func() { done <- struct{}{} }()
			rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
			for range leases {
				c.borrow(rng, func() { idles(rand.IntN(20)) })
			}
		}()
	}
	for range clients {
		<-done
	}
}

// Run it with the race detector.
func TestShareStress(t *testing.T) {
	c := &crowd{T: t, endures: true}
	c.start(Config[*shared]{}, time.Hour)
	c.run(200, 40, func(n int) {
		for range n {
			runtime.Gosched()
		}
	})
	// A client is done when its own lease is, a context's end a moment later.
	require.Eventually(t, func() bool { st := c.s.Stat(); return st.Leased+st.Mending+st.Keys == 0 }, 10*time.Second, time.Millisecond)
	assert.Zero(t, c.kills.Load())
	c.end()
}

// The same with turns that last longer than they may.
func TestShareStressInVirtualTime(t *testing.T) {
	for name, grace := range map[string]time.Duration{"patient": time.Hour, "impatient": 3 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{T: t, endures: name == "patient"}
				c.start(Config[*shared]{}, grace)
				c.run(200, 40, func(n int) { time.Sleep(time.Duration(n/4) * time.Millisecond) })
				synctest.Wait()
				st := c.s.Stat()
				assert.Zero(t, st.Leased+st.Mending+st.Keys)
				assert.Equal(t, name == "impatient", c.kills.Load() > 0)
				c.end()
			})
		})
	}
}
