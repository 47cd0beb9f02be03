package main

import (
	"context"
	"errors"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// waits measures how long each of a crowd waits for its turn: whether it is the same
// for all.
func waits() study {
	const crowd = 200
	s := study{
		name:  "wait",
		title: "How long a get waits, 200 goroutines on 8 connections",
		units: []string{result.P50, result.P99, result.P999, result.Worst, result.Mean},
	}
	for _, h := range []holding{holdYield, holdSleep} {
		s.settings = append(s.settings, setting{
			params: named("hold", h.name),
			peers:  []peer{pgactor, rivalPgxpool, databaseSQL, channel, asking},
			least:  opsEach * crowd / 2,
			measure: func(ctx context.Context, l *lab, p peer) (turn, error) {
				r, err := l.rig(ctx, p, l.fast())
				if err != nil {
					return nil, err
				}
				begin := func(ctx context.Context, _ int) operation { return waited(ctx, r, h.hold) }
				return load{rig: r, goroutines: crowd, begin: begin, latencies: s.units}.turn(ctx), nil
			},
		})
	}
	return s
}

// waited takes the time until it has a connection.
func waited(ctx context.Context, r *rig, hold func()) operation {
	var began time.Time
	var wait time.Duration
	has := func() {
		wait = time.Since(began)
		hold()
	}
	return func(int) (time.Duration, error) {
		began = time.Now()
		err := r.cycle(ctx, has)
		return wait, err
	}
}

// cancels measures a load in which every second get has a context of its own that soon
// ends, mostly while it waits.
func cancels() study {
	s := study{
		name:  "cancel",
		title: "Every second get gives up after 20 µs, 64 goroutines on 8 connections",
		units: []string{result.PerOp, given, result.Allocs},
	}
	for _, h := range []holding{holdYield, holdSleep} {
		s.settings = append(s.settings, setting{
			params: named("hold", h.name),
			peers:  []peer{pgactor, rivalPgxpool, databaseSQL, channel},
			least:  opsEach * impatients,
			measure: func(ctx context.Context, l *lab, p peer) (turn, error) {
				r, err := l.rig(ctx, p, l.fast())
				if err != nil {
					return nil, err
				}
				return impatient(ctx, r, h.hold), nil
			},
		})
	}
	return s
}

// impatients is how many goroutines there are then.
const impatients = 64

// given is the part of the gets that got nothing.
const given = "given-up/op"

func impatient(ctx context.Context, r *rig, hold func()) turn {
	const patience = 20 * time.Microsecond
	return func(n int) (sample, error) {
		gaveUp := make([]int, impatients)
		begin := func(ctx context.Context, g int) operation {
			return func(i int) (time.Duration, error) {
				if i%2 == 0 {
					return 0, r.cycle(ctx, hold)
				}
				short, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				err := r.cycle(short, hold)
				if errors.Is(err, context.DeadlineExceeded) {
					gaveUp[g]++
					err = nil
				}
				return 0, err
			}
		}
		s, err := load{rig: r, goroutines: impatients, begin: begin}.turn(ctx)(n)
		if err != nil {
			return nil, err
		}
		sum := 0
		for _, n := range gaveUp {
			sum += n
		}
		s[given] = float64(sum) / float64(n)
		return s, nil
	}
}
