package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// print writes the outcome as a table: a line for each setting and unit, a column for
// each peer with the median of its turns, and the ratio of the first to pgxpool.
func (o outcome) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n%s\n", o.Title, strings.Repeat("-", len(o.Title)))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer t.Flush()
	for i, r := range o.Rows {
		if i == 0 || !r.looksLike(o.Rows[i-1]) {
			fmt.Fprintln(t, strings.Join(r.header(), "\t")+"\t")
		}
		for _, unit := range o.Units {
			fmt.Fprintln(t, strings.Join(r.line(unit), "\t")+"\t")
		}
	}
}

func (r row) header() []string {
	var cells []string
	for _, p := range r.Params {
		cells = append(cells, p.Name)
	}
	cells = append(cells, "")
	for _, c := range r.Contenders {
		cells = append(cells, c.Peer)
	}
	if r.of(rivalPgxpool.name) != nil {
		cells = append(cells, "ratio", "(middle half)")
	}
	return cells
}

func (r row) looksLike(other row) bool {
	return strings.Join(r.header(), "\t") == strings.Join(other.header(), "\t")
}

func (r row) line(unit string) []string {
	var cells []string
	for _, p := range r.Params {
		cells = append(cells, p.Value)
	}
	cells = append(cells, strings.TrimSuffix(unit, "-ns"))
	for _, c := range r.Contenders {
		cells = append(cells, readable(unit, median(c.Samples[unit])))
	}
	if q, ok := r.ratio(unit); ok && !math.IsNaN(q.Median) {
		cells = append(cells, fmt.Sprintf("%.2f", q.Median), fmt.Sprintf("%.2f to %.2f", q.Low, q.High))
	}
	return cells
}

// readable has three digits that matter.
func readable(unit string, v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case unit == perOp || strings.HasSuffix(unit, "-ns"):
		return scaled(v, 1000, "ns", "µs", "ms", "s")
	case unit == heldBytes || unit == bytesPerOp:
		return scaled(v, 1024, "B", "KiB", "MiB")
	case unit == allocs:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func scaled(v, by float64, units ...string) string {
	i := 0
	for ; math.Abs(v) >= by && i < len(units)-1; i++ {
		v /= by
	}
	if i > 0 && math.Abs(v) < 10 {
		return fmt.Sprintf("%.2f %s", v, units[i])
	}
	return fmt.Sprintf("%.0f %s", v, units[i])
}
