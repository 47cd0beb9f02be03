package main

import (
	"cmp"
	"math"
	"slices"

	"github.com/pgactor/pgactor/bench/result"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A line is that of one peer, named at its end.
type line struct {
	peer   string
	points plotter.XYs
}

type lines []line

// with adds a point, if it was measured, and has a place on a logarithmic axis.
func (l *line) with(x, y float64) {
	if x > 0 && y > 0 && !math.IsInf(y, 0) {
		l.points = append(l.points, plotter.XY{X: x, Y: y})
	}
}

// against has a line for each peer: the medians of the rows, made into what is shown,
// by the number that a parameter is.
func against(rows []row, param string, shown func(ns float64) float64, peers ...string) lines {
	ls := make(lines, len(peers))
	for i, peer := range peers {
		ls[i].peer = peer
		for _, r := range rows {
			ls[i].with(r.number(param), shown(result.Median(r.Samples(peer, result.PerOp))))
		}
	}
	return ls
}

// curves are lines against a parameter, in a panel of their own.
type curves struct {
	title, param string
	rows         []row
}

// inRow draws panels of curves side by side, on the same scale so that they can be
// compared; nil if there is nothing to draw.
func inRow(all []curves, shown func(ns float64) float64, label func(float64) string, peers ...string) func(draw.Canvas) {
	var panels []panel
	highest := 0.0
	for _, of := range all {
		ls := against(of.rows, of.param, shown, peers...)
		if _, most := ls.extent(); most > 0 {
			p := newPanel(of.title, of.param+", logarithmic")
			p.mark(of.rows, of.param)
			p.Add(ls)
			panels = append(panels, p)
			highest = max(highest, most)
		}
	}
	if len(panels) == 0 {
		return nil
	}
	upTo(panels, highest, label)
	return beside(panels)
}

func (ls lines) extent() (lowest, highest float64) {
	first := true
	for _, l := range ls {
		for _, p := range l.points {
			if first {
				lowest, highest, first = p.Y, p.Y, false
			}
			lowest, highest = min(lowest, p.Y), max(highest, p.Y)
		}
	}
	return lowest, highest
}

// Plot draws the first peer last, above the others.
func (ls lines) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var ends []end
	for _, l := range slices.Backward(ls) {
		if len(l.points) == 0 {
			continue
		}
		at := make([]vg.Point, len(l.points))
		for i, p := range l.points {
			at[i] = vg.Point{X: x(p.X), Y: y(p.Y)}
			c.DrawGlyphNoClip(draw.GlyphStyle{Color: colours[l.peer], Radius: 2.5, Shape: draw.CircleGlyph{}}, at[i])
		}
		c.StrokeLines(draw.LineStyle{Color: colours[l.peer], Width: 1.75}, at)
		ends = append(ends, end{l.peer, at[len(at)-1].Y})
	}
	for _, e := range apart(ends, 11) {
		write(c, plain(9, written(e.peer)), c.Max.X+8, e.y, e.peer)
	}
}

// An end is where a line ends, and its name is written.
type end struct {
	peer string
	y    vg.Length
}

// apart moves names that are on each other, half the way each, until they are not.
func apart(ends []end, least vg.Length) []end {
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.y, b.y) })
	for range 100 { // what is left halves with each
		for i := range len(ends) - 1 {
			if missing := least - (ends[i+1].y - ends[i].y); missing > 0 {
				ends[i].y -= missing / 2
				ends[i+1].y += missing / 2
			}
		}
	}
	return ends
}
