package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// footprint measures what pools hold while nothing happens: memory, of the heap and of
// stacks, and goroutines.
func footprint() study {
	s := study{
		name:  "footprint",
		title: "What is held while nothing happens",
		units: []string{result.Bytes, result.Goroutines},
	}
	for _, f := range []struct {
		what    string
		measure func(ctx context.Context, p peer, c conditions) (sample, error)
	}{
		{"an idle pool of 8", idlePool},
		{"1000 waiters", thousandWaiters},
		{"100 pools of 1", hundredPools},
	} {
		s.settings = append(s.settings, setting{
			params: named("what", f.what),
			peers:  []peer{pgactor, rivalPgxpool, databaseSQL},
			most:   2,
			measure: func(ctx context.Context, l *lab, p peer) (turn, error) {
				return each(func(int) (sample, error) { return f.measure(ctx, p, l.fast()) }), nil
			},
		})
	}
	return s
}

// held is what the process holds, garbage aside.
func held() sample {
	runtime.GC()
	runtime.GC() // what finalizers have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return sample{result.Bytes: float64(m.HeapAlloc + m.StackInuse), result.Goroutines: float64(runtime.NumGoroutine())}
}

func (s sample) minus(before sample) sample {
	for unit := range s {
		s[unit] -= before[unit]
	}
	return s
}

func idlePool(ctx context.Context, p peer, c conditions) (sample, error) {
	before := held()
	r, err := p.open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.fill(ctx, c.limit); err != nil {
		return nil, err
	}
	return held().minus(before), nil
}

func thousandWaiters(ctx context.Context, p peer, c conditions) (sample, error) {
	const waiters = 1000
	r, err := p.open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.close()
	hold, release, got := make(chan struct{}), make(chan struct{}), make(chan error)
	for range c.limit {
		go func() {
			got <- r.cycle(ctx, func() { hold <- struct{}{}; <-release })
		}()
	}
	for range c.limit {
		select {
		case <-hold:
		case err := <-got:
			return nil, err
		}
	}
	before := held()
	for range waiters {
		go func() { got <- r.cycle(ctx, func() {}) }()
	}
	settle()
	s := held().minus(before)
	close(release)
	for range waiters + c.limit {
		if e := <-got; e != nil {
			err = e
		}
	}
	return s, err
}

// settle lets everybody come to rest: not every pool can say who waits.
func settle() { time.Sleep(100 * time.Millisecond) }

func hundredPools(ctx context.Context, p peer, c conditions) (s sample, err error) {
	const pools = 100
	before := held()
	for i := range pools {
		r, err := p.open(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("pool %d: %w", i, err)
		}
		defer r.close()
		if err := r.cycle(ctx, func() {}); err != nil {
			return nil, fmt.Errorf("pool %d: %w", i, err)
		}
	}
	settle()
	return held().minus(before), nil
}
