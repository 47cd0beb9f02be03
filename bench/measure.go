package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// A plan says how long studies take.
type plan result.Plan

var (
	whole = plan{Rounds: 8, Turn: 15 * time.Millisecond}
	smoke = plan{Rounds: 2, Turn: 2 * time.Millisecond}
)

// measure has the peers of a setting take turns, so that what slows the machine for a
// while slows all of them. Each round has another order: nobody always comes after the
// same one.
func (pl plan) measure(ctx context.Context, l *lab, s setting) ([]contender, error) {
	all := make([]contender, len(s.peers))
	for i, p := range s.peers {
		all[i].Contender = result.Contender{Peer: p.name, Samples: map[string][]float64{}}
		t, err := s.measure(ctx, l, p)
		if err == nil {
			all[i].turn = t
			all[i].n, err = pl.size(s, t)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	rounds := pl.Rounds * max(s.erratic, 1)
	if s.most > 0 {
		rounds = min(rounds, s.most)
	}
	for r := range rounds {
		for _, i := range rand.New(rand.NewPCG(1, uint64(r))).Perm(len(all)) {
			if err := all[i].take(); err != nil {
				return nil, fmt.Errorf("%s: %w", all[i].Peer, err)
			}
		}
	}
	return all, nil
}

// size finds how many operations a turn has, which warms up too: what it goes by is
// not the first turn that is long enough, but one more.
func (pl plan) size(s setting, t turn) (int, error) {
	if s.most > 0 {
		return 1, nil
	}
	warm := false
	for n := max(64, s.least); ; {
		began := time.Now()
		if _, err := t(n); err != nil {
			return 0, err
		}
		took := max(time.Since(began), time.Microsecond)
		if took >= pl.Turn/2 {
			if !warm {
				warm = true
				continue
			}
			return max(s.least, int(float64(n)*float64(pl.Turn)/float64(took))), nil
		}
		n = min(n*16, max(n*2, int(float64(n)*float64(pl.Turn)/float64(took))))
	}
}

// A contender is a peer in a setting, with what its turns have measured.
type contender struct {
	result.Contender
	turn turn
	n    int
}

// take leaves the garbage of whoever came before to him.
func (c *contender) take() error {
	runtime.GC()
	s, err := c.turn(c.n)
	for unit, value := range s {
		c.Samples[unit] = append(c.Samples[unit], value)
	}
	return err
}
