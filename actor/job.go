package actor

import (
	"context"
	"time"
)

// A job is work that may block, done by a helper goroutine that reports once.
type job[R any] struct {
	kind    jobKind
	slot    *slot[R]        // what it is done to; nil for a dial
	cause   context.Context // whose values the job's context carries
	timeout time.Duration   // of the job's context

	// The supervisor's.
	comes    time.Duration // until then its slot counts as coming
	deadline time.Duration // from then its place is free
	freed    bool
	epoch    uint64      // of a dial: the outage's epoch
	resets   uint64      // of a dial
	alarms   uint64      // when it began
	bound    *binding[R] // of a look: the key it is done for
	binds    bool        // and whether Bind is called
	why      Reason      // of a close
	wrong    error       // and what was wrong with the resource
	caller   *ticket[R]  // of another mend: the request that brought the slot, if it did,
	arrival  uint64      // and its number, since tickets are reused

	// The shell's: ends the job's context.
	cancel context.CancelFunc

	// The helper's, read by the supervisor after its report.
	value     R
	err       error // closes the slot
	refusal   error // of a look, for those who wait for the key
	permanent bool
	cleaned   bool // Clean was called
}

type jobKind uint8

const (
	dialJob  jobKind = iota // Open
	judgeJob                // Judge, then what it says
	lookJob                 // Look, then what it says; for a key, Prepare
	cleanJob                // Clean
	checkJob                // Check
	closeJob                // Close
	killJob                 // Kill
)

var jobNames = [...]string{"Open", "Judge", "Look", "Clean", "Check", "Close", "Kill"}

// hook is the function of the Config that a job calls.
func (c *Config[R]) hook(j *job[R]) string {
	switch {
	case j.binds && c.Prepare != nil:
		return "Prepare or Bind"
	case j.binds:
		return "Bind"
	case j.bound != nil && c.Prepare != nil:
		return "Prepare"
	}
	return jobNames[j.kind]
}

// mends reports whether the job leaves its slot open.
func (k jobKind) mends() bool { return k >= judgeJob && k <= checkJob }

// hedge is how long a dial or a mend counts for somebody who waits: a hung one
// does not stand in for later waiters. Only a Bind counts for longer, see comes.
const hedge = time.Second

func (m *machine[R]) start(j *job[R]) {
	j.alarms = m.alarms
	m.jobs = append(m.jobs, j)
	m.fx.start(j)
}

// mend has a slot cleaned or checked.
func (m *machine[R]) mend(now time.Duration, sl *slot[R], v Verdict, why Reason) {
	switch {
	case v == Clean && m.cfg.Clean != nil:
		m.startMend(now, sl, cleanJob)
	case v == Check && m.cfg.Check != nil:
		m.startMend(now, sl, checkJob)
	default:
		m.close(now, sl, why, nil)
	}
}

func (m *machine[R]) startMend(now time.Duration, sl *slot[R], k jobKind) *job[R] {
	j := m.mending(now, sl, k)
	m.start(j)
	return j
}

func (m *machine[R]) mending(now time.Duration, sl *slot[R], k jobKind) *job[R] {
	m.note(now, sl)
	sl.desk.place = mending
	timeout := max(m.cfg.CleanTimeout, m.cfg.CheckTimeout) // it may be followed by either
	switch k {
	case cleanJob:
		timeout = m.cfg.CleanTimeout
	case checkJob:
		timeout = m.cfg.CheckTimeout
	}
	return &job[R]{
		kind: k, slot: sl, timeout: timeout,
		comes: now + hedge, deadline: now + timeout + m.cfg.CloseGrace,
	}
}

// close ends a slot. Its place stays taken until the resource is gone or a
// grace has passed: servers count a connection for a while after its client
// has closed it. One that is recalled is closed for the reason of that.
func (m *machine[R]) close(now time.Duration, sl *slot[R], why Reason, wrong error) {
	m.note(now, sl)
	if sl.desk.recalled {
		why = sl.desk.why
	} else {
		m.usable--
	}
	m.open--
	m.closing++
	m.startClose(now, sl, false, why, wrong)
}

func (m *machine[R]) startClose(now time.Duration, sl *slot[R], freed bool, why Reason, wrong error) {
	sl.desk.place = closing
	m.strike(sl)
	timeout := m.cfg.CloseGrace
	if m.end.forced {
		timeout /= 2
	}
	m.start(&job[R]{
		kind: closeJob, slot: sl, timeout: timeout,
		deadline: now + timeout + m.cfg.CloseGrace, freed: freed, why: why, wrong: wrong,
	})
}

// taken is a slot that its borrower takes away: it is no longer one of those
// open.
func (m *machine[R]) taken(now time.Duration, sl *slot[R]) error {
	b := sl.desk.binding
	switch {
	case sl.desk.place == revoked:
		m.letGo(sl)
		return sl.fate
	case b != nil && b.holders > 1:
		return ErrShared
	}
	m.unbind(sl)
	m.note(now, sl)
	m.strike(sl)
	sl.desk.place, sl.fate = revoked, ErrNotLeased
	m.open--
	if !sl.desk.recalled {
		m.usable--
	}
	m.stats.taken++
	m.tell(Event{Kind: EventTaken, ID: sl.desk.id})
	return nil
}

// strike takes a slot out of the list of those open.
func (m *machine[R]) strike(sl *slot[R]) {
	last := len(m.slots) - 1
	m.slots[sl.desk.index] = m.slots[last]
	m.slots[sl.desk.index].desk.index = sl.desk.index
	m.slots[last] = nil
	m.slots = m.slots[:last]
}

// reported is a job's end.
func (m *machine[R]) reported(now time.Duration, j *job[R]) {
	m.jobs = remove(m.jobs, j)
	switch {
	case j.kind == dialJob:
		m.dialed(now, j)
	case j.kind.mends():
		m.mended(now, j)
	case j.kind == closeJob:
		m.stats.closed++
		if j.err != nil {
			m.stats.closeFailed++
		}
		m.tell(Event{Kind: EventClosed, ID: j.slot.desk.id, Reason: j.why, Err: whole(j.wrong, j.err)})
		fallthrough
	case j.kind == killJob:
		if !j.freed {
			m.closing--
		}
	}
}

func (m *machine[R]) mended(now time.Duration, j *job[R]) {
	since := now
	if m.round.job == j {
		m.round.job = nil
		since = m.round.began // else it would not have rested long enough in the next
	}
	if j.bound != nil {
		m.vetted(j)
	}
	m.keepPromise(j)
	m.learn(now, j)
	switch {
	case j.freed:
		m.startClose(now, j.slot, true, ReasonOverdue, nil)
	case j.err != nil:
		why, wrong := j.unfit()
		m.close(now, j.slot, why, wrong)
	default:
		if j.cleaned {
			m.tell(Event{Kind: EventCleaned, ID: j.slot.desk.id})
		}
		j.slot.since, j.slot.desk.proven = since, true
		m.back(now, j.slot, Keep, ReasonNone)
		if j.slot.desk.place == inHand {
			j.slot.desk.vetted, j.slot.desk.mended = j.bound, j.caller
			j.slot.desk.tainted = j.binds && j.refusal == nil
			m.tainted = m.tainted || j.slot.desk.tainted
		}
	}
}

// unfit is why a mend's slot is closed, and what is wrong with it.
func (j *job[R]) unfit() (Reason, error) {
	switch {
	case j.err == errBroken:
		return ReasonBroken, nil
	case j.err == errRefused:
		return ReasonRefused, j.refusal
	case j.err == errUnfit:
		return ReasonUnfit, j.refusal
	default:
		return ReasonUnfit, j.err
	}
}

// fit says that a mend's slot can be lent.
func (j *job[R]) fit() bool { return j.err == nil && !j.freed && !j.slot.desk.recalled }

// keepPromise is the end of a mend that a request waits for. If the slot is fit,
// it has what it waits for, also if that came late, and another is being mended.
func (m *machine[R]) keepPromise(j *job[R]) {
	t := j.caller
	if t == nil || t.wait.arrival != j.arrival {
		j.caller = nil
	} else if t.wait.mends == j || j.fit() {
		t.wait.mends = nil
	}
}

// overdue frees the places of helpers that took too long. The supervisor goes
// on waiting for their reports. A mend that ignores its context is killed.
func (m *machine[R]) overdue(now time.Duration) {
	for i := 0; i < len(m.jobs); i++ {
		j := m.jobs[i]
		if j.freed || now < j.deadline {
			continue
		}
		j.freed = true
		switch {
		case j.kind == dialJob:
			m.dialing--
		case j.kind.mends():
			m.open--
			if !j.slot.desk.recalled {
				m.usable--
			}
			j.slot.desk.place = closing
			m.start(&job[R]{kind: killJob, slot: j.slot, deadline: now + m.cfg.CloseGrace, freed: true})
		default:
			m.closing--
		}
	}
}
