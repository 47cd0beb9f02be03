package core

import "time"

// A round is the periodic check of idle slots. One slot at a time is away from the
// line, so that no get that comes meanwhile has to open another one. Every slot is looked
// at, since that is cheap; with KeepAlive those that have rested long are checked instead.
type round struct {
	at      time.Duration // when the next begins; Never if there is no reason for one
	began   time.Duration // when this one did
	left    int           // slots below the top that this round has not visited
	top     bool          // neither has it visited the top
	job     *Job          // checks one
	wanted  bool          // a suspicion asks for a round
	suspect bool          // this round is for one
}

// inspect begins a round when it is time, and goes on with it.
func (m *Machine) inspect(now time.Duration) {
	r := &m.round
	if now >= r.at || r.wanted && !m.pressed() {
		below, top := m.fx.Idle()
		r.at, r.began, r.suspect, r.wanted = Never, now, r.wanted, false
		r.left, r.top = below+m.kept.len(), top > 0
	}
	if r.job == nil || r.job.late() {
		r.job = m.inspectNext(now) // may put a suspicion off
	}
	switch {
	case !m.surplus.on && !m.mayBreak() && (!r.wanted || m.shut):
		r.at = Never
	case r.at == Never:
		r.at = now + m.cfg.CheckPeriod
	}
}

// inspected reports whether no check of an idle slot is wanted or under way. While gets
// wait nothing is idle.
func (m *Machine) inspected() bool {
	r := &m.round
	away := r.job != nil && !r.job.late()
	return !away && (!r.wanted || m.idle() == 0 || !m.shut && m.fx.Waiting() > 0)
}

// mayBreak reports whether there are open resources of which the pool must find out in
// time that they have broken: with KeepAlive, or where they make up a minimum.
func (m *Machine) mayBreak() bool {
	return m.open() > 0 && (m.cfg.KeepAlive || m.cfg.Look && m.cfg.MinOpen+m.cfg.MinIdle > 0)
}

// inspectNext begins the check of the next slot that needs one. It returns nil when the
// round is over.
func (m *Machine) inspectNext(now time.Duration) *Job {
	r := &m.round
	for r.left > 0 || r.top {
		if m.pressed() {
			r.left, r.top, r.wanted = 0, false, r.wanted || r.suspect
			return nil
		}
		sl, top := m.nextIdle(now)
		switch {
		case sl == nil:
		case m.suspect(sl):
			return m.startRepair(now, sl, CheckJob)
		case now-sl.Since >= m.cfg.CheckPeriod && m.cfg.KeepAlive:
			return m.startRepair(now, sl, CheckJob)
		case m.cfg.Look:
			return m.startRepair(now, sl, LookJob)
		default:
			m.tally(sl)
			m.putBack(now, sl, top)
		}
	}
	return nil
}

// nextIdle takes the slot that the round visits next. A slot for which the line had no
// room takes its place there, or it would never be visited.
func (m *Machine) nextIdle(now time.Duration) (sl *Slot, top bool) {
	r := &m.round
	if r.left > 0 {
		r.left--
		sl = m.fx.Draw()
	}
	if sl == nil {
		sl, top = m.fx.DrawTop(), true
		r.left, r.top = 0, false
	}
	switch {
	case sl == nil || sl.state != Out:
		return nil, top
	case sl.recalled:
		m.close(now, sl, sl.why, nil)
		return nil, top
	}
	if m.kept.len() > 0 {
		m.pass(now, m.kept.pop())
	}
	return sl, top
}
