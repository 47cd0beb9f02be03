package keyed

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// Get returns a hold of the resource that is bound to the key. If none is bound, the
// first get of the key fetches one, and the others wait for that. Errors:
// [*actor.KeyError]; the context's, if that ends first (ctx.Err() itself if it has ended
// before); ErrClosed; [*TenantError];
// [*actor.RevokedError] if the resource was revoked and its holders have not let go of
// it; of a get that waited for another one, a [*actor.WaitError] if it gave up; those
// of Config.Get and Request.Bind.
func (t *Table[R]) Get(ctx context.Context, r Request[R]) (*Hold[R], error) {
	if err := CheckKey(r.Key); err != nil {
		return nil, err
	}
	if err := checkTenant(r.Tenant); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h := t.newRef(ctx, &r)
	for {
		if isClosed(t.config.Closing) {
			return nil, actor.ErrClosed
		}
		if h.origin != nil {
			h.since = time.Now()
		}
		var made bool
		if h.entry, made = t.findOrMake(&r); made {
			return t.fetch(h, &r)
		}
		same := h.entry.tenant == r.Tenant
		n := <-h.entry.note
		if n.state == bound {
			if err := h.entry.dead(n); err != nil {
				if !h.entry.overdue(n, err) {
					h.entry.note <- n
					return nil, err
				}
				h.entry.abandon(n)
				continue
			}
		}
		if n.state.serves() && !same {
			h.entry.note <- n
			return nil, h.entry.otherTenant()
		}
		switch n.state {
		case fetching:
			if r.Patience == Try || r.Patience > n.patience {
				h.entry.note <- n
				return nil, actor.ErrExhausted
			}
			h.phase, h.answer = waiting, make(chan answer[R], 1)
			n.waiting.push(h)
			h.entry.note <- n
			return t.wait(h, &r)
		case bound:
			n.grant(h)
			h.entry.note <- n
			return h.handOver(), nil
		default: // it serves nobody new
			granted := n.granted
			h.entry.note <- n
			h.entry.unlist(false, granted)
		}
	}
}

// newRef makes the reference of a get.
func (t *Table[R]) newRef(ctx context.Context, r *Request[R]) *ref[R] {
	h := &ref[R]{ctx: ctx, done: ctx.Done(), patience: r.Patience, own: r.Own, scope: r.Scope}
	h.tied = r.Tied && h.done != nil
	if t.config.Origin != nil {
		h.origin = t.config.Origin(ctx)
	}
	return h
}

// Share returns another hold of the resource, as a get of its key would, while h is held:
// r.Key, r.Patience and r.Bind do not count. It fetches nothing and waits for nobody. Errors:
// ErrNotLeased if h has ended, the context's, ErrClosed, [*TenantError],
// [*actor.RevokedError].
func (h *Hold[R]) Share(ctx context.Context, r Request[R]) (*Hold[R], error) {
	e := h.ref.entry
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if isClosed(e.table.config.Closing) {
		return nil, actor.ErrClosed
	}
	if err := checkTenant(r.Tenant); err != nil {
		return nil, err
	}
	if e.tenant != r.Tenant {
		return nil, e.otherTenant()
	}
	other := e.table.newRef(ctx, &r)
	other.entry = e
	if other.origin != nil {
		other.since = time.Now()
	}
	n := <-e.note
	err := h.ref.ended()
	if err == nil {
		err = e.dead(n)
	}
	if err == nil {
		n.grant(other)
	}
	e.note <- n
	if err != nil {
		return nil, h.ref.explain(err)
	}
	runtime.KeepAlive(h)
	return other.handOver(), nil
}

// An answer tells a get that waits how it goes on.
type answer[R any] struct {
	kind answerKind
	err  error // of failure
}

type answerKind uint8

const (
	success  answerKind = iota // it is a holder
	failure                    // nobody is
	takeOver                   // it fetches now
)

// wait waits until what another get fetches is there, or fetches it in its place.
func (t *Table[R]) wait(h *ref[R], r *Request[R]) (*Hold[R], error) {
	begun := time.Now()
	var timeout <-chan time.Time
	if t.config.Timeout > 0 {
		timer := time.NewTimer(t.config.Timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case a := <-h.answer:
		switch a.kind {
		case success:
			return h.handOver(), nil
		case failure:
			return nil, a.err
		default:
			hold, err := t.fetch(h, r)
			if err != nil && err == h.ctx.Err() { // it ended during the wait, not before the get
				err = t.vainWait(reasonOf(h.ctx), begun)
			}
			return hold, err
		}
	case <-h.done:
		h.giveUp()
		return nil, t.vainWait(reasonOf(h.ctx), begun)
	case <-timeout:
		h.giveUp()
		return nil, t.vainWait(actor.ErrTimeout, begun)
	case <-t.config.Closing:
		h.giveUp()
		return nil, actor.ErrClosed
	}
}

// errFetching is what a get that gave up has waited for.
var errFetching = errors.New("another get of the same key has not fetched the resource yet")

// vainWait is the error of a get that gave up because of err.
func (t *Table[R]) vainWait(err error, begun time.Time) error {
	e := &actor.WaitError{
		Err:    err,
		Cause:  fmt.Errorf("%w: %w", actor.ErrExhausted, errFetching),
		Waited: time.Since(begun),
	}
	if t.config.Explain != nil {
		t.config.Explain(e)
	}
	return e
}

// giveUp ends the wait of a get. What it was given in that moment it gives away: a
// hold goes back, and the next get fetches.
func (h *ref[R]) giveUp() {
	e := h.entry
	n := <-e.note
	switch h.phase {
	case waiting:
		n.waiting.remove(h)
		h.phase = failed
		e.note <- n
	case asking:
		h.phase = failed
		e.passOn(n)
	case held:
		h.silent = true
		_ = h.putWith(n, false)
	default:
		e.note <- n
	}
}

// handOver makes the Hold of a reference that was granted, and has it end with its
// context, or watched. Somebody who knows the key may have put the reference meanwhile.
func (h *ref[R]) handOver() *Hold[R] {
	hold := &h.handle
	if h.origin != nil {
		hold = new(Hold[R])
	}
	hold.ref = h
	if h.tied {
		h.keep(tether{untie: context.AfterFunc(h.ctx, h.expire)})
	} else if h.origin != nil {
		h.keep(tether{cleanup: h.watch(hold)})
	}
	return hold
}

// A tether is what must be undone when a reference ends. The zero value is none.
type tether struct {
	untie   func() bool     // from the context
	cleanup runtime.Cleanup // finds a leak
}

// cut undoes it. It may call a context, so it is called without the note.
func (t tether) cut() {
	t.cleanup.Stop()
	if t.untie != nil {
		t.untie()
	}
}

// keep leaves t to the end of the reference, or cuts it if that has come.
func (h *ref[R]) keep(t tether) {
	n := <-h.entry.note
	live := h.phase == held
	if live {
		h.tether = t
	}
	h.entry.note <- n
	if !live {
		t.cut()
	}
}
