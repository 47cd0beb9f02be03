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
	if m.end.closing {
		m.closeIdle(now)
		m.finish(now)
		return m.deadline(now)
	}
	m.sweepShelf(now)
	m.serve(now)
	if m.hopeless(now) {
		m.refuseAll(unavailable(m.outage.err))
	}
	m.refuseHasty(now)
	m.dial(now)
	m.arrangeGate()
	m.filled()
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
	waits := m.queue.len > 0 || m.filling
	if waits && m.outage.failures > 0 {
		at(m.outage.until)
	}
	for _, j := range m.jobs {
		if !j.freed {
			at(j.deadline)
		}
		if waits {
			at(j.comes)
		}
	}
	if m.end.forced {
		at(m.end.forceAt)
	}
	return next
}
