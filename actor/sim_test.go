package actor

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

// A seeded simulation of the machine in a modelled world: the borrowers'
// protocol, the helpers, the shelf, the gate and the clock. The supervisor and
// the borrowers are interleaved step by step, also between two effects of one
// decision, which is where the holes of such a protocol are.
var (
	simSeed  = flag.Uint64("sim.seed", 0, "run the one simulation of this seed")
	simNotes = flag.Int("sim.trace", 150, "steps of its trace that a failure shows")
	simSteps = flag.Int("sim.steps", 2_500_000, "steps of the simulation, of all episodes together")
)

// simFixed is the first seed of those that every run begins with.
const simFixed = 1

func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		runSim(t, *simSeed, nil)
		return
	}
	steps, episodes := 0, 0
	defer func() { t.Logf("%d steps in %d episodes", steps, episodes) }()
	fresh := rand.Uint64()
	for ; steps < *simSteps; episodes++ {
		seed := simFixed + uint64(episodes)
		if steps > *simSteps/2 {
			seed = fresh + uint64(episodes)
		}
		steps += runSim(t, seed, nil)
	}
}

// A seed that did not give the same schedule again would be of no use.
func TestSimulationRepeats(t *testing.T) {
	for seed := range uint64(20) {
		var traces [2]string
		for i := range traces {
			w := newSimWorld(seed, nil)
			w.run()
			traces[i] = w.trace.String()
		}
		if traces[0] != traces[1] {
			t.Fatalf("seed %d gives two schedules", seed)
		}
	}
}

// FuzzSimulation lets the fuzzer choose the climate and the schedule; when its
// bytes are used up, the seed they begin with chooses.
func FuzzSimulation(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, []byte{})
		f.Add(seed, binary.BigEndian.AppendUint64(nil, seed*0x9e3779b97f4a7c15))
	}
	f.Fuzz(func(t *testing.T, seed uint64, schedule []byte) { runSim(t, seed, schedule) })
}

// runSim runs one episode and says of how many steps it was.
func runSim(t *testing.T, seed uint64, schedule []byte) int {
	t.Helper()
	w := newSimWorld(seed, schedule)
	defer func() {
		if broken := recover(); broken != nil {
			t.Fatal(w.story(broken, seed, len(schedule) > 0))
		}
	}()
	w.run()
	return w.steps
}

// run is the episode.
func (w *simWorld) run() {
	w.live(500 << w.n(4))
	if w.in(25) {
		w.closeAll(w.pickTime())
	}
	w.quiesce()
	w.finale()
}

// live is the episode's busy part.
func (w *simWorld) live(steps int) {
	w.settle()
	for w.steps < steps && !w.closed {
		w.turn()
	}
}

// turn is a step of somebody, or of the clock if nobody can do one.
func (w *simWorld) turn() {
	switch {
	case w.wakes() && w.in(w.deskShare):
		w.wake()
	case w.outside():
	case w.wakes():
		w.wake()
	default:
		w.minimumsAtRest()
		w.must(w.leapAhead() || !w.draining || w.anyFrozen(), "inv6EveryGetReturns", "nobody can do anything, and nothing is due")
		w.step("clock", 0, "goes on", nil)
	}
}

// quiesce lets everything finish that began: no new requests, no context ends,
// and what hangs goes on hanging, which may delay others but not stop them.
func (w *simWorld) quiesce() {
	w.draining = true
	for _, b := range w.borrowers {
		b.ends = never
		if b.want == forMinimum && w.pool.MaxAge > 0 {
			b.ends = w.now + 100*time.Millisecond // so many may never be open at once
		}
	}
	w.until("everyPauseReturns", func() bool { return w.callsOfPause() == 0 })
	w.resume()
	w.until("inv6EveryGetReturns", func() bool { return w.active == 0 && w.read() })
	w.atRest()
	w.thawed = true
	then := w.steps
	for _, h := range w.helpers {
		h.done = min(h.done, w.now+w.upTo(w.slow))
	}
	w.until("everyHelperReports", func() bool { return w.helpersFrom(then) == 0 && w.read() })
	w.atRest()
	w.restLong()
}

// read says that the supervisor has nothing to do now. Once it has ended it
// reads no more.
func (w *simWorld) read() bool { return w.closed || len(w.inbox) == 0 && !w.wakes() }

// simPatience bounds the steps in which everything must come to rest.
const simPatience = 100_000

func (w *simWorld) until(invariant string, done func() bool) {
	for limit := w.steps + simPatience; !done(); {
		w.must(w.steps < limit, invariant, "it never comes to rest")
		w.turn()
		if invariant != "nobodyRestsForever" && (w.hasRounds() || w.pool.MaxAge > 0) && w.in(1) {
			w.now += w.upTo(10 * time.Second) // to what is due after many rounds
			w.ring()
		}
	}
}

// atRest: nobody waits, and what is open lies on the shelf, none of it old, or
// is with helpers, which may hang: only of those there may be too many. What was laid when
// the shelf was full is in the hands, also when something has moved to the top since.
func (w *simWorld) atRest() {
	if w.closing {
		return
	}
	if w.pool.watched() {
		w.must(len(w.shelf) == 0, "everyLeaseIsSeen", "at rest %d lie on the shelf", len(w.shelf))
	}
	w.must(w.m.queue.len == 0 && w.gate == (w.inExcess() || w.pool.watched()), "inv3NobodyWaitsBesideIdle", "at rest %d wait, the gate is shut: %v", w.m.queue.len, w.gate)
	w.must(!w.inExcess() || w.idle()+w.lent() == 0, "inv1ShrinkCloses", "at rest %d are open, at most %d", w.openInBooks(), w.limit)
	for _, th := range w.things {
		if th.revoked {
			continue // it is being killed
		}
		w.must(th.owner == theShelf && !w.pool.watched() || th.owner == aHelper || th.owner == theDesk && (len(w.lying()) >= w.shelfSize || w.pool.watched()),
			"inv2OneOwner", "at rest %s has thing %d", simOwners[th.owner], th.id)
		w.must(th.resets == w.resets || th.owner == aHelper, "inv8NothingOldAtRest", "at rest thing %d is old", th.id)
	}
}

// finale is inv10: after CloseAll nothing is left.
func (w *simWorld) finale() {
	w.closeAll(never)
	w.until("inv10EndsClean", func() bool { return w.closed && w.closersOver() })
	w.must(w.m.ended() && len(w.helpers) == 0 && len(w.things) == 0, "inv10EndsClean", "%d helpers and %d things are left", len(w.helpers), len(w.things))
	w.must(w.opened == w.gone+w.revoked+w.away, "inv10EndsClean", "%d opened, %d closed, %d revoked and %d taken away", w.opened, w.gone, w.revoked, w.away)
	w.must(w.m.open+w.m.closing+w.m.dialing+w.m.usable == 0, "inv10EndsClean", "places are still taken")
	s := w.m.stat()
	w.must(int(s.Opened) == w.opened && int(s.Closed) == w.gone && int(s.Revoked) == w.revoked && int(s.Taken) == w.away, "inv10EndsClean",
		"%d opened, %d closed, %d revoked, %d taken away, but %+v", w.opened, w.gone, w.revoked, w.away, s)
	w.everythingIsTold(s)
	told := simCounts{s.Leases, s.Expired, s.Unneeded, s.Waited, s.Refused, s.Cancelled, s.WaitTime}
	w.must(told == w.simCounts, "inv11StatIsRight", "it is %+v, Stat says %+v", w.simCounts, told)
}

func (w *simWorld) closersOver() bool {
	for _, c := range w.closers {
		if !c.over {
			return false
		}
	}
	return true
}
