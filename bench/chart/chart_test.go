package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"
)

const example = "testdata/result.json"

func TestDrawsAllPictures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by it")
	require.NoError(t, run(io.Discard, example, dir))
	machine := "2 cores of Example CPU, linux/amd64, go1.26.8, pgx v5.12.0, PostgreSQL 15.18"
	for name, labels := range map[string][]string{
		"getput.svg": {"A get and a put, 8 connections: nanoseconds", "goroutines", "1500 ns", "pgxpool", "bare actor", "98", "1400"},
		"ratio.svg":  {"pgactor's time divided by pgxpool's", "← pgactor faster", "get and put, a yield", "0.40", "98 ns", "wait p99.9, 1 ms of sleep", "0.2"},
		"wait.svg":   {"How long a get waits, 200 goroutines on 8 connections", "p99.9", "500 µs", "100 ms", "Held for a yield", "database/sql"},
		"query.svg":  {"A query end to end, 8 connections: queries per second", "select 1", "point query", "40k/s", "persistent"},
		"growth.svg": {"How a get and a put grow with the pool: nanoseconds", "limit, logarithmic", "10000", "500 ns", "supervisor", "channel"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			got := parse(t, text)
			assert.Subset(t, got.labels, append(labels, machine))
			assert.NotContains(t, got.labels, "1150", "what was measured with work is in the ratios alone")
		})
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, len(pictures), "nothing else is there")
}

// A drawing is what the tests look at of an SVG.
type drawing struct {
	width, height float64
	labels        []string
}

// parse fails if the text is not SVG, if it is not on light paper, if words are outside
// or on each other, or in a font that others have not got.
func parse(t *testing.T, text []byte) (d drawing) {
	t.Helper()
	var picture struct {
		XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		ViewBox string   `xml:"viewBox,attr"`
		Body    struct {
			Paths []struct {
				D     string `xml:"d,attr"`
				Style string `xml:"style,attr"`
			} `xml:"path"`
			Texts []struct {
				X     float64 `xml:"x,attr"`
				Y     float64 `xml:"y,attr"`
				Style string  `xml:"style,attr"`
				Words string  `xml:",chardata"`
			} `xml:"text"`
		} `xml:"g"`
	}
	require.NoError(t, xml.Unmarshal(text, &picture))
	box := strings.Fields(picture.ViewBox)
	require.Len(t, box, 4)
	d.width, d.height = number(t, box[2]), number(t, box[3])
	require.NotEmpty(t, picture.Body.Paths)
	assert.Contains(t, picture.Body.Paths[0].Style, "#FFFFFF", "the paper comes first")
	assert.Contains(t, picture.Body.Paths[0].D, "L"+box[2]+","+box[3], "and is as large as the picture")
	var boxes []vg.Rectangle
	for _, w := range picture.Body.Texts {
		d.labels = append(d.labels, w.Words)
		assert.Contains(t, w.Style, ",sans-serif;")
		box := boxOf(t, w.Words, w.Style).Add(vg.Point{X: vg.Length(w.X), Y: vg.Length(-w.Y)})
		assert.True(t, box.Min.X >= 0 && box.Max.X <= vg.Length(d.width) && box.Min.Y >= 0 && box.Max.Y <= vg.Length(d.height), "%q is at %v", w.Words, box)
		for i, other := range boxes {
			apart := box.Min.X >= other.Max.X || box.Max.X <= other.Min.X || box.Min.Y >= other.Max.Y || box.Max.Y <= other.Min.Y
			assert.True(t, apart, "%q is on %q", w.Words, d.labels[i])
		}
		boxes = append(boxes, box)
	}
	return d
}

// boxOf is the place of words above their base line.
func boxOf(t *testing.T, words, style string) vg.Rectangle {
	_, size, ok := strings.Cut(style, "font-size:")
	require.True(t, ok)
	size, _, _ = strings.Cut(size, "px")
	s := plain(vg.Length(number(t, size)), ink)
	if strings.Contains(style, "font-weight:bold") {
		s = bold(s.Font.Size, ink)
	}
	return vg.Rectangle{Max: vg.Point{X: s.Width(words), Y: s.Font.Size * 0.7}}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return v
}

func TestDrawsTheSameAgain(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	require.NoError(t, run(io.Discard, example, first))
	require.NoError(t, run(io.Discard, example, second))
	for _, p := range pictures {
		a, err := os.ReadFile(filepath.Join(first, p.name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(second, p.name))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(a, b), p.name)
	}
}

func TestLeavesOutWhatWasNotMeasured(t *testing.T) {
	var said bytes.Buffer
	dir := t.TempDir()
	in := fileWith(t, `{"studies": [{"name": "limit", "rows": [
		{"params": [{"name": "limit", "value": "1"}], "contenders": [{"peer": "supervisor", "samples": {"ns/op": [700]}}]}]}]}`)
	require.NoError(t, run(&said, in, dir))
	assert.Contains(t, said.String(), "getput.svg: left out")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "growth.svg", entries[0].Name())
}

func TestSaysWhatIsWrongWithAFile(t *testing.T) {
	valid, err := os.ReadFile(example)
	require.NoError(t, err)
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"", "is not a file of bench"},
		"not JSON":         {"ns/op", "is not a file of bench"},
		"cut short":        {string(valid[:len(valid)/2]), "is not a file of bench"},
		"other types":      {`{"studies": [{"name": 1}]}`, "is not a file of bench"},
		"without studies":  {`{"machine": {}}`, "it has no studies"},
		"of other studies": {`{"studies": [{"name": "other", "rows": [{}]}]}`, errNothing.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			in := fileWith(t, c.text)
			err := run(io.Discard, in, t.TempDir())
			require.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, in)
		})
	}
	err = run(io.Discard, filepath.Join(t.TempDir(), "absent.json"), t.TempDir())
	assert.True(t, errors.Is(err, fs.ErrNotExist), "%v", err)
	assert.ErrorContains(t, run(io.Discard, example, fileWith(t, "")), "not a directory", "where the pictures should go")
}

// A logarithmic axis has no place for 0, and a turn of nothing has no time.
func TestSurvivesValuesThatCannotBeDrawn(t *testing.T) {
	valid, err := os.ReadFile(example)
	require.NoError(t, err)
	replaced := strings.NewReplacer(`[98, 100, 97]`, `[]`, `"ns/op": [50000`, `"ns/op": [0, 0, 0, 50000`, `"value": "10000"`, `"value": "many"`)
	dir := t.TempDir()
	require.NoError(t, run(io.Discard, fileWith(t, replaced.Replace(string(valid))), dir))
	for _, p := range pictures {
		text, err := os.ReadFile(filepath.Join(dir, p.name))
		require.NoError(t, err)
		parse(t, text)
		assert.NotContains(t, string(text), "NaN", p.name)
		assert.NotContains(t, string(text), "Inf", p.name)
	}
}

func fileWith(t *testing.T, text string) (path string) {
	path = filepath.Join(t.TempDir(), "result.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}
