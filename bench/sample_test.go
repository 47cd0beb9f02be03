package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQuantile(t *testing.T) {
	assert.Equal(t, 3.0, median([]float64{5, 1, 3}))
	assert.Equal(t, 3.0, median([]float64{4, 3, 2, 1}), "the upper")
	assert.Equal(t, 4.0, quantile([]float64{4, 3, 2, 1}, 0.99))
	assert.Equal(t, 1.0, quantile([]float64{1}, 0))
	assert.True(t, median(nil) != median(nil), "nothing has no median")
}

func TestPaired(t *testing.T) {
	slowLater := []float64{100, 100, 400, 400, 400} // the machine was slower in the last rounds
	assert.Equal(t, ratio{0.5, 0.5, 0.5}, paired([]float64{50, 50, 200, 200, 200}, slowLater))
	assert.Equal(t, ratio{2, 1, 3}, paired([]float64{3, 1, 2, 1}, []float64{1, 1, 1, 1}))
}

func TestSpreadOf(t *testing.T) {
	took := make([][]time.Duration, 2)
	for i := range 1000 {
		took[i%2] = append(took[i%2], time.Duration(1000-i))
	}
	s := sample{}
	s.spreadOf(took, p50, p99, p999, worst, mean)
	assert.Equal(t, sample{p50: 501, p99: 991, p999: 1000, worst: 1000, mean: 500.5}, s)
}

func TestReadable(t *testing.T) {
	assert.Equal(t, "99 ns", readable(perOp, 99.4))
	assert.Equal(t, "1.23 µs", readable(p99, 1234))
	assert.Equal(t, "12 ms", readable(worst, 12e6))
	assert.Equal(t, "2.00 KiB", readable(heldBytes, 2048))
	assert.Equal(t, "0.0", readable(allocs, 0.03))
	assert.Equal(t, "-", readable(perOp, median(nil)))
}

// TestRun makes one study of the real thing, and reads the file it writes.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	var table bytes.Buffer
	quick := plan{Rounds: 2, Turn: time.Microsecond}
	require.NoError(t, run(context.Background(), &table, quick, "^(work|cancel)$", path))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var f file
	require.NoError(t, json.Unmarshal(text, &f))
	require.Len(t, f.Studies, 2)
	for _, o := range f.Studies {
		assert.Contains(t, table.String(), o.Title)
		for _, r := range o.Rows {
			for _, c := range r.Contenders {
				for _, unit := range o.Units {
					assert.Len(t, c.Samples[unit], quick.Rounds, "%s: %s of %s", o.Name, unit, c.Peer)
				}
				assert.Positive(t, median(c.Samples[perOp]))
			}
			_, ok := r.ratio(perOp)
			assert.True(t, ok)
		}
	}
}

func TestChoose(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	assert.Len(t, all, len(studies()))
	some, err := choose("^get")
	require.NoError(t, err)
	assert.Len(t, some, 1)
	_, err = choose("nosuch")
	assert.ErrorContains(t, err, "nosuch")
	_, err = choose("(")
	assert.ErrorContains(t, err, "-run")
}
