package main

import (
	"math"
	"slices"
	"time"
)

// A sample is what one turn measured: a value for each unit, named as in Go's
// benchmarks.
type sample map[string]float64

// Units. Less is better with all of them.
const (
	perOp      = "ns/op"
	allocs     = "allocs/op"
	bytesPerOp = "B/op"
	mean       = "mean-ns"
	p50        = "p50-ns"
	p99        = "p99-ns"
	p999       = "p99.9-ns"
	worst      = "worst-ns"
	opened     = "opened"
	heldBytes  = "B"
	goroutines = "goroutines"
)

// median of values; of an even number the upper.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the smallest value that at least so large a part of the values does not
// exceed.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// A ratio is that of two peers, of one turn each, in the same round.
type ratio struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"` // a quarter of the rounds is below
	High   float64 `json:"high"`
}

// paired divides turn by turn: what slows the machine for a while slows both.
func paired(ours, theirs []float64) ratio {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		ratios = append(ratios, ours[i]/theirs[i])
	}
	return ratio{median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75)}
}

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
	at := func(part float64) float64 { return float64(all[min(int(part*float64(len(all))), len(all)-1)]) }
	for _, unit := range units {
		switch unit {
		case mean:
			s[unit] = float64(sum) / float64(len(all))
		case p50:
			s[unit] = at(0.5)
		case p99:
			s[unit] = at(0.99)
		case p999:
			s[unit] = at(0.999)
		case worst:
			s[unit] = float64(all[len(all)-1])
		}
	}
}
