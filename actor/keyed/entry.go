package keyed

import (
	"time"
)

// An entry is one key for as long as one resource is bound to it, and while gets wait
// for that. The table leads to it; it is used once.
type entry[R any] struct {
	table  *Table[R]
	shard  chan *shard[R] // which the entry is in
	key    any
	tenant any           // of the get that made the entry, and so of all that share it
	note   chan *note[R] // of one

	// Of the get that fetches, until the entry is bound. Then nobody changes them.
	lease Lease[R]
	value R
	id    uint64
	since time.Time // when it was bound

	content note[R] // what lies in note
}

func newEntry[R any](t *Table[R], at chan *shard[R], r *Request[R]) *entry[R] {
	e := &entry[R]{table: t, shard: at, key: r.Key, tenant: r.Tenant, note: make(chan *note[R], 1)}
	e.content.patience = r.Patience
	e.note <- &e.content
	return e
}

// A note is what the holders of one key know of each other. It lies in a channel of
// one: the goroutine that has taken it out owns it, and the references in it, and puts
// it back after a few instructions. With the note in hand nobody calls a function of
// the Config's, a hook or a context, and nobody waits.
//
// Invariant: refs.len is the number of references that have not come back; live of
// them have not ended; the others are in use still. waiting is empty unless the state
// is fetching.
type note[R any] struct {
	state     state
	patience  Patience  // of the get that fetches
	waiting   list[R]   // gets that wait for what another one fetches, the first first
	refs      list[R]   // references that have not come back, the oldest first
	live      int       // of refs, those that have not ended
	granted   uint64    // references so far
	user      *ref[R]   // has the turn
	doing     string    // what for
	discard   bool      // a holder wants the resource closed
	killed    error     // once the layer has killed the resource, or is about to
	deadSince time.Time // with MaxLease: when a get found it revoked, or it was
}

// state says what an entry does.
type state uint8

const (
	fetching state = iota // one get fetches, first the one that made the entry; the others wait
	bound                 // every get shares the resource
	draining              // no get shares it any more; the last references have not come back
	over                  // has nothing; a get that finds it looks the key up again
)

var stateNames = [...]string{"fetching", "bound", "draining", "over"}

// serves reports whether an entry in this state has, or will have, something to share.
func (s state) serves() bool { return s == fetching || s == bound }

// String returns the state's name.
func (s state) String() string { return stateNames[s] }

// A list is a list of references. A reference is in one list at most.
type list[R any] struct {
	first, last *ref[R]
	len         int
}

// push appends h, which must not be in a list.
func (l *list[R]) push(h *ref[R]) {
	h.prev, h.next = l.last, nil
	if l.last == nil {
		l.first = h
	} else {
		l.last.next = h
	}
	l.last = h
	l.len++
}

// remove removes h, which must be in l.
func (l *list[R]) remove(h *ref[R]) {
	if h.prev == nil {
		l.first = h.next
	} else {
		h.prev.next = h.next
	}
	if h.next == nil {
		l.last = h.prev
	} else {
		h.next.prev = h.prev
	}
	h.prev, h.next = nil, nil
	l.len--
}

// grant makes h a holder.
func (n *note[R]) grant(h *ref[R]) {
	h.phase, h.out = held, true
	n.refs.push(h)
	n.live++
	n.granted++
}

// newest returns the youngest reference whose context ends with done; if there is none,
// and done has not ended, the youngest of all. References that are their holder's own
// do not count.
func (n *note[R]) newest(done <-chan struct{}) *ref[R] {
	var youngest *ref[R]
	for h := n.refs.last; h != nil; h = h.prev {
		switch {
		case h.phase != held || h.own:
		case h.done == done:
			return h
		case youngest == nil:
			youngest = h
		}
	}
	if done != nil && isClosed(done) {
		return nil
	}
	return youngest
}

// isClosed reports whether c, on which nobody sends, is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
