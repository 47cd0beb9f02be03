package core

import "time"

// dial opens what is missing and allowed.
func (m *Machine) dial(now time.Duration) {
	for m.wanted(now) && m.mayDial(now) {
		sl := &Slot{state: Gone}
		m.count[Gone]++
		m.move(sl, Opening)
		m.start(&Job{
			Kind: OpenJob, Slot: sl, Timeout: m.cfg.OpenTimeout, began: now,
			comes: now + hedge, deadline: now + m.cfg.OpenTimeout + m.cfg.CloseGrace,
			epoch: m.outage.epoch, resets: m.resets,
		})
	}
}

// wanted reports whether another resource is needed: for a waiter, or to keep a
// minimum. The demand is exact, so one cold get is one dial. A waiter waits for the
// pool, never for its own dial.
func (m *Machine) wanted(now time.Duration) bool {
	if m.pause.on {
		return false
	}
	demand := m.demand()
	return demand > 0 && demand > m.kept.len()+m.coming(now) || m.belowMinimum() && m.mayFill(now)
}

// demand is the number of waiters for which there may be a dial. A waiter that has not
// told the machine yet is about to, with the context whose values its dial shall carry.
// While the line is full no waiter tells.
func (m *Machine) demand() int {
	waiting := m.fx.Waiting()
	if !m.isFull {
		m.told = min(m.told, waiting)
		return m.told
	}
	return waiting
}

// mayDial reports whether another dial is allowed: there is room, not too many dials
// are under way, and in an outage the backoff has passed and this is the probe. A dial
// that takes longer than the hedge holds up no other. Where resources do not last, what
// the probe has opened must last first.
func (m *Machine) mayDial(now time.Duration) bool {
	if m.room() <= 0 || m.outage.backoff(now) || m.onTrial(now) {
		return false
	}
	dials := 0
	for _, j := range m.jobs {
		if j.Kind == OpenJob && !j.late() && now < j.comes {
			dials++
			if m.outage.failures > 0 && j.epoch == m.outage.epoch {
				return false
			}
		}
	}
	return dials < m.cfg.MaxDials
}

// dialed is the end of a dial. Nobody may use a resource that comes too late, or from
// before a reset: it takes a place until it is closed.
func (m *Machine) dialed(now time.Duration, j *Job, r Result) {
	sl, late := j.Slot, j.late()
	if r.Err != nil {
		m.move(sl, Gone)
		m.failed(now, j, r)
		return
	}
	m.ids++
	sl.ID, sl.Since, sl.Proven, sl.verified = m.ids, now, true, j.verified
	sl.opened, sl.epoch = now, j.epoch
	m.stats.Opened++
	m.setAge(now, sl)
	m.move(sl, Repairing) // open, and not yet anywhere
	m.tell(Event{Kind: EventOpened, Slot: sl, N: m.open()})
	switch {
	case j.resets != m.resets:
		m.close(now, sl, ReasonReset, nil)
	case late:
		m.close(now, sl, ReasonLate, nil)
	default:
		if m.outage.failures > 0 && m.outage.lost < 2 {
			m.heal()
			sl.epoch = m.outage.epoch
		}
		m.readmit(now, sl)
	}
}
