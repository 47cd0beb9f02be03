package main

import "fmt"

// drawQuery shows what is left of the difference in a query end to end.
func drawQuery(f file) *sheet {
	draw := inRow([]curves{
		{"select 1", "goroutines", f.rows("query", "what", "select 1")},
		{"point query", "goroutines", f.rows("query", "what", "point query")},
	}, perSecond, thousands, ours, rival, stdlib, persistent)
	if draw == nil {
		return nil
	}
	return &sheet{
		title:   f.title("query") + ": queries per second",
		explain: []string{"More is better. The server is on the same machine. The persistent pool binds a connection to its caller for each query."},
		caption: f.caption("Medians"),
		height:  220,
		draw:    draw,
	}
}

func perSecond(ns float64) float64 { return 1e9 / ns }

func thousands(v float64) string { return fmt.Sprintf("%gk/s", v/1000) }
