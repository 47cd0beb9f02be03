package main

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
)

// drawGetPut shows what a pool adds to a query, beside the least that is possible, and
// what the obvious actor would cost.
func drawGetPut(f file) *sheet {
	peers := []string{ours, rival, stdlib, bareActor, channel}
	var panels []panel
	highest := 0.0
	for _, hold := range []struct{ value, title string }{
		{"yield", "Each borrower yields while it holds the connection, so with more goroutines than connections most wait"},
		{"nothing", "Each borrower puts the connection back at once"},
	} {
		rows := f.rows("getput", "hold", hold.value)
		b := grouped(rows, peers)
		if b.highest() == 0 {
			continue
		}
		p := newPanel(hold.title, "goroutines")
		p.X.Min, p.X.Max = -0.5, float64(len(rows))-0.5
		var marks plot.ConstantTicks
		for i, r := range rows {
			marks = append(marks, plot.Tick{Value: float64(i), Label: r.Param("goroutines")})
		}
		p.X.Tick.Marker = marks
		p.Add(b)
		panels = append(panels, p)
		highest = max(highest, b.highest())
	}
	if len(panels) == 0 {
		return nil
	}
	upTo(panels, highest, nanoseconds)
	return &sheet{
		title:   f.title("getput") + ": nanoseconds",
		explain: []string{"Less is better. The bare channel is the least that channels cost; the bare actor is asked for each get, and answers."},
		peers:   peers,
		caption: f.caption("Medians"),
		height:  vg.Length(190 * len(panels)),
		draw:    stacked(panels),
	}
}
