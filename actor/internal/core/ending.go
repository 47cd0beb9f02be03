package core

import "time"

// An ending is the state of CloseAll.
type ending struct {
	closing  bool // begun: nobody is served any more
	refused  bool // nobody waits in line, and nobody will
	forced   bool // a CloseAll ran out of time
	forceAt  time.Duration
	answered bool // every CloseAll that waited has its answer
	callers  []*Waiter
}

// CloseAll refuses the waiters, closes what is idle, cancels what is being opened, and
// recalls what is lent. w is answered when everything is closed.
func (m *Machine) CloseAll(now time.Duration, w *Waiter) {
	if m.end.answered {
		m.fx.Answer(w, Refused, nil)
		return
	}
	m.end.callers = append(m.end.callers, w)
	if m.end.closing {
		return
	}
	m.end.closing = true
	m.tell(Event{Kind: EventClosing})
	m.shutGate() // what is idle is closed by Settle, or by a Force that comes first
	m.fx.End()
	m.endAll(&m.ready, Refused, nil)
	m.endAll(&m.checks, Refused, nil)
	m.endPauses(Refused)
	for _, sl := range m.slots {
		m.recall(sl, ReasonClosing)
	}
	m.sweep = true
	for _, j := range m.jobs {
		if j.Kind == OpenJob {
			m.hurry(now, j)
		}
	}
}

// hurry ends a job's context and gives it the grace to notice.
func (m *Machine) hurry(now time.Duration, j *Job) {
	j.deadline = min(j.deadline, now+m.cfg.CloseGrace)
	m.fx.Cancel(j)
}

// Force is a CloseAll whose context has ended: what is still lent is revoked. The
// borrowers' later puts find nothing to give back.
func (m *Machine) Force(now time.Duration) {
	if m.end.answered || m.end.forced {
		return
	}
	m.end.forced, m.end.forceAt = true, now+m.cfg.CloseGrace
	for _, j := range m.jobs {
		if j.Kind != KillJob {
			m.hurry(now, j)
		}
	}
	m.closeIdle(now) // a Close that begins now has a part of the grace
	for i := len(m.slots) - 1; i >= 0; i-- {
		if sl := m.slots[i]; sl.state == Out {
			since, known := m.fx.TakeCard(sl)
			held := time.Duration(0)
			if known {
				held = now - since
				m.tally(sl)
			}
			m.revoke(now, sl, ReasonClosing, held)
			if known {
				m.fx.PutCard(sl)
			}
		}
	}
}

// Forced reports whether a CloseAll has run out of time.
func (m *Machine) Forced() bool { return m.end.forced || m.end.answered }

// closeIdle closes what is idle. Everything is recalled by now.
func (m *Machine) closeIdle(now time.Duration) {
	m.gather(now)
	m.sweepIdle(now)
}

// finish answers CloseAll once every waiter is refused, and every place is free or the
// grace is over. The supervisor may end after that, so no waiter may be left.
func (m *Machine) finish(now time.Duration) {
	late := m.end.forced && now >= m.end.forceAt
	if m.end.answered || !m.end.refused || !late && m.open()+m.count[Opening]+m.count[Closing] > 0 {
		return
	}
	m.end.answered = true
	for _, w := range m.end.callers {
		m.fx.Answer(w, Holds, nil)
	}
	m.end.callers = nil
}

// Unfinished are the jobs that still run though their contexts have ended. A kill that
// has just begun is not one of them: it is for a job that is.
func (m *Machine) Unfinished(now time.Duration) (jobs []*Job) {
	for _, j := range m.jobs {
		if j.Kind == KillJob && j.late() && now < j.deadline {
			continue
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// Answered reports whether every CloseAll has its answer.
func (m *Machine) Answered() bool { return m.end.answered }

// Over reports whether nothing is left to do and no helper is left to report.
func (m *Machine) Over() bool { return m.end.answered && len(m.jobs) == 0 }
