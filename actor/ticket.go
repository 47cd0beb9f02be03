package actor

import (
	"context"
	"time"
)

// A ticket is one request of one borrower. Tickets are reused: a borrower
// takes one from the free list, sends it, receives exactly one answer, and
// gives it back. Its cancel travels the same inbox behind the get, so the
// supervisor has forgotten a ticket before it sees it again.
type ticket[R any] struct {
	// The borrower's, written before the ticket is sent and cleared before it
	// is recycled.
	ctx      context.Context
	key      any
	binds    bool // Config.Bind is called for it
	patience Patience
	asks     want
	brings   brought[R]
	origin   *origin // with Track

	reply chan answer[R] // cap 1: the supervisor never blocks on it

	// The supervisor's. A cancel reads only these: by the time it is read, the
	// fields above may be another request's.
	wait waiting[R]
}

// brought is a slot that comes with a request: Prepare wants it cleaned or
// checked, and the request waits for it.
type brought[R any] struct {
	slot    *slot[R]
	verdict Verdict
}

// want is what a ticket asks for.
type want uint8

const (
	forResource want = iota
	forMinimum       // that MinOpen resources are open
	forQuiet         // that nothing is lent
)

// waiting is what the supervisor knows of a ticket.
type waiting[R any] struct {
	arrival    uint64
	since      time.Duration
	key        *binding[R] // what it waits to share or bind, nil without key
	queued     bool
	caused     bool    // a dial was made for it
	mends      *job[R] // of the slot it brought
	prev, next *ticket[R]
}

// An answer is a slot or an error, never both.
type answer[R any] struct {
	slot  *slot[R]
	fresh bool // the slot has just proved to work: no look, however late the borrower wakes
	err   error
}

// queue holds the waiting tickets in the order of their arrival at the desk.
type queue[R any] struct {
	first, last *ticket[R]
	len         int
	unkeyed     int
}

// insert files t by its arrival: at the end for a newcomer, near the front for
// one that asks again.
func (q *queue[R]) insert(t *ticket[R]) {
	w := &t.wait
	before := q.last
	for before != nil && before.wait.arrival > w.arrival {
		before = before.wait.prev
	}
	w.prev = before
	if before == nil {
		w.next, q.first = q.first, t
	} else {
		w.next, before.wait.next = before.wait.next, t
	}
	if w.next == nil {
		q.last = t
	} else {
		w.next.wait.prev = t
	}
	w.queued = true
	q.len++
	if w.key == nil {
		q.unkeyed++
	}
}

func (q *queue[R]) remove(t *ticket[R]) {
	w := &t.wait
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.wait.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.wait.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
	if w.key == nil {
		q.unkeyed--
	}
}
