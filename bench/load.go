package main

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// A load is what goroutines do, each in a loop, on one rig.
type load struct {
	rig        *rig
	goroutines int
	begin      func(ctx context.Context, goroutine int) operation
	latencies  []string // the units of what operations say they took
}

// opsEach is how many operations a goroutine does at least in a turn in which nothing
// takes long: fewer would measure how goroutines start.
const opsEach = 20

// An operation is one of many that a goroutine does. It says how long it took, as far
// as that is asked for.
type operation func(i int) (time.Duration, error)

// timed reads the clock before and after.
func timed(f func(i int) error) operation {
	return func(i int) (time.Duration, error) {
		began := time.Now()
		err := f(i)
		return time.Since(began), err
	}
}

// turn does n operations, shared among the goroutines.
func (w load) turn(ctx context.Context) turn {
	return func(n int) (sample, error) {
		failed := make(chan error, w.goroutines)
		took := make([][]time.Duration, w.goroutines)
		var start, done sync.WaitGroup
		start.Add(1)
		for g := range w.goroutines {
			ops := n / w.goroutines
			if g < n%w.goroutines {
				ops++
			}
			if len(w.latencies) > 0 {
				took[g] = make([]time.Duration, 0, ops)
			}
			ctx, cancel := w.rig.context(ctx, g)
			op := w.begin(ctx, g)
			done.Go(func() {
				defer cancel()
				start.Wait()
				for i := range ops {
					d, err := op(i)
					if err != nil {
						failed <- err
						return
					}
					if len(w.latencies) > 0 {
						took[g] = append(took[g], d)
					}
				}
			})
		}
		objects, bytes := heap()
		began := time.Now()
		start.Done()
		done.Wait()
		elapsed := time.Since(began)
		objectsNow, bytesNow := heap()
		if len(failed) > 0 {
			return nil, <-failed
		}
		s := sample{
			result.PerOp:      float64(elapsed) / float64(n),
			result.Allocs:     float64(objectsNow-objects) / float64(n),
			result.BytesPerOp: float64(bytesNow-bytes) / float64(n),
		}
		s.spreadOf(took, w.latencies...)
		return s, nil
	}
}

// heap counts the objects and bytes allocated so far.
func heap() (objects, bytes uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs, m.TotalAlloc
}
