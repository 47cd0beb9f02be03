package main

import (
	"fmt"

	"github.com/pgactor/pgactor/bench/result"
)

// drawRatio shows pgactor's time by pgxpool's in all settings that both have.
func drawRatio(f file) *sheet {
	var all forest
	for _, s := range compared {
		for _, r := range f.rows(s.study, "", "") {
			mine, theirs := r.Samples(ours, s.unit), r.Samples(rival, s.unit)
			if q, ok := result.Paired(mine, theirs); ok {
				all = append(all, entry{
					group:   fmt.Sprintf(s.group, r.what()),
					setting: r.Param("goroutines"),
					Ratio:   q,
					ours:    result.Median(mine),
					theirs:  result.Median(theirs),
				})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	p := newPanel("", "ratio, logarithmic")
	lowest, highest := all.extent()
	logarithmic(&p.X, lowest*0.9, highest*1.1, count)
	p.HideY()
	p.Y.Padding = 0
	p.Y.Min, p.Y.Max = 0, 1
	p.Add(all)
	return &sheet{
		title:   "pgactor's time divided by pgxpool's",
		explain: []string{"Points are medians of the rounds, lines their middle half; grey where that has both sides of 1."},
		caption: f.caption("Ratios"),
		height:  all.height() + 30,
		draw:    all.between(p),
	}
}

// compared are the studies, with a title for settings that differ in goroutines only.
var compared = []struct{ study, unit, group string }{
	{"getput", result.PerOp, "get and put, %s"},
	{"wait", result.P999, "wait p99.9, %s"},
	{"cancel", result.PerOp, "half the gets give up, %s"},
	{"query", result.PerOp, "%s"},
	{"network", result.PerOp, "%s, slow network"},
	{"work", result.PerOp, "%s"},
}

// what is what a borrower does with the connection.
func (r row) what() string {
	switch hold := r.Param("hold"); hold {
	case "":
		return r.Param("what")
	case "nothing":
		return "no work"
	case "1us":
		return "1 µs of work"
	case "yield":
		return "a yield"
	case "1ms":
		return "1 ms of sleep"
	default:
		return hold
	}
}
