package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgactor/pgactor/bench/result"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpreadOf(t *testing.T) {
	took := make([][]time.Duration, 2)
	for i := range 1000 {
		took[i%2] = append(took[i%2], time.Duration(1000-i))
	}
	s := sample{}
	s.spreadOf(took, result.P50, result.P99, result.P999, result.Worst, result.Mean)
	assert.Equal(t, sample{result.P50: 501, result.P99: 991, result.P999: 1000, result.Worst: 1000, result.Mean: 500.5}, s)
}

func TestReadable(t *testing.T) {
	assert.Equal(t, "99 ns", readable(result.PerOp, 99.4))
	assert.Equal(t, "1.23 µs", readable(result.P99, 1234))
	assert.Equal(t, "12 ms", readable(result.Worst, 12e6))
	assert.Equal(t, "2.00 KiB", readable(result.Bytes, 2048))
	assert.Equal(t, "0.0", readable(result.Allocs, 0.03))
	assert.Equal(t, "-", readable(result.PerOp, result.Median(nil)))
}

// TestRun makes one study of the real thing, and reads the file it writes.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	var table bytes.Buffer
	quick := plan{Rounds: 2, Turn: time.Microsecond}
	require.NoError(t, run(context.Background(), &table, quick, "^(work|cancel)$", path))
	f, err := result.Read(path)
	require.NoError(t, err)
	require.Len(t, f.Studies, 2)
	for _, o := range f.Studies {
		assert.Contains(t, table.String(), o.Title)
		for _, r := range o.Rows {
			for _, c := range r.Contenders {
				for _, unit := range o.Units {
					rounds := len(c.Samples[unit])
					assert.GreaterOrEqual(t, rounds, quick.Rounds, "%s: %s of %s", o.Name, unit, c.Peer)
					assert.Equal(t, len(r.Contenders[0].Samples[unit]), rounds, "as many as the others")
				}
				assert.Positive(t, result.Median(c.Samples[result.PerOp]))
			}
			for _, peer := range []string{r.Contenders[0].Peer, again.name} {
				_, ok := ratio(r, peer, result.PerOp)
				assert.True(t, ok, peer)
			}
		}
	}
	var tables bytes.Buffer
	markdown(&tables, f)
	assert.Equal(t, 2, strings.Count(tables.String(), "\n### "))
	assert.Contains(t, tables.String(), "| ratio | (middle half) | pgxpool to itself |\n|---|")
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
