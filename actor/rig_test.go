package actor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A rig runs the machine alone, without goroutines: the test calls its events,
// and the rig is the effects, which it notes down. The rig's shelf and gate are
// plain fields, so a test can do a borrower's step between two effects.
type rig struct {
	*testing.T
	m   *machine[int]
	now time.Duration

	next    time.Duration // the deadline that settle returned last
	did     []string      // effects since the last expectation
	running []*job[int]   // helpers that have not reported
	values  int           // resources opened

	tickets map[string]*ticket[int]
	answers map[*ticket[int]]answer[int]

	shelf   []*slot[int]
	shelves int  // the shelf's size
	gate    bool // shut
	low     bool // who leaves fewer than MinIdle tells
	pauses  []time.Duration
	limit   int  // the largest there was
	graced  bool // a grace has freed a place: the limit may be passed

	events []Event

	hidden     map[*slot[int]]bool // off the shelf, and not yet laid back, lent or closed
	mostHidden int
	between    func(what string) // a borrower's step just before an effect
}

// A scene is one short script for the machine.
type scene struct {
	name   string
	config Config[int]
	play   func(r *rig)
}

func playAll(t *testing.T, scenes []scene) {
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) { sc.play(newRig(t, sc.config)) })
	}
}

// newRig starts a machine that has settled once. Without a limit it is 2.
func newRig(t *testing.T, cfg Config[int]) *rig {
	if cfg.MaxOpen == 0 {
		cfg.MaxOpen = 2
	}
	r := &rig{T: t, shelves: min(cfg.MaxOpen, cfg.roomBelow()), limit: cfg.MaxOpen, tickets: map[string]*ticket[int]{},
		answers: map[*ticket[int]]answer[int]{}, hidden: map[*slot[int]]bool{}}
	r.m = newMachine(cfg, rigEffects{r})
	r.settle()
	return r
}

// settle settles at the rig's time and audits the books.
func (r *rig) settle() {
	r.Helper()
	r.next = r.m.settle(r.now)
	r.audit()
}

// pass lets time pass and settles, whatever deadline there is.
func (r *rig) pass(d time.Duration) {
	r.Helper()
	r.now += d
	r.settle()
}

// want compares the effects since the last call. Order counts.
func (r *rig) want(effects ...string) {
	r.Helper()
	if effects == nil {
		effects = []string{}
	}
	got := append([]string{}, r.did...)
	r.did = nil
	require.Equal(r, effects, got)
}

// settles settles and compares.
func (r *rig) settles(effects ...string) {
	r.Helper()
	r.settle()
	r.want(effects...)
}

// The events.

func (r *rig) get(name string) { r.getWith(name, Request{}) }

func (r *rig) getWith(name string, q Request) {
	t := &ticket[int]{ctx: context.WithValue(context.Background(), rigKey{}, name), key: q.Key, binds: q.Bind, patience: q.Patience}
	r.tickets[name] = t
	r.m.get(r.now, t)
}

func (r *rig) awaitFill(name string) { r.ask(name, forMinimum) }

func (r *rig) pause(name string) { r.ask(name, forQuiet) }

func (r *rig) ask(name string, w want) {
	t := &ticket[int]{ctx: context.Background(), asks: w}
	r.tickets[name] = t
	r.m.get(r.now, t)
}

func (r *rig) resize(least, most int) {
	r.limit = max(r.limit, most)
	r.m.resize(least, most)
}

// lends has a borrower take what is next on the shelf. It says whether the
// borrower tells the desk that too few are left.
func (r *rig) lends() (tells bool) {
	r.Helper()
	require.False(r, r.gate, "the gate is shut")
	require.NotEmpty(r, r.shelf)
	r.shelf = r.shelf[1:]
	if tells = r.low && len(r.shelf) < r.m.cfg.MinIdle; tells {
		r.low = false
	}
	return tells
}

// lays has the borrower of a resource lay it on the shelf.
func (r *rig) lays(value int) {
	r.Helper()
	require.False(r, r.gate, "the gate is shut")
	require.Less(r, len(r.shelf), r.shelves, "the shelf is full")
	r.shelf = append(r.shelf, r.slot(value))
}

func (r *rig) again(name string) {
	t := r.tickets[name]
	delete(r.answers, t)
	r.m.again(r.now, t)
}

// reuse has another request come on the ticket of one that was answered.
func (r *rig) reuse(name string, request *ticket[int]) {
	t := r.tickets[name]
	require.Contains(r, r.answers, t)
	delete(r.answers, t)
	t.ctx, t.key, t.binds, t.patience, t.asks = request.ctx, request.key, request.binds, request.patience, request.asks
	r.m.get(r.now, t)
}

func (r *rig) cancel(name string) { r.m.cancel(r.now, r.tickets[name]) }

func (r *rig) put(value int, v Verdict) { r.m.put(r.now, r.slot(value), v, ReasonDiscarded) }

// report ends the first helper of a kind.
func (r *rig) report(k jobKind, err error) *job[int] {
	r.Helper()
	i := slices.IndexFunc(r.running, func(j *job[int]) bool { return j.kind == k })
	require.GreaterOrEqual(r, i, 0, "no %s is running", jobNames[k])
	j := r.running[i]
	r.running = slices.Delete(r.running, i, i+1)
	r.end(j, err)
	return j
}

func (r *rig) end(j *job[int], err error) {
	j.err = err
	if j.kind == dialJob && err == nil {
		r.values++
		j.value = r.values
	}
	r.m.reported(r.now, j)
}

// opens has a get for each name served by a new resource, and forgets the
// effects.
func (r *rig) opens(names ...string) {
	r.Helper()
	for _, n := range names {
		r.get(n)
		r.settle()
		r.report(dialJob, nil)
		r.settle()
		require.NotNil(r, r.answers[r.tickets[n]].slot, "%s was not served", n)
	}
	r.did = nil
}

// rests is opens and puts: so many resources on the shelf.
func (r *rig) rests(n int) {
	r.Helper()
	var values []int
	for i := range n {
		r.opens(fmt.Sprint("rest", i))
		values = append(values, r.values)
	}
	for _, v := range values {
		r.put(v, Keep)
	}
	r.settle()
	r.did = nil
}

// slot finds an open slot, or one lent and revoked, by its value.
func (r *rig) slot(value int) *slot[int] {
	r.Helper()
	for _, sl := range r.m.slots {
		if sl.value == value {
			return sl
		}
	}
	for _, a := range r.answers {
		if a.slot != nil && a.slot.value == value {
			return a.slot
		}
	}
	r.Fatalf("no slot #%d", value)
	return nil
}

// The effects.

type rigKey struct{}

// rigEffects are the effects of a rig's machine.
type rigEffects struct{ *rig }

func (r *rig) note(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if r.between != nil {
		r.between(what)
	}
	r.did = append(r.did, what)
}

func (r rigEffects) shutGate() {
	r.note("shut")
	require.False(r, r.gate)
	r.gate = true
}

func (r rigEffects) openGate() {
	r.note("open")
	require.True(r, r.gate)
	r.gate = false
}

func (r rigEffects) take() *slot[int] {
	if len(r.shelf) == 0 {
		return nil
	}
	sl := r.shelf[0]
	r.shelf = r.shelf[1:]
	r.hidden[sl] = true
	r.mostHidden = max(r.mostHidden, len(r.hidden))
	return sl
}

func (r rigEffects) offer(sl *slot[int]) bool {
	require.False(r, r.gate, "rule 1: #%d laid on the shelf while the gate is shut", sl.value)
	if len(r.shelf) == r.shelves {
		return false
	}
	r.shelf = append(r.shelf, sl)
	delete(r.hidden, sl)
	return true
}

func (r rigEffects) takeTop() *slot[int] { return nil }

func (r rigEffects) shelved() int { return len(r.shelf) }

func (r rigEffects) answer(t *ticket[int], a answer[int]) {
	name := "?"
	for n, x := range r.tickets {
		if x == t {
			name = n
		}
	}
	if a.slot != nil {
		delete(r.hidden, a.slot)
		r.note("grant %s #%d", name, a.slot.value)
	} else {
		err := a.err
		switch e := err.(type) {
		case *ExhaustedError:
			err = e.Unwrap()
		case *TooManyWaitingError:
			err = e.Unwrap()
		}
		r.note("refuse %s: %v", name, err)
	}
	_, twice := r.answers[t]
	require.False(r, twice, "rule 4: %s is answered twice", name)
	r.answers[t] = a
}

func (r rigEffects) recall(sl *slot[int]) { r.note("recall #%d", sl.value) }

func (r rigEffects) revoke(sl *slot[int]) { close(sl.gone) }

func (r rigEffects) start(j *job[int]) {
	what := "start " + jobNames[j.kind]
	if j.slot != nil {
		delete(r.hidden, j.slot)
		what += fmt.Sprintf(" #%d", j.slot.value)
	}
	r.running = append(r.running, j)
	r.note("%s", what)
}

func (r rigEffects) lookout() { r.low = true }

func (r rigEffects) tell(e Event) { r.events = append(r.events, e) }

func (r rigEffects) cancel(j *job[int]) { r.note("cancel %s", jobNames[j.kind]) }

func (r rigEffects) jitter(most time.Duration) time.Duration {
	r.pauses = append(r.pauses, most)
	return most
}

// audit checks after every settle what must hold of any books.
func (r *rig) audit() {
	r.Helper()
	m := r.m
	open, usable, closing, dialing, loose, coming := 0, 0, 0, 0, 0, 0
	for i, sl := range m.slots {
		require.Equal(r, i, sl.desk.index)
		if sl.desk.place < closingPlace {
			open++
			if !sl.desk.recalled {
				usable++
			}
		}
	}
	for _, j := range m.jobs {
		r.graced = r.graced || j.freed
		switch {
		case j.freed:
		case j.kind == dialJob:
			dialing++
		case j.kind == closeJob, j.kind == killJob:
			closing++
		}
		if m.comes(r.now, j) {
			coming++
		}
	}
	for key, b := range m.keys {
		require.Equal(r, key, b.key)
		if b.slot == nil {
			loose++
			require.NotEmpty(r, b.waiters, "key %v: nobody holds it, nobody waits for it", key)
		} else {
			require.Positive(r, b.holders)
			require.Empty(r, b.waiters)
		}
	}
	require.Equal(r, []int{open, usable, closing, dialing, loose}, []int{m.open, m.usable, m.closing, m.dialing, m.loose},
		"books: open, usable, closing, dialing, loose keys")
	if !r.graced {
		require.LessOrEqual(r, open+closing+dialing, r.limit, "invariant 1: places")
	}

	count, unkeyed, promised, last := 0, 0, 0, uint64(0)
	for t := m.queue.first; t != nil; t = t.wait.next {
		require.Greater(r, t.wait.arrival, last, "invariant 5: the queue is out of order")
		require.True(r, t.wait.queued)
		last = t.wait.arrival
		count++
		if t.wait.key == nil {
			unkeyed++
		}
	}
	require.Equal(r, []int{count, unkeyed}, []int{m.queue.len, m.queue.unkeyed})
	for _, j := range m.jobs {
		if j.bound != nil || j.caller != nil {
			promised++
		}
	}
	rounds := 0
	for _, j := range m.jobs {
		if j == m.round.job {
			rounds++
		}
	}
	require.Equal(r, rounds == 0, m.round.job == nil, "the round waits for a job that has ended")

	idle := map[*slot[int]]bool{}
	for _, sl := range slices.Concat(m.hands.slots[m.hands.head:], r.shelf) {
		require.False(r, idle[sl], "invariant 2: #%d is idle twice", sl.value)
		idle[sl] = true
	}
	require.Equal(r, m.shut, r.gate)
	switch {
	case m.end.closing:
		require.True(r, r.gate)
		require.Empty(r, idle)
	case m.pause.on:
		require.True(r, r.gate, "paused, and the gate is open")
		require.Empty(r, r.shelf)
	case m.excess() > 0:
		require.True(r, r.gate, "too many, and the gate is open")
		require.Empty(r, idle, "too many, and something is idle")
	case count > 0:
		require.True(r, r.gate, "somebody waits and the gate is open")
		if promised == 0 {
			require.Empty(r, idle, "invariant 3: somebody waits beside something idle")
			require.True(r, m.room() <= 0 || coming > 0 || m.outage.backoff(r.now) || promised > 0,
				"invariant 3: somebody waits for nothing")
		}
	case m.cfg.watched():
		require.True(r, r.gate, "the desk must see every lease, and the gate is open")
		require.Empty(r, r.shelf)
	default:
		require.False(r, r.gate, "nobody waits and the gate is shut")
		require.True(r, m.hands.len() == 0 || len(r.shelf) == r.shelves, "idle in the hands beside a shelf with room")
	}
	for _, sl := range m.slots {
		if m.cfg.MaxLease > 0 && sl.desk.place == away {
			ends := m.leasedAt(sl) + m.cfg.MaxLease
			require.Less(r, r.now, ends, "#%d is held for too long", sl.value)
			require.LessOrEqual(r, r.next, ends, "nothing is set for the end of a lease")
		}
	}
	if m.deadline(r.now) != never {
		require.Greater(r, r.next, r.now, "a deadline in the past would never come")
	}
}

// closingPlace is the place closing, for tests with a variable of that name.
const closingPlace = closing

// refusal is the effect of a refusal by the error given.
func refusal(name string, err error) string { return fmt.Sprintf("refuse %s: %v", name, err) }

// count counts the effects that begin so.
func (r *rig) count(prefix string) (n int) {
	for _, e := range r.did {
		if strings.HasPrefix(e, prefix) {
			n++
		}
	}
	return n
}
