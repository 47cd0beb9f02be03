package main

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A panel is one diagram of a sheet.
type panel struct {
	*plot.Plot
	title string
}

// newPanel has horizontal lines in the background, and an axis below.
func newPanel(title, below string) panel {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text = below
	p.X.Label.TextStyle = aligned(plain(9, faint), draw.XCenter)
	p.X.Label.TextStyle.YAlign = draw.YBottom
	p.X.Label.Padding = 3
	p.X.LineStyle = thin(faint)
	p.X.Padding = 0
	p.Y.LineStyle.Width = 0
	p.Y.Padding = 4
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font = plain(9, faint).Font
		axis.Tick.Label.Color = faint
	}
	p.X.Tick.LineStyle = thin(faint)
	p.X.Tick.Length = 4
	p.Y.Tick.Length = 0
	lines := plotter.NewGrid()
	lines.Vertical.Color = nil
	lines.Horizontal = thin(grid)
	p.Add(lines)
	return panel{p, title}
}

// upTo has the vertical axis begin at 0 and end above what is drawn.
func (p panel) upTo(highest float64, label func(float64) string) {
	step := niceStep(highest / 4)
	p.Y.Min, p.Y.Max = 0, math.Ceil(highest*1.02/step)*step
	var ticks plot.ConstantTicks
	for v := 0.0; v < p.Y.Max+step/2; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: label(v)})
	}
	ticks[0].Label = "0"
	p.Y.Tick.Marker = ticks
}

// upTo has all panels end at the same, so that they can be compared.
func upTo(panels []panel, highest float64, label func(float64) string) {
	for _, p := range panels {
		p.upTo(highest, label)
	}
}

// logarithmic has an axis cover the values, in decades or parts of them.
func logarithmic(axis *plot.Axis, lowest, highest float64, label func(float64) string) {
	axis.Scale = plot.LogScale{}
	axis.Min, axis.Max = lowest, highest
	var ticks plot.ConstantTicks
	steps := []float64{1, 2, 5}
	if highest/lowest > 200 {
		steps = steps[:1]
	}
	for decade := math.Pow(10, math.Floor(math.Log10(lowest))); decade <= highest; decade *= 10 {
		for _, s := range steps {
			ticks = append(ticks, plot.Tick{Value: s * decade, Label: label(s * decade)})
		}
	}
	axis.Tick.Marker = ticks
}

// niceStep is the next of 1, 2, 5, 10, 20, 50 and so on.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, s := range []float64{1, 2, 5} {
		if v <= s*decade {
			return s * decade
		}
	}
	return 10 * decade
}

// mark has a logarithmic horizontal axis of what a parameter was in the rows, with marks
// there and nowhere else.
func (p panel) mark(rows []row, param string) {
	var marks plot.ConstantTicks
	p.X.Min, p.X.Max = math.Inf(1), 0
	for _, r := range rows {
		if v := r.number(param); v > 0 {
			marks = append(marks, plot.Tick{Value: v, Label: r.Param(param)})
			p.X.Min, p.X.Max = min(p.X.Min, v*0.9), max(p.X.Max, v)
		}
	}
	p.X.Tick.Marker = marks
	p.X.Scale = plot.LogScale{}
}

// roomForNames is the width of the names at the right of lines.
const roomForNames = 66

// beside draws panels side by side, with room at the right of each, where its lines are
// named.
func beside(panels []panel) func(draw.Canvas) {
	return func(c draw.Canvas) { tile(c, panels, 1, len(panels), roomForNames) }
}

// stacked draws panels one above the other.
func stacked(panels []panel) func(draw.Canvas) {
	return func(c draw.Canvas) { tile(c, panels, len(panels), 1, 0) }
}

func tile(c draw.Canvas, panels []panel, rows, columns int, right vg.Length) {
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 14, PadY: 12}
	for i, p := range panels {
		at := tiles.At(c, i%columns, i/columns)
		write(at, bold(10, ink), at.Min.X, at.Max.Y-8, p.title)
		p.Draw(draw.Crop(at, 0, -right, 0, -24))
	}
}

func count(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
