package core

import (
	"slices"
	"time"
)

// What must hold of a machine, whatever happens. The world calls these after every
// command of every scene, and of the random runs.

// check is called when the machine has come to rest: it has handled every message, and
// waits for the next, or for its deadline.
func (w *world) check() {
	m := w.m
	w.checkBooks()
	w.checkPlaces()
	if w.m.end.closing {
		if len(w.waiting) > 0 {
			w.fail("%s waits after the end", w.waiting[0].name)
		}
		if m.Answered() != w.closed {
			w.fail("answered: %v", m.Answered())
		}
	} else {
		w.checkWaiters()
		w.checkMinimum()
	}
	w.checkIdle()
	w.checkConditions()
	w.checkPickers()
	w.checkDeadline()
}

// checkSettled is called after every Settle.
func (w *world) checkSettled() {
	if !w.m.again && w.next <= w.now {
		w.fail("the deadline %v is not later than now, %v", w.next, w.now)
	}
	if w.m.again && w.next != w.now {
		w.fail("it has more to do, and the deadline is %v", w.next)
	}
	if w.m.sweep {
		w.fail("it will sweep again, without a reason")
	}
	if w.m.Over() && (len(w.waiting) > 0 || len(w.jobs) > 0) {
		w.fail("it is over, and %d wait, %d helpers are at work", len(w.waiting), len(w.jobs))
	}
}

// checkBooks: counts match states, lists match counts, and each resource ends once.
func (w *world) checkBooks() {
	m := w.m
	var count [states]int
	usable, open, opened, revoked, taken, closing, stuck := 0, 0, uint64(0), uint64(0), uint64(0), 0, 0
	for sl, r := range w.slots {
		count[sl.state]++
		if sl.state.open() {
			open++
			if !sl.recalled {
				usable++
			}
			if m.slots[sl.index] != sl {
				w.fail("%d is not where it says", sl.ID)
			}
		}
		if r.opened {
			opened++
		}
		if r.revoked {
			revoked++
		}
		if r.taken {
			taken++
		}
		if r.closes+btoi(r.revoked)+btoi(r.taken) > 1 {
			w.fail("%d has ended more than once", sl.ID)
		}
		want := map[State][]owner{
			Opening: {helpers}, Out: {inLine, onItsWay, lentOut}, Kept: {machine}, Repairing: {helpers},
			Closing: {helpers, nobody}, Gone: {helpers, nobody},
		}[sl.state]
		if !slices.Contains(want, r.owner) {
			w.fail("%d is %v, and is %v's", sl.ID, sl.state, r.owner)
		}
		if sl.state == Gone && !r.opened && r.owner == helpers && !w.works(sl, OpenJob) {
			w.fail("a slot is being opened by nobody")
		}
	}
	for _, j := range w.jobs {
		switch {
		case j.Kind == CloseJob:
			closing++
		case j.Kind.repairs() && j.Slot.state == Gone:
			stuck++ // killed, and closed when the helper reports
		}
	}
	if count != m.count || open != len(m.slots) || usable != m.usable {
		w.fail("states %v, counts %v; %d open, %d in the list; %d usable, counted %d", count, m.count, open, len(m.slots), usable, m.usable)
	}
	if s := m.stats; s.Opened != opened || s.Revoked != revoked || s.Taken != taken ||
		s.Opened != s.Closed+s.Revoked+s.Taken+uint64(open+closing+stuck) {
		w.fail("%d opened; %+v, %d open, %d being closed, %d stuck", opened, s, open, closing, stuck)
	}
	if m.kept.len() != m.count[Kept] {
		w.fail("%d are kept, %d in the queue", m.count[Kept], m.kept.len())
	}
	if len(m.jobs) != len(w.jobs) {
		w.fail("%d jobs, %d helpers", len(m.jobs), len(w.jobs))
	}
	if j := m.round.job; j != nil && !slices.Contains(w.jobs, j) {
		w.fail("the round waits for a job that has ended")
	}
	lent := 0
	for sl := range w.lent {
		lent += btoi(!w.slots[sl].revoked)
	}
	if got := m.lent(); got != lent {
		w.fail("%d are lent, it says %d", lent, got)
	}
}

func (w *world) works(sl *Slot, k JobKind) bool {
	return slices.ContainsFunc(w.jobs, func(j *Job) bool { return j.Slot == sl && j.Kind == k })
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkPlaces: never more than the limit. After it was lowered, or a dial that was given
// up has brought something, there are more for a time, but not ever more.
func (w *world) checkPlaces() {
	m := w.m
	places := m.open() + m.count[Opening] + m.count[Closing]
	if most := max(m.cfg.MaxOpen, w.before+w.grown); places > most {
		w.fail("%d places are taken, %d are allowed", places, most)
	}
	w.before, w.grown = places, 0
}

// checkDemand is called when a dial begins. It is for a waiter that nothing is coming
// for, or for a minimum.
func (w *world) checkDemand() {
	m := w.m
	coming, dials, probes := 0, 0, 0
	for _, j := range m.jobs { // with this one
		coming += btoi(m.comes(w.now, j))
		if j.Kind == OpenJob && !j.late() && w.now < j.comes {
			dials++
			probes += btoi(j.epoch == m.outage.epoch)
		}
	}
	if dials > m.cfg.MaxDials || m.outage.failures > 0 && probes > 1 {
		w.fail("%d dials, %d probes", dials, probes)
	}
	opening, waiting := m.count[Opening], len(w.waiting)
	forMinimum := m.usable+opening <= m.cfg.MinOpen ||
		m.cfg.MinIdle > 0 && m.idle()+opening+m.count[Repairing]-waiting <= m.cfg.MinIdle
	if waiting < m.kept.len()+coming && !forMinimum {
		w.fail("a dial too many: %d wait, %d kept, %d coming", waiting, m.kept.len(), coming)
	}
	if m.room() < 0 {
		w.fail("a dial above the limit")
	}
	if m.pause.on || m.end.closing {
		w.fail("a dial in a pause, or at the end")
	}
	if m.outage.backoff(w.now) {
		w.fail("a dial in the backoff")
	}
	if m.onTrial(w.now) {
		w.fail("a dial, and what the last has opened is on trial")
	}
}

// checkWaiters: nobody waits beside a slot, for nothing, or without hope.
func (w *world) checkWaiters() {
	m := w.m
	waiting := len(w.waiting)
	if waiting == 0 {
		return
	}
	if !w.shut && m.idle() > 0 {
		w.fail("%s waits, and %d are idle", w.waiting[0].name, m.idle())
	}
	dials, probe := 0, false
	for _, j := range m.jobs {
		if j.Kind == OpenJob && !j.late() && w.now < j.comes {
			dials++
			probe = probe || m.outage.failures > 0 && j.epoch == m.outage.epoch
		}
	}
	if !m.pause.on && m.coming(w.now) < waiting && m.room() > 0 && !m.outage.backoff(w.now) && !m.onTrial(w.now) && dials < m.cfg.MaxDials && !probe {
		w.fail("%d wait, %d are coming, and there is room for %d", waiting, m.coming(w.now), m.room())
	}
	switch {
	case m.pause.on:
		if m.cfg.NoWait {
			w.fail("%s waits for the end of a pause", w.waiting[0].name)
		}
	case m.stuck(w.now) && (m.usable == 0 || m.cfg.NoWait):
		w.fail("%s waits without hope", w.waiting[0].name)
	case m.cfg.NoWait && waiting > m.cfg.MaxOpen-m.lent():
		w.fail("%s waits for a borrower", w.waiting[0].name)
	}
}

// checkMinimum: what the minimums lack is being opened, if that is allowed.
func (w *world) checkMinimum() {
	m := w.m
	dials := 0
	for _, j := range m.jobs {
		if j.Kind == OpenJob && !j.late() && w.now < j.comes {
			dials++
		}
	}
	if w.lacks() && !m.pause.on && w.now >= m.fillAt && m.outage.failures == 0 && m.room() > 0 && dials < m.cfg.MaxDials {
		w.fail("a minimum is not kept")
	}
}

// lacks reports whether a minimum is not kept, and the machine knows. While something is
// coming it is not told of every get that leaves fewer than MinIdle, see watchIdle.
func (w *world) lacks() bool {
	m := w.m
	knows := m.usable+m.count[Opening] < m.cfg.MinOpen || m.count[Opening]+m.count[Repairing] == 0
	return knows && m.belowMinimum()
}

// checkIdle: the gate is as it must be, and what is idle may be.
func (w *world) checkIdle() {
	m := w.m
	if shut := m.pause.on || m.excess() > 0 || m.end.closing; shut != w.shut || shut != m.shut {
		w.fail("the gate is shut: %v, %v; it must be: %v", w.shut, m.shut, shut)
	}
	lies := slices.Clone(w.below)
	if w.top != nil {
		lies = append(lies, w.top)
	}
	if w.shut && len(lies) > 0 {
		w.fail("the gate is shut, and %d lies in the line", lies[0].ID)
	}
	if (m.excess() > 0 || m.end.closing) && m.kept.len() > 0 {
		w.fail("%d are kept, and there are too many", m.kept.len())
	}
	for _, sl := range append(lies, m.kept.slots[m.kept.head:]...) {
		if sl.recalled {
			w.fail("%d is idle and recalled", sl.ID)
		}
	}
	if m.cfg.MaxIdle > 0 && !m.pressed() && m.idle() > m.cfg.MaxIdle {
		w.fail("%d are idle, %d kept, %d may be", m.idle(), m.kept.len(), m.cfg.MaxIdle)
	}
	if w.full != m.isFull || w.full && !m.end.closing && !m.full(w.now) {
		w.fail("the line is full: %v, it says %v", w.full, m.isFull)
	}
	if w.drawn != nil && w.drawn.state == Out && w.slots[w.drawn].owner == machine {
		w.fail("%d is forgotten", w.drawn.ID)
	}
}

// checkPickers: a TryGet waits only for what is being repaired. What a borrower puts
// meanwhile it may have too, once the machine wakes.
func (w *world) checkPickers() {
	m := w.m
	if len(w.pickers) != len(m.pickers) {
		w.fail("%d pickers wait, it says %d", len(w.pickers), len(m.pickers))
	}
	for p := range w.pickers {
		switch name := p.Body.(*borrower).name; {
		case m.end.closing || m.pause.on:
			w.fail("%s waits at the end, or in a pause", name)
		case !m.returning(w.now):
			w.fail("%s waits, and nothing is being repaired", name)
		case w.now >= p.Until:
			w.fail("%s waits for too long", name)
		}
	}
}

// checkConditions: who waits for a condition that holds has been told, and quiet means
// that nothing is lent.
func (w *world) checkConditions() {
	m := w.m
	if len(w.open) != len(m.ready)+len(m.pause.waiters)+len(m.end.callers) {
		w.fail("%d wait for a condition, it says %d, %d and %d", len(w.open), len(m.ready), len(m.pause.waiters), len(m.end.callers))
	}
	if len(m.ready) > 0 && (m.filled() || m.stuck(w.now)) {
		w.fail("%v has not been told", m.ready[0].Body)
	}
	if len(m.pause.waiters) > 0 && m.count[Out] == 0 {
		w.fail("%v has not been told", m.pause.waiters[0].Body)
	}
	if w.quiet && m.pause.on && m.count[Out] > 0 {
		w.fail("something is lent, and a Pause has returned")
	}
	if m.end.closing && len(m.ready)+len(m.pause.waiters) > 0 {
		w.fail("somebody waits for a condition after the end")
	}
}

// checkEnd is called when CloseAll is answered.
func (w *world) checkEnd() {
	m := w.m
	places := m.open() + m.count[Opening] + m.count[Closing]
	if late := m.end.forced && w.now >= m.end.forceAt; places > 0 && !late {
		w.fail("CloseAll is answered, and %d places are taken", places)
	}
	if len(w.waiting) > 0 {
		w.fail("CloseAll is answered, and %s waits", w.waiting[0].name)
	}
}

// checkDeadline: the machine will be called in time for whatever is due.
func (w *world) checkDeadline() {
	m := w.m
	due := func(what string, at time.Duration) {
		if w.next > at {
			w.fail("%s is due at %v, the deadline is %v", what, at, w.next)
		}
		if at <= w.now {
			w.fail("%s was due at %v", what, at)
		}
	}
	for _, j := range m.jobs {
		if !j.late() {
			due(jobText(j), j.deadline)
		}
	}
	for _, sl := range m.slots {
		if !sl.recalled && sl.expires < Never && !m.end.closing {
			due("the end of a slot", sl.expires)
		}
		if l, lent := w.lent[sl]; lent && m.cfg.MaxLease > 0 {
			due("the end of a lease", l.since+m.cfg.MaxLease)
		}
	}
	for p := range w.pickers {
		due("the end of a TryGet's patience", p.Until)
	}
	if m.end.forced && !m.end.answered {
		due("the end of the grace", m.end.forceAt)
	}
	if m.end.closing {
		return
	}
	if o := m.outage; o.failures > 0 && len(w.waiting) > 0 && !m.pause.on && m.room() > 0 && o.until > w.now {
		due("the end of the backoff", o.until)
	}
	if o := m.outage; o.failures > 0 && w.lacks() && !m.pause.on && o.refillAt > w.now {
		due("another try for the minimum", o.refillAt)
	}
	if w.lacks() && m.fillAt > w.now {
		due("the minimum of resources that do not last", m.fillAt)
	}
	if o := m.outage; o.failures > 0 && o.lost > 0 {
		for _, sl := range m.slots {
			if sl.epoch == o.epoch {
				due("the end of an outage of resources that do not last", sl.opened+fresh)
			}
		}
	}
	if len(w.waiting) > 0 && !w.full {
		for _, j := range m.jobs {
			if j.comes > w.now && !j.late() {
				due("the end of the hedge", j.comes)
			}
		}
	}
	if (m.surplus.on || m.mayBreak() || m.round.wanted && !w.shut) && w.next == Never {
		w.fail("a round is due, and it sleeps")
	}
}
