package actor

import "context"

// Causes are the contexts of gets that wait, in the order in which the gets told the
// supervisor. A dial carries the values of one of them.
type causes struct {
	known []context.Context
	used  int // of known, from the first on: they have a dial
}

// add notes the context of a get that waits.
func (c *causes) add(ctx context.Context) { c.known = append(c.known, ctx) }

// next returns the context for a dial: that of the first get without one, or, if the dial
// is another one for a get that has waited for one in vain, of the last; nil if no get is
// known to wait.
func (c *causes) next() context.Context {
	if c.used < len(c.known) {
		c.used++
	}
	if c.used == 0 {
		return nil
	}
	return c.known[c.used-1]
}

// trim forgets the gets that wait no more: those that have waited longest.
func (c *causes) trim(waiting int) {
	if n := len(c.known) - waiting; n > 0 {
		clear(c.known[:n])
		c.known, c.used = c.known[n:], max(0, c.used-n)
	}
}
