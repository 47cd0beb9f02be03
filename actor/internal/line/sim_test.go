package line

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("seed", 0, "seed of the simulation's first round; 0: of the time")
	simSteps = flag.Int("steps", 300_000, "number of steps that the simulation takes")
)

// TestSimulation runs borrowers and a keeper on a line, one step at a time, in an order
// drawn from a seed, and checks the ledger after each step and the rules at rest. The
// steps are the product's own: each actor is a coroutine that stops where the line
// announces a step. A round is one line from its beginning to its end.
func TestSimulation(t *testing.T) {
	seed := *simSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	steps, rounds := 0, 0
	for ; steps < *simSteps; rounds++ {
		s := newSimulation(seed + uint64(rounds))
		watchdog := time.AfterFunc(30*time.Second, func() {
			panic(fmt.Sprintf("seed %d: a step blocks: %s, %q\n%s", s.seed, s.running.name, placeName(s.running.at), s.trace()))
		})
		err := s.run()
		watchdog.Stop()
		s.stopAll()
		if err != nil {
			t.Fatalf("seed %d (run again with -run TestSimulation -seed %d -steps 1): %v\n%s",
				s.seed, s.seed, err, s.trace())
		}
		steps += s.steps
	}
	t.Logf("%d rounds, %d steps, first seed %d", rounds, steps, seed)
}

// The places at which the test itself stops an actor, besides the steps of the line.
const (
	calling   Step = 200 + iota // before a call of the line
	returned                    // after it, when the ledger is up to date
	holding                     // with a value lent
	messaging                   // before a message is sent
	replying                    // until the keeper has joined for it
	sleeping                    // the keeper, until there is something to do
	closing                     // the keeper, before it closes a value
)

var placeNames = map[Step]string{calling: "calling", returned: "returned", holding: "holding", messaging: "messaging",
	replying: "waits for the keeper to join", sleeping: "sleeping", closing: "closing"}

func placeName(s Step) string {
	if name, ok := placeNames[s]; ok {
		return name
	}
	return s.String()
}

// A simActor is a borrower or the keeper.
type simActor struct {
	account
	name   string
	next   func() (Step, bool)
	stop   func()
	yield  func(Step) bool
	at     Step // the step it takes next
	ended  bool
	joined bool // the keeper has posted its token

	ctx       *simContext
	late      chan time.Time // nil: no timer
	mayCancel bool
}

// A simContext ends when the simulation chooses so.
type simContext struct {
	context.Context
	done chan struct{} // nil while the context shall not be seen to have ended
}

func (c *simContext) Done() <-chan struct{} { return c.done }

// closedChan is the Done of a context that has ended.
var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// unwound is the panic that unwinds an actor whose round is over.
type unwound struct{}

type simulation struct {
	seed    uint64
	rand    *rand.Rand
	line    *Line[int]
	ledger  *ledger
	keeper  *keeper
	owner   *simActor
	actors  []*simActor // the owner first
	running *simActor
	joiner  *simActor // for whom the keeper posts a token
	inbox   []message
	dials   int // that have not ended
	events  []message
	sticky  int // of 10: how often the same actor runs on
	steps   int
	past    []string
	err     error
}

const (
	mostSteps = 20_000 // of one round: more is a livelock
	pastSteps = 80     // that a failure prints
)

func newSimulation(seed uint64) *simulation {
	s := &simulation{seed: seed, rand: rand.New(rand.NewPCG(seed, 0))}
	limit := 1 + s.rand.IntN(3)
	s.line = New(limit, Owner[int]{
		Wake:  func(context.Context) { s.send(message{kind: woke}) },
		Bring: func(v int) { s.send(message{kind: brought, value: v}) },
		Step:  s.pause,
	})
	s.line.hand = make(chan answer[int], 1+s.rand.IntN(3)) // so small that it is full at times
	s.ledger = newLedger(s.line)
	s.sticky = s.rand.IntN(9)
	s.keeper = &keeper{line: s.line, limit: limit, dial: func() { s.dials++ }, discard: func(v int) {
		s.pause(closing)
		s.end(v)
	}}
	s.owner = s.add("keeper", s.keep)
	for i := range 2 + s.rand.IntN(4) {
		var b *simActor
		b = s.add(fmt.Sprintf("borrower %d", i), func() { s.borrow(b, 1+s.rand.IntN(4)) })
		b.borrower = true
	}
	for range s.rand.IntN(5) {
		s.events = append(s.events, message{kind: []messageKind{shutGate, openGate, refuseOne, checkIdle}[s.rand.IntN(4)]})
	}
	if s.rand.IntN(2) == 0 {
		s.events = append(s.events, message{kind: end})
	}
	return s
}

// add adds an actor that does body, and stops before its first step.
func (s *simulation) add(name string, body func()) *simActor {
	a := &simActor{name: name, at: calling}
	a.next, a.stop = iter.Pull(func(yield func(Step) bool) {
		defer func() {
			if r := recover(); r != nil && r != any(unwound{}) {
				panic(r)
			}
		}()
		a.yield = yield
		body()
	})
	s.actors = append(s.actors, a)
	return a
}

// pause stops the running actor before a step, until the simulation lets it take it.
func (s *simulation) pause(at Step) {
	if !s.running.yield(at) {
		panic(unwound{})
	}
}

func (s *simulation) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %w", s.running.name, fmt.Errorf(format, args...))
	}
}

// send puts m in the keeper's inbox.
func (s *simulation) send(m message) {
	s.pause(messaging)
	if m.kind == brought || m.kind == discarded {
		if err := s.running.lose(m.value); err != nil {
			s.fail("message: %w", err)
		}
	}
	s.inbox = append(s.inbox, m)
}

// end marks v as closed by the running actor.
func (s *simulation) end(v int) {
	if err := s.running.lose(v); err != nil {
		s.fail("close: %w", err)
	}
	delete(s.ledger.alive, v)
}

// borrow is the life of a borrower: so many gets, each with its put.
func (s *simulation) borrow(a *simActor, gets int) {
	for range gets {
		a.sawOpen = false
		s.pause(calling)
		v, ok := s.line.Take()
		s.pause(returned)
		if !ok {
			v, ok = s.wait(a)
		}
		if !slices.Equal(a.values, values(v, ok)) {
			s.fail("a get returned %d, %v; the ledger has %v", v, ok, a.values)
		}
		if !ok {
			continue
		}
		s.pause(holding)
		if s.rand.IntN(6) == 0 {
			s.end(v)
			s.inbox = append(s.inbox, message{kind: discarded})
			continue
		}
		a.sawOpen = false
		rest, ok := s.line.Give(v)
		s.pause(returned)
		if a.tokens != 0 || !slices.Equal(a.values, values(rest, !ok)) {
			s.fail("Give returned %d, %v; the ledger has %v and %d tokens", rest, ok, a.values, a.tokens)
		}
		if !ok {
			s.send(message{kind: brought, value: rest})
		}
	}
}

func values(v int, ok bool) []int {
	if ok {
		return []int{v}
	}
	return nil
}

// wait joins the line and waits.
func (s *simulation) wait(a *simActor) (int, bool) {
	a.mayCancel = s.rand.IntN(3) == 0
	a.late = nil
	if s.rand.IntN(4) == 0 {
		a.late = make(chan time.Time, 1)
	}
	a.ctx = &simContext{Context: context.Background()}
	a.sawOpen = false
	if s.rand.IntN(4) == 0 && !s.owner.ended {
		a.joined = false
		s.inbox = append(s.inbox, message{kind: joinFor, value: slices.Index(s.actors, a), joined: func() { a.joined = true }})
		s.pause(replying)
	} else {
		s.line.Join()
	}
	v, err := s.line.Await(a.ctx, a.late, nil)
	s.pause(returned)
	if a.answers+a.tokens != 1 || a.waiting == (a.answers == 1) {
		s.fail("rule 1: Await returned after %d answers, with %d tokens taken back", a.answers, a.tokens)
	}
	a.waiting, a.tokens = false, 0
	switch {
	case err == nil:
	case errors.Is(err, ErrGaveUp) && a.ctx.done != nil:
	case errors.Is(err, ErrLate) && a.late != nil && len(a.late) == 0:
	case errors.Is(err, ErrEnded) && s.keeper.ending:
	case errors.Is(err, errRefused), errors.Is(err, errNoDial):
		if a.answers != 1 {
			s.fail("refused without an answer: %w", err)
		}
	default:
		s.fail("Await returned %w for no reason", err)
	}
	return v, err == nil
}

// keep is the life of the keeper.
func (s *simulation) keep() {
	for !s.keeper.done() || len(s.inbox) > 0 {
		s.pause(sleeping)
		if s.owner.tokens != 0 || !sameValues(s.owner.values, s.keeper.held) {
			s.fail("the keeper holds %v; the ledger has %v and %d tokens", s.keeper.held, s.owner.values, s.owner.tokens)
		}
		if len(s.inbox) > 0 {
			m := s.inbox[0]
			s.inbox = s.inbox[1:]
			switch m.kind {
			case brought:
				s.owner.values = append(s.owner.values, m.value)
			case opened:
				v := s.keeper.made + 1 // as handle names it
				s.ledger.alive[v] = true
				s.owner.values = append(s.owner.values, v)
			case joinFor:
				s.joiner = s.actors[m.value]
			}
			s.keeper.serve(m)
			continue
		}
		s.keeper.settle()
	}
}

func sameValues(a, b []int) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// run runs the round to its end. It returns the first thing that is wrong.
func (s *simulation) run() error {
	for s.steps < mostSteps {
		if s.rand.IntN(20) == 0 {
			s.somethingHappens()
		}
		var ready []*simActor
		for _, a := range s.actors {
			if s.canGoOn(a) {
				ready = append(ready, a)
			}
		}
		switch {
		case len(ready) > 0:
			if err := s.step(s.choose(ready)); err != nil {
				return err
			}
		case s.dials > 0:
			s.dialEnds()
		default:
			if over, err := s.rest(); over || err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("rule 2: no rest after %d steps", mostSteps)
}

// choose draws the next to run, or lets the same one run on.
func (s *simulation) choose(ready []*simActor) *simActor {
	if slices.Contains(ready, s.running) && s.rand.IntN(10) < s.sticky {
		return s.running
	}
	return ready[s.rand.IntN(len(ready))]
}

// somethingHappens ends a dial, or sends the keeper an event.
func (s *simulation) somethingHappens() {
	if n := len(s.events); n > 0 && s.rand.IntN(2) == 0 {
		i := s.rand.IntN(n)
		s.inbox = append(s.inbox, s.events[i])
		s.events = slices.Delete(s.events, i, i+1)
	} else if s.dials > 0 {
		s.dialEnds()
	}
}

func (s *simulation) dialEnds() {
	s.dials--
	if s.rand.IntN(5) == 0 {
		s.inbox = append(s.inbox, message{kind: failed})
		return
	}
	s.inbox = append(s.inbox, message{kind: opened})
}

// rest checks what must hold when nobody can go on, and then opens the gate or ends the
// line. It reports whether the round is over.
func (s *simulation) rest() (over bool, err error) {
	waiting := 0
	for _, a := range s.actors {
		if a.waiting {
			waiting++
		}
	}
	idle := s.line.Idle()
	switch {
	case s.keeper.ending:
		for _, a := range s.actors {
			if !a.ended {
				return false, fmt.Errorf("rule 5: %s stays at %q after the end", a.name, placeName(a.at))
			}
		}
		if len(s.ledger.alive) > 0 {
			return false, fmt.Errorf("values %v are left at the end", s.ledger.alive)
		}
		return true, nil
	case s.keeper.shut:
		if idle > 0 {
			return false, fmt.Errorf("rule 4: %d values rest in idle while the gate is shut", idle)
		}
		s.inbox = append(s.inbox, message{kind: openGate})
	case waiting > 0:
		return false, fmt.Errorf("rule 2: %d waiters and %d idle values at rest, %d tokens", waiting, idle, s.line.Waiting())
	default: // an end that is still to come is not needed any more
		s.events = slices.DeleteFunc(s.events, func(m message) bool { return m.kind == end })
		s.inbox = append(s.inbox, message{kind: end})
	}
	return false, nil
}

// canGoOn reports whether a would not block in its next step.
func (s *simulation) canGoOn(a *simActor) bool {
	switch {
	case a.ended:
		return false
	case a.at == Hand && a.borrower:
		return len(s.line.hand) < cap(s.line.hand)
	case a.at == Receive:
		return len(s.line.hand) > 0 || a.mayCancel || a.late != nil
	case a.at == Leave:
		return len(s.line.want) > 0 || len(s.line.hand) > 0
	case a.at == replying:
		return a.joined
	case a.at == sleeping:
		return len(s.inbox) > 0 || s.keeper.again || len(s.line.gate) > 0 && s.line.Idle() > 0
	}
	return true
}

// step lets a take its next step, books it and adds up.
func (s *simulation) step(a *simActor) error {
	s.steps++
	s.running = a
	at := a.at
	if at == LookAtGate {
		a.sawOpen = len(s.line.gate) == 0
	}
	restore := s.decide(a)
	next, more := a.next()
	restore()
	a.at, a.ended = next, !more
	joiner := &a.account
	if !a.borrower {
		joiner = nil
		if s.joiner != nil {
			joiner = &s.joiner.account
		}
	}
	if at == Post && a == s.owner {
		s.joiner = nil
	}
	s.remember(a, at)
	if err := s.ledger.book(&a.account, joiner); err != nil {
		return fmt.Errorf("%s, step %q: %w", a.name, placeName(at), err)
	}
	if s.err != nil {
		return s.err
	}
	var under []int
	for _, m := range s.inbox {
		if m.kind == brought {
			under = append(under, m.value)
		}
	}
	accounts := make([]*account, len(s.actors))
	for i, b := range s.actors {
		accounts[i] = &b.account
	}
	return s.ledger.check(accounts, under, s.keeper.limit)
}

// decide makes one case of the select that a is about to reach ready, and hides the
// others, so that the seed alone decides. The function that it returns shows them again.
func (s *simulation) decide(a *simActor) (restore func()) {
	want, hand := s.line.want, s.line.hand
	restore = func() { s.line.want, s.line.hand = want, hand }
	hide := func() { s.line.hand = make(chan answer[int], cap(hand)) }
	var cases []func()
	switch a.at {
	case Receive:
		if len(hand) > 0 {
			cases = append(cases, func() {}, func() {}, func() {}) // more often than the others
		}
		if a.mayCancel {
			cases = append(cases, func() { hide(); a.ctx.done = closedChan })
		}
		if a.late != nil {
			cases = append(cases, func() { hide(); a.late <- time.Time{} })
		}
	case Leave:
		if len(hand) > 0 {
			cases = append(cases, func() { s.line.want = make(chan struct{}, 1) })
		}
		if len(want) > 0 {
			cases = append(cases, hide)
		}
	default:
		return func() {}
	}
	cases[s.rand.IntN(len(cases))]()
	return restore
}

func (s *simulation) remember(a *simActor, at Step) {
	line := fmt.Sprintf("%-10s %-28s want %d hand %d/%d top %d idle %d gate %d full %d", a.name, placeName(at),
		len(s.line.want), len(s.line.hand), cap(s.line.hand), len(s.line.top), len(s.line.idle), len(s.line.gate), len(s.line.full))
	if len(s.past) == pastSteps {
		s.past = s.past[1:]
	}
	s.past = append(s.past, line)
}

func (s *simulation) trace() string { return strings.Join(s.past, "\n") }

// stopAll unwinds the actors that have not ended.
func (s *simulation) stopAll() {
	for _, a := range s.actors {
		s.running = a
		a.stop()
	}
}
