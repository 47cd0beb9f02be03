package main

// drawGrowth shows that a get and a put cost no more when there is more of everything.
func drawGrowth(f file) *sheet {
	draw := inRow([]curves{
		{"Ever more to lend, and as many who wait", "limit", f.rows("limit", "", "")},
		{"Ever more goroutines that wait", "waiters", f.rows("waiters", "", "")},
	}, itself, nanoseconds, supervisor, channel)
	if draw == nil {
		return nil
	}
	return &sheet{
		title:   "How a get and a put grow with the pool: nanoseconds",
		explain: []string{"Flat is good. The supervisor lends numbers, beside a bare channel; each borrower yields."},
		caption: f.caption("Medians"),
		height:  220,
		draw:    draw,
	}
}

func itself(ns float64) float64 { return ns }

func nanoseconds(v float64) string { return count(v) + " ns" }
