package keyed

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

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is shared under keys, by many at once. Run it with the race detector: a thing has
// a field that only the turns guard.

const crowdKeys = 15

// A crowd shares a few things under many keys.
type crowd struct {
	*testing.T
	pool    *fakePool
	table   *Table[*thing]
	endures bool // all turns end in time: nothing is killed
	turns   atomic.Int64
	busy    atomic.Int64
	dead    atomic.Int64
	ended   atomic.Int64
	got     atomic.Int64
	told    atomic.Int64 // by OnEnd

	mu    sync.Mutex
	holds [crowdKeys]int // holds by key that are not tied: they share one thing
	held  [crowdKeys]*thing
}

func newCrowd(t *testing.T, grace time.Duration) *crowd {
	c := &crowd{T: t, pool: newFakePool(t, 5), endures: grace == time.Hour}
	c.pool.judge = func(th *thing) { th.uses++ } // nobody has the thing any more
	c.table = New(Config[*thing]{
		Get: c.pool.getBy, Closing: c.pool.closing, EndGrace: grace,
		OnEnd: func(*thing) { c.told.Add(1) },
	})
	return c
}

// hold notes that a hold that is not tied begins or ends.
func (c *crowd) hold(key int, th *thing, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds[key] == 0 {
		c.held[key] = th
	}
	if c.held[key] != th {
		c.Errorf("key %d has two things at a time", key)
	}
	c.holds[key] += n
}

// borrow is one hold, of a client that uses it, and waits, as it likes.
func (c *crowd) borrow(rng *rand.Rand, idles func(n int)) {
	key := rng.IntN(crowdKeys)
	r := Request[*thing]{Key: key, Tied: rng.IntN(3) > 0, Patience: Patience(max(0, rng.IntN(12)-9))}
	if rng.IntN(2) == 0 {
		fails := rng.IntN(10) == 0
		r.Bind = func(_ context.Context, th *thing) error {
			th.uses++
			if fails {
				return errNotNow
			}
			return nil
		}
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	canceller := make(chan struct{})
	defer func() { <-canceller }()
	moments := -1
	if rng.IntN(2) == 0 {
		moments = rng.IntN(4)
	}
	waits := rng.IntN(20)
	go func() {
		defer close(canceller)
		for range moments {
			idles(waits)
		}
		if moments >= 0 {
			cancel()
		}
	}()
	h, err := c.table.Get(ctx, r)
	switch {
	case err == nil:
	case errors.Is(err, actor.ErrRevoked) && !c.endures: // those who hold it have not put it
		c.dead.Add(1)
		return
	case r.Patience > Wait && err == actor.ErrExhausted:
		return
	default:
		if !errors.Is(err, context.Canceled) && err != errNotNow {
			c.Errorf("get: %v", err)
		}
		return
	}
	c.got.Add(1)
	th := h.Value()
	lasts := !r.Tied
	if lasts {
		c.hold(key, th, 1)
	}
	for range rng.IntN(4) {
		c.use(ctx, h, func() { idles(rng.IntN(20)) })
		idles(rng.IntN(20))
	}
	if lasts {
		c.hold(key, th, -1)
	}
	c.give(ctx, h, rng, lasts)
}

func (c *crowd) use(ctx context.Context, h *Hold[*thing], idles func()) {
	th, err := h.Begin("first")
	switch {
	case err == nil:
		if n := th.turns.Add(1); c.endures && n != 1 {
			c.Errorf("%d turns of one thing at a time", n)
		}
		th.uses++
		idles()
		h.SetDoing("second")
		th.uses++
		c.turns.Add(1)
		th.turns.Add(-1)
		h.End()
	case errors.Is(err, actor.ErrBusy):
		c.busy.Add(1)
	case errors.Is(err, actor.ErrRevoked) && !c.endures: // another's turn outlasted its hold
		c.dead.Add(1)
	case errors.Is(err, actor.ErrNotLeased):
		if ctx.Err() == nil || h.Context() == nil || !errors.Is(err, context.Canceled) {
			c.Errorf("use: %v", err)
		}
		c.ended.Add(1)
	default:
		c.Errorf("use: %v", err)
	}
}

// give puts a hold, one way or another.
func (c *crowd) give(ctx context.Context, h *Hold[*thing], rng *rand.Rand, lasts bool) {
	var err error
	switch rng.IntN(8) {
	case 0:
		err = h.Discard()
	case 1: // the turn outlives the hold
		th, use := h.Begin("last")
		err = h.Put()
		if use == nil {
			th.uses++
			h.End()
		}
	case 2: // the newest of its context is its own, if nothing has ended that
		if lasts {
			err = c.table.Put(ctx, h.Key(), false)
		} else {
			err = h.Put()
		}
	case 3:
		h.Expose()
		err = h.Put()
	case 4:
		_, taken := h.Take()
		if taken != nil {
			err = h.Put()
			if errors.Is(taken, actor.ErrRevoked) && err == actor.ErrNotLeased {
				err = nil
			}
		}
	default:
		err = h.Put()
	}
	if errors.Is(err, actor.ErrRevoked) && !c.endures {
		err = nil
	}
	if err != nil || h.Put() != actor.ErrNotLeased || h.Discard() != actor.ErrNotLeased {
		c.Errorf("put: %v", err)
	}
}

func (c *crowd) run(clients, holds int, idles func(n int)) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	c.Logf("-keyed.seed %d", seed)
	done := make(chan struct{})
	watched := in(func() { // what is shown is looked at all the time
		for {
			select {
			case <-done:
				return
			default:
				c.table.Stat()
				c.table.Complete([]actor.LeaseInfo{{ID: 1}, {ID: 2}, {ID: 3}})
				idles(4)
			}
		}
	})
	ends := make(chan struct{})
	for i := range clients {
		go func() {
			defer func() { ends <- struct{}{} }()
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for range holds {
				c.borrow(rng, idles)
			}
		}()
	}
	for range clients {
		<-ends
	}
	close(done)
	<-watched
}

// end checks that nothing is lost.
func (c *crowd) end() {
	st := c.table.Stat()
	assert.Equal(c, []int{0, 0, 0}, []int{st.Keys, st.Waiting, c.pool.lends()}, "keys, waiting, leases")
	assert.Equal(c, c.got.Load(), c.told.Load(), "each end is told once")
	assert.GreaterOrEqual(c, int64(st.Holds), c.got.Load())
	c.Logf("%d holds, %d turns, %d busy, %d of what was dead, %d ended by their contexts, %d opened",
		c.got.Load(), c.turns.Load(), c.busy.Load(), c.dead.Load(), c.ended.Load(), c.pool.opened)
	assert.Positive(c, c.turns.Load())
	assert.Positive(c, c.busy.Load())
	assert.Equal(c, !c.endures, c.dead.Load() > 0)
}

func TestCrowd(t *testing.T) {
	c := newCrowd(t, time.Hour)
	c.run(200, 40, func(n int) {
		for range n {
			runtime.Gosched()
		}
	})
	// A client is done when its own hold is, a context's end a moment later.
	require.Eventually(t, func() bool { return c.got.Load() == c.told.Load() && c.pool.lends() == 0 }, 10*time.Second, time.Millisecond)
	c.end()
}

// The same with turns that last longer than they may.
func TestCrowdInVirtualTime(t *testing.T) {
	for name, grace := range map[string]time.Duration{"patient": time.Hour, "impatient": 3 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, grace)
				c.run(200, 40, func(n int) { time.Sleep(time.Duration(n/4) * time.Millisecond) })
				synctest.Wait()
				c.end()
			})
		})
	}
}
