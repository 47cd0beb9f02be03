package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
)

const connections = 8

// A peer is a pool reduced to what is measured: get, hold, put.
type peer struct {
	name  string
	cycle func(hold func())
}

// BenchmarkGetPut measures a get and a put on 8 open connections: pgactor,
// pgxpool, and a bare channel of 8 tokens, which is as fast as a pool made of
// channels could be. The goroutines hold a connection for no time, or for one
// yield to the scheduler. It reports nanoseconds per operation of each, the
// ratio of pgactor to pgxpool (the median over the rounds), and the heap
// allocations and bytes per operation of pgactor. Allocations are counted as
// package testing counts them, in whole numbers: a batch of 64 handles is one.
func BenchmarkGetPut(b *testing.B) {
	peers := open(b)
	for _, goroutines := range []int{1, 2, 64, 1000} {
		for _, yield := range []bool{false, true} {
			b.Run(fmt.Sprintf("goroutines=%d/yield=%v", goroutines, yield), func(b *testing.B) {
				hold := func() {}
				if yield {
					hold = runtime.Gosched
				}
				compare(b, peers, goroutines, hold)
			})
		}
	}
}

// open makes the pools and opens all their connections.
func open(b *testing.B) []peer {
	b.Helper()
	ctx := context.Background()
	ours, err := pool.NewThreaded(ctx, connections, connections, server.ConnString())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := ours.CloseAll(ctx); err != nil {
			b.Error(err)
		}
	})
	theirs := openPgxpool(b)
	tokens := make(chan int, connections)
	for i := range connections {
		tokens <- i
	}
	return []peer{
		{"pgactor", func(hold func()) {
			c, err := ours.GetConn(ctx)
			if err != nil {
				panic(err)
			}
			hold()
			if err := ours.PutConn(c); err != nil {
				panic(err)
			}
		}},
		{"pgxpool", func(hold func()) {
			c, err := theirs.Acquire(ctx)
			if err != nil {
				panic(err)
			}
			hold()
			c.Release()
		}},
		{"channel", func(hold func()) {
			token := <-tokens
			hold()
			tokens <- token
		}},
	}
}

func openPgxpool(b *testing.B) *pgxpool.Pool {
	b.Helper()
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(server.ConnString())
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = connections
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	var held []*pgxpool.Conn
	for range connections {
		c, err := p.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		held = append(held, c)
	}
	for _, c := range held {
		c.Release()
	}
	return p
}

// rounds is how often the peers take turns.
const rounds = 10

// compare lets the peers take turns at b.N operations each.
func compare(b *testing.B, peers []peer, goroutines int, hold func()) {
	took := make([]time.Duration, len(peers))
	var ratios []float64
	var allocated, bytes uint64
	for range rounds {
		var turn [3]time.Duration
		for i, p := range peers {
			objects, size := heap()
			turn[i] = spread(goroutines, max(1, b.N/rounds), func() { p.cycle(hold) })
			if i == 0 {
				objectsNow, sizeNow := heap()
				allocated, bytes = allocated+objectsNow-objects, bytes+sizeNow-size
			}
			took[i] += turn[i]
		}
		ratios = append(ratios, float64(turn[0])/float64(turn[1]))
	}
	ops := float64(rounds * max(1, b.N/rounds))
	for i, p := range peers {
		b.ReportMetric(float64(took[i])/ops, p.name+"-ns/op")
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[rounds/2], "ratio")
	b.ReportMetric(math.Floor(float64(allocated)/ops), "pgactor-allocs/op")
	b.ReportMetric(float64(bytes)/ops, "pgactor-B/op")
	b.ReportMetric(0, "ns/op")
}

// spread runs ops operations on goroutines and returns how long that took.
func spread(goroutines, ops int, op func()) time.Duration {
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
				op()
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
