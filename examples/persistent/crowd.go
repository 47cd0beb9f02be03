package main

import (
	"context"
	"sync/atomic"
)

// A crowd is a book whose first callers wait for each other, until there is one
// for each connection. Each comes in a transaction: then no connection is left, and
// all of them need one to go on. With a pool that lends another for each get they
// would wait for ever.
type crowd struct {
	book
	came     atomic.Int64
	complete chan struct{}
}

func newCrowd(b book) *crowd { return &crowd{book: b, complete: make(chan struct{})} }

func (c *crowd) Add(ctx context.Context, i invoice) error {
	if c.came.Add(1) == connections {
		close(c.complete)
	}
	select {
	case <-c.complete:
		return c.book.Add(ctx, i)
	case <-ctx.Done():
		return ctx.Err()
	}
}
