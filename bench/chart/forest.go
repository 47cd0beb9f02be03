package main

import (
	"fmt"
	"image/color"

	"github.com/pgactor/pgactor/bench/result"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A forest has a line for each setting: the median of the ratios as a point, the middle
// half as a range. It has its own columns of text, left and right of the diagram.
type forest []entry

type entry struct {
	group, setting string
	result.Ratio
	ours, theirs float64 // ns
}

// Sizes, and where columns are: from the diagram's left edge, and from its right.
const (
	lineHeight = 12.5
	groupGap   = 5
	groupAt    = -210
	settingAt  = -14
	ratioAt    = 40
	oursAt     = 96
	theirsAt   = 152
)

// height is that of all lines, with what is above them.
func (f forest) height() vg.Length {
	h := lineHeight * vg.Length(len(f)+1)
	for i := range f {
		if f.begins(i) {
			h += groupGap
		}
	}
	return h
}

func (f forest) begins(i int) bool { return i == 0 || f[i].group != f[i-1].group }

// extent is that of the ranges, and 1 is well within.
func (f forest) extent() (lowest, highest float64) {
	lowest, highest = 0.5, 2
	for _, e := range f {
		lowest, highest = min(lowest, e.Low), max(highest, e.High)
	}
	return lowest, highest
}

func (f forest) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, tick := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if at := x(tick.Value); c.ContainsX(at) {
			c.StrokeLine2(thin(grid), at, c.Min.Y, at, c.Max.Y-lineHeight)
		}
	}
	c.StrokeLine2(draw.LineStyle{Color: faint, Width: 1.25}, x(1), c.Min.Y, x(1), c.Max.Y-lineHeight)
	y := c.Max.Y - lineHeight/2
	f.head(c, x(1), y)
	for i, e := range f {
		y -= lineHeight
		if f.begins(i) {
			y -= groupGap
			write(c, plain(9, ink), c.Min.X+groupAt, y, e.group)
		}
		e.draw(c, x, y)
	}
}

func (f forest) head(c draw.Canvas, one, y vg.Length) {
	right := aligned(plain(9, faint), draw.XRight)
	write(c, right, c.Min.X+settingAt, y, "goroutines")
	write(c, aligned(bold(9, blue), draw.XRight), one-6, y, "← pgactor faster")
	write(c, bold(9, orange), one+6, y, "slower →")
	write(c, right, c.Max.X+ratioAt, y, "ratio")
	write(c, right, c.Max.X+oursAt, y, ours)
	write(c, right, c.Max.X+theirsAt, y, rival)
}

func (e entry) draw(c draw.Canvas, x func(float64) vg.Length, y vg.Length) {
	colour := e.colour()
	c.StrokeLine2(draw.LineStyle{Color: colour, Width: 1.5}, x(e.Low), y, x(e.High), y)
	c.DrawGlyphNoClip(draw.GlyphStyle{Color: colour, Radius: 3.25, Shape: draw.CircleGlyph{}}, vg.Point{X: x(e.Median), Y: y})
	right := aligned(plain(9, faint), draw.XRight)
	write(c, right, c.Min.X+settingAt, y, e.setting)
	write(c, aligned(bold(9, colour), draw.XRight), c.Max.X+ratioAt, y, fmt.Sprintf("%.2f", e.Median))
	write(c, right, c.Max.X+oursAt, y, readable(e.ours))
	write(c, right, c.Max.X+theirsAt, y, readable(e.theirs))
}

// colour is that of the faster one; grey if the middle half has both.
func (e entry) colour() color.Color {
	switch {
	case e.High < 1:
		return blue
	case e.Low > 1:
		return orange
	}
	return faint
}

// between draws the panel with room for the columns.
func (f forest) between(p panel) func(draw.Canvas) {
	return func(c draw.Canvas) { p.Draw(draw.Crop(c, -groupAt, -theirsAt, 0, 0)) }
}
