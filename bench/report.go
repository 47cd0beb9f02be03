package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pgactor/pgactor/bench/result"
)

// tabulate writes a study as a table: a line for each setting and unit, a column for each
// peer with the median of its turns, the ratio of the first to pgxpool, and that of pgxpool
// to itself.
func tabulate(w io.Writer, s result.Study) {
	fmt.Fprintf(w, "\n%s\n%s\n", s.Title, strings.Repeat("-", len(s.Title)))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer t.Flush()
	for i, r := range s.Rows {
		if i == 0 || !slices.Equal(header(r), header(s.Rows[i-1])) {
			fmt.Fprintln(t, strings.Join(header(r), "\t")+"\t")
		}
		for _, unit := range s.Units {
			fmt.Fprintln(t, strings.Join(line(r, unit), "\t")+"\t")
		}
	}
}

// markdown writes all studies of a file as the tables of README.md.
func markdown(w io.Writer, f *result.File) {
	fmt.Fprintln(w, f.Machine)
	for _, s := range f.Studies {
		fmt.Fprintf(w, "\n### %s\n\n`go run ./bench -run '^%s$'`\n", s.Title, s.Name)
		for i, r := range s.Rows {
			if head := header(r); i == 0 || !slices.Equal(head, header(s.Rows[i-1])) {
				fmt.Fprintf(w, "\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
			}
			for _, unit := range s.Units {
				cells := line(r, unit)
				cells = append(cells, make([]string, len(header(r))-len(cells))...)
				fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
			}
		}
	}
}

func header(r result.Row) []string {
	var cells []string
	for _, p := range r.Params {
		cells = append(cells, p.Name)
	}
	cells = append(cells, "")
	for _, c := range shown(r) {
		cells = append(cells, c.Peer)
	}
	if compared(r) {
		cells = append(cells, "ratio", "(middle half)", "pgxpool to itself")
	}
	return cells
}

func line(r result.Row, unit string) []string {
	var cells []string
	for _, p := range r.Params {
		cells = append(cells, p.Value)
	}
	cells = append(cells, strings.TrimSuffix(unit, "-ns"))
	for _, c := range shown(r) {
		cells = append(cells, readable(unit, result.Median(c.Samples[unit])))
	}
	if q, ok := ratio(r, r.Contenders[0].Peer, unit); ok {
		cells = append(cells, fmt.Sprintf("%.2f", q.Median), fmt.Sprintf("%.2f to %.2f", q.Low, q.High))
	}
	if q, ok := ratio(r, again.name, unit); ok {
		cells = append(cells, fmt.Sprintf("%.2f to %.2f", q.Low, q.High))
	}
	return cells
}

// shown are the contenders that have a column.
func shown(r result.Row) []result.Contender {
	return slices.DeleteFunc(slices.Clone(r.Contenders), func(c result.Contender) bool { return c.Peer == again.name })
}

// compared reports whether a row has pgxpool and another.
func compared(r result.Row) bool {
	return slices.ContainsFunc(r.Contenders[1:], func(c result.Contender) bool { return c.Peer == rivalPgxpool.name })
}

// ratio is that of a peer to pgxpool, if both have the unit, and more than next to nothing
// of it.
func ratio(r result.Row, peer, unit string) (q result.Ratio, ok bool) {
	theirs := r.Samples(rivalPgxpool.name, unit)
	if !compared(r) || !(result.Median(theirs) >= 0.5) {
		return q, false
	}
	return result.Paired(r.Samples(peer, unit), theirs)
}

// readable has three digits that matter.
func readable(unit string, v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case unit == result.PerOp || strings.HasSuffix(unit, "-ns"):
		return scaled(v, 1000, "ns", "µs", "ms", "s")
	case unit == result.Bytes || unit == result.BytesPerOp:
		return scaled(v, 1024, "B", "KiB", "MiB")
	case unit == result.Allocs:
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
