package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// A holding is what a borrower does with a connection.
type holding struct {
	name string
	hold func()
}

var (
	holdNothing = holding{"nothing", func() {}}
	holdWork    = holding{"1us", work1us}
	holdYield   = holding{"yield", runtime.Gosched}
	holdSleep   = holding{"1ms", func() { time.Sleep(time.Millisecond) }}
)

// work1us keeps the processor busy, without looking at anything others write.
func work1us() {
	for began := time.Now(); time.Since(began) < time.Microsecond; {
	}
}

// getPut measures what a pool adds to a query: a get and a put.
func getPut() study {
	return study{
		name:     "getput",
		title:    "A get and a put, 8 connections",
		units:    []string{result.PerOp, result.Allocs},
		settings: getPuts([]int{1, 2, 8, 64, 1000}, []holding{holdNothing, holdWork, holdYield}, pgactor, rivalPgxpool, databaseSQL, persist, channel, asking),
	}
}

// keys measures the same under an identity.
func keys() study {
	return study{
		name:     "keyed",
		title:    "A get and a put under an identity that has a connection (nested), or has none (persistent), 8 connections",
		units:    []string{result.PerOp, result.Allocs},
		settings: getPuts([]int{1, 2, 64}, []holding{holdNothing, holdYield}, nested, persist, pgactor, rivalPgxpool),
	}
}

// tracking measures what it costs that every lease passes the desk.
func tracking() study {
	return study{
		name:     "tracked",
		title:    "A get and a put with TrackLeases, 8 connections",
		units:    []string{result.PerOp, result.Allocs},
		settings: getPuts([]int{1, 2, 64}, []holding{holdNothing, holdYield}, tracked, pgactor, rivalPgxpool),
	}
}

func getPuts(goroutines []int, holdings []holding, peers ...peer) []setting {
	var all []setting
	for _, h := range holdings {
		for _, n := range goroutines {
			all = append(all, setting{
				params: named("hold", h.name, "goroutines", fmt.Sprint(n)),
				peers:  peers,
				least:  opsEach * n,
				measure: func(ctx context.Context, l *lab, p peer) (turn, error) {
					r, err := l.rig(ctx, p, l.fast())
					if err != nil {
						return nil, err
					}
					return cycles(r, n, h.hold).turn(ctx), nil
				},
			})
		}
	}
	return all
}

// cycles are gets and puts without a look at the clock.
func cycles(r *rig, goroutines int, hold func()) load {
	return load{rig: r, goroutines: goroutines, begin: func(ctx context.Context, _ int) operation {
		return func(int) (time.Duration, error) { return 0, r.cycle(ctx, hold) }
	}}
}
