package core

import (
	"math"
	"time"
)

// A Machine is the supervisor's books and decisions. It is for one goroutine.
type Machine struct {
	cfg Config
	fx  Effects

	slots  []*Slot     // the open ones, in no order
	count  [states]int // slots by state; Gone counts nothing of use
	usable int         // open and not recalled
	kept   queue       // the slots in state Kept
	jobs   []*Job      // of every helper that has not reported
	shut   bool        // the gate is shut
	ids    uint64

	outage     outage
	resets     uint64        // stamps dials: one begun before a reset brings an old resource
	suspicions uint64        // stamps slots: see suspect.go
	suspected  time.Duration // when the last suspicion was
	expiry     time.Duration // nothing expires before
	fillAt     time.Duration // no minimum is filled before
	overlong   time.Duration // no lease lasts too long before
	sweep      bool          // something idle may be recalled
	isFull     bool          // waiters do not wake the machine
	told       int           // of those that wait, so many have: see demand
	again      bool          // the line had no room for an answer: settle once more, soon
	noWaits    []*NoWait     // in line, in the order in which they came; some may have left

	surplus surplus
	round   round
	pause   pause
	ready   []*Waiter // for the minimum
	checks  []*Waiter // for a check of what is idle
	pickers []*Picker // for what is away for a repair
	end     ending
	stats   Counters
}

// NoLimit is the MaxIdle of a machine that may keep everything idle.
const NoLimit = math.MaxInt

// Config is what the machine must know of the supervisor's configuration. All values
// are valid; durations that have a default have it.
type Config struct {
	MaxOpen, MinOpen, MinIdle, MaxIdle int
	MaxAge, AgeJitter                  time.Duration
	MaxRest, CheckPeriod               time.Duration
	MaxLease                           time.Duration
	MaxWaiting, MaxDials               int
	BackoffMin, BackoffMax             time.Duration
	ReconnectTimeout                   time.Duration // 0: nothing is told of an outage that lasts
	OpenTimeout, CleanTimeout          time.Duration
	CheckTimeout, CloseGrace           time.Duration

	WaitForServer bool // gets wait through an outage
	KeepAlive     bool // idle resources are checked, not only looked at
	Look          bool // there is a function that looks at an idle resource
	Clean, Check  bool // there are functions that do
}

// Effects are what the machine has done. None of them blocks. Between two of them
// borrowers go on.
type Effects interface {
	// The line. Give passes a slot on, Return lays it back where it was drawn from. They,
	// and Match, return a slot for which there was no room, the one they were given or
	// another one, else nil.
	Waiting() int
	Idle() (below, top int)
	Give(*Slot) *Slot
	Return(sl *Slot, top bool) *Slot
	Draw() *Slot                     // the first idle slot below the top; nil if there is none
	Match() *Slot                    // hands idle slots to waiters while there are both
	DrawTop() *Slot                  // the slot on top
	Refuse(Refusal, error) bool      // one waiter; false if nobody waits, or there is no room
	Dismiss(*NoWait, Refusal, error) // has it leave the line, unless it was served just now
	Shut()                           // the gate
	Open()                           // the gate
	SetFull(bool)                    // a waiter need not wake the supervisor
	End()                            // nobody is served from now on
	WatchIdle()                      // have the next get that leaves fewer than MinIdle say so
	WatchLeases()                    // have the next get say so: MaxLease begins to run

	// Slots.
	Recall(*Slot)                                    // have its owner bring it back
	Revoke(sl *Slot, why Reason, held time.Duration) // it is no longer its borrower's
	TakeCard(*Slot) (since time.Duration, ok bool)   // if it is lent: since when; it cannot be put until PutCard
	PutCard(*Slot)

	// Helpers. Each reports once, with Done.
	Start(*Job)
	Cancel(*Job) // ends the context of a job

	Answer(*Waiter, Outcome, error)
	Picked(*Picker, *Slot, Refusal, error) // the slot is the get's; nil: it is refused
	Tell(Event)
	Jitter(most time.Duration) time.Duration // random, from 1 ns to most
}

// A Refusal says why a get is refused.
type Refusal uint8

const (
	// Closed: CloseAll has begun.
	Closed Refusal = iota
	// Unavailable: opening fails, with the error that goes with the refusal.
	Unavailable
	// Exhausted: everything is lent, and the get does not wait for a borrower.
	Exhausted
	// Crowded: MaxWaiting gets wait.
	Crowded
	// Paused: the get does not wait, and there is a pause.
	Paused
)

// Never is the deadline of a machine that waits for nothing.
const Never = time.Duration(1<<63 - 1)

// New makes a machine that owns nothing yet.
func New(cfg Config, fx Effects) *Machine {
	return &Machine{cfg: cfg, fx: fx, expiry: Never, overlong: Never, round: round{at: Never}}
}

// Put is a slot that its owner brings, with a verdict on the resource and the reason
// for that. A slot that was revoked meanwhile is nobody's: nothing is done. After CloseAll
// every slot is recalled.
func (m *Machine) Put(now time.Duration, sl *Slot, v Verdict, why Reason) {
	if sl.state != Out {
		return
	}
	m.tally(sl)
	switch {
	case v >= Discard || sl.recalled:
		switch {
		case v == Alarm:
			m.suspectOlder(now, sl)
			m.lose(now, sl, ReasonBroken, nil)
		case v == Discard && (why == ReasonBroken || why == ReasonRefused && !sl.Lent):
			m.lose(now, sl, why, nil)
		case sl.why == ReasonExpired && sl.Proven: // before its first use
			m.lose(now, sl, sl.why, nil)
		}
		m.close(now, sl, why, nil)
	case v != Keep:
		m.repair(now, sl, v, why)
	default:
		m.keep(sl)
	}
}

// keep has the machine hold sl, which is fit to be lent.
func (m *Machine) keep(sl *Slot) {
	m.move(sl, Kept)
	m.kept.push(sl)
}

// Waits is the news of a get that found nothing idle and waits.
func (m *Machine) Waits() {
	m.told++
	m.surplus.waited = true
}

// Sweep is the news that a recalled slot lies idle.
func (m *Machine) Sweep() { m.sweep = true }

// Reset makes every resource old: those open and those being opened.
func (m *Machine) Reset() {
	m.resets++
	m.tell(Event{Kind: EventReset})
	m.heal()
	for _, sl := range m.slots {
		m.recall(sl, ReasonReset)
	}
	for _, j := range m.jobs {
		if j.Kind == OpenJob {
			m.fx.Cancel(j)
		}
	}
	m.sweep = true
}

// Hijack removes sl from the pool at its holder's request. It reports whether sl was
// lent; otherwise it was revoked.
func (m *Machine) Hijack(sl *Slot) bool {
	if sl.state != Out {
		return false
	}
	m.tally(sl)
	m.move(sl, Gone)
	m.stats.Taken++
	m.tell(Event{Kind: EventTaken, Slot: sl})
	return true
}

// A queue holds slots, first in, first out.
type queue struct {
	slots []*Slot
	head  int
}

func (q *queue) len() int { return len(q.slots) - q.head }

func (q *queue) push(sl *Slot) {
	if q.head > len(q.slots)/2 {
		n := copy(q.slots, q.slots[q.head:])
		clear(q.slots[n:])
		q.slots, q.head = q.slots[:n], 0
	}
	q.slots = append(q.slots, sl)
}

// pushFirst makes sl the first.
func (q *queue) pushFirst(sl *Slot) {
	if q.head == 0 {
		q.slots = append(q.slots, nil)
		copy(q.slots[1:], q.slots)
		q.head++
	}
	q.head--
	q.slots[q.head] = sl
}

// pop takes the first slot, nil if there is none.
func (q *queue) pop() *Slot {
	if q.len() == 0 {
		return nil
	}
	sl := q.slots[q.head]
	q.slots[q.head] = nil
	if q.head++; q.head == len(q.slots) {
		q.slots, q.head = q.slots[:0], 0
	}
	return sl
}
