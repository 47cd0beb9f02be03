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

// admitNoWait asks whether there is a resource to wait for that no borrower has. It
// replaces ctx by a context that the supervisor can end, whose cause is then the get's
// error. The caller must call left when it has left the line.
func (g *get[R]) admitNoWait(ctx *context.Context) (left func(), err error) {
	ended, dismiss := context.WithCancelCause(*ctx)
	noWait := &core.NoWait{Body: dismiss}
	if err := g.admit(noWait); err != nil {
		dismiss(nil)
		return nil, err
	}
	*ctx = admitted{ended}
	s := g.Supervisor
	return func() {
		dismiss(nil)
		s.post(func(l *loop[R], _ time.Duration) { l.machine.Left(noWait) })
	}, nil
}
