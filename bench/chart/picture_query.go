package main

import "fmt"

// drawQuery shows what is left of the difference in a query end to end.
func drawQuery(f file) *sheet {
	var panels []panel
	highest := 0.0
	for _, what := range []string{"select 1", "point query"} {
		rows := f.rows("query", "what", what)
		ls := against(rows, "goroutines", perSecond, ours, rival, stdlib, persistent)
		if _, most := ls.extent(); most > 0 {
			p := newPanel(what, "goroutines, logarithmic")
			p.mark(rows, "goroutines")
			p.Add(ls)
			panels = append(panels, p)
			highest = max(highest, most)
		}
	}
	if len(panels) == 0 {
		return nil
	}
	for _, p := range panels { // the same scale, so that they can be compared
		p.upTo(highest, func(v float64) string { return fmt.Sprintf("%gk/s", v/1000) })
	}
	return &sheet{
		title:   f.title("query") + ": queries per second",
		explain: []string{"More is better. The server is on the same machine. The persistent pool binds a connection to its caller for each query."},
		caption: f.caption("Medians"),
		height:  220,
		draw:    inRow(panels, roomForNames),
	}
}

func perSecond(ns float64) float64 { return 1e9 / ns }
