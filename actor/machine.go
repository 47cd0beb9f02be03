package actor

import "time"

// machine decides: whom to serve, when to dial, what is closed, what a failure
// means. It is plain and single-threaded: it is told the time and what
// happened, and says what should be done by calling its effects. It starts no
// goroutine, reads no clock, and neither sends nor receives.
//
// Events change the books; settle compares the books with the time and acts.
// After a batch of events one settle is enough.
type machine[R any] struct {
	cfg Config[R]
	fx  effects[R]
	sup *Supervisor[R] // whose slots these are

	queue queue[R]
	keys  map[any]*binding[R]
	loose int // bindings without a slot: distinct keys that wait

	hands  hand[R] // idle slots at the desk
	shut   bool    // the gate is shut
	shutAt time.Duration

	slots []*slot[R] // every open slot, wherever it is
	jobs  []*job[R]  // every helper that has not reported

	// Places taken, together at most MaxOpen.
	open, closing, dialing int
	usable                 int // open and not recalled

	outage   outage
	resets   uint64 // stamps dials: one begun before a reset brings an old resource
	arrivals uint64
	settled  uint64 // arrivals at the last settle: who came later has not waited yet
	ids      uint64
	sweep    bool          // somebody may have put a recalled slot on the shelf
	tainted  bool          // a tainted slot may be in the hands
	alarms   uint64        // stamps dials and checks: what was begun before the last is in doubt
	alarmed  time.Duration // when that was
	expiry   time.Duration // nothing expires before
	overlong time.Duration // no lease lasts too long before

	blame    blame         // what the last look found, see shortage
	hasty    []*ticket[R]  // came since the last settle and will not wait
	ready    []*ticket[R]  // wait for the minimum
	refillAt time.Duration // after a failed dial, when to try for the minimum again

	span  span
	round rounds[R]
	pause pause[R]
	end   ending[R]
	stats counters
}

// effects are what the machine can have done. Each is one atomic step: between
// two of them borrowers go on.
type effects[R any] interface {
	shutGate()
	openGate()
	take() *slot[R]               // the next slot off the shelf, its top last, nil if it is empty
	takeTop() *slot[R]            // the slot on top of it, nil if there is none
	offer(sl *slot[R]) bool       // onto the shelf; false if it is full
	shelved() int                 // how many are on the shelf, a hint
	answer(*ticket[R], answer[R]) // the one answer to a request
	recall(sl *slot[R])           // ask whoever holds sl to bring it
	revoke(sl *slot[R])           // tell whoever holds sl that it is no longer his
	start(j *job[R])              // have a helper do j and report once
	cancel(j *job[R])             // end the context of a job under way
	tell(Event)                   // have OnEvent told, sometime
	lookout()                     // have the next borrower that leaves too few on the shelf tell
	jitter(time.Duration) time.Duration
}

func newMachine[R any](cfg Config[R], fx effects[R]) *machine[R] {
	return &machine[R]{
		cfg:      cfg.withDefaults(),
		fx:       fx,
		keys:     map[any]*binding[R]{},
		expiry:   never,
		overlong: never,
		round:    rounds[R]{at: never},
	}
}

// get is a new request.
func (m *machine[R]) get(now time.Duration, t *ticket[R]) {
	m.arrivals++
	t.wait = waiting[R]{arrival: m.arrivals, since: now}
	if t.asks == forResource && t.key == nil && t.brings.slot == nil && !m.cfg.watched() {
		m.span.vetoed = true // it found the shelf empty
	}
	switch {
	case m.end.closing:
		m.turnAway(now, t)
	case t.asks == forMinimum:
		m.ready = append(m.ready, t)
		t.wait.queued = true
	case t.asks == forQuiet:
		m.pauseFor(now, t)
	case t.key != nil && m.share(now, t):
	default:
		m.enqueue(now, t)
	}
}

// again is a request whose slot proved unfit before use: it keeps its arrival.
func (m *machine[R]) again(now time.Duration, t *ticket[R]) {
	if m.end.closing {
		m.turnAway(now, t)
		return
	}
	t.wait.caused = false
	m.enqueue(now, t)
}

// enqueue files a request. One that brings a slot waits until that is mended.
func (m *machine[R]) enqueue(now time.Duration, t *ticket[R]) {
	m.queue.insert(t)
	if t.patience != Wait {
		m.hasty = append(m.hasty, t)
	}
	sl, v := t.brings.slot, t.brings.verdict
	t.brings, t.wait.mends = brought[R]{}, nil
	if sl == nil || sl.desk.place == revoked { // while Prepare had it
		return
	}
	m.back(now, sl, v, ReasonRefused)
	if sl.desk.place == mending {
		m.shutGate(now)
		j := m.jobs[len(m.jobs)-1] // just begun
		j.caller, j.arrival, t.wait.mends = t, t.wait.arrival, j
	}
}

// turnAway refuses a request that comes after the end has begun.
func (m *machine[R]) turnAway(now time.Duration, t *ticket[R]) {
	if sl := t.brings.slot; sl != nil {
		t.brings = brought[R]{}
		m.put(now, sl, Discard, ReasonClosing)
	}
	m.refuseOne(t, ErrClosed)
}

// cancel is a borrower that gave up. A ticket no longer queued has its answer
// already.
func (m *machine[R]) cancel(now time.Duration, t *ticket[R]) {
	switch {
	case !t.wait.queued:
		return
	case t.asks == forMinimum:
		m.ready = remove(m.ready, t)
		t.wait.queued = false
	case t.asks == forQuiet:
		m.unpauseFor(t)
	default:
		m.unqueue(t)
	}
	m.stats.cancelled++
	err := m.waitError(now, t)
	m.tellOfWait(err)
	m.fx.answer(t, answer[R]{err: err})
}

// unqueue takes t out of the queue and out of the waiters of its key.
func (m *machine[R]) unqueue(t *ticket[R]) {
	m.queue.remove(t)
	m.hasty = remove(m.hasty, t) // the next request on t may not be in haste
	if b := t.wait.key; b != nil {
		b.waiters = remove(b.waiters, t)
		m.forget(b)
	}
}

// put is a slot that a borrower brought, with its verdict and the reason for that.
func (m *machine[R]) put(now time.Duration, sl *slot[R], v Verdict, why Reason) {
	switch {
	case sl.desk.place == revoked:
		m.letGo(sl)
	case sl.desk.binding != nil:
		m.unshare(now, sl, v)
	default:
		m.back(now, sl, v, why)
	}
}

// back takes a slot into the desk's hands, or has done to it what it needs.
func (m *machine[R]) back(now time.Duration, sl *slot[R], v Verdict, why Reason) {
	m.note(now, sl)
	switch {
	case v >= Discard || sl.desk.recalled:
		if v == Alarm {
			m.alarm(now, sl)
		}
		m.close(now, sl, why, nil)
	case m.end.closing:
		m.close(now, sl, ReasonClosing, nil)
	case v != Keep:
		m.mend(now, sl, v, why)
	default:
		sl.desk.place = inHand
		m.hands.push(sl)
	}
}

// note counts a slot's uses while the desk has it.
func (m *machine[R]) note(now time.Duration, sl *slot[R]) {
	sl.desk.seen = now
	m.stats.leases += sl.uses
	sl.uses = 0
}

// reset makes every resource old: those opened so far and those being opened.
func (m *machine[R]) reset() {
	m.resets++
	m.tell(Event{Kind: EventReset})
	m.heal()
	for _, sl := range m.slots {
		m.recall(sl, ReasonReset)
	}
	for _, j := range m.jobs {
		if j.kind == dialJob {
			m.fx.cancel(j)
		}
	}
	m.sweep = true
}

// nudged is a borrower that put a slot on the shelf while it was recalled.
func (m *machine[R]) nudged() { m.sweep = true }

// recall asks for a slot, which is closed then, for this reason.
func (m *machine[R]) recall(sl *slot[R], why Reason) {
	if !sl.desk.recalled {
		sl.desk.recalled, sl.desk.why = true, why
		m.fx.recall(sl)
		if sl.desk.place < closing {
			m.usable--
		}
	}
}

// idle is how many slots are ready to be lent.
func (m *machine[R]) idle() int { return m.hands.len() + m.fx.shelved() }

func (m *machine[R]) refuseOne(t *ticket[R], err error) {
	m.stats.refused++
	m.tellOfRefusal(err)
	m.fx.answer(t, answer[R]{err: err})
}

// conclude is the answer to a request that was not for a resource.
func (m *machine[R]) conclude(t *ticket[R], err error) {
	t.wait.queued = false
	if err != nil {
		m.stats.refused++
		m.tellOfRefusal(err)
	}
	m.fx.answer(t, answer[R]{err: err})
}

// remove takes v out of s, keeping the order.
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
