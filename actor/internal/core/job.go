package core

import (
	"errors"
	"time"
)

// A Job is work that may block, done by a helper goroutine that reports once.
type Job struct {
	Kind    JobKind
	Slot    *Slot
	Timeout time.Duration // after which the job's context ends
	Body    any           // the caller's own record

	began    time.Duration
	comes    time.Duration // until then the slot counts as coming
	deadline time.Duration // from then on it takes no place
	epoch    uint64        // of a dial: that of the outage
	resets   uint64        // of a dial: Machine.resets
	verified uint64        // Machine.suspicions when the job began
	why      Reason        // of a close
	wrong    error         // of a close: what was wrong with the resource
}

// JobKind says what a job does.
type JobKind uint8

// The kinds of jobs.
const (
	OpenJob  JobKind = iota // opens the resource
	LookJob                 // looks at it, then does what the look demands
	CleanJob                // cleans it
	CheckJob                // checks it
	CloseJob                // closes it
	KillJob                 // kills it under its user
)

var jobNames = [...]string{
	OpenJob: "Open", LookJob: "Look", CleanJob: "Clean", CheckJob: "Check", CloseJob: "Close", KillJob: "Kill",
}

// String is the name of the Config's function that the job calls.
func (k JobKind) String() string {
	if int(k) >= len(jobNames) {
		return "unknown job"
	}
	return jobNames[k]
}

// repairs reports whether a job of this kind leaves its resource open.
func (k JobKind) repairs() bool { return k == LookJob || k == CleanJob || k == CheckJob }

// A Result is what a helper reports.
type Result struct {
	Err       error  // the resource is not open, not fit, or not properly closed
	Why       Reason // of a repair that failed: the reason for which the resource is closed
	Permanent bool   // of a dial that failed: waiting does not help
	Cleaned   bool   // of a repair: Clean was called, even if it failed
	Suspect   bool   // of a repair that failed: other resources may be broken too
	Stale     bool   // of a repair that failed: everything opened before is old
	Fault     error  // of a close, and of a Clean that succeeded: what was wrong with the resource, if the caller knows
}

// ErrUnfit is the error of a repair whose verdict was to close the resource. It tells
// nothing that the reason does not.
var ErrUnfit = errors.New("unfit")

// wrong is what was wrong with a resource whose repair failed, nil if there is no more to
// tell than the reason.
func (r Result) wrong() error {
	if r.Err == ErrUnfit {
		return nil
	}
	return r.Err
}

// hedge is how long a dial or a repair counts for a waiter: one that hangs does not
// stand in for later waiters.
const hedge = time.Second

// late reports whether the job has taken so long that its slot takes no place any more.
func (j *Job) late() bool { return j.Slot.state == Gone }

func (m *Machine) start(j *Job) {
	j.verified = m.suspicions
	m.jobs = append(m.jobs, j)
	m.fx.Start(j)
}

// repair has a slot that the machine owns cleaned or checked, or closed if there is no
// function for that.
func (m *Machine) repair(now time.Duration, sl *Slot, v Verdict, why Reason) {
	switch {
	case v == Clean && m.cfg.Clean:
		m.startRepair(now, sl, CleanJob)
	case v == Check && m.cfg.Check:
		m.startRepair(now, sl, CheckJob)
	default:
		m.close(now, sl, why, nil)
	}
}

func (m *Machine) startRepair(now time.Duration, sl *Slot, k JobKind) *Job {
	m.tally(sl)
	m.move(sl, Repairing)
	timeout := max(m.cfg.CleanTimeout, m.cfg.CheckTimeout) // a look may be followed by either
	switch k {
	case CleanJob:
		timeout = m.cfg.CleanTimeout
	case CheckJob:
		timeout = m.cfg.CheckTimeout
	}
	j := &Job{Kind: k, Slot: sl, Timeout: timeout, began: now, comes: now + hedge, deadline: now + timeout + m.cfg.CloseGrace}
	m.start(j)
	return j
}

// close ends the resource of a slot that the machine owns. The slot takes its place
// until the resource is gone, or a grace has passed. If the slot is recalled, the
// reason is that of the recall.
func (m *Machine) close(now time.Duration, sl *Slot, why Reason, wrong error) {
	m.tally(sl)
	if sl.recalled {
		why = sl.why
	}
	if m.outage.lost > 0 && (m.lasted(now, sl) || m.served(sl, why)) {
		m.heal()
	}
	m.move(sl, Closing)
	m.startClose(now, sl, why, wrong)
}

func (m *Machine) startClose(now time.Duration, sl *Slot, why Reason, wrong error) {
	timeout := m.cfg.CloseGrace
	if m.end.forced {
		timeout /= 2
	}
	m.start(&Job{
		Kind: CloseJob, Slot: sl, Timeout: timeout, began: now, deadline: now + timeout + m.cfg.CloseGrace, why: why, wrong: wrong,
	})
}

// Done is the end of a job.
func (m *Machine) Done(now time.Duration, j *Job, r Result) {
	m.jobs = remove(m.jobs, j)
	switch {
	case j.Kind == OpenJob:
		m.dialed(now, j, r)
	case j.Kind.repairs():
		m.repaired(now, j, r)
	case j.Kind == CloseJob:
		m.stats.Closed++
		if r.Err != nil {
			m.stats.CloseFailed++
		}
		wrong := j.wrong
		if wrong == nil {
			wrong = r.Fault
		}
		m.tell(Event{Kind: EventClosed, Slot: j.Slot, Reason: j.why, Err: both(wrong, r.Err)})
		m.move(j.Slot, Gone)
	default:
		m.move(j.Slot, Gone)
	}
}

// repaired is the end of a repair: the slot can be lent again, or is closed.
func (m *Machine) repaired(now time.Duration, j *Job, r Result) {
	sl, since := j.Slot, now
	if m.round.job == j {
		m.round.job = nil
		since = m.round.began // else it would not have rested long enough in the next round
	}
	m.learn(now, j, r)
	switch {
	case j.late():
		m.startClose(now, sl, ReasonOverdue, nil)
	case r.Err != nil:
		m.unfit(now, sl, r)
	default:
		if r.Cleaned {
			m.Cleaned(sl, r.Fault)
		}
		sl.Since, sl.Proven = since, j.Kind != LookJob // a look is no proof
		m.readmit(now, sl)
	}
}

// readmit keeps a slot that is fit, unless it is not wanted any more.
func (m *Machine) readmit(now time.Duration, sl *Slot) {
	switch {
	case sl.recalled:
		m.close(now, sl, sl.why, nil)
	case m.end.closing:
		m.close(now, sl, ReasonClosing, nil)
	default:
		m.keep(sl)
	}
}

// freeOverdue frees the places of jobs that take too long. A resource whose repair
// ignores its context is killed. The helper's report is still awaited.
func (m *Machine) freeOverdue(now time.Duration) {
	for i := 0; i < len(m.jobs); i++ {
		j := m.jobs[i]
		if j.late() || now < j.deadline {
			continue
		}
		m.move(j.Slot, Gone)
		if j.Kind.repairs() {
			m.start(&Job{Kind: KillJob, Slot: j.Slot, began: now, deadline: now + m.cfg.CloseGrace})
		}
	}
}

// coming is the number of slots on their way to the waiters.
func (m *Machine) coming(now time.Duration) (n int) {
	for _, j := range m.jobs {
		if m.comes(now, j) {
			n++
		}
	}
	return n
}

// comes reports whether the slot of j is on its way to the waiters.
func (m *Machine) comes(now time.Duration, j *Job) bool {
	switch {
	case j.late() || now >= j.comes:
		return false
	case j.Kind == OpenJob:
		return j.resets == m.resets
	default:
		return j.Kind.repairs() && !j.Slot.recalled
	}
}

// remove takes v out of s and keeps the order of the others.
func remove[T comparable](s []T, v T) []T {
	for i := range s {
		if s[i] == v {
			copy(s[i:], s[i+1:])
			clear(s[len(s)-1:])
			return s[:len(s)-1]
		}
	}
	return s
}

// Unfit is a repair by a borrower that failed: the slot is closed.
func (m *Machine) Unfit(now time.Duration, sl *Slot, r Result) {
	if sl.state != Out {
		return // revoked meanwhile
	}
	m.learnFailure(now, sl, r)
	m.unfit(now, sl, r)
}

// unfit closes a slot after a repair that failed. What its borrower left behind, and could
// not be cleaned, says nothing of what is opened.
func (m *Machine) unfit(now time.Duration, sl *Slot, r Result) {
	if !r.Cleaned && !sl.recalled {
		m.lose(now, sl, r.Why, r.wrong())
	}
	m.close(now, sl, r.Why, r.wrong())
}

// Cleaned is the news that Clean has made sl fit, called by a helper or a borrower.
func (m *Machine) Cleaned(sl *Slot, fault error) {
	m.tell(Event{Kind: EventCleaned, Slot: sl, Err: fault})
}
