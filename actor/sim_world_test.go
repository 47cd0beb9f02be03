package actor

import (
	"fmt"
	"time"
)

type (
	simSlot    = slot[*simThing]
	simTicket  = ticket[*simThing]
	simMessage = message[*simThing]
	simBinding = binding[*simThing]
	simJob     = job[*simThing]
)

// simThing is a resource, and what the world knows of it without asking the
// machine.
type simThing struct {
	id        int
	owner     simOwner
	holder    *simBorrower
	refs      int           // leases under a key, those not yet received included
	key       any           // of those leases
	resets    int           // resets done when its dial began
	lentAt    time.Duration // or bound, by the desk's clock
	bound     int           // resets done when its key was bound
	mendedFor *simBorrower  // who brought it, and it was at the desk since
	mendedAt  uint64        // that borrower's arrival
	verdict   Verdict       // what must be done before it is lent again
	judge     bool          // its last holder has put it, and nobody judged it
	changed   int           // the key that Bind changed it for, and nobody judged it since
	expires   time.Duration // by the world's dice
	mended    bool          // opened or mended, and at the desk since
	vetted    *simBinding   // prepared for this key, and at the desk since
	proven    time.Duration // when it was last known to work
	used      bool          // in the lease that was put last
	moved     int           // step at which it last went to a borrower or came from one
	late      bool          // its dial's place was given up
	revoked   bool
	died      time.Duration // when that was
	killed    bool
	closed    bool
}

// simOwner is who may touch a thing.
type simOwner uint8

const (
	nobody simOwner = iota
	theDesk
	theShelf
	aBorrower
	aReply
	theInbox
	aHelper
	theSharers
)

var simOwners = [...]string{"nobody", "the desk", "the shelf", "a borrower", "a reply", "the inbox", "a helper", "sharers"}

// simWorld is everything around a machine: shelf, gate, inbox, clock, helpers,
// borrowers. The machine's own steps and everybody else's are interleaved by
// the dice, one atomic step at a time. It is the machine's effects.
type simWorld struct {
	simDice
	simConfig
	m *machine[*simThing]

	now   time.Duration // the time
	clock time.Duration // the supervisor's, read once a wake
	next  time.Duration // what its timer is set to, as far as it knows; 0 if it does not
	timer time.Duration // what it is set to
	was   time.Duration // what it was set to before this wake

	top    *simSlot
	shelf  []*simSlot
	gate   bool
	low    bool // the token for who leaves too few
	closed bool
	inbox  []simMessage
	free   []*simTicket

	borrowers []*simBorrower
	helpers   []*simHelper
	things    []*simThing // reported and not gone
	closers   []*simCloser

	out simOutage
	simSizes
	simPauses
	simRest
	simVetting
	simBinds
	simCounts

	// The present message.
	cancelling *simTicket
	bringing   *simBorrower // asks, perhaps with a slot to be mended
	mayCount   bool         // the failed dial must raise the backoff
	aging      *simThing    // opened, its age not yet rolled
	forcing    bool         // revoke runs
	hurrying   bool         // closeAll or revoke runs

	owned map[*origin]bool // leases that were granted and have not come back
	leaks uint64

	arrivals   uint64
	settled    uint64 // arrivals at the last settle
	resets     int
	closing    bool // a CloseAll was handled
	forced     bool // one ran out of time
	forceAt    time.Duration
	searched   bool // the shelf was found empty since the gate was shut
	overflowed bool // an offer failed since the last settle began
	draining   bool // no new requests, no new trouble
	thawed     bool // hung helpers may report

	opened, gone, revoked, away int
	named                       int // of those revoked, by CloseAll

	active, peak int
	known        int // things that the desk has heard of and not closed
	ids          int

	// When the machine last counted the shelf.
	lentThen, idleThen int

	justPut   int // on the shelf since the settle began
	justTaken int // off it since then, by who had read an open gate, though it is shut

	steps int
	trace simTrace
	told  simTold
}

// simCounts are what Stat must tell in the end.
type simCounts struct {
	leases, expired, unneeded, waited, refused, cancelled uint64

	waitTime time.Duration
}

// simOutage is the world's own account of failing dials.
type simOutage struct {
	epoch     int
	failures  int
	until     time.Duration
	refill    time.Duration // when a minimum may be tried for again
	err       error
	permanent bool
}

func newSimWorld(seed uint64, data []byte) *simWorld {
	w := &simWorld{simDice: newSimDice(seed, data)}
	w.simConfig = newSimConfig(&w.simDice)
	w.m = newMachine[*simThing](w.pool, w)
	w.simSizes = simSizes{least: w.pool.MinOpen, limit: w.pool.MaxOpen, allowed: w.pool.MaxOpen, booked: w.pool.MaxOpen}
	w.simRest = newSimRest()
	w.noGood = map[*simBinding]int{}
	w.told = newSimTold()
	w.owned = map[*origin]bool{}
	for i := range w.simConfig.borrowers {
		w.borrowers = append(w.borrowers, newSimBorrower(i))
	}
	return w
}

// simFailure is a broken invariant.
type simFailure struct{ invariant, detail string }

func (w *simWorld) fail(invariant, format string, args ...any) {
	panic(simFailure{invariant, fmt.Sprintf(format, args...)})
}

func (w *simWorld) must(ok bool, invariant, format string, args ...any) {
	if !ok {
		w.fail(invariant, format, args...)
	}
}

// step counts and notes one atomic step.
func (w *simWorld) step(who string, i int, what string, sl *simSlot) {
	w.steps++
	id := 0
	if sl != nil {
		id = sl.value.id
	}
	w.trace.add(simNote{w.steps, w.now, who, i, what, id})
}

// outside is one step of somebody other than the supervisor. False: nobody
// could do one.
func (w *simWorld) outside() bool {
	w.now += time.Duration(w.n(int(w.tick)))
	w.ring()
	if w.trouble() {
		return true
	}
	if len(w.helpers) > 0 && w.in(20) && w.help() {
		return true
	}
	from := w.n(len(w.borrowers))
	for i := range w.borrowers {
		b := w.borrowers[(from+i)%len(w.borrowers)]
		if w.frozen(b) {
			continue
		}
		if b.step(w) {
			return true
		}
	}
	return w.help() || w.closersStep()
}

// frozen preempts a borrower, now and then for many steps; more often where it
// acts on a gate that it saw open.
func (w *simWorld) frozen(b *simBorrower) bool {
	if w.steps < b.frozen {
		return true
	}
	often := w.freezes
	switch b.pc {
	case pcTop, pcTake, pcPushTop, pcPush, pcTell, pcToken:
		often *= 4
	}
	if !w.draining && w.in(often) {
		b.frozen = w.steps + w.n(150)
	}
	return false
}

func (w *simWorld) anyFrozen() bool {
	for _, b := range w.borrowers {
		if w.steps < b.frozen {
			return true
		}
	}
	return false
}

// bustles lets others go on between two of the machine's steps.
func (w *simWorld) bustles() {
	if w.bustle == 0 {
		return
	}
	for range w.n(w.bustle + 1) {
		w.outside()
	}
}

// leapAhead moves the clock to the next thing that is due. False: nothing is.
func (w *simWorld) leapAhead() bool {
	next := w.timer
	if w.closed {
		next = never
	}
	for _, h := range w.helpers {
		next = min(next, h.due(w))
	}
	for _, b := range w.borrowers {
		if b.pc == pcAwait {
			next = min(next, b.ends)
		}
	}
	for _, c := range w.closers {
		if !c.over && !c.revoked {
			next = min(next, c.ends)
		}
	}
	if next == never {
		return false
	}
	w.now = max(w.now, next)
	w.ring()
	return true
}

// move hands a thing from one owner to the next.
func (w *simWorld) move(sl *simSlot, from, to simOwner, b *simBorrower) {
	th := sl.value
	if th.revoked {
		return
	}
	w.must(th.owner == from, "inv2OneOwner", "thing %d goes from %s to %s, but %s has it",
		th.id, simOwners[from], simOwners[to], simOwners[th.owner])
	w.must(from != aBorrower || th.holder == b, "inv2OneOwner", "thing %d is brought by somebody who does not hold it", th.id)
	lends := from == theDesk && to != aHelper
	w.must(!lends || th.verdict == Keep && !th.judge, "verdictsAreFollowed",
		"thing %d goes to %s, its verdict is %d, to be judged: %v", th.id, simOwners[to], th.verdict, th.judge)
	w.must(!lends || th.changed == 0 || to == theSharers, "changedForAnother",
		"thing %d goes to %s, changed for key %d", th.id, simOwners[to], th.changed)
	if from == theDesk {
		th.mended, th.vetted, th.mendedFor = false, nil, nil
	}
	if th.owner = to; b != nil {
		th.moved = w.steps
	}
	th.holder = nil
	if to == aBorrower || to == aReply {
		th.holder = b
	}
}

func (w *simWorld) send(msg simMessage) { w.inbox = append(w.inbox, msg) }

// lying is what is on the shelf, the top first.
func (w *simWorld) lying() []*simSlot {
	if w.top == nil {
		return w.shelf
	}
	return append([]*simSlot{w.top}, w.shelf...)
}

// popTop takes the slot off the top, nil if there is none.
func (w *simWorld) popTop() *simSlot {
	sl := w.top
	w.top = nil
	return sl
}

// pop takes a slot off the shelf below the top.
func (w *simWorld) pop() *simSlot {
	if len(w.shelf) == 0 {
		return nil
	}
	sl := w.shelf[0]
	w.shelf = append(w.shelf[:0], w.shelf[1:]...)
	return sl
}

// popAny takes a slot as the desk does.
func (w *simWorld) popAny() *simSlot {
	if sl := w.pop(); sl != nil {
		return sl
	}
	return w.popTop()
}

// pushTop lays a slot on top if that is free.
func (w *simWorld) pushTop(sl *simSlot) bool {
	if w.top != nil || w.pool.roomOnTop() == 0 {
		return false
	}
	w.top = sl
	return true
}

// push lays a slot on the shelf below the top if there is room.
func (w *simWorld) push(sl *simSlot) bool {
	if len(w.shelf) >= w.shelfSize {
		return false
	}
	w.shelf = append(w.shelf, sl)
	return true
}

// whose finds the borrower that a ticket is in use by. After the end it may have
// left without an answer.
func (w *simWorld) whose(t *simTicket) *simBorrower {
	for _, b := range w.borrowers {
		if b.t == t {
			return b
		}
	}
	w.must(w.closed, "inv6AnsweredOnce", "a ticket that nobody uses")
	return nil
}

// The effects.

func (w *simWorld) shutGate() {
	w.bustles()
	w.step("desk", 0, "shuts the gate", nil)
	w.must(!w.gate, "gateHasOneToken", "shut twice")
	w.gate, w.searched = true, false
	w.bustles()
}

func (w *simWorld) openGate() {
	w.bustles()
	w.step("desk", 0, "opens the gate", nil)
	w.must(w.gate, "gateHasOneToken", "opened twice")
	w.must(w.m.queue.len == 0, "inv3NobodyWaitsBesideIdle", "the gate opens while %d wait", w.m.queue.len)
	w.must(!w.paused, "inv9NothingInAPause", "the gate opens")
	w.must(!w.pool.watched(), "everyLeaseIsSeen", "the gate opens")
	w.must(w.openInBooks() <= w.limit, "inv1ShrinkCloses", "the gate opens in excess")
	w.gate = false
	w.bustles()
}

func (w *simWorld) take() *simSlot {
	w.bustles()
	sl := w.popAny()
	w.step("desk", 0, "takes", sl)
	if sl != nil {
		w.move(sl, theShelf, theDesk, nil)
	} else {
		w.searched = true
	}
	w.bustles()
	return sl
}

func (w *simWorld) takeTop() *simSlot {
	w.bustles()
	sl := w.popTop()
	if sl != nil {
		w.step("desk", 0, "takes the top", sl)
		w.move(sl, theShelf, theDesk, nil)
	}
	w.bustles()
	return sl
}

func (w *simWorld) offer(sl *simSlot) bool {
	w.bustles()
	w.step("desk", 0, "offers", sl)
	w.must(!w.gate, "gateRule1", "the desk lays a slot on the shelf while the gate is shut")
	ok := w.push(sl)
	if ok {
		w.move(sl, theDesk, theShelf, nil)
	}
	w.overflowed = w.overflowed || !ok
	w.bustles()
	return ok
}

func (w *simWorld) shelved() int {
	n := len(w.lying())
	w.lentThen, w.idleThen = w.lent(), w.m.hands.len()+n
	w.mostIdle = max(w.mostIdle, w.idleThen)
	w.bustles()
	return n
}

func (w *simWorld) answer(t *simTicket, a answer[*simThing]) {
	w.bustles()
	b := w.whose(t)
	if b == nil {
		w.must(a.slot == nil, "inv10NobodyServedAtTheEnd", "a slot for nobody")
		w.refusedOne(a.err)
		return
	}
	w.step("desk", b.id, "answers borrower", a.slot)
	w.checkAnswer(b, a)
	b.arrived = false
	select {
	case t.reply <- a:
	default:
		w.fail("inv6AnsweredOnce", "two answers for borrower %d", b.id)
	}
	w.bustles()
}

func (w *simWorld) recall(sl *simSlot) {
	w.bustles()
	w.step("desk", 0, "recalls", sl)
	close(sl.recall)
	w.bustles()
}

func (w *simWorld) revoke(sl *simSlot) {
	w.bustles()
	w.step("desk", 0, "revokes", sl)
	close(sl.gone)
	w.bustles()
}

func (w *simWorld) tell(e Event) {
	w.told.hear(w, e)
}

func (w *simWorld) lookout() {
	w.bustles()
	w.step("desk", 0, "lays out the token", nil)
	w.low = true
	w.bustles()
}

func (w *simWorld) jitter(most time.Duration) time.Duration {
	if w.aging != nil {
		return w.rollAge(most)
	}
	w.must(w.mayCount, "inv6FailuresCountOnce", "a failure of an older epoch raised the backoff")
	w.mayCount = false
	pause := w.pool.BackoffMin
	for range w.out.failures {
		pause = min(2*pause, w.pool.BackoffMax)
	}
	w.must(most == pause, "inv7Backoff", "after %d failures it may pause %v, want %v", w.out.failures, most, pause)
	d := w.upTo(most)
	w.out.epoch++
	w.out.failures++
	w.out.until, w.out.refill = w.clock+d, w.clock+w.pool.CheckPeriod
	return d
}
