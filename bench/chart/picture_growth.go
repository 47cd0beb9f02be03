package main

// drawGrowth shows that a get and a put cost no more when there is more of everything.
func drawGrowth(f file) *sheet {
	var panels []panel
	highest := 0.0
	for _, g := range []struct{ study, title, below string }{
		{"limit", "Ever more to lend, and as many who wait", "limit, logarithmic"},
		{"waiters", "Ever more goroutines that wait", "waiters, logarithmic"},
	} {
		rows := f.rows(g.study, "", "")
		ls := against(rows, g.study, itself, supervisor, channel)
		if _, most := ls.extent(); most > 0 {
			p := newPanel(g.title, g.below)
			p.mark(rows, g.study)
			p.Add(ls)
			panels = append(panels, p)
			highest = max(highest, most)
		}
	}
	if len(panels) == 0 {
		return nil
	}
	for _, p := range panels { // the same scale, so that they can be compared
		p.upTo(highest, func(v float64) string { return count(v) + " ns" })
	}
	return &sheet{
		title:   "How a get and a put grow with the pool: nanoseconds",
		explain: []string{"Flat is good. The supervisor lends numbers, beside a bare channel; each borrower yields."},
		caption: f.caption("Medians"),
		height:  220,
		draw:    inRow(panels, roomForNames),
	}
}

func itself(ns float64) float64 { return ns }
