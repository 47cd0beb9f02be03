package main

import (
	"context"
	"sync/atomic"
)

// A crowd has requests wait for each other, until there is one for each connection. Each
// comes in a transaction: then no connection is left, and all of them need one to go on.
// With a pool that lends another for each get they would wait for ever.
type crowd struct {
	came     atomic.Int64
	complete chan struct{}
}

func newCrowd() *crowd { return &crowd{complete: make(chan struct{})} }

func (c *crowd) meet(ctx context.Context) error {
	if c.came.Add(1) == connections {
		close(c.complete)
	}
	select {
	case <-c.complete:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
