package actor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A sharing is what the holders of one key know of each other: who they are, and
// whose turn it is to use what they share. It lies in a channel of its own: who
// takes it out owns it, and the holds in it, until he puts it back. That is at
// once; nobody waits for a turn with it in his hands.
type sharing[R any] struct {
	holds []*hold[R] // not given back, the oldest first
	user  *hold[R]   // whose turn it is
	doing string     // and what for
}

// newSharing is the supervisor's, for a slot that it binds to a key.
func newSharing[R any]() chan *sharing[R] {
	c := make(chan *sharing[R], 1)
	c <- &sharing[R]{}
	return c
}

// A hold is what a keyed lease holds: one reference to the slot.
type hold[R any] struct {
	slot  *slot[R]
	key   any
	share chan *sharing[R]
	ctx   context.Context
	done  <-chan struct{} // of ctx
	untie func() bool     // if the end of ctx gives the reference back
	own   bool            // PutKey passes over it
	track *tracking       // with Track

	// Of whoever owns the sharing.
	ended   bool          // given back, or about to be: no more turns
	put     bool          // by the borrower
	exposed bool          // the borrower uses the resource without turns
	verdict Verdict       // of the borrower
	over    chan struct{} // cap 1: if somebody waits for the end of its use, told that it has been brought back
}

// newKeyed is the borrower's side of a grant under a key. The lease is tracked
// before others can put it.
func (s *Supervisor[R]) newKeyed(ctx context.Context, sl *slot[R], r Request, o *origin) *Lease[R] {
	h := &hold[R]{slot: sl, key: r.Key, share: sl.share, ctx: ctx, done: ctx.Done(), own: r.Own}
	l, tied := &Lease[R]{hold: h}, r.Tied && h.done != nil
	switch {
	case o == nil:
	case tied:
		h.track = &tracking{origin: o}
	default:
		h.track = s.watch(l, sl, o)
	}
	h.begin(tied)
	return l
}

func (h *hold[R]) begin(tied bool) {
	if tied {
		h.untie = context.AfterFunc(h.ctx, h.expire)
	}
	s := <-h.share
	if !h.ended {
		s.holds = append(s.holds, h)
	}
	h.share <- s
}

// errEnded is live's answer to a hold that its context has ended.
var errEnded = errors.New("ended by its context")

// live is an error once the reference is given back.
func (h *hold[R]) live() error {
	switch {
	case !h.ended:
		return nil
	case h.put:
		return ErrNotLeased
	default:
		return errEnded
	}
}

// explain is the error for the borrower. It is called without the sharing: a
// context may be the caller's own code.
func (h *hold[R]) explain(err error) error {
	if err == errEnded {
		return fmt.Errorf("%w, by the end of its context: %w", ErrNotLeased, endedError("lease", h.ctx))
	}
	return err
}

// look is live for who does not have the sharing.
func (h *hold[R]) look() error {
	s := <-h.share
	err := h.live()
	h.share <- s
	return h.explain(err)
}

// isOver is look without a word of why.
func (h *hold[R]) isOver() bool {
	s := <-h.share
	defer func() { h.share <- s }()
	return h.ended
}

// expose is look for who will use the resource without turns.
func (h *hold[R]) expose() error {
	s := <-h.share
	err := h.live()
	h.exposed = h.exposed || err == nil
	h.share <- s
	return h.explain(err)
}

// free is an error if no turn can begin.
func (h *hold[R]) free(s *sharing[R]) error {
	if err := h.live(); err != nil {
		return err
	}
	if err := h.slot.revoked(); err != nil {
		return err
	}
	if s.user != nil {
		return &BusyError{Key: h.key, Doing: s.doing}
	}
	return nil
}

// use takes the turn.
func (h *hold[R]) use(doing string) error {
	s := <-h.share
	err := h.free(s)
	if err == nil {
		s.user, s.doing = h, doing
	}
	h.share <- s
	return h.explain(err)
}

// does changes what the turn is for.
func (h *hold[R]) does(what string) {
	s := <-h.share
	if s.user == h {
		s.doing = what
	}
	h.share <- s
}

// leave gives the turn back.
func (h *hold[R]) leave() {
	s := <-h.share
	if s.user == h {
		s.user, s.doing = nil, ""
	}
	over := h.claim(s)
	h.share <- s
	h.bringFor(over)
}

// busy says that the borrower is using the resource, or may be.
func (h *hold[R]) busy(s *sharing[R]) bool { return s.user == h || h.exposed }

// claim is for who has ended the use: if somebody waits for that end, he is the one
// now to bring the reference back, so that it is back when his call returns.
func (h *hold[R]) claim(s *sharing[R]) (over chan struct{}) {
	if !h.busy(s) {
		over, h.over = h.over, nil
	}
	return over
}

// bringFor brings the reference back, and tells who has waited.
func (h *hold[R]) bringFor(over chan struct{}) {
	if over != nil {
		_ = h.bring()
		over <- struct{}{}
	}
}

// end says that there are no more turns, and returns what tells the end of the
// one under way; nil if there is none.
func (h *hold[R]) end(s *sharing[R]) chan struct{} {
	h.ended = true
	s.holds = remove(s.holds, h)
	if h.busy(s) {
		h.over = make(chan struct{}, 1)
	}
	return h.over
}

// expire is the end of the context that the reference is tied to. It runs in a
// goroutine of its own, which may wait for the end of a turn.
func (h *hold[R]) expire() {
	s := <-h.share
	if h.ended {
		h.share <- s
		return
	}
	over := h.end(s)
	h.share <- s
	h.finish(over)
}

// giveBack is the borrower's put. A turn under way delays it, in a goroutine of
// its own. After the end of the context it only says that the borrower is done.
func (h *hold[R]) giveBack(v Verdict) error { return h.giveBackWith(<-h.share, v) }

func (h *hold[R]) giveBackWith(s *sharing[R], v Verdict) error {
	if h.put {
		h.share <- s
		return ErrNotLeased
	}
	h.put, h.exposed = true, false
	h.track.stop()
	h.verdict = v
	if h.ended {
		over := h.claim(s)
		h.share <- s
		h.bringFor(over)
		return nil
	}
	over := h.end(s)
	h.share <- s
	if h.untie != nil {
		h.untie()
	}
	if over != nil {
		go h.finish(over)
		return h.slot.revoked()
	}
	return h.finish(nil)
}

// finish brings the reference back, or waits until the turn is over and it has been
// brought. If that takes too long the resource is taken from whoever uses it.
func (h *hold[R]) finish(over chan struct{}) error {
	if over == nil {
		return h.bring()
	}
	sup := h.slot.sup
	timer := time.NewTimer(sup.cfg.EndGrace)
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-timer.C:
	case <-sup.closed:
		return ErrClosed
	}
	s := <-h.share
	claimed := h.over == nil
	h.over = nil
	h.share <- s
	if claimed {
		return nil
	}
	return sup.tellNow(func(m *machine[R], now time.Duration) { m.takeAway(now, h.slot) })
}

// bring brings the reference to the desk, which may be the last.
func (h *hold[R]) bring() error {
	s := <-h.share
	v := h.verdict
	h.share <- s
	return h.slot.sup.putKeyed(h.slot, v, h.track.who())
}

// take is for Lease.Take: the supervisor is asked while nobody can begin a turn,
// and answers at once.
func (h *hold[R]) take(ask func() error) error {
	s := <-h.share
	err := h.free(s)
	if err == nil || errors.Is(err, ErrRevoked) { // then the desk takes the reference back
		err = ask()
		if err == nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrRevoked) {
			h.put, h.exposed = true, false
			h.track.stop()
			h.end(s)
		}
	}
	ended := h.ended
	h.share <- s
	if ended && h.untie != nil {
		h.untie()
	}
	return h.explain(err)
}

// newest is the youngest hold of those whose context ends with done, or of all
// unless that has ended: then they have gone back. What only its holder puts does not
// count.
func (s *sharing[R]) newest(done <-chan struct{}) *hold[R] {
	var youngest *hold[R]
	for i := len(s.holds) - 1; i >= 0; i-- {
		h := s.holds[i]
		switch {
		case h.own:
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
