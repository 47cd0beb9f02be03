package actor

import (
	"context"
	"time"
)

// demand is how many slots would serve everybody who waits.
func (m *machine[R]) demand() int { return m.queue.unkeyed + m.loose }

// dial opens what is missing and allowed.
func (m *machine[R]) dial(now time.Duration) {
	for m.wanted(now) && m.mayDial(now) {
		m.dialing++
		m.start(&job[R]{
			kind: dialJob, cause: m.causes(), timeout: m.cfg.OpenTimeout,
			comes: now + hedge, deadline: now + m.cfg.OpenTimeout + m.cfg.CloseGrace,
			epoch: m.outage.epoch, resets: m.resets,
		})
	}
}

// wanted says whether another slot is needed, by who waits or to keep a
// minimum.
func (m *machine[R]) wanted(now time.Duration) bool {
	if m.pause.on {
		return false
	}
	return m.queue.len > 0 && m.demand() > m.coming(now) || m.lacking() && m.mayFill(now)
}

// mayDial says whether another dial is allowed: a place is free, not too many
// are under way, and in an outage the backoff has passed and this is the probe.
// A dial that takes longer than the hedge holds nobody else back.
func (m *machine[R]) mayDial(now time.Duration) bool {
	if m.room() <= 0 || m.outage.backoff(now) {
		return false
	}
	dials := 0
	for _, j := range m.jobs {
		if j.kind == dialJob && !j.freed && now < j.comes {
			dials++
			if m.outage.failures > 0 && j.epoch == m.outage.epoch {
				return false
			}
		}
	}
	return dials < m.cfg.MaxDials
}

// causes finds the request that a dial is for: the first without one. Nil for
// a minimum.
func (m *machine[R]) causes() context.Context {
	for t := m.queue.first; t != nil; t = t.wait.next {
		if !t.wait.caused {
			t.wait.caused = true
			return t.ctx
		}
	}
	return nil
}

// dialed is the end of a dial. One that comes too late, or from before a
// reset, brings a resource nobody may use.
func (m *machine[R]) dialed(now time.Duration, j *job[R]) {
	if !j.freed {
		m.dialing--
	}
	if j.err != nil {
		m.failed(now, j)
		return
	}
	sl := &slot[R]{value: j.value, sup: m.sup, recall: make(chan struct{}), gone: make(chan struct{}), since: now}
	m.ids++
	sl.desk = record[R]{id: m.ids, index: len(m.slots), proven: true, place: inHand, alarms: j.alarms}
	m.age(now, sl)
	m.slots = append(m.slots, sl)
	m.open++
	m.usable++
	m.stats.opened++
	m.tell(Event{Kind: EventOpened, ID: m.ids, N: m.open})
	switch {
	case j.resets != m.resets:
		m.close(now, sl, ReasonReset, nil)
	case j.freed:
		m.close(now, sl, ReasonLate, nil)
	default:
		m.recovered()
		m.back(now, sl, Keep, ReasonNone)
	}
}

// coming counts the slots on their way to those who wait.
func (m *machine[R]) coming(now time.Duration) (n int) {
	for _, j := range m.jobs {
		if m.comes(now, j) {
			n++
		}
	}
	return n
}

// comes says whether a job's slot is on its way to those who wait. For a key that
// waits, a Bind has no hedge: nothing else can be done for that.
func (m *machine[R]) comes(now time.Duration, j *job[R]) bool {
	binds := j.binds && len(j.bound.waiters) > 0
	switch {
	case j.freed || now >= j.comes && !binds:
		return false
	case j.kind == dialJob:
		return j.resets == m.resets
	default:
		return j.kind.mends() && !j.slot.desk.recalled
	}
}
