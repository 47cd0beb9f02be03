package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: Pause and Resume.

func TestMachinePause(t *testing.T) {
	two := Config[int]{MaxOpen: 2, Clean: hook}
	playAll(t, []scene{
		{"an idle pool is quiet at once", two, func(r *rig) {
			r.rests(2)
			r.pause("p")
			r.want("shut")
			r.settles("refuse p: <nil>")
			assert.Equal(r, 2, r.m.hands.len(), "idle ones stay open")
			assert.True(r, r.m.stat().Paused)
			assert.Equal(r, []int{2, 2, 0}, []int{r.m.stat().Open, r.m.stat().Idle, r.m.stat().Leased})
			r.m.resume()
			r.settles("open")
			assert.Len(r, r.shelf, 2)
			assert.False(r, r.m.stat().Paused)
		}},
		{"waits for the last lease", two, func(r *rig) {
			r.opens("a", "b")
			r.pause("p")
			r.settles("shut")
			r.put(1, Keep)
			r.settles()
			assert.Equal(r, never, r.next)
			r.put(2, Keep)
			r.settles("refuse p: <nil>")
		}},
		{"a lease that is discarded is back too", two, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.settle()
			r.did = nil
			r.put(1, Discard)
			r.settles("start Close #1", "refuse p: <nil>")
		}},
		{"what is being cleaned is not lent", two, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.settle()
			r.did = nil
			r.put(1, Clean)
			r.settles("start Clean #1", "refuse p: <nil>")
			r.report(cleanJob, nil)
			r.settles()
			assert.Equal(r, 1, r.m.hands.len())
		}},
		{"a lease that is taken is back", two, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.settle()
			r.did = nil
			require.NoError(r, r.m.taken(r.now, r.slot(1)))
			r.settles("refuse p: <nil>")
		}},
		{"gets wait, and nothing is opened, or given that comes", two, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.settle()
			r.get("b")
			r.getWith("k", Request{Key: "k"})
			r.settle()
			r.put(1, Keep)
			r.did = nil
			r.settles("refuse p: <nil>")
			r.m.resume()
			r.settles("grant b #1", "start Open")
			r.report(dialJob, nil)
			r.settles("grant k #2", "open")
		}},
		{"a get that waited when it began waits on", two, func(r *rig) {
			r.get("a")
			r.settle()
			r.pause("p")
			r.did = nil
			r.settles("refuse p: <nil>")
			r.report(dialJob, nil)
			r.settles()
			r.m.resume()
			r.settles("grant a #1", "open")
		}},
		{"who does not wait is told", two, func(r *rig) {
			r.rests(1)
			r.pause("p")
			r.getWith("a", Request{Patience: TryOnly})
			r.getWith("b", Request{Patience: NoWait})
			r.getWith("c", Request{Patience: NoWait, Key: "k"})
			r.settles("shut", "refuse p: <nil>", refusal("a", ErrPaused), refusal("b", ErrPaused), refusal("c", ErrPaused))
			assert.Empty(r, r.m.keys)
		}},
		{"one that does not wait and waited for what is coming is told too", two, func(r *rig) {
			r.getWith("a", Request{Patience: NoWait})
			r.settle()
			r.did = nil
			r.pause("p")
			r.settles("refuse p: <nil>", refusal("a", ErrPaused))
		}},
		{"a bound key is served, and its holders waited for", two, func(r *rig) {
			r.getWith("x", Request{Key: "k"})
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.did = nil
			r.pause("p")
			r.settles("shut")
			r.getWith("y", Request{Key: "k"})
			r.getWith("z", Request{Key: "k", Patience: TryOnly})
			r.settles("grant y #1", "grant z #1")
			for range 2 {
				r.put(1, Keep)
				r.settles()
			}
			r.put(1, Keep)
			r.settles("refuse p: <nil>")
			r.getWith("w", Request{Key: "k"})
			r.settles() // it is bound no more
		}},
		{"a minimum is not kept until it ends", Config[int]{MaxOpen: 2, MinOpen: 2}, func(r *rig) {
			r.report(dialJob, nil)
			r.report(dialJob, nil)
			r.settle()
			r.lends()
			r.pause("p")
			r.put(1, Discard)
			r.settle()
			r.report(closeJob, nil)
			r.did = nil
			r.settles()
			r.awaitFill("ready")
			r.settles()
			assert.Equal(r, never, r.next)
			r.m.resume()
			r.settles("start Open", "open")
			r.report(dialJob, nil)
			r.settles("refuse ready: <nil>")
		}},
		{"a cancel undoes it", two, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.get("b")
			r.settle()
			r.did = nil
			r.cancel("p")
			var w *WaitError
			require.ErrorAs(r, r.answers[r.tickets["p"]].err, &w)
			assert.ErrorIs(r, w, ErrExhausted)
			assert.Equal(r, 1, w.Leased)
			r.did = nil
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("grant b #2", "open")
		}},
		{"not if another still waits", two, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.pause("q")
			r.settle()
			r.cancel("p")
			r.did = nil
			r.settles()
			r.put(1, Keep)
			r.settles("refuse q: <nil>")
			assert.True(r, r.m.pause.on)
		}},
		{"nor if one is in force", two, func(r *rig) {
			r.getWith("x", Request{Key: "k"})
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.pause("p")
			r.settle()
			r.put(1, Keep)
			r.settle()
			require.Contains(r, r.answers, r.tickets["p"])
			r.pause("q")
			r.cancel("q") // before the desk had a look
			r.settle()
			assert.True(r, r.m.pause.on)
			assert.ErrorIs(r, r.answers[r.tickets["q"]].err, ErrExhausted)
			r.pause("s")
			r.did = nil
			r.settles("refuse s: <nil>") // at once
			r.m.resume()                 // one is enough
			r.settles("open")
		}},
		{"a pause after a resume has to wait anew", two, func(r *rig) {
			r.rests(1)
			r.pause("p")
			r.settle()
			r.m.resume()
			r.get("a")
			r.settle()
			r.pause("q")
			r.did = nil
			r.settles()
			r.cancel("q")
			r.settle()
			assert.False(r, r.m.pause.on, "the first is no longer in force")
		}},
		{"a resume answers those who wait for it", two, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.pause("q")
			r.settles("shut")
			r.m.resume()
			r.want(refusal("p", ErrResumed), refusal("q", ErrResumed))
			r.settles("open")
			r.m.resume()
			r.cancel("p")
			r.settles()
		}},
		{"a resume without a pause does nothing", Config[int]{Outage: WaitForServer}, func(r *rig) {
			r.get("a")
			r.settle()
			r.report(dialJob, errServer)
			r.did = nil
			r.m.resume()
			r.settles()
			assert.Equal(r, 1, r.m.outage.failures)
		}},
		{"a failure from before the resume is no news", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.get("a")
			r.get("b")
			r.settle()
			r.pause("p")
			r.report(dialJob, errServer)
			r.did = nil
			r.settles("refuse p: <nil>")
			assert.Equal(r, 1, r.m.outage.failures)
			r.m.resume()
			assert.Zero(r, r.m.outage.failures)
			r.report(dialJob, errServer) // the other, which began before
			r.settles("start Open", "start Open")
			assert.Zero(r, r.m.outage.failures)
		}},
		{"a cancelled get is told that it was paused", two, func(r *rig) {
			r.pause("p")
			r.get("a")
			r.awaitFill("ready") // needs nothing
			r.settle()
			r.now = time.Second
			r.cancel("a")
			var w *WaitError
			require.ErrorAs(r, r.answers[r.tickets["a"]].err, &w)
			assert.Equal(r, ErrPaused, w.Cause)
		}},
		{"what expires or is reset is closed meanwhile", Config[int]{MaxOpen: 2, MaxAge: time.Hour}, func(r *rig) {
			r.opens("a")
			r.now = time.Minute
			r.opens("b")
			r.put(1, Keep)
			r.put(2, Keep)
			r.settle()
			r.pause("p")
			r.settle()
			r.did = nil
			r.pass(time.Hour - time.Minute)
			r.want("recall #1", "start Close #1")
			r.m.reset()
			r.settles("recall #2", "start Close #2")
		}},
		{"more than the new limit is closed meanwhile", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.rests(2)
			r.pause("p")
			r.settle()
			r.resize(0, 1)
			r.did = nil
			r.settles("start Close #1")
			r.m.resume()
			r.settles("open")
		}},
		{"a put that raced it is gathered", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a")
			r.pause("p")
			r.settles("shut")
			r.shelf = append(r.shelf, r.slot(1))
			r.settles("refuse p: <nil>")
			assert.Equal(r, 1, r.m.hands.len())
		}},
		{"CloseAll ends it", two, func(r *rig) {
			r.opens("a", "b")
			r.put(2, Keep)
			r.settle()
			r.pause("p")
			r.settle()
			r.get("c")
			r.did = nil
			r.m.closeAll(r.now, make(chan error, 1))
			r.want(refusal("c", ErrClosed), refusal("p", ErrClosed), "recall #1", "recall #2")
			r.settles("start Close #2")
			r.pause("q")
			r.settles(refusal("q", ErrClosed))
			r.cancel("p")
			r.put(1, Keep)
			r.settles("start Close #1")
			r.report(closeJob, nil)
			r.report(closeJob, nil)
			r.settle()
			assert.True(r, r.m.ended())
		}},
	})
}
