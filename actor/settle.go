package actor

import (
	"math"
	"time"
)

// never is the deadline of a machine that waits for nothing.
const never = time.Duration(math.MaxInt64)

// settle compares the books with the time and does what follows. It returns
// the moment at which it wants to be called again if nothing happens.
func (m *machine[R]) settle(now time.Duration) time.Duration {
	m.overdue(now)
	m.endOverlong(now)
	if m.end.closing {
		m.closeIdle(now)
		m.finish(now)
		return m.deadline(now)
	}
	if m.cfg.watched() {
		m.shutGate(now) // before anything can be laid on the shelf
	}
	m.expire(now)
	m.sweepShelf(now)
	if m.pause.on {
		m.gather(now)
	}
	m.shedExcess(now)
	if !m.pause.on && m.excess() <= 0 { // else what comes next is kept, or closed
		m.serve(now)
		m.refuseHopeless(now)
	}
	m.untaint(now)
	m.refuseLate(now)
	m.refuseHasty(now)
	m.dial(now)
	m.refuseCrowd(now)
	m.arrangeGate(now)
	m.shedUnneeded(now)
	m.inspect(now)
	m.answerReady(now)
	m.settled = m.arrivals
	return m.deadline(now)
}

// deadline is when settle has something to do even if nothing happens.
func (m *machine[R]) deadline(now time.Duration) time.Duration {
	next := never
	at := func(d time.Duration) {
		if d > now {
			next = min(next, d)
		}
	}
	waits := m.queue.len > 0 || len(m.ready) > 0
	if m.outage.failures > 0 && waits {
		at(m.outage.until)
	}
	if m.outage.failures > 0 && m.lacking() {
		at(m.refillAt)
	}
	if t := m.queue.first; t != nil && m.cfg.GetTimeout > 0 {
		at(t.wait.since + m.cfg.GetTimeout)
	}
	for _, t := range m.hasty {
		if t.patience == TryOnly {
			at(t.wait.since + hedge) // that is its patience with what is made fit for it
		}
	}
	at(m.expiry)
	at(m.overlong)
	at(m.round.at)
	for _, j := range m.jobs {
		if !j.freed {
			at(j.deadline)
		}
		if waits || m.cfg.MinOpen+m.cfg.MinIdle > 0 {
			at(j.comes)
		}
	}
	if m.end.forced {
		at(m.end.forceAt)
	}
	return next
}
