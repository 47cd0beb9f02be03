package keyed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A ref is one reference to what is bound to a key: the note's record of a hold. It
// does not lead to the borrower's Hold if that is tracked, so a Hold that nobody can
// reach any more is found, although the note still has its ref.
type ref[R any] struct {
	handle   Hold[R]   // the borrower's, unless it is tracked
	entry    *entry[R] // which it waits for, or holds
	ctx      context.Context
	done     <-chan struct{} // of ctx
	patience Patience        // of its get
	tied     bool            // the end of ctx gives it back
	own      bool            // Table.Put passes over it
	scope    *Scope          // after whose end it is not used
	origin   Origin          // nil without tracking

	// Of the goroutine that has the note.
	prev, next *ref[R]
	phase      phase
	out        bool           // it is in refs: it has not come back
	exposed    bool           // its holder uses the resource without turns
	silent     bool           // OnEnd was told of its end, or shall not be
	leaked     bool           // its Hold was garbage collected
	since      time.Time      // when it was granted, with origin
	answer     chan answer[R] // of one, for a get that waits
	tether     tether
	grace      *time.Timer // kills the resource if the use outlasts the reference
}

// phase says what a reference does.
type phase uint8

const (
	asking   phase = iota // is new, or its get fetches
	waiting               // its get waits for what another one fetches
	failed                // its get has an error
	held                  // its holder may use the resource
	expired               // its context has ended it; its holder has not put it
	returned              // its holder, or somebody who knows the key, has put it
)

var phaseNames = [...]string{"asking", "waiting", "failed", "held", "expired", "returned"}

// String returns the phase's name.
func (p phase) String() string { return phaseNames[p] }

// errExpired is the answer to the use of a reference that its context has ended. explain
// says more.
var errExpired = errors.New("ended by its context")

// ended returns an error unless the reference is held.
func (h *ref[R]) ended() error {
	switch h.phase {
	case held:
		return nil
	case expired:
		return errExpired
	default:
		return actor.ErrNotLeased
	}
}

// explain completes an error of ended or free for the borrower. It asks the context, and
// ShowKey, so it is called without the note.
func (h *ref[R]) explain(err error) error {
	if busy, ok := err.(*actor.BusyError); ok {
		busy.Key = h.entry.table.config.ShowKey(h.entry.key)
	}
	if err == errExpired {
		return fmt.Errorf("%w, by the end of its context: %w", actor.ErrNotLeased, endedError("lease", h.ctx))
	}
	return err
}

// look returns an error unless the reference is held.
func (h *ref[R]) look() error {
	n := <-h.entry.note
	err := h.ended()
	h.entry.note <- n
	return err
}

// hasEnded reports whether the reference has ended.
func (h *ref[R]) hasEnded() bool { return h.look() != nil }

// expose notes that the borrower uses the resource without turns. It returns an error
// unless the reference is held, and its scope goes on.
func (h *ref[R]) expose() error {
	n := <-h.entry.note
	err := h.ended()
	if err == nil {
		err = h.scope.look()
	}
	if err == nil {
		h.exposed = true
	}
	h.entry.note <- n
	return err
}

// endedError is the error of a get or a lease that the end of ctx has ended.
func endedError(what string, ctx context.Context) error {
	return fmt.Errorf("%s: %w", what, reasonOf(ctx))
}

// reasonOf returns the error of ctx, and its cause.
func reasonOf(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != err {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
