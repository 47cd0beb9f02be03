package main

import (
	"fmt"
	"math"

	"github.com/pgactor/pgactor/bench/result"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bars are groups of bars, one of each peer, with the value above; where there is none
// there is a gap.
type bars struct {
	peers  []string
	values [][]float64 // by group and peer
}

// grouped has a group for each row: the medians of the peers.
func grouped(rows []row, peers []string) bars {
	b := bars{peers: peers}
	for _, r := range rows {
		group := make([]float64, len(peers))
		for i, peer := range peers {
			group[i] = result.Median(r.Samples(peer, result.PerOp))
		}
		b.values = append(b.values, group)
	}
	return b
}

func (b bars) highest() (most float64) {
	for _, group := range b.values {
		for _, v := range group {
			if v > most { // not NaN
				most = v
			}
		}
	}
	return most
}

// Plot draws the bars of group i around i.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	wide := (x(1) - x(0)) * 0.84 / vg.Length(len(b.peers))
	for i, group := range b.values {
		left := x(float64(i)) - wide*vg.Length(len(b.peers))/2
		for j, peer := range b.peers {
			if v := group[j]; !math.IsNaN(v) {
				b.bar(c, peer, left+wide*vg.Length(j), wide-1.5, y(0), y(v), short(v))
			}
		}
	}
}

func (b bars) bar(c draw.Canvas, peer string, left, wide, bottom, top vg.Length, label string) {
	c.FillPolygon(colours[peer], rectangle(left, bottom, wide, top-bottom))
	write(c, aligned(plain(7, written(peer)), draw.XCenter), left+wide/2, top+5, label)
}

// short fits above a bar.
func short(v float64) string {
	if v >= 9999.5 {
		return fmt.Sprintf("%.1fk", v/1000)
	}
	return fmt.Sprintf("%.0f", v)
}
