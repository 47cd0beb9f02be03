package result

import (
	"math"
	"slices"
)

// Median is the middle of values, NaN if there are none; of an even number the upper.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Quantile is the smallest value that at least so large a part of the values, from 0 to
// 1, does not exceed; NaN if there are none.
func Quantile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return QuantileOfSorted(slices.Sorted(slices.Values(values)), part)
}

// QuantileOfSorted is Quantile of values in their order, of which there must be one.
func QuantileOfSorted[V any](values []V, part float64) V {
	return values[min(int(part*float64(len(values))), len(values)-1)]
}

// A Ratio is that of two contenders in one row.
type Ratio struct {
	Median float64
	Low    float64 // a quarter of the rounds is below
	High   float64 // a quarter is above
}

// Paired divides round by round: what slows the machine for a while slows both. Rounds
// in which either has nothing do not count; ok is false if there is no other.
func Paired(ours, theirs []float64) (r Ratio, ok bool) {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		if ours[i] > 0 && theirs[i] > 0 {
			ratios = append(ratios, ours[i]/theirs[i])
		}
	}
	return Ratio{Median(ratios), Quantile(ratios, 0.25), Quantile(ratios, 0.75)}, len(ratios) > 0
}
