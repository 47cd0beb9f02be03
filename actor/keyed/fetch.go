package keyed

import (
	"errors"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// fetch gets a resource for all who wait for the key, with the context of its own get,
// and is the get's result. If it fails for a reason of its own, the next get that waits
// fetches.
func (t *Table[R]) fetch(h *ref[R], r *Request[R]) (*Hold[R], error) {
	e, settled := h.entry, false
	defer func() {
		if !settled { // a panic, or runtime.Goexit
			e.passOn(<-e.note)
		}
	}()
	lease, own, err := t.fetchLease(h, r)
	settled = true
	switch {
	case err == nil:
		e.bind(lease, h)
		return h.handOver(), nil
	case own:
		e.passOn(<-e.note)
		return nil, err
	default:
		e.fail(err)
		return nil, err
	}
}

// fetchLease gets a lease, and calls Bind. own reports whether an error is nobody else's
// business. A lease that is not returned has gone back.
func (t *Table[R]) fetchLease(h *ref[R], r *Request[R]) (lease Lease[R], own bool, err error) {
	lease, err = t.config.Get(h.ctx, r.Patience)
	if err != nil {
		return nil, r.Patience > Wait || errors.Is(err, actor.ErrTimeout) || h.contextEnded(), err
	}
	if r.Bind != nil {
		if own, err = h.bindTo(lease, r); err != nil {
			return nil, own, err
		}
	}
	if isClosed(t.config.Closing) {
		_ = lease.Put()
		return nil, false, actor.ErrClosed
	}
	return lease, false, nil
}

// bindTo calls Bind, unless the context has ended. If that has ended afterwards, or
// Bind fails, the lease is put; if Bind does not return, it is discarded.
func (h *ref[R]) bindTo(lease Lease[R], r *Request[R]) (own bool, err error) {
	back := false
	defer func() {
		if !back {
			_ = lease.Discard()
		}
	}()
	if h.ctx.Err() == nil {
		err = r.Bind(h.ctx, lease.Value())
	}
	own = h.contextEnded()
	if err == nil && h.ctx.Err() != nil {
		err = endedError("get", h.ctx)
	}
	back = true
	if err != nil {
		_ = lease.Put()
	}
	return own, err
}

// contextEnded reports whether the context of the get has ended, or is about to: the
// resource may have noticed its deadline first.
func (h *ref[R]) contextEnded() bool {
	if h.ctx.Err() != nil {
		return true
	}
	deadline, ok := h.ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// bind makes a holder of h, which has fetched lease, and of all who wait.
func (e *entry[R]) bind(lease Lease[R], h *ref[R]) {
	e.lease, e.value, e.id, e.since = lease, lease.Value(), lease.ID(), time.Now()
	e.enlist() // before anybody can put it
	n := <-e.note
	n.state = bound
	grant := func(n *note[R], h *ref[R]) {
		h.since = e.since
		n.grant(h)
	}
	grant(n, h)
	answers := n.answerAll(grant)
	e.note <- n
	tell(answers, answer[R]{kind: success})
}

// fail tells all who wait for the key that there is nothing for them.
func (e *entry[R]) fail(err error) {
	n := <-e.note
	n.state = over
	answers := n.answerAll(func(_ *note[R], h *ref[R]) { h.phase = failed })
	e.note <- n
	e.unlist(false, 0)
	tell(answers, answer[R]{kind: failure, err: err})
}

// passOn has the next get that waits fetch. It puts n, the entry's note, back.
func (e *entry[R]) passOn(n *note[R]) {
	next := n.waiting.first
	if next == nil {
		n.state = over
		e.note <- n
		e.unlist(false, 0)
		return
	}
	n.waiting.remove(next)
	next.phase, n.patience = asking, next.patience
	var refused []chan answer[R] // those that do not wait for what next may wait for
	for h := n.waiting.first; h != nil; {
		hasty := h
		if h = h.next; hasty.patience > n.patience {
			n.waiting.remove(hasty)
			hasty.phase = failed
			refused = append(refused, hasty.answer)
		}
	}
	e.note <- n
	next.answer <- answer[R]{kind: takeOver}
	tell(refused, answer[R]{kind: failure, err: actor.ErrExhausted})
}

// answerAll calls f with each get that waits. It returns the channels on which they are
// to be told, once the note is back.
func (n *note[R]) answerAll(f func(n *note[R], h *ref[R])) []chan answer[R] {
	if n.waiting.len == 0 {
		return nil
	}
	answers := make([]chan answer[R], 0, n.waiting.len)
	for h := n.waiting.first; h != nil; h = n.waiting.first {
		n.waiting.remove(h)
		f(n, h)
		answers = append(answers, h.answer)
	}
	return answers
}

// tell sends a on all channels, each of which has room for it.
func tell[R any](answers []chan answer[R], a answer[R]) {
	for _, c := range answers {
		c <- a
	}
}
