package pool_test

import (
	"context"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Scenarios: crowds.

// Ten thousand want one of five connections: they are served in the order in which they
// came, with five connections, and to wait takes little memory and leaves none behind.
func TestScenario33HerdOfTenThousand(t *testing.T) {
	const n, limit = 10_000, 5
	p, a := threaded(t, limit, limit)
	var held []*pool.Conn
	for range limit {
		held = append(held, get(t, p))
	}
	warmUp(n)
	before := heap()
	served, goOn := make(chan int), make(chan struct{})
	all := queue(context.Background(), t, p, n, func(i int, c *pool.Conn, err error) {
		if !assert.NoError(t, err) {
			return
		}
		served <- i
		<-goOn
		c.Release()
	})
	waiting := heap()
	t.Logf("%d bytes for each who waits", (waiting-before)/n)
	assert.Less(t, waiting-before, int64(n*4096)) // the test's own included; stacks are not

	for _, c := range held {
		require.NoError(t, p.PutConn(c))
	}
	late := 0
	for first := 0; first < n; first += limit {
		var five []int
		for range limit { // at the same time, so in any order
			five = append(five, <-served)
		}
		// A get has its place in line once it receives, which can be a moment after it counts as
		// waiting: one that lost the processor in that moment is late.
		for _, i := range five {
			if i < first-limit {
				late++
			}
		}
		for range limit {
			goOn <- struct{}{}
		}
	}
	all.Wait()
	assert.Less(t, late, n/100, "in the order in which they came")
	assert.Less(t, heap()-before, int64(1<<20))
	assert.EqualValues(t, limit, p.Stat().NewConnsCount())
	assert.Equal(t, limit, a.backends())
}

// warmUp runs n goroutines at once: Go keeps some memory of each for the next.
func warmUp(n int) {
	goOn := make(chan struct{})
	var last atomic.Int64
	crowd(n, func(int) {
		if last.Add(1) == int64(n) {
			close(goOn)
		}
		<-goOn
	})
}

// heap is how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools held on to
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Fifty short requests come at once to a cold pool of fifty, whose dials take long: it
// opens few connections, since what has been opened serves all.
func TestScenario34Spike(t *testing.T) {
	const n = 50
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns = n
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(150 * time.Millisecond) // it is far away
			return dial(ctx, network, addr)
		}
	})
	crowd(n, func(int) {
		c, err := p.GetConn(background(t))
		if assert.NoError(t, err) {
			time.Sleep(2 * time.Millisecond) // what the request takes
			c.Release()
		}
	})
	t.Logf("%d connections opened", p.Stat().NewConnsCount())
	assert.LessOrEqual(t, p.Stat().TotalConns(), int32(n/2))
}

// The pool is shrunk and grown again, faster than anybody puts: nobody loses a connection
// or waits in vain, and there are never more than were allowed.
func TestScenario37ShrinkThenGrow(t *testing.T) {
	t.Run("at rest", func(t *testing.T) {
		p, a := threaded(t, 0, 3)
		held := []*pool.Conn{get(t, p), get(t, p), get(t, p)}
		waiter := ask(background(t), p)
		awaitWaiting(t, p, 1)
		require.NoError(t, p.Resize(0, 1))
		require.NoError(t, p.Resize(0, 4))
		held = append(held, waiter.served(t))
		before := a.pids()
		for _, c := range held {
			require.NoError(t, c.Ping(background(t)))
			require.NoError(t, p.PutConn(c))
		}
		assert.Equal(t, before, a.pids(), "all are kept")
		assert.EqualValues(t, 4, p.Stat().IdleConns())
	})
	t.Run("under load", func(t *testing.T) {
		const limit = 6
		p, a := threaded(t, 0, limit)
		w := work(2*limit, p)
		for range 20 {
			require.NoError(t, p.Resize(0, 1))
			require.NoError(t, p.Resize(0, limit))
			require.LessOrEqual(t, a.backends(), limit)
			w.awaitEach(t, 1)
		}
		assert.Empty(t, w.end())
		require.NoError(t, p.Resize(0, 1))
		a.await(1)
		require.NoError(t, p.Resize(0, limit))
		for range limit {
			defer get(t, p).Release()
		}
	})
}
