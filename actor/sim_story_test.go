package actor

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// What a failed simulation tells: the climate, the last steps, how things
// stand, and how to see it again.

// simNote is one step of the trace.
type simNote struct {
	step  int
	now   time.Duration
	who   string
	i     int
	what  string
	thing int
}

// simTrace keeps the last steps.
type simTrace struct {
	notes []simNote
	n     int
}

func (t *simTrace) add(n simNote) {
	if len(t.notes) < *simNotes {
		t.notes = append(t.notes, n)
	} else {
		t.notes[t.n%len(t.notes)] = n
	}
	t.n++
}

func (t *simTrace) String() string {
	var s strings.Builder
	for i := max(0, t.n-len(t.notes)); i < t.n; i++ {
		n := t.notes[i%len(t.notes)]
		fmt.Fprintf(&s, "%6d %14v  %s %d %s", n.step, n.now, n.who, n.i, n.what)
		if n.thing > 0 {
			fmt.Fprintf(&s, " #%d", n.thing)
		}
		s.WriteByte('\n')
	}
	return s.String()
}

func (w *simWorld) story(broken any, seed uint64, fuzzed bool) string {
	what := fmt.Sprintf("panic: %v\n%s", broken, debug.Stack())
	if f, ok := broken.(simFailure); ok {
		what = fmt.Sprintf("%s: %s", f.invariant, f.detail)
	}
	again := fmt.Sprintf("step %d; again with: go test ./actor -run 'TestSimulation$' -sim.seed=%d -sim.trace=1000", w.steps, seed)
	if fuzzed {
		again = fmt.Sprintf("step %d; again with the fuzzer's entry", w.steps)
	}
	return strings.Join([]string{w.climate(), w.trace.String(), w.state(), what, again}, "\n")
}

// climate describes the episode.
func (w *simWorld) climate() string {
	c := w.simConfig
	p := c.pool
	c.pool = Config[*simThing]{}
	return fmt.Sprintf("%+v\nMaxOpen %d MinOpen %d MinIdle %d MaxIdle %d MaxAge %v+%v MaxRest %v CheckPeriod %v Track %v MaxLease %v KeepAlive %v MaxWaiting %d GetTimeout %v\n"+
		"MaxDials %d Outage %d Judge %v Look %v LookAfter %v Clean %v Check %v Prepare %v\nBackoff %v-%v Open %v Clean %v Close %v",
		c, p.MaxOpen, p.MinOpen, p.MinIdle, p.MaxIdle, p.MaxAge, p.AgeJitter, p.MaxRest, p.CheckPeriod, p.Track, p.MaxLease, p.KeepAlive, p.MaxWaiting, p.GetTimeout,
		p.MaxDials, p.Outage, p.Judge != nil, p.Look != nil, p.LookAfter, p.Clean != nil, p.Check != nil, p.Prepare != nil,
		p.BackoffMin, p.BackoffMax, p.OpenTimeout, p.CleanTimeout, p.CloseGrace)
}

// state is how things stand at the failure.
func (w *simWorld) state() string {
	var s strings.Builder
	m := w.m
	fmt.Fprintf(&s, "clock %v, now %v, next %v; open %d closing %d dialing %d usable %d; gate %v, %d on the shelf, %d in hand; %+v; %+v; %+v; vetoed %v\n",
		w.clock, w.now, w.next, m.open, m.closing, m.dialing, m.usable, w.gate, len(w.lying()), m.hands.len(), w.out, w.simSizes, w.simPauses, w.vetoed)
	for _, b := range w.borrowers {
		if b.arrived {
			fmt.Fprintf(&s, "borrower %d waits: arrival %d, since %v, key %d, patience %d, for %d\n", b.id, b.arrival, b.since, b.key, b.patience, b.want)
		}
	}
	for _, h := range w.helpers[:min(50, len(w.helpers))] {
		fmt.Fprintf(&s, "helper %s: began %v, grace %v, hung %v, reported %v, freed %v", jobNames[h.j.kind], h.began, h.grace, h.hung, h.reported, h.j.freed)
		if h.j.slot != nil {
			fmt.Fprintf(&s, " #%d", h.j.slot.value.id)
		}
		s.WriteByte('\n')
	}
	for _, th := range w.things[:min(50, len(w.things))] {
		fmt.Fprintf(&s, "#%d is with %s: %+v\n", th.id, simOwners[th.owner], *th)
	}
	return s.String()
}
