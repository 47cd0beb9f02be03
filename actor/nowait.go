package actor

import (
	"context"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// GetNoWait is Get for a borrower that others do not put anything for, such as the only
// one: it lends an idle resource, or one that is opened. It waits for that, and for
// resources that are cleaned or closed, but not for a borrower: the error is an
// [*ExhaustedError] if every resource is lent, or promised to gets that wait, and
// ErrUnavailable if none can be opened now. In a pause it is ErrPaused.
func (s *Supervisor[R]) GetNoWait(ctx context.Context) (*Lease[R], error) {
	g := get[R]{Supervisor: s, ctx: ctx, noWait: true}
	return g.lease()
}

// newNoWait makes the machine's record of a get. Its body has room for the one error with
// which the supervisor dismisses the get.
func newNoWait() *core.NoWait { return &core.NoWait{Body: make(chan error, 1)} }

// dismissal is where that error comes.
func dismissal(g *core.NoWait) chan error { return g.Body.(chan error) }

// Dismiss has a get leave the line, unless it was served just now.
func (l *loop[R]) Dismiss(g *core.NoWait, why core.Refusal, err error) {
	dismissal(g) <- l.refusal(why, err)
}

// hasLeft tells the supervisor that the get has left the line.
func (g *get[R]) hasLeft(noWait *core.NoWait) {
	g.post(func(l *loop[R], _ time.Duration) { l.machine.Left(noWait) })
}
