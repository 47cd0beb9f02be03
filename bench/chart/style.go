package main

import (
	"image/color"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The peers in the order in which they are drawn: ours, the rival, the others.
const (
	ours       = "pgactor"
	rival      = "pgxpool"
	stdlib     = "database/sql"
	persistent = "persistent"
	bareActor  = "bare actor"
	channel    = "channel"
	supervisor = "supervisor"
)

// Colours. The paper is white, as the page may be dark.
var (
	paper  = color.White
	ink    = color.RGBA{0x1f, 0x23, 0x28, 0xff}
	faint  = color.RGBA{0x65, 0x6d, 0x76, 0xff}
	grid   = color.RGBA{0xe4, 0xe7, 0xeb, 0xff}
	blue   = color.RGBA{0x0b, 0x5c, 0xc4, 0xff}
	orange = color.RGBA{0xd9, 0x6c, 0x06, 0xff}
)

var colours = map[string]color.Color{
	ours:       blue,
	supervisor: blue, // what pgactor is built on
	persistent: color.RGBA{0x7a, 0xae, 0xea, 0xff},
	rival:      orange,
	stdlib:     color.RGBA{0x7d, 0x85, 0x90, 0xff},
	bareActor:  color.RGBA{0xa3, 0xaa, 0xb3, 0xff},
	channel:    color.RGBA{0xc9, 0xce, 0xd4, 0xff},
}

// written is a peer's colour for text: the light greys are hard to read.
func written(peer string) color.Color {
	switch peer {
	case ours, supervisor, rival:
		return colours[peer]
	}
	return faint
}

// Fonts are measured as Liberation Sans, which is as wide as Arial and Helvetica.
var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

func plain(size vg.Length, c color.Color) draw.TextStyle {
	return draw.TextStyle{
		Color:   c,
		Font:    font.From(sans, size),
		YAlign:  draw.YCenter,
		Handler: text.Plain{Fonts: font.DefaultCache},
	}
}

func bold(size vg.Length, c color.Color) draw.TextStyle {
	s := plain(size, c)
	s.Font.Weight = xfont.WeightBold
	return s
}

// aligned puts text to the left of a point, or around it.
func aligned(s draw.TextStyle, x text.XAlignment) draw.TextStyle {
	s.XAlign = x
	return s
}

// write centres on a line what is above the base line of text.
func write(c draw.Canvas, s draw.TextStyle, x, y vg.Length, text string) {
	c.FillText(s, vg.Point{X: x, Y: y + s.FontExtents().Descent/2}, text)
}

func thin(c color.Color) draw.LineStyle { return draw.LineStyle{Color: c, Width: vg.Points(0.75)} }

func init() { plot.DefaultFont = sans }
