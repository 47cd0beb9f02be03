package actor

import (
	"context"
	"fmt"
	"time"
)

// standing is how things stand now.
func (l *loop[R]) standing() standing {
	st := l.machine.Now()
	return standing{
		version: l.shown.version + 1, limit: st.Limit, open: st.Open, out: st.Out,
		opening: underWay{st.Opening, st.OpeningSince}, mending: underWay{st.Repairing, st.RepairingSince},
		closing: underWay{st.Closing, st.ClosingSince}, paused: st.Paused, failures: st.Failures, err: st.Err,
	}
}

// shortage is how things stand for a get that got nothing, as the board shows them.
func (s *Supervisor[R]) shortage() Shortage { return s.shortageIn(s.board.read()) }

// shortage is the same, as the supervisor itself knows them, with the leases if they are
// tracked.
func (l *loop[R]) shortage() Shortage {
	sh := l.shortageIn(l.standing())
	if l.cfg.Track {
		sh.blame(l.culprits(l.clock))
	}
	return sh
}

// blame adds the oldest leases.
func (s *Shortage) blame(leases []LeaseInfo) {
	s.Leases = leases
	for _, l := range leases {
		s.Oldest = max(s.Oldest, l.AtLeast)
	}
}

func (s *Supervisor[R]) shortageIn(now standing) Shortage {
	clock := s.now()
	return Shortage{
		Limit: now.limit, Leased: max(0, now.out-s.line.Idle()), Waiting: s.line.Waiting(),
		Opening: now.opening.n, OpeningFor: now.opening.lasts(clock),
		Mending: now.mending.n, MendingFor: now.mending.lasts(clock),
		Closing: now.closing.n, ClosingFor: now.closing.lasts(clock),
	}
}

// lasts returns for how long the first has been at it; 0 if there is none.
func (u underWay) lasts(now time.Duration) time.Duration {
	if u.n == 0 {
		return 0
	}
	return now - u.since
}

// inVain is the error of a get whose wait ended with err. The supervisor is not asked,
// except for the holders.
func (g *get[R]) inVain(err error) error {
	g.gaveUp.add()
	now := g.board.read()
	e := &WaitError{Err: err, Waited: g.ended - g.began, Shortage: g.shortageIn(now)}
	e.Cause = now.cause(e.Leased)
	return g.reportVain(e)
}

// reportVain completes the error of a wait in vain, and has OnEvent told.
func (s *Supervisor[R]) reportVain(e *WaitError) error {
	if s.cfg.Track {
		leases, _ := ask(s, func(l *loop[R], now time.Duration) []LeaseInfo { return l.culprits(now) })
		e.blame(leases)
	}
	if s.cfg.OnEvent != nil {
		told := *e
		s.post(func(l *loop[R], _ time.Duration) { l.tellPublic(Event{Kind: EventCancelled, Err: &told}) })
	}
	return s.named(e)
}

// cause is what a get waited for in vain.
func (s standing) cause(leased int) error {
	fails := s.failures > 0 && s.opening.n+s.limit-s.open > 0 // dials, and one is wanted
	switch {
	case s.paused:
		return ErrPaused
	case leased == 0 || fails:
		return unavailable(s.err)
	default:
		return ErrExhausted
	}
}

// contextError is the error of a context that has ended, with its cause.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != err {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// Explain completes the error of a layer above, one of whose gets waited in vain for a
// lease that another get fetches.
func (s *Supervisor[R]) Explain(e *WaitError) {
	e.Shortage = s.shortage()
	if cause := s.board.read().cause(e.Leased); cause != ErrExhausted {
		e.Cause = cause
	}
	s.gaveUp.add()
	_ = s.reportVain(e)
}
