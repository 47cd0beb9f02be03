package actor

import (
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// A picked is the supervisor's answer to a TryGet that found nothing idle in the line.
type picked[R any] struct {
	slot *slot[R] // nil: there is none, because of err
	err  error
}

// pick asks the supervisor for an idle slot, or the reason why there is none. If some are
// being repaired, it waits for one of them, until the get's patience or its context ends.
func (g *get[R]) pick() (*slot[R], error) {
	answer := make(chan picked[R], 1)
	p, left := &core.Picker{Body: answer}, g.left
	asked := g.now()
	if !g.post(func(l *loop[R], now time.Duration) {
		p.Until = now + left
		l.machine.Pick(now, p)
	}) {
		return nil, ErrClosed
	}
	select {
	case a := <-answer:
		return g.picked(p, a, asked)
	case <-g.closed:
	case <-g.ctx.Done():
		still, ok := ask(g.Supervisor, func(l *loop[R], _ time.Duration) bool { return l.machine.Unpick(p) })
		if ok && still {
			return nil, contextError(g.ctx)
		}
	}
	select { // the answer came first
	case a := <-answer:
		return g.picked(p, a, asked)
	default:
		return nil, ErrClosed
	}
}

// picked is the end of pick. A slot for which the get has waited has just been repaired.
func (g *get[R]) picked(p *core.Picker, a picked[R], asked time.Duration) (*slot[R], error) {
	if p.Waited {
		g.ended, g.handed = g.now(), true
		g.left = max(1, g.left-(g.ended-asked))
	}
	return a.slot, a.err
}

// Picked answers a TryGet.
func (l *loop[R]) Picked(p *core.Picker, sl *core.Slot, why core.Refusal, err error) {
	a := picked[R]{}
	switch {
	case sl != nil:
		a.slot = of[R](sl)
	case why == core.Exhausted:
		a.err = ErrExhausted
	default:
		a.err = l.refusal(why, err)
	}
	p.Body.(chan picked[R]) <- a
}
