package actor

import (
	"context"
	"fmt"
)

// A Request says which resource a get asks for and how long it waits. The zero
// value is what Get asks: any resource, as long as the context allows.
type Request struct {
	// Key, if not nil, asks for the resource that is lent under this key, or
	// binds one to it: until its last lease is put, everybody who asks with an
	// equal key shares the resource. If that is killed (see MaxLease and EndGrace of
	// [Config]), who asks gets a [*RevokedError] until all who held it then have put it,
	// or for MaxLease: on another resource, code that they call would take itself to
	// be where they are. Then the key gets another resource. Whatever is comparable may
	// be a key.
	Key any

	// Tied has the lease end with the context of its get, as if it were put: at
	// once if it has no turn (see [Lease.Use]) and its resource is not exposed, else
	// when that is over, or after EndGrace, when the resource is killed. Whoever
	// puts it then gets no error. It needs a Key.
	Tied bool

	// Own has PutKey pass over the lease: only its holder puts it. It needs a Key.
	Own bool

	// Bind has Config.Bind called if the request is the first of those for whom a
	// resource is bound to the Key.
	Bind bool

	Patience Patience
}

// Patience says how long a request waits for a resource.
type Patience uint8

const (
	// Wait waits until a resource comes or the context ends.
	Wait Patience = iota
	// NoWait waits for a resource to be opened, cleaned or replaced, but not
	// for a borrower: ErrExhausted if every one is lent, ErrUnavailable if none
	// can be opened now (see OutagePolicy).
	NoWait
	// TryOnly takes an idle resource or gets ErrExhausted (in an outage
	// ErrUnavailable). It opens none, and waits for nothing but the resource it
	// gets: with a key until that has been looked at, and for what Prepare wants to
	// have cleaned or checked, for a second at most.
	TryOnly
)

// Get lends a resource: an idle one, or the first that is put or opened. It
// blocks until ctx ends at the latest; then errors.Is finds the context's error,
// and a [*WaitError] tells what was waited for. Those who wait are served in the
// order of their arrival. A ctx that has ended before fails even if a resource is
// idle. Other errors: ErrClosed, ErrUnavailable (see [OutagePolicy]),
// ErrTooManyWaiting, and what Config.Prepare returns.
func (s *Supervisor[R]) Get(ctx context.Context) (*Lease[R], error) {
	if ctx.Err() != nil {
		return nil, endedError("get", ctx)
	}
	l, brings, err := s.fromShelf(ctx)
	if l != nil || err != nil {
		return l, err
	}
	return s.fromDesk(ctx, Request{}, brings)
}

// GetWith is Get with a choice of resource and patience. Further errors:
// ErrExhausted for a request that does not wait, [*KeyError] for a key that
// cannot be one, [*RevokedError] for one whose resource was killed.
func (s *Supervisor[R]) GetWith(ctx context.Context, r Request) (*Lease[R], error) {
	if err := s.checkRequest(r); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, endedError("get", ctx)
	}
	if r.Key != nil {
		return s.fromDesk(ctx, r, brought[R]{})
	}
	l, brings, err := s.fromShelf(ctx)
	if l != nil || err != nil {
		return l, err
	}
	return s.fromDesk(ctx, r, brings)
}

// TryGet lends an idle resource, or gives ErrExhausted. It neither waits nor
// opens a resource. Other errors: ErrClosed, and in an outage ErrUnavailable,
// which tells more.
func (s *Supervisor[R]) TryGet() (*Lease[R], error) {
	return s.GetWith(context.Background(), Request{Patience: TryOnly})
}

func endedError(what string, ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != err {
		return fmt.Errorf("%s: %w: %w", what, err, cause)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (s *Supervisor[R]) checkRequest(r Request) error {
	switch {
	case r.Bind && s.cfg.Bind == nil:
		return &ConfigError{"Bind", true, "needs Config.Bind"}
	case r.Key != nil:
		return checkKey(r.Key)
	case r.Tied:
		return &ConfigError{"Tied", true, "needs a Key"}
	case r.Own:
		return &ConfigError{"Own", true, "needs a Key"}
	case r.Bind:
		return &ConfigError{"Bind", true, "needs a Key"}
	default:
		return nil
	}
}

// checkKey compares the key, which panics if it cannot be.
func checkKey(key any) (err error) {
	if key == nil {
		return &KeyError{key, "is nil"}
	}
	defer func() {
		if recover() != nil {
			err = &KeyError{key, "not comparable"}
		}
	}()
	if key != key {
		return &KeyError{key, "not equal to itself"}
	}
	return nil
}

// fromShelf is the fast lane: while the gate is open, take what lies there.
func (s *Supervisor[R]) fromShelf(ctx context.Context) (*Lease[R], brought[R], error) {
	for len(s.gate) == 0 {
		s.at(beforeTake)
		sl := s.offShelf()
		if sl == nil {
			break
		}
		s.at(afterTake)
		if s.cfg.MinIdle > 0 && s.shelved() < s.cfg.MinIdle {
			s.tellLow()
		}
		sl.uses++
		fit, brings, err := s.fit(ctx, sl, false)
		if fit {
			return sl.lease(), brings, nil
		}
		if brings.slot != nil || err != nil {
			return nil, brings, err
		}
	}
	return nil, brought[R]{}, nil
}

// tellLow tells the desk that fewer than MinIdle are left, unless somebody has
// told it already.
func (s *Supervisor[R]) tellLow() {
	select {
	case <-s.low:
		s.send(message[R]{kind: wakeMessage})
	default:
	}
}

// fit looks at a slot before it is used. One that is not fit, or not to be used
// because of an error, goes to the desk: now, or with the request.
func (s *Supervisor[R]) fit(ctx context.Context, sl *slot[R], fresh bool) (fit bool, brings brought[R], err error) {
	if isClosed(sl.recall) {
		s.send(message[R]{kind: putMessage, slot: sl})
		return false, brings, nil
	}
	if (s.cfg.Look != nil || s.cfg.KeepAlive) && !fresh {
		now := s.now()
		rested := now - sl.since
		sl.since = now
		if s.cfg.Look != nil && rested >= s.cfg.LookAfter {
			if v := s.verdict(sl, s.cfg.Look); v != Keep {
				s.send(message[R]{kind: putMessage, slot: sl, verdict: v, why: ReasonBroken})
				return false, brings, nil
			}
		}
	}
	if s.cfg.Prepare == nil {
		return true, brings, nil
	}
	return s.prepare(ctx, sl, fresh)
}

// prepare asks Prepare about a slot that this goroutine owns. errRefused says
// that it was no good though it was proven.
func (s *Supervisor[R]) prepare(ctx context.Context, sl *slot[R], fresh bool) (fit bool, brings brought[R], err error) {
	v := s.verdict(sl, func(r R) (v Verdict) {
		v, err = s.cfg.Prepare(ctx, r, fresh)
		return v
	})
	switch {
	case v == Keep && err == nil:
		return true, brings, nil
	case err == nil && v < Discard:
		brings = brought[R]{sl, v}
	case v == Keep && s.cfg.Judge != nil:
		s.putBack(sl, s.verdict(sl, s.cfg.Judge), ReasonRefused)
	default:
		s.putBack(sl, v, ReasonRefused)
	}
	if err == nil && fresh {
		err = errRefused
	}
	return false, brings, err
}

// verdict asks f about a slot that this goroutine owns. If f panics, the slot
// goes to the desk to be closed while the panic goes on.
func (s *Supervisor[R]) verdict(sl *slot[R], f func(R) Verdict) (v Verdict) {
	returned := false
	defer func() {
		if !returned {
			s.send(message[R]{kind: putMessage, slot: sl, verdict: Discard, why: ReasonPanicked})
		}
	}()
	v = f(sl.value)
	returned = true
	return v
}

// fromDesk asks the supervisor and waits for its answer.
func (s *Supervisor[R]) fromDesk(ctx context.Context, r Request, brings brought[R]) (*Lease[R], error) {
	o := s.origin(ctx)
	t := s.ticket()
	t.ctx, t.key, t.binds, t.patience, t.brings, t.origin = ctx, r.Key, r.Bind, r.Patience, brings, o
	sl, err := s.request(ctx, t)
	switch {
	case err != nil:
		return nil, err
	case r.Key != nil:
		return s.newKeyed(ctx, sl, r, o), nil
	default:
		return s.newLease(sl, o), nil
	}
}

// request sends a ticket, receives its one answer, and recycles it. A slot
// that proves unfit before use costs another round at the old place in the
// queue.
func (s *Supervisor[R]) request(ctx context.Context, t *ticket[R]) (*slot[R], error) {
	refused := 0
	for kind := getMessage; ; kind = againMessage {
		if !s.send(message[R]{kind: kind, ticket: t}) {
			return nil, ErrClosed
		}
		a, ended := s.await(ctx, t)
		switch {
		case a.slot == nil:
			if !ended {
				s.recycle(t)
			}
			return nil, s.explain(a.err)
		case t.key != nil:
			s.recycle(t)
			return a.slot, nil
		}
		fit, brings, err := s.fit(ctx, a.slot, a.fresh)
		t.brings = brings
		if err == errRefused {
			if refused++; refused <= s.cfg.MaxOpen {
				continue
			}
			err = refusedOften(refused)
			if brings.slot != nil {
				s.putBack(brings.slot, brings.verdict, ReasonRefused)
			}
		}
		if fit || err != nil {
			s.recycle(t)
			return a.slot, err
		}
	}
}

// await receives the answer to a ticket that was sent. A borrower whose context
// ends says so and still receives its answer: "cancelled", or a slot that came
// first, which goes back at once. ended says that the actor has ended: the
// ticket may still be in the inbox and must not be used again.
func (s *Supervisor[R]) await(ctx context.Context, t *ticket[R]) (a answer[R], ended bool) {
	if isClosed(s.closed) {
		return s.lastLook(t), true
	}
	// The end had not come when the ticket was sent, so it will be answered.
	done := ctx.Done()
	if done == nil {
		return <-t.reply, false
	}
	select {
	case a = <-t.reply:
		return a, false
	case <-done:
	}
	s.at(beforeCancel)
	// If the actor ends before it reads this, it has answered the get.
	s.send(message[R]{kind: cancelMessage, ticket: t})
	a = <-t.reply
	return s.afterCancel(ctx, t, a), isClosed(s.closed)
}

// lastLook is for an answer that was given just before the end. A slot it
// brings has been revoked since.
func (s *Supervisor[R]) lastLook(t *ticket[R]) answer[R] {
	select {
	case a := <-t.reply:
		if a.slot == nil {
			return a
		}
	default:
	}
	return answer[R]{err: ErrClosed}
}

// afterCancel turns an answer into the error of a get whose context has ended.
func (s *Supervisor[R]) afterCancel(ctx context.Context, t *ticket[R], a answer[R]) answer[R] {
	if a.slot != nil {
		if t.key != nil {
			s.putKeyed(a.slot, Keep, t.origin)
		} else {
			s.putBack(a.slot, Keep, ReasonNone)
		}
		return answer[R]{err: endedError("get", ctx)}
	}
	if w, ok := a.err.(*WaitError); ok {
		w.endedBy(ctx)
	}
	return a
}

// ticket takes a used ticket off the free list, or makes one.
func (s *Supervisor[R]) ticket() *ticket[R] {
	if t := take(s.tickets); t != nil {
		return t
	}
	return &ticket[R]{reply: make(chan answer[R], 1)}
}

// recycle keeps an answered ticket for the next request, without what it
// carried.
func (s *Supervisor[R]) recycle(t *ticket[R]) {
	t.ctx, t.key, t.binds, t.patience, t.asks, t.brings, t.origin = nil, nil, false, Wait, forResource, brought[R]{}, nil
	lay(s.tickets, t)
}
