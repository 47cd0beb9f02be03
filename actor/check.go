package actor

import "time"

// rounds are the periodic check of what rests. One slot at a time is away from
// the shelf, so that nobody who comes meanwhile has to open another.
type rounds[R any] struct {
	at    time.Duration // of the next round; never if there is no reason for one
	began time.Duration // when this one did
	left  int           // slots of this round not yet visited
	job   *job[R]       // checks one
	doubt bool          // an alarm asks for a round
	alarm bool          // this round is for one
}

// inspect begins a round when it is time, or goes on with it.
func (m *machine[R]) inspect(now time.Duration) {
	r := &m.round
	if now >= r.at || r.doubt && !m.pressed() {
		if !m.shut { // else a put that raced the shutting lies there, and is for who waits
			m.lower(now)
		}
		r.at, r.began, r.left, r.alarm, r.doubt = never, now, m.idle(), r.doubt, false
	}
	switch {
	case !m.span.on && (!m.cfg.KeepAlive || m.open == 0):
		r.at = never
	case r.at == never:
		r.at = now + m.cfg.CheckPeriod
	}
	if r.left > 0 && (r.job == nil || r.job.freed) {
		r.job = m.visit(now)
	}
}

// visit has the next slot checked that has rested for CheckPeriod.
func (m *machine[R]) visit(now time.Duration) *job[R] {
	kind := lookJob
	if m.cfg.KeepAlive {
		kind = checkJob
	}
	for ; m.round.left > 0; m.round.left-- {
		if m.pressed() {
			m.round.left, m.round.doubt = 0, m.round.doubt || m.round.alarm
			return nil
		}
		sl := m.turn(now)
		switch {
		case sl == nil:
			m.round.left = 0
			return nil
		case m.doubtful(sl):
			m.round.left--
			return m.startMend(now, sl, checkJob)
		case now-sl.since >= m.cfg.CheckPeriod && (kind == checkJob || m.cfg.Look != nil):
			m.round.left--
			return m.startMend(now, sl, kind)
		}
		m.note(now, sl)
		m.lay(sl)
	}
	return nil
}

// turn takes the slot whose turn it is: the first on the shelf, and what did not
// fit there takes its place, or it would never have its turn.
func (m *machine[R]) turn(now time.Duration) *slot[R] {
	for sl := m.fx.take(); sl != nil; sl = m.fx.take() {
		if !sl.desk.recalled {
			if m.hands.len() > 0 {
				m.lay(m.hands.pop())
			}
			return sl
		}
		m.close(now, sl, ReasonNone, nil)
	}
	return m.pick(now)
}
