package main

import (
	"testing"

	"github.com/pgactor/pgactor/bench/result"
	"github.com/stretchr/testify/assert"
	"gonum.org/v1/plot/vg"
)

func TestEntryHasTheColourOfTheFaster(t *testing.T) {
	assert.Equal(t, blue, entry{Ratio: result.Ratio{Median: 0.6, Low: 0.5, High: 0.9}}.colour())
	assert.Equal(t, orange, entry{Ratio: result.Ratio{Median: 1.6, Low: 1.1, High: 1.9}}.colour())
	assert.Equal(t, faint, entry{Ratio: result.Ratio{Median: 0.9, Low: 0.8, High: 1.1}}.colour(), "neither")
}

func TestReadable(t *testing.T) {
	for ns, want := range map[float64]string{
		98: "98 ns", 0.5: "0.5 ns", 999.4: "999 ns", 999.6: "1 µs", 1042: "1.04 µs", 28e6: "28 ms", 3e9: "3 s",
	} {
		assert.Equal(t, want, readable(ns))
	}
}

func TestNiceStep(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.03: 0.05, 1: 1, 1.1: 2, 480: 500, 600: 1000} {
		assert.InDelta(t, want, niceStep(v), 1e-9, "of %v", v)
	}
}

func TestApart(t *testing.T) {
	ends := apart([]end{{"c", 31}, {"a", 10}, {"b", 30}, {"d", 41}}, 10)
	for i := range ends {
		assert.Equal(t, string("abcd"[i]), ends[i].peer, "in the order of the lines")
		if i > 0 {
			assert.GreaterOrEqual(t, float64(ends[i].y-ends[i-1].y), 9.99)
		}
	}
	assert.Equal(t, vg.Length(10), ends[0].y, "nobody is on it")
	assert.InDelta(t, 34, float64(ends[1].y+ends[2].y+ends[3].y)/3, 0.01, "they move no further than they must")
}
