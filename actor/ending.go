package actor

import "time"

// ending is the state of CloseAll.
type ending[R any] struct {
	closing  bool // begun: nobody is served any more
	forced   bool // a CloseAll ran out of time
	forceAt  time.Duration
	answered bool // every CloseAll that waited has its answer
	callers  []chan error
	report   CloseError
}

// closeAll refuses who waits, closes what is idle, cancels what is being
// opened, and asks for what is lent. caller gets the result, once.
func (m *machine[R]) closeAll(now time.Duration, caller chan error) {
	if m.end.answered {
		caller <- ErrClosed
		return
	}
	m.end.callers = append(m.end.callers, caller)
	if m.end.closing {
		return
	}
	m.end.closing = true
	m.tell(Event{Kind: EventClosing})
	m.shutGate(now)
	m.refuseAll(ErrClosed)
	for _, t := range m.ready {
		m.conclude(t, ErrClosed)
	}
	m.ready = nil
	m.endPauses(ErrClosed)
	for _, sl := range m.slots {
		m.recall(sl, ReasonClosing)
	}
	for _, j := range m.jobs {
		if j.kind == dialJob {
			m.hurry(j, now)
		}
	}
}

// hurry ends a job's context and gives it the grace to notice.
func (m *machine[R]) hurry(j *job[R], now time.Duration) {
	j.deadline = min(j.deadline, now+m.cfg.CloseGrace)
	m.fx.cancel(j)
}

// closeIdle closes what is at rest. Everything is recalled by now, and pick
// closes what is recalled until it finds something to lend, so it finds nothing.
func (m *machine[R]) closeIdle(now time.Duration) { m.pick(now) }

// revoke is a CloseAll whose context has ended: what is still lent is killed.
// The borrowers' later puts find nothing to give back.
func (m *machine[R]) revoke(now time.Duration, err error) {
	if m.end.answered || m.end.forced {
		return
	}
	m.end.forced, m.end.forceAt = true, now+m.cfg.CloseGrace
	for _, j := range m.jobs {
		if j.kind != killJob {
			m.hurry(j, now)
		}
	}
	m.closeIdle(now) // a Close that begins now has a part of the grace
	m.end.report.Err = err
	m.end.report.Leases = m.leases(now)
	for i := len(m.slots) - 1; i >= 0; i-- {
		if sl := m.slots[i]; sl.desk.place == away {
			m.revokeOne(now, sl, ReasonClosing)
		}
	}
}

// finish answers CloseAll once every place is free, or the grace is over.
func (m *machine[R]) finish(now time.Duration) {
	late := m.end.forced && now >= m.end.forceAt
	if m.end.answered || !late && m.open+m.closing+m.dialing > 0 {
		return
	}
	m.end.answered = true
	for _, j := range m.jobs {
		if j.kind == killJob && j.freed && now < j.deadline {
			continue // it has just begun, for a hook that is named
		}
		m.end.report.Hooks = append(m.end.report.Hooks, m.cfg.hook(j))
	}
}

// result is what CloseAll returns.
func (m *machine[R]) result() error {
	r := m.end.report
	if len(r.Leases) == 0 && len(r.Hooks) == 0 {
		return nil
	}
	return &r
}

// ended says that nothing is left to do and no helper is left to hear of.
func (m *machine[R]) ended() bool { return m.end.answered && len(m.jobs) == 0 }
