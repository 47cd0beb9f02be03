package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"gonum.org/v1/plot/vg"
)

func TestPaired(t *testing.T) {
	slowLater := []float64{100, 100, 400, 400, 400} // the machine was slower in the last rounds
	q, ok := paired([]float64{50, 50, 200, 200, 200}, slowLater)
	assert.True(t, ok)
	assert.Equal(t, ratio{0.5, 0.5, 0.5}, q)
	q, _ = paired([]float64{3, 1, 2, 1}, []float64{1, 1, 1, 1})
	assert.Equal(t, ratio{2, 1, 3}, q)
	_, ok = paired([]float64{1, 2}, []float64{0})
	assert.False(t, ok, "nothing to divide by")
}

func TestEntryHasTheColourOfTheFaster(t *testing.T) {
	assert.Equal(t, blue, entry{ratio: ratio{0.6, 0.5, 0.9}}.colour())
	assert.Equal(t, orange, entry{ratio: ratio{1.6, 1.1, 1.9}}.colour())
	assert.Equal(t, faint, entry{ratio: ratio{0.9, 0.8, 1.1}}.colour(), "neither")
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
