package bench

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

const connections = 8

// A peer is a pool reduced to what is measured: get, hold, put.
type peer struct {
	name  string
	cycle func(goroutine int, hold func())
}

// A measure is what a peer needed.
type measure struct {
	ops            int
	turns          []time.Duration // one for each round
	objects, bytes uint64
}

// settings runs a benchmark with so many goroutines, which hold for no time or for
// one yield to the scheduler.
func settings(b *testing.B, goroutines []int, run func(b *testing.B, goroutines int, hold func())) {
	for _, n := range goroutines {
		for _, yield := range []bool{false, true} {
			b.Run(fmt.Sprintf("goroutines=%d/yield=%v", n, yield), func(b *testing.B) {
				hold := func() {}
				if yield {
					hold = runtime.Gosched
				}
				run(b, n, hold)
			})
		}
	}
}

// rounds is how often the peers take turns.
const rounds = 10

// compare lets the peers take turns at b.N operations each, and reports the
// nanoseconds per operation.
func compare(b *testing.B, peers []peer, goroutines int, hold func()) []measure {
	measures := make([]measure, len(peers))
	for range rounds {
		for i, p := range peers {
			measures[i].turn(goroutines, max(1, b.N/rounds), func(goroutine int) { p.cycle(goroutine, hold) })
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, p := range peers {
		b.ReportMetric(measures[i].nanoseconds(), p.name+"-ns/op")
	}
	return measures
}

func (m *measure) turn(goroutines, ops int, op func(goroutine int)) {
	objects, bytes := heap()
	m.turns = append(m.turns, spread(goroutines, ops, op))
	objectsNow, bytesNow := heap()
	m.ops += ops
	m.objects += objectsNow - objects
	m.bytes += bytesNow - bytes
}

func (m measure) nanoseconds() float64 {
	var sum time.Duration
	for _, turn := range m.turns {
		sum += turn
	}
	return float64(sum) / float64(m.ops)
}

// ratio is the median over the rounds.
func (m measure) ratio(to measure) float64 {
	ratios := make([]float64, rounds)
	for i := range ratios {
		ratios[i] = float64(m.turns[i]) / float64(to.turns[i])
	}
	slices.Sort(ratios)
	return ratios[rounds/2]
}

func (m measure) reportHeap(b *testing.B, name string) {
	b.ReportMetric(math.Floor(float64(m.objects)/float64(m.ops)), name+"-allocs/op")
	b.ReportMetric(float64(m.bytes)/float64(m.ops), name+"-B/op")
}

// spread runs ops operations on goroutines and returns how long that took.
func spread(goroutines, ops int, op func(goroutine int)) time.Duration {
	var start, done sync.WaitGroup
	start.Add(1)
	for g := range goroutines {
		n := ops / goroutines
		if g < ops%goroutines {
			n++
		}
		done.Go(func() {
			start.Wait()
			for range n {
				op(g)
			}
		})
	}
	began := time.Now()
	start.Done()
	done.Wait()
	return time.Since(began)
}

// heap counts the objects and bytes allocated so far.
func heap() (objects, bytes uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs, m.TotalAlloc
}
