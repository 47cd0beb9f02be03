package actor

import "time"

// outage is what the machine knows of failing dials. Every dial is stamped
// with the epoch it began in. A counted failure, a recovery and a reset each
// begin a new epoch, so that of ten dials that fail together one is counted,
// and a failure from before a recovery is no news.
type outage struct {
	epoch     uint64
	failures  int           // in a row, counted; 0: no outage
	until     time.Duration // end of the backoff
	err       error         // the last counted failure
	permanent bool          // it cannot heal by waiting
}

// heal ends the outage: a dial succeeded, or a reset asks for a fresh start.
func (o *outage) heal() { *o = outage{epoch: o.epoch + 1} }

// heal is the outage's, and told.
func (m *machine[R]) heal() {
	if n := m.outage.failures; n > 0 {
		m.tell(Event{Kind: EventOutageEnded, N: n})
	}
	m.outage.heal()
}

// backoff says whether dials are held back.
func (o *outage) backoff(now time.Duration) bool { return o.failures > 0 && now < o.until }

// failed counts the failure of a dial, unless it is of an older epoch.
func (m *machine[R]) failed(now time.Duration, j *job[R]) {
	m.stats.dialsFailed++
	m.tell(Event{Kind: EventOpenFailed, Err: j.err})
	if m.end.closing || j.resets != m.resets {
		return
	}
	o := &m.outage
	if j.epoch != o.epoch {
		return
	}
	pause := m.cfg.BackoffMin
	for i := 0; i < o.failures && pause < m.cfg.BackoffMax; i++ {
		pause *= 2
	}
	o.epoch++
	o.failures++
	o.until = now + m.fx.jitter(min(pause, m.cfg.BackoffMax))
	o.err, o.permanent = j.err, j.permanent
	if o.failures == 1 {
		m.tell(Event{Kind: EventOutageBegan, Err: j.err})
	}
	m.refillAt = max(o.until, now+m.cfg.CheckPeriod)
}

// recovered is a dial that succeeded.
func (m *machine[R]) recovered() {
	if m.outage.failures > 0 {
		m.heal()
	}
}

// refuseHopeless refuses who waits while nothing usable is open, nothing is on
// its way, and dials are held back.
func (m *machine[R]) refuseHopeless(now time.Duration) {
	if m.queue.len > 0 && m.usable == 0 && m.stuck(now) {
		m.refuseAll(unavailable(m.outage.err))
	}
}

// stuck is the same for who does not wait for borrowers: what is lent is no
// hope.
func (m *machine[R]) stuck(now time.Duration) bool {
	return m.outage.backoff(now) && (m.cfg.Outage == FailFast || m.outage.permanent) && m.coming(now) == 0
}
