package actor

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor/internal/line"
)

// A simulation of whole Supervisors: the real code of the supervisor, its helpers and its
// borrowers, of which one goroutine runs at a time. Each stops before each of its steps: the
// steps of the line, the points of point.go, and the hooks of the Config. A seed decides who
// goes on, what borrowers and hooks do, what fails and hangs, and when time passes, which is
// virtual. After every step the rules are checked.
//
// A seed decides everything but what a select of Go's chooses when several ways are open,
// which is rare; so a failure shows its last steps, and -sim.tries repeats its seed.
var (
	simSeed  = flag.Uint64("sim.seed", 0, "simulate the one episode of this seed")
	simTries = flag.Int("sim.tries", 20, "how often the episode of -sim.seed is simulated")
	simSteps = flag.Int("sim.steps", 0, "steps of the simulation, of all episodes together; 0: a million, fewer with the race detector")
	simShown = flag.Int("sim.trace", 100, "steps that a failure shows")
)

func TestSimulation(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // faster, and the same each time
	if *simSeed != 0 {
		for range *simTries {
			simulate(t, *simSeed)
		}
		return
	}
	most := *simSteps
	switch {
	case most > 0:
	case raceDetector || testing.Short():
		most = 100_000
	default:
		most = 1_000_000
	}
	steps, episodes, began := 0, 0, time.Now()
	total := tally{}
	for fresh := rand.Uint64N(1 << 40); steps < most && !t.Failed(); episodes++ {
		seed := uint64(episodes) + 1 // the first half is always the same
		if steps > most/2 {
			seed += fresh
		}
		w := simulate(t, seed)
		steps += w.steps
		total.add(w.tally)
	}
	t.Logf("%d steps in %d episodes, %v: %+v", steps, episodes, time.Since(began).Round(time.Millisecond), total)
}

// simulate plays one episode.
func simulate(t *testing.T, seed uint64) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, seed)
		w.live(200 << w.n(4))
		w.quiesce()
		w.end()
		if w.broken == "" {
			return
		}
		first := max(0, len(w.trace)-*simShown)
		fmt.Fprintf(os.Stderr, "simulation: seed %d, step %d: %s\n%s\n%s\n", seed, w.brokenAt, w.broken, w.settings, strings.Join(w.trace[first:], "\n"))
		t.Errorf("seed %d, step %d: %s (run again with -sim.seed %d)", seed, w.brokenAt, w.broken, seed)
	})
	return w
}

// A parked goroutine stands before a step.
type parked struct {
	what string
	goes chan struct{}
}

// The scheduler.

// park stops the calling goroutine until the scheduler chooses it.
func (w *world) park(what string) {
	if w.free {
		return
	}
	p := &parked{what, make(chan struct{})}
	w.arrives <- p
	<-p.goes
}

// rest waits until nobody runs, notes who has come to a step, and checks the rules.
func (w *world) rest() {
	synctest.Wait()
	for len(w.arrives) > 0 {
		w.parked = append(w.parked, <-w.arrives)
	}
	if !w.free {
		w.check()
	}
}

// goOn lets one goroutine do its step.
func (w *world) goOn(i int) {
	p := w.parked[i]
	w.parked[i] = w.parked[len(w.parked)-1]
	w.parked = w.parked[:len(w.parked)-1]
	st := w.l.machine.Now()
	w.note("  %s [%d %d %d/%d]", p.what, st.Open, st.Opening, st.Closing, st.Limit)
	w.steps++
	close(p.goes)
	w.rest()
}

func (w *world) note(format string, args ...any) {
	if len(w.trace) > 4**simShown {
		w.trace = append([]string(nil), w.trace[3**simShown:]...)
	}
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	if w.turning && !isClosed(w.s.closed) { // its clock is that of the turn's beginning, and a turn takes no time
		d = min(d, time.Millisecond)
	}
	w.note("%v pass", d)
	time.Sleep(d)
	w.steps++
	w.rest()
}

// live is the busy part of an episode.
func (w *world) live(steps int) {
	w.rest()
	for w.steps < steps && w.broken == "" && !w.ended {
		switch r := w.n(100); {
		case len(w.parked) > 0 && r < w.pace:
			w.goOn(w.n(len(w.parked)))
		case r < 97:
			w.act()
		default:
			w.pass(w.pick(1, time.Microsecond, time.Millisecond, 10*time.Millisecond, 100*time.Millisecond, time.Second, 7*time.Second))
		}
	}
}

// quiesce lets everything that began come to its end: hooks work, borrowers put, a pause
// ends.
func (w *world) quiesce() {
	w.calm = true
	done := func() bool {
		for _, b := range w.borrowers {
			if b.busy || b.lease != nil {
				return false
			}
		}
		for _, r := range w.all {
			if r.hook != "" {
				return false
			}
		}
		return len(w.parked) == 0 && !w.control.busy && !w.closer.busy
	}
	for limit := w.steps + 50_000; !done() && w.broken == ""; {
		if w.steps > limit {
			w.breaks("rule 5: it never comes to rest\n%s", stacks())
			return
		}
		w.toRest()
	}
	if w.broken == "" {
		w.atRest()
	}
}

// toRest is one step towards that.
func (w *world) toRest() {
	switch {
	case len(w.parked) > 0:
		w.goOn(w.n(len(w.parked)))
		return
	case w.pausing && !w.control.busy && !w.closing:
		w.resume()
	case w.control.cancel != nil && w.control.busy:
		w.control.cancel()
	case w.closer.cancel != nil && w.closer.busy && w.n(20) == 0:
		w.closer.cancel()
	default:
		for _, b := range w.borrowers {
			if !b.busy && b.lease != nil {
				b.do(b.put)
				w.rest()
				return
			}
		}
		w.pass(w.pick(time.Millisecond, 100*time.Millisecond, time.Second, 10*time.Second))
		return
	}
	w.rest()
}

// end closes the Supervisor and lets the goroutines go.
func (w *world) end() {
	if w.broken == "" && !w.closing {
		w.closeAll()
		w.rest()
	}
	for limit := w.steps + 20_000; w.broken == "" && !(w.ended && len(w.parked) == 0 && isClosed(w.s.closed)); {
		if w.steps > limit {
			w.breaks("rule 7: CloseAll never comes to its end\n%s", stacks())
			break
		}
		w.toRest()
	}
	w.free = true
	if w.broken == "" {
		w.afterwards()
	}
	for _, p := range w.parked {
		close(p.goes)
	}
	for _, b := range w.borrowers {
		if b.cancel != nil {
			b.cancel()
		}
		close(b.work)
	}
	for _, c := range []*controller{w.control, w.closer} {
		if c.cancel != nil {
			c.cancel()
		}
		close(c.work)
	}
	if w.broken != "" {
		ctx, cancel := withCancel(w.Context())
		cancel()
		_ = w.s.CloseAll(ctx)
		time.Sleep(long)
	}
}

// stacks shows where everybody is.
func stacks() string {
	all := make([]byte, 1<<20)
	return string(all[:runtime.Stack(all, true)])
}

// stepName names a step in the trace.
func stepName(s line.Step) string { return s.String() }
