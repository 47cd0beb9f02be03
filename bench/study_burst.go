package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// bursts measures what a pool without connections makes of many requests at once: how
// long the last one takes, and how many connections that has cost.
func bursts() study {
	const requests, lasts = 50, 2 * time.Millisecond
	s := study{
		name:  "burst",
		title: "50 requests of 2 ms at once, limit 50, nothing open: until the last is done",
		units: []string{result.PerOp, result.Opened},
	}
	for _, dial := range []time.Duration{0, 50 * time.Millisecond} {
		s.settings = append(s.settings, setting{
			params: named("slower connects", fmt.Sprint(dial)),
			peers:  []peer{pgactor, rivalPgxpool, databaseSQL},
			most:   3,
			measure: func(ctx context.Context, l *lab, p peer) (turn, error) {
				c := conditions{connString: l.server.ConnString(), limit: requests, dial: dial}
				return each(func(int) (sample, error) {
					return burst(ctx, p, c, requests, func() { time.Sleep(lasts) })
				}), nil
			},
		})
	}
	return s
}

func burst(ctx context.Context, p peer, c conditions, requests int, hold func()) (sample, error) {
	r, err := p.open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.close()
	failed := make(chan error, requests)
	var all sync.WaitGroup
	began := time.Now()
	for range requests {
		all.Go(func() { failed <- r.cycle(ctx, hold) })
	}
	all.Wait()
	s := sample{result.PerOp: float64(time.Since(began)), result.Opened: float64(r.opened())}
	for range requests {
		if err := <-failed; err != nil {
			return nil, err
		}
	}
	return s, nil
}

// each makes a turn of something that is measured one by one: the mean of each value.
func each(measure func(i int) (sample, error)) turn {
	return func(n int) (sample, error) {
		sum := sample{}
		for i := range n {
			s, err := measure(i)
			if err != nil {
				return nil, err
			}
			for unit, value := range s {
				sum[unit] += value / float64(n)
			}
		}
		return sum, nil
	}
}
