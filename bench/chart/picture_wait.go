package main

import (
	"github.com/pgactor/pgactor/bench/result"
	"gonum.org/v1/plot"
)

// drawWait shows whether all wait as long: how far the slowest are from the middle.
func drawWait(f file) *sheet {
	var panels []panel
	for _, r := range f.rows("wait", "", "") {
		var ls lines
		for _, peer := range []string{ours, rival, stdlib, bareActor, channel} {
			l := line{peer: peer}
			for i, unit := range []string{result.P50, result.P99, result.P999, result.Worst} {
				l.with(float64(i+1), result.Median(r.Samples(peer, unit)))
			}
			ls = append(ls, l)
		}
		lowest, highest := ls.extent()
		if highest == 0 {
			continue
		}
		p := newPanel("Held for "+r.what(), "")
		p.X.Tick.Marker = plot.ConstantTicks{{Value: 1, Label: "p50"}, {Value: 2, Label: "p99"}, {Value: 3, Label: "p99.9"}, {Value: 4, Label: "worst"}}
		p.X.Min, p.X.Max = 0.85, 4
		logarithmic(&p.Y, lowest*0.8, highest*1.25, readable)
		p.Add(ls)
		panels = append(panels, p)
	}
	if len(panels) == 0 {
		return nil
	}
	return &sheet{
		title:   f.title("wait"),
		explain: []string{"Less is better, and flat is fair: nobody waits much longer than the others. The scale is logarithmic."},
		caption: f.caption("Medians"),
		height:  230,
		draw:    beside(panels),
	}
}
