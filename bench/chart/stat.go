package main

import (
	"fmt"
	"math"
	"slices"
)

// The units of bench that are drawn.
const (
	perOp = "ns/op"
	p50   = "p50-ns"
	p99   = "p99-ns"
	p999  = "p99.9-ns"
	worst = "worst-ns"
)

// median of values, which is NaN if there are none; of an even number the upper.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is that of bench, so that pictures and tables say the same.
func quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// A ratio is that of two peers, of one turn each, in the same round.
type ratio struct{ median, low, high float64 } // a quarter of the rounds is below low, and above high

// paired divides round by round; ok says that there is something to divide.
func paired(ours, theirs []float64) (q ratio, ok bool) {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		if ours[i] > 0 && theirs[i] > 0 {
			ratios = append(ratios, ours[i]/theirs[i])
		}
	}
	return ratio{median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75)}, len(ratios) > 0
}

// readable is a time with at most three digits that matter.
func readable(ns float64) string {
	units := []string{"ns", "µs", "ms", "s"}
	for len(units) > 1 && ns >= 999.5 {
		ns /= 1000
		units = units[1:]
	}
	return fmt.Sprintf("%.3g %s", ns, units[0])
}
