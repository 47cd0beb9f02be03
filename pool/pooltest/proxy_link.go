package pooltest

import (
	"math/rand/v2"
	"time"
)

// A link says how data travels one way.
type link struct {
	delay func(*rand.Rand) time.Duration // nil: none
	rate  int                            // bytes per second; 0: no limit
	hole  bool                           // nothing travels
}

// The faults, as changes of a link.

func noFault(l *link) { *l = link{} }

func hole(on bool) func(*link) { return func(l *link) { l.hole = on } }

func throttleTo(rate int) func(*link) { return func(l *link) { l.rate = max(0, rate) } }

func delayBy(f func(*rand.Rand) time.Duration) func(*link) { return func(l *link) { l.delay = f } }

// Uniform returns a function for DelayFunc: any duration from low to high (inclusive), each as likely as the others. Where high
// is not above low it is always low.
func Uniform(low, high time.Duration) func(dice *rand.Rand) time.Duration {
	return func(dice *rand.Rand) time.Duration {
		if high <= low {
			return low
		}
		return low + time.Duration(dice.Int64N(int64(high-low)+1))
	}
}

func (l *link) draw(dice *rand.Rand) time.Duration {
	if l.delay == nil {
		return 0
	}
	return max(0, l.delay(dice))
}

const portionRate = 50 // a throttled link passes on so many portions per second

// portion returns how many of n bytes may travel at a time.
func (l *link) portion(n int) int {
	if l.rate == 0 {
		return n
	}
	return min(n, max(1, l.rate/portionRate))
}

// duration returns how long n bytes take.
func (l *link) duration(n int) time.Duration {
	if l.rate == 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(l.rate) * float64(time.Second))
}
