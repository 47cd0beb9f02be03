package actor

import (
	"math/rand/v2"
	"time"
)

// simDice makes every choice of a simulation, so that one seed is one
// schedule. Fuzzing gives it bytes, which decide as long as they last.
type simDice struct {
	data []byte
	pcg  *rand.PCG
}

func newSimDice(seed uint64, data []byte) simDice {
	return simDice{data: data, pcg: rand.NewPCG(seed, 0x9e3779b97f4a7c15)}
}

// n is one of 0 to most-1.
func (d *simDice) n(most int) int {
	if len(d.data) > 1 {
		v := int(d.data[0])
		d.data = d.data[1:]
		if most > 256 {
			v += int(d.data[0]) << 8
			d.data = d.data[1:]
		}
		return v % most
	}
	return int(d.pcg.Uint64() >> 32 * uint64(most) >> 32)
}

// in is true in percent of a hundred cases.
func (d *simDice) in(percent int) bool { return percent > 0 && d.n(100) < percent }

// between is one of low to high.
func (d *simDice) between(low, high int) int { return low + d.n(high-low+1) }

// upTo is a time of 1 to most, with both the short and the long likely.
func (d *simDice) upTo(most time.Duration) time.Duration {
	return max(1, most>>d.n(8)*time.Duration(1+d.n(64))/64)
}

// pick is one of them.
func (d *simDice) pick(of ...time.Duration) time.Duration { return of[d.n(len(of))] }
