package main

import (
	"bytes"
	"os"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A sheet is a picture: a title, lines that explain it, diagrams, and where and how it
// was measured.
type sheet struct {
	title   string
	explain []string
	peers   []string // named under the title, if the diagrams do not name them
	caption []string
	height  vg.Length // of what is between title and caption
	draw    func(c draw.Canvas)
}

// Sizes. A README on a wide screen is 630 points wide.
const (
	width   = 630
	margin  = 14
	lineGap = 13
)

func (s *sheet) write(path string) error {
	above := vg.Length(margin + 20 + lineGap*len(s.explain) + 6)
	if len(s.peers) > 0 {
		above += 18
	}
	below := vg.Length(margin + 11*len(s.caption) + 4)
	canvas := vgsvg.New(width, above+s.height+below)
	c := draw.New(canvas)
	c.FillPolygon(paper, rectangle(0, 0, c.Max.X, c.Max.Y))
	c = draw.Crop(c, margin, -margin, 0, 0)
	s.drawHead(c)
	for i, line := range s.caption {
		y := below - 14 - vg.Length(11*i)
		write(c, plain(8, faint), c.Min.X, y, line)
	}
	s.draw(draw.Crop(c, 0, 0, below, -above))

	var text bytes.Buffer
	if _, err := canvas.WriteTo(&text); err != nil {
		return err
	}
	return os.WriteFile(path, withFonts(text.Bytes()), 0o644)
}

func (s *sheet) drawHead(c draw.Canvas) {
	y := c.Max.Y - margin - 7
	write(c, bold(13, ink), c.Min.X, y, s.title)
	y -= 5
	for _, line := range s.explain {
		y -= lineGap
		write(c, plain(9.5, faint), c.Min.X, y, line)
	}
	x := c.Min.X
	for _, peer := range s.peers {
		c.FillPolygon(colours[peer], rectangle(x, y-23, 8, 8))
		write(c, plain(9.5, written(peer)), x+13, y-19, peer)
		x += plain(9.5, ink).Width(peer) + 29
	}
}

// rectangle has its lower left corner at a point.
func rectangle(x, y, width, height vg.Length) []vg.Point {
	return []vg.Point{{X: x, Y: y}, {X: x + width, Y: y}, {X: x + width, Y: y + height}, {X: x, Y: y + height}}
}

// withFonts names fonts that are as wide, for who has not got the one that was measured
// with. An embedded font would make the file larger by half a megabyte, and GitHub's
// policy for content need not let it be loaded.
func withFonts(svg []byte) []byte {
	return bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
}
