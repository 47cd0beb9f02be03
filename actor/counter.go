package actor

import "math"

// A counter counts what any number of goroutines add. It is a channel of values without
// size, which take no memory; the count is its length.
type counter chan struct{}

func newCounter() counter { return make(counter, math.MaxInt) }

func (c counter) add()        { c <- struct{}{} }
func (c counter) sum() uint64 { return uint64(len(c)) }
