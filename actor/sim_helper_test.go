package actor

import (
	"errors"
	"fmt"
	"time"
)

// simHelper is a helper goroutine with its job.
type simHelper struct {
	j        *simJob
	began    time.Duration // by the supervisor's clock
	done     time.Duration // when it is done
	ends     time.Duration // when its context ends
	grace    time.Duration // from when its place is free
	hung     bool          // ignores its context
	reported bool
	step     int          // in which it began
	bringer  *simBorrower // mends what it brought
	arrival  uint64
	round    bool // checks what rests
	resets   int  // done when it began
	epoch    int  // of the world's account
	thing    *simThing
}

// simDialError is the failure of one dial, told from every other.
type simDialError struct{ step int }

func (e *simDialError) Error() string { return fmt.Sprintf("dial failed in step %d", e.step) }

var errSimJob = errors.New("job failed")

func (w *simWorld) start(j *simJob) {
	w.bustles()
	w.step("desk", 0, "starts "+jobNames[j.kind], j.slot)
	h := &simHelper{
		j: j, step: w.steps, began: w.clock, done: w.now + w.upTo(w.slow), ends: w.now + j.timeout,
		grace: w.clock + j.timeout + w.pool.CloseGrace, resets: w.resets, epoch: w.out.epoch,
	}
	h.done = min(h.done, h.ends)
	if j.kind != killJob && !w.draining && w.in(w.hangs) {
		h.hung, h.done = true, w.now+w.upTo(20*time.Second)
	}
	switch j.kind {
	case dialJob:
		w.checkDial(h)
	case killJob:
		w.killing(h)
	case closeJob:
		w.known--
		w.checkClose(j.slot)
		w.must(!w.pure || w.closing, "inv4OpensWithinPeak", "thing %d is closed without a reason", j.slot.value.id)
		w.takes(h)
	default:
		w.checkMend(h)
		if w.bringing != nil {
			w.bringing.mends, h.bringer, h.arrival = h, w.bringing, w.bringing.arrival
		}
		w.takes(h)
	}
	w.helpers = append(w.helpers, h)
	w.bustles()
}

// takes gives a helper the slot of its job.
func (w *simWorld) takes(h *simHelper) {
	h.thing = h.j.slot.value
	w.move(h.j.slot, theDesk, aHelper, nil)
}

// checkMend: a mend follows from a verdict, or from a rest.
func (w *simWorld) checkMend(h *simHelper) {
	kind, th := h.j.kind, h.j.slot.value
	asked := th.verdict == Keep
	switch {
	case kind == cleanJob:
		asked = th.verdict == Clean
	case kind == checkJob && !asked:
		asked = th.verdict == Check
	case kind == lookJob && h.j.bound != nil:
		w.checkBind(h)
	case kind == checkJob || kind == lookJob:
		w.checkRound(h)
	case kind == judgeJob:
		asked = asked && (th.judge || th.changed > 0)
	}
	w.must(th.changed == 0 || kind == judgeJob, "changedIsJudged", "thing %d is changed for key %d: %s", th.id, th.changed, jobNames[kind])
	w.must(asked, "verdictsAreFollowed", "thing %d: %s after the verdict %d", th.id, jobNames[kind], th.verdict)
}

// killing is the start of a Kill: of a mend that ignores its context, or of a
// lease that CloseAll takes away, or MaxLease.
func (w *simWorld) killing(h *simHelper) {
	th := h.j.slot.value
	h.thing, h.grace, h.done = th, w.clock+w.pool.CloseGrace, w.now
	if !w.forcing && w.seizing != th && !w.isOverlong(th) {
		mend := w.mendOf(th)
		w.must(mend != nil && w.clock >= mend.grace, "inv2OneOwner",
			"thing %d is killed in the hands of %s", th.id, simOwners[th.owner])
		w.must(h.j.freed && !th.killed, "inv2ClosedOnce", "thing %d: a mend's kill takes a place, or comes twice", th.id)
		th.killed = true
		return
	}
	w.must(th.owner != theDesk && th.owner != aHelper && th.owner != nobody, "inv2OneOwner",
		"thing %d is revoked in the hands of %s", th.id, simOwners[th.owner])
	w.must(!th.revoked, "inv2ClosedOnce", "thing %d is revoked twice", th.id)
	if w.seizing == th {
		w.seize(th)
	}
	th.revoked, th.died = true, w.clock
	if w.forcing {
		w.named++
	}
	w.known--
	w.revoked++
	w.leases -= h.j.slot.uses // the desk never hears of them
}

func (w *simWorld) mendOf(th *simThing) *simHelper {
	for _, h := range w.helpers {
		if h.thing == th && h.j.kind.mends() {
			return h
		}
	}
	return nil
}

func (w *simWorld) cancel(j *simJob) {
	w.bustles()
	w.step("desk", 0, "cancels "+jobNames[j.kind], j.slot)
	h := w.helperOf(j)
	h.ends = min(h.ends, w.now)
	if !h.hung {
		h.done = min(h.done, w.now+w.upTo(w.slow))
	}
	if w.hurrying {
		h.grace = min(h.grace, w.clock+w.pool.CloseGrace)
	}
	w.bustles()
}

func (w *simWorld) helperOf(j *simJob) *simHelper {
	for _, h := range w.helpers {
		if h.j == j {
			return h
		}
	}
	w.fail("booksOfJobs", "a job that no helper does")
	return nil
}

// helpersFrom is how many have begun until then and not reported: rounds may
// always have one under way.
func (w *simWorld) helpersFrom(step int) (n int) {
	for _, h := range w.helpers {
		if h.step <= step {
			n++
		}
	}
	return n
}

// due is when a helper goes on.
func (h *simHelper) due(w *simWorld) time.Duration {
	if h.reported || h.hung && w.draining && !w.thawed {
		return never
	}
	return h.done
}

// help lets one helper finish. False: none is due.
func (w *simWorld) help() bool {
	if len(w.helpers) == 0 {
		return false
	}
	from := w.n(len(w.helpers))
	for i := range w.helpers {
		h := w.helpers[(from+i)%len(w.helpers)]
		if h.due(w) <= w.now {
			w.finishJob(h)
			return true
		}
	}
	return false
}

func (w *simWorld) finishJob(h *simHelper) {
	j := h.j
	w.step("helper", 0, "reports "+jobNames[j.kind], j.slot)
	h.reported = true
	late := w.now >= h.ends && w.in(80)
	switch {
	case j.kind == dialJob:
		w.dialDone(h, late)
	case j.bound != nil && (w.pool.Prepare != nil || j.binds):
		w.vetDone(h, late)
	case j.kind == killJob && h.thing.revoked:
		w.drop(h.thing)
	case j.kind == closeJob:
		w.must(!h.thing.closed && !h.thing.revoked, "inv2ClosedOnce", "thing %d is closed twice", h.thing.id)
		h.thing.closed = true
		w.gone++
		w.drop(h.thing)
		fallthrough
	default:
		if !w.draining && (late || w.in(w.otherFails) || j.kind != closeJob && w.in(w.unfit)) {
			j.err = errSimJob
		}
	}
	w.send(simMessage{kind: reportMessage, job: j})
}

// dialDone is the end of an Open: a panic is an error like any other, and one
// whose context has ended may still succeed.
func (w *simWorld) dialDone(h *simHelper, late bool) {
	if late || !w.draining && w.in(w.dialFails) {
		h.j.err = &simDialError{w.steps}
		h.j.permanent = w.in(w.permanent)
		return
	}
	w.ids++
	w.opened++
	h.thing = &simThing{id: w.ids, resets: h.resets}
	h.j.value = h.thing
	w.things = append(w.things, h.thing)
}

func (w *simWorld) drop(th *simThing) { w.things = remove(w.things, th) }

// heard is a report before the machine gets it.
func (w *simWorld) heard(h *simHelper) {
	w.helpers = remove(w.helpers, h)
	switch {
	case h.j.kind == dialJob:
		w.heardDial(h)
	case h.j.kind.mends():
		h.thing.proven, h.thing.verdict, h.thing.judge = w.clock, Keep, false
		if h.j.err != nil {
			h.thing.verdict = Discard
		}
		if h.j.kind == judgeJob {
			h.thing.changed = 0
		}
		w.move(h.j.slot, aHelper, theDesk, nil)
		h.thing.mended, h.thing.vetted, h.thing.late = true, h.j.bound, h.j.freed
		h.thing.mendedFor, h.thing.mendedAt = h.bringer, h.arrival
		w.heardVet(h.j)
	}
}

// heardDial keeps the world's account of failing dials.
func (w *simWorld) heardDial(h *simHelper) {
	o := &w.out
	old := h.resets != w.resets
	if h.j.err != nil {
		w.mayCount = !w.closing && !old && h.epoch == o.epoch
		if w.mayCount {
			o.err, o.permanent = h.j.err, h.j.permanent
		}
		return
	}
	w.known++
	h.thing.owner, h.thing.proven, h.thing.late = theDesk, w.clock, h.j.freed
	h.thing.mended = true
	w.age(h.thing)
	if !old && !h.j.freed && o.failures > 0 {
		w.heal()
	}
}

// heal ends the world's outage.
func (w *simWorld) heal() { w.out = simOutage{epoch: w.out.epoch + 1} }
