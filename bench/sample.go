package main

import (
	"slices"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// A sample is what one turn measured: a value for each unit, named as in Go's
// benchmarks.
type sample map[string]float64

// spreadOf says how long operations took, in the units asked for.
func (s sample) spreadOf(took [][]time.Duration, units ...string) {
	var all []time.Duration
	for _, one := range took {
		all = append(all, one...)
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	at := func(part float64) float64 { return float64(result.QuantileOfSorted(all, part)) }
	for _, unit := range units {
		switch unit {
		case result.Mean:
			s[unit] = float64(sum) / float64(len(all))
		case result.P50:
			s[unit] = at(0.5)
		case result.P99:
			s[unit] = at(0.99)
		case result.P999:
			s[unit] = at(0.999)
		case result.Worst:
			s[unit] = float64(all[len(all)-1])
		}
	}
}
