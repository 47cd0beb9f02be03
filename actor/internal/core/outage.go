package core

import "time"

// An outage is what the machine knows of failing dials. Every dial is stamped with
// the epoch in which it began. A counted failure, a recovery and a reset each begin a
// new epoch, so of ten dials that fail together one is counted, and a failure from
// before a recovery is ignored.
type outage struct {
	epoch     uint64
	failures  int           // in a row, counted; 0: there is no outage
	began     time.Duration // when the first was counted
	lasts     bool          // it was told that it does
	dials     int           // that failed since the outage began, the uncounted too
	until     time.Duration // end of the backoff
	err       error         // the last counted failure
	permanent bool          // waiting does not help
	lost      int           // resources in a row that did not last, see brief.go
	brief     bool          // the last counted failure is one of these
	lent      bool          // and a borrower had it before
	refillAt  time.Duration // when to dial again for a minimum
	told      bool          // that a Ready waits on
}

// backoff reports whether dials are held back.
func (o *outage) backoff(now time.Duration) bool { return o.failures > 0 && now < o.until }

// heal ends the outage: a dial succeeded, a resource has lasted, or a reset asks for a
// fresh start.
func (m *Machine) heal() {
	if m.outage.failures > 0 {
		m.tell(Event{Kind: EventOutageEnded, N: m.outage.dials})
	}
	m.outage = outage{epoch: m.outage.epoch + 1}
}

// failed counts the failure of a dial, unless the dial is of an older epoch.
func (m *Machine) failed(now time.Duration, j *Job, r Result) {
	m.stats.DialsFailed++
	o := &m.outage
	counts := !m.end.closing && j.epoch == o.epoch
	if counts || o.failures > 0 {
		o.dials++
	}
	m.tell(Event{Kind: EventOpenFailed, Err: r.Err, N: o.dials})
	if !counts {
		return
	}
	m.countFailure(now, r.Err, r.Permanent)
}

// countFailure begins an outage, or prolongs it.
func (m *Machine) countFailure(now time.Duration, err error, permanent bool) {
	o := &m.outage
	pause := m.cfg.BackoffMin
	for i := 0; i < o.failures && pause < m.cfg.BackoffMax; i++ {
		pause *= 2
	}
	o.epoch++
	o.failures++
	o.until = now + m.fx.Jitter(min(pause, m.cfg.BackoffMax))
	o.err, o.permanent, o.brief, o.lent = err, permanent, false, false
	o.refillAt = max(o.until, now+m.cfg.CheckPeriod)
	if o.failures == 1 {
		o.began = now
		m.tell(Event{Kind: EventOutageBegan, Err: err})
	}
}

// tellOutage tells of an outage that has lasted for ReconnectTimeout, once.
func (m *Machine) tellOutage(now time.Duration) {
	o := &m.outage
	if m.outageIsToTell() && now >= o.began+m.cfg.ReconnectTimeout {
		o.lasts = true
		m.tell(Event{Kind: EventOutageLasts, N: o.dials, Err: o.err})
	}
}

func (m *Machine) outageIsToTell() bool {
	return m.cfg.ReconnectTimeout > 0 && m.outage.failures > 0 && !m.outage.lasts
}

// stuck reports whether nothing is on its way and dials are held back, in an outage
// through which gets do not wait.
func (m *Machine) stuck(now time.Duration) bool {
	return m.outage.backoff(now) && (!m.cfg.WaitForServer || m.outage.permanent) &&
		!m.outage.forbearing(m.cfg.MaxOpen) && m.coming(now) == 0
}
