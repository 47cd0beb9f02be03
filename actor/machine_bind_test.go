package actor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: what Bind changes for a key, and what is taken from the
// holders of one.

func TestMachineBind(t *testing.T) {
	two := Config[int]{MaxOpen: 2, Judge: keep, Bind: rigBind}
	k, plain := Request{Key: "k", Bind: true}, Request{Key: "k"}
	// looked has a, who asks for k, be the cause of a look at #1, and n more idle.
	looked := func(r *rig, n int) {
		r.Helper()
		r.rests(1 + n)
		r.getWith("a", k)
		r.settles("shut", "start Look #1")
		require.True(r, r.running[0].binds)
	}
	// judged has Judge asked about #1, and then it rests.
	judged := func(r *rig) {
		r.Helper()
		assert.Empty(r, r.shelf)
		r.did = nil
		r.report(judgeJob, nil)
		r.settle()
		assert.Contains(r, r.shelf, r.slot(1))
		assert.False(r, r.slot(1).desk.tainted)
	}
	playAll(t, []scene{
		{"is called once for all who wait, with the context of the first", two, func(r *rig) {
			r.getWith("a", k)
			r.getWith("b", plain)
			r.settles("shut", "start Open")
			r.report(dialJob, nil)
			r.settles("start Look #1")
			j := r.running[0]
			assert.True(r, j.binds)
			assert.Equal(r, "a", j.cause.Value(rigKey{}))
			assert.Equal(r, "Bind", r.m.cfg.hook(j))
			r.getWith("c", k)
			r.settles()
			r.report(lookJob, nil)
			r.settles("grant a #1", "grant b #1", "grant c #1", "open")
			r.getWith("d", k)
			r.settles("grant d #1")
			assert.False(r, r.slot(1).desk.tainted, "it is bound")
		}},
		{"and again for the next binding", two, func(r *rig) {
			r.rests(1)
			for range 2 {
				r.getWith("a", k)
				r.settles("shut", "start Look #1")
				r.report(lookJob, nil)
				r.settles("grant a #1", "open")
				r.put(1, Keep)
				r.settles("start Judge #1")
				judged(r)
			}
		}},
		{"with Prepare", Config[int]{Judge: keep, Bind: rigBind, Prepare: prepareNothing}, func(r *rig) {
			looked(r, 0)
			assert.Equal(r, "Prepare or Bind", r.m.cfg.hook(r.running[0]))
			r.report(lookJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"not if the first does not ask for it", two, func(r *rig) {
			r.rests(1)
			r.getWith("a", plain)
			r.getWith("b", k)
			r.settles("grant a #1", "grant b #1")
		}},
		{"nor for a look that the first has caused", Config[int]{Judge: keep, Bind: rigBind, Look: keep}, func(r *rig) {
			r.rests(1)
			r.now += time.Second
			r.getWith("a", plain)
			r.getWith("b", k)
			r.settles("shut", "start Look #1")
			assert.False(r, r.running[0].binds)
			r.report(lookJob, nil)
			r.settles("grant a #1", "grant b #1", "open")
		}},
		{"but then if that one gives up", Config[int]{Judge: keep, Bind: rigBind, Look: keep}, func(r *rig) {
			r.rests(1)
			r.now += time.Second
			r.getWith("a", plain)
			r.getWith("b", k)
			r.settle()
			r.cancel("a")
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Look #1")
			assert.True(r, r.running[0].binds)
			assert.Equal(r, "b", r.running[0].cause.Value(rigKey{}))
			r.report(lookJob, nil)
			r.settles("grant b #1", "open")
		}},
		{"but not while it is called, for what an older look has found fit", Config[int]{MaxOpen: 2, Judge: keep, Bind: rigBind, Look: keep}, func(r *rig) {
			r.rests(2)
			r.now += time.Second
			r.getWith("a", plain)
			r.getWith("b", k)
			r.settles("shut", "start Look #1")
			r.cancel("a")
			r.did = nil
			r.pass(hedge)
			r.want("start Look #2")
			require.True(r, r.running[1].binds)
			r.report(lookJob, nil) // of #1
			r.settles()
			r.report(lookJob, nil)
			r.settles("grant b #2", "open")
			assert.Contains(r, r.shelf, r.slot(1))
		}},
		{"who is first when it is done shares what it has done", two, func(r *rig) {
			looked(r, 0)
			r.getWith("b", plain)
			r.cancel("a")
			r.did = nil
			r.report(lookJob, nil)
			r.settles("grant b #1", "open")
			r.put(1, Keep)
			r.settles("start Judge #1")
		}},
		{"what it says, all who wait are told", two, func(r *rig) {
			looked(r, 0)
			r.getWith("b", k)
			r.running[0].refusal = errServer
			r.report(lookJob, errUnfit)
			r.settles(refusal("a", errServer), refusal("b", errServer), "start Close #1", "open")
			assert.Empty(r, r.m.keys)
		}},
		{"and what Judge has been asked about then is kept", two, func(r *rig) {
			looked(r, 0)
			r.running[0].refusal = errServer
			r.report(lookJob, nil)
			r.settles(refusal("a", errServer), "open")
			assert.Len(r, r.shelf, 1)
		}},
		{"as is what it was not called for", Config[int]{Bind: rigBind, Prepare: prepareNothing}, func(r *rig) {
			looked(r, 0)
			r.running[0].refusal = errServer // Prepare's, with Keep
			r.report(lookJob, nil)
			r.settles(refusal("a", errServer), "open")
			assert.Len(r, r.shelf, 1)
		}},
		{"nobody waits any more", two, func(r *rig) {
			looked(r, 0)
			r.cancel("a")
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Judge #1", "open")
			judged(r)
			r.get("x")
			r.settles("grant x #1")
		}},
		{"and there is no Judge", Config[int]{Bind: rigBind}, func(r *rig) {
			looked(r, 0)
			r.cancel("a")
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Close #1", "open")
		}},
		{"nobody waited when somebody looked through the hands", two, func(r *rig) {
			looked(r, 1)
			r.cancel("a")
			r.settle()
			r.did = nil
			r.report(lookJob, nil)
			r.m.nudged()
			r.between = func(string) { assert.NotContains(r, r.shelf, r.slot(1)) }
			r.settles("start Judge #1")
			assert.Len(r, r.shelf, 1)
		}},
		{"who waits for the same key anew waits for another Bind", Config[int]{MaxOpen: 1, Judge: keep, Bind: rigBind}, func(r *rig) {
			looked(r, 0)
			r.cancel("a")
			r.getWith("b", k)
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Judge #1")
			r.report(judgeJob, nil)
			r.settles("start Look #1")
			r.report(lookJob, nil)
			r.settles("grant b #1", "open")
		}},
		{"who waits for another key, or none", Config[int]{MaxOpen: 1, Judge: keep, Bind: rigBind}, func(r *rig) {
			looked(r, 0)
			r.get("x")
			r.getWith("b", Request{Key: 2})
			r.cancel("a")
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Judge #1")
			r.report(judgeJob, nil)
			r.settles("grant x #1")
			r.put(1, Keep)
			r.settles("grant b #1", "open")
		}},
		{"two keys are each given theirs", two, func(r *rig) {
			r.rests(2)
			r.getWith("a", Request{Key: 1, Bind: true})
			r.getWith("b", Request{Key: 2, Bind: true})
			r.settles("shut", "start Look #1", "start Look #2")
			r.running[0], r.running[1] = r.running[1], r.running[0]
			r.report(lookJob, nil)
			r.report(lookJob, nil)
			r.settles("grant a #1", "grant b #2", "open")
		}},
		{"who came before gets another, or this one once it is judged", two, func(r *rig) {
			r.opens("x", "y")
			r.get("early")
			r.settle()
			r.put(1, Keep)
			r.settle()
			r.getWith("a", k)
			r.settle()
			r.put(2, Keep)
			r.settle()
			r.put(1, Discard)
			r.again("early")
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Judge #2")
			r.report(closeJob, nil)
			r.settles("start Open")
			r.report(judgeJob, nil)
			r.settles("grant early #2")
			r.report(dialJob, nil)
			r.settles("start Look #3")
		}},
		{"or another that is idle", Config[int]{MaxOpen: 3, Judge: keep, Bind: rigBind}, func(r *rig) {
			r.opens("x", "y", "z")
			r.get("early")
			r.settle()
			r.put(1, Keep)
			r.settle()
			r.getWith("a", k)
			r.settle()
			r.put(2, Keep)
			r.settle()
			r.put(1, Discard)
			r.again("early")
			r.did = nil
			r.report(lookJob, nil)
			r.put(3, Keep)
			r.settles("start Judge #2", "grant early #3")
		}},
		{"nor is it forgotten for what another look brings", Config[int]{Judge: keep, Bind: rigBind, Look: keep}, func(r *rig) {
			r.rests(2)
			r.now += time.Second
			r.getWith("a", k)
			r.getWith("b", Request{Key: 2})
			r.settles("shut", "start Look #1", "start Look #2")
			r.cancel("a")
			r.did = nil
			r.report(lookJob, nil)
			r.report(lookJob, nil)
			r.settles("grant b #2", "start Judge #1", "open")
		}},
		{"however long it takes, it is called once", two, func(r *rig) {
			looked(r, 1)
			r.pass(hedge)
			r.getWith("b", k)
			r.pass(3 * time.Second)
			r.want()
			r.report(lookJob, nil)
			r.settles("grant a #1", "grant b #1", "open")
		}},
		{"until it ignores its context", two, func(r *rig) {
			looked(r, 1)
			r.now = r.running[0].deadline - 1
			r.settles()
			assert.Equal(r, r.now+1, r.next)
			r.pass(1)
			r.want("start Kill #1", "start Look #2")
			r.report(lookJob, nil)
			r.settles("start Close #1")
			r.report(lookJob, nil)
			r.settles("grant a #2", "open")
		}},
		{"and nobody else waits for it in vain", Config[int]{MaxOpen: 3, Judge: keep, Bind: rigBind}, func(r *rig) {
			looked(r, 0)
			r.pass(hedge)
			r.get("x")
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("grant x #2")
			r.cancel("a")
			r.did = nil
			r.get("y")
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("grant y #3", "open")
			r.report(lookJob, nil)
			r.settles("start Judge #1")
		}},
		{"who is TryOnly waits for it for a second in all", two, func(r *rig) {
			looked(r, 1)
			r.now += hedge / 2
			r.getWith("b", Request{Key: "k", Bind: true, Patience: TryOnly})
			r.settles()
			r.pass(hedge / 2)
			r.want()
			assert.Equal(r, r.now+hedge/2, r.next)
			r.pass(hedge / 2)
			r.want(refusal("b", ErrExhausted))
			r.report(lookJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"also alone", two, func(r *rig) {
			r.rests(2)
			r.getWith("a", Request{Key: "k", Bind: true, Patience: TryOnly})
			r.settles("shut", "start Look #1")
			r.pass(hedge)
			r.want(refusal("a", ErrExhausted), "open")
			r.report(lookJob, nil)
			r.settles("start Judge #1")
		}},
		{"one that is late for who gave up is judged", two, func(r *rig) {
			looked(r, 1)
			r.cancel("a")
			r.getWith("b", k)
			r.did = nil
			r.settles("start Look #2")
			r.running[0], r.running[1] = r.running[1], r.running[0]
			r.report(lookJob, nil)
			r.settles("grant b #2", "open")
			r.report(lookJob, nil)
			r.settles("start Judge #1")
			judged(r)
		}},
		{"in a pause it is judged, and called again after it", two, func(r *rig) {
			looked(r, 0)
			r.pause("p")
			r.report(lookJob, nil)
			r.settles("refuse p: <nil>", "start Judge #1")
			r.report(judgeJob, nil)
			r.settles()
			r.m.resume()
			r.settles("start Look #1")
			assert.True(r, r.running[0].binds)
		}},
		{"and nothing else is judged then", Config[int]{MaxOpen: 3, Judge: keep, Bind: rigBind}, func(r *rig) {
			looked(r, 2)
			r.getWith("b", Request{Key: 2, Bind: true})
			r.settles("start Look #2")
			r.pause("p")
			r.report(lookJob, nil)
			r.report(lookJob, nil)
			r.settles("refuse p: <nil>", "start Judge #1", "start Judge #2")
		}},
		{"one too many is judged, and closed then", Config[int]{MaxOpen: 2, Judge: keep, Bind: rigBind}, func(r *rig) {
			r.opens("x")
			r.getWith("a", k)
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.resize(0, 1)
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Judge #2")
			r.report(judgeJob, nil)
			r.settles("start Close #2")
		}},
		{"a reset closes it", two, func(r *rig) {
			looked(r, 0)
			r.report(lookJob, nil)
			r.m.reset()
			r.settles("recall #1", "start Close #1", "start Open")
		}},
		{"so does the end", two, func(r *rig) {
			looked(r, 0)
			r.report(lookJob, nil)
			r.m.closeAll(r.now, make(chan error, 1))
			r.settles(refusal("a", ErrClosed), "recall #1", "start Close #1")
		}},
	})
}

// A promise is kept by a slot that can be lent, however late; by none else.
func TestMachineLatePromise(t *testing.T) {
	three := Config[int]{MaxOpen: 3, Judge: keep, Prepare: prepareNothing}
	k := Request{Key: "k"}
	// looks has #1 looked at for too long and then #2, which is the promise. What is
	// put then is no longer for k.
	looks := func(r *rig, after time.Duration) {
		r.Helper()
		r.opens("x", "y")
		r.get("z")
		r.settle()
		r.report(dialJob, nil)
		r.settle()
		r.put(1, Keep)
		r.getWith("a", k)
		r.settle()
		r.pass(after)
		r.put(2, Keep)
		r.settle()
		require.Equal(r, 2, r.m.keys["k"].promised.slot.value)
		r.did = nil
	}
	offered := func(r *rig, effects ...string) {
		r.Helper()
		r.settle()
		r.did = nil
		r.put(3, Keep)
		r.settles(effects...)
	}
	playAll(t, []scene{
		{"fit", three, func(r *rig) {
			looks(r, hedge)
			r.report(lookJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"unfit", three, func(r *rig) {
			looks(r, hedge)
			r.report(lookJob, errUnfit)
			r.settles("start Close #1")
			offered(r)
		}},
		{"recalled", three, func(r *rig) {
			looks(r, hedge)
			r.m.recall(r.slot(1), ReasonReset)
			r.did = nil
			r.report(lookJob, nil)
			r.settles("start Close #1")
			offered(r)
		}},
		{"killed", three, func(r *rig) {
			looks(r, 6*time.Second)
			require.True(r, r.running[0].freed)
			r.report(lookJob, nil)
			r.settles("start Close #1")
			offered(r)
		}},
		{"the promise itself is over in any case", three, func(r *rig) {
			looks(r, hedge)
			r.running[0], r.running[1] = r.running[1], r.running[0]
			r.report(lookJob, errUnfit)
			r.settles("start Close #2")
			offered(r, "start Look #3")
		}},
	})
}

// The same for what a request has brought to be checked, again and again.
func TestMachineLateMend(t *testing.T) {
	three := Config[int]{MaxOpen: 3, Prepare: prepareNothing, Check: hook}
	brings := func(r *rig, value int) {
		a := r.tickets["a"]
		delete(r.answers, a)
		a.brings = brought[int]{r.slot(value), Check}
		r.m.again(r.now, a)
		r.settle()
	}
	// mends has a bring #1, wait too long for it, get #2 and bring that too.
	mends := func(r *rig, after time.Duration) {
		r.Helper()
		r.opens("a", "y", "z")
		one := r.slot(1)
		brings(r, 1)
		r.pass(after)
		r.put(2, Keep)
		r.settle()
		require.Equal(r, 2, r.answers[r.tickets["a"]].slot.value)
		brings(r, 2)
		require.Equal(r, 2, r.tickets["a"].wait.mends.slot.value)
		require.Equal(r, one, r.running[0].slot)
		r.did = nil
	}
	offered := func(r *rig, effects ...string) {
		r.Helper()
		r.settle()
		r.did = nil
		r.put(3, Keep)
		r.settles(effects...)
	}
	playAll(t, []scene{
		{"fit", three, func(r *rig) {
			mends(r, hedge)
			r.report(checkJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"unfit", three, func(r *rig) {
			mends(r, hedge)
			r.report(checkJob, errUnfit)
			offered(r)
		}},
		{"recalled", three, func(r *rig) {
			mends(r, hedge)
			r.m.recall(r.slot(1), ReasonReset)
			r.report(checkJob, nil)
			offered(r)
		}},
		{"killed", three, func(r *rig) {
			mends(r, 6*time.Second)
			require.True(r, r.running[0].freed)
			r.report(checkJob, nil)
			offered(r)
		}},
		{"the promise itself is over in any case", three, func(r *rig) {
			mends(r, hedge)
			r.running[0], r.running[1] = r.running[1], r.running[0]
			r.report(checkJob, errUnfit)
			offered(r, "grant a #3", "open")
		}},
	})
}

func TestMachineTakeAway(t *testing.T) {
	k := Request{Key: "k"}
	one := Config[int]{MaxOpen: 1}
	lent := func(r *rig, names ...string) { // all hold #1 under k
		for _, n := range names {
			r.getWith(n, k)
		}
		r.settle()
		r.report(dialJob, nil)
		r.settle()
		r.did = nil
	}
	takes := func(r *rig) { r.m.takeAway(r.now, r.slot(1)) }
	places := func(r *rig) []int { return []int{r.m.open, r.m.usable, r.m.closing} }
	playAll(t, []scene{
		{"it is killed once, and its place is free then", one, func(r *rig) {
			lent(r, "a", "b")
			r.get("x")
			r.settle()
			takes(r)
			r.settles("shut", "start Kill #1")
			assert.Equal(r, []int{0, 0, 1}, places(r))
			takes(r)
			r.put(1, Keep)
			r.put(1, Discard)
			r.settles()
			r.report(killJob, nil)
			r.settles("start Open")
			assert.EqualValues(r, 1, r.m.stats.revoked)
			r.report(dialJob, nil)
			r.settles("grant x #2", "open")
			takes(r)
			r.put(1, Keep)
			r.settles()
		}},
		{"its key is free when all have let go of it", Config[int]{}, func(r *rig) {
			lent(r, "a", "b")
			takes(r)
			r.getWith("c", k)
			r.settles("start Kill #1", refusal("c", &RevokedError{Reason: ReasonUsed}))
			r.report(killJob, nil)
			r.settles()
			assert.Equal(r, never, r.next, "as long as it takes: there is no MaxLease")
			assert.Equal(r, revoked, r.slot(1).desk.place)
			assert.Equal(r, 1, r.m.keys["k"].holders)
			assert.Empty(r, r.m.leases(r.now))
			assert.ErrorIs(r, r.m.taken(r.now, r.slot(1)), ErrRevoked)
			assert.Empty(r, r.m.keys)
			r.getWith("d", k)
			r.settles("shut", "start Open")
			r.report(dialJob, nil)
			r.settles("grant d #2", "open")
			assert.Equal(r, 1, r.m.keys["k"].holders)
		}},
		{"with the second who stays too long, too", Config[int]{}, func(r *rig) {
			lent(r, "a", "b")
			takes(r)
			takes(r)
			r.settles("start Kill #1")
			assert.Empty(r, r.m.keys)
			assert.EqualValues(r, 1, r.m.stats.revoked)
		}},
		{"at once while CloseAll waits", Config[int]{}, func(r *rig) {
			lent(r, "a", "b")
			r.m.closeAll(r.now, make(chan error, 1))
			takes(r)
			assert.Empty(r, r.m.keys)
		}},
		{"a pause does not wait for who holds what is dead", Config[int]{}, func(r *rig) {
			lent(r, "a", "b")
			takes(r)
			r.pause("p")
			r.settles("start Kill #1", "shut", "refuse p: <nil>")
			r.getWith("c", k)
			r.settles(refusal("c", &RevokedError{Reason: ReasonUsed}))
		}},
		{"a minimum is kept", Config[int]{MinOpen: 1}, func(r *rig) {
			lent(r, "a")
			takes(r)
			r.settles("start Kill #1", "start Open")
		}},
		{"one that is recalled", Config[int]{}, func(r *rig) {
			lent(r, "a")
			r.m.reset()
			takes(r)
			r.settles("recall #1", "start Kill #1")
			assert.Equal(r, []int{0, 0, 1}, places(r))
		}},
		{"the last one in an outage", Config[int]{}, func(r *rig) {
			lent(r, "a")
			r.get("x")
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			r.did = nil
			takes(r)
			r.settles("start Kill #1", refusal("x", unavailable(errServer)), "open")
		}},
		{"in a pause, which has waited for it", Config[int]{}, func(r *rig) {
			lent(r, "a")
			r.pause("p")
			r.settle()
			r.did = nil
			takes(r)
			r.settles("start Kill #1", "refuse p: <nil>")
			r.m.resume()
			r.settles("open")
		}},
		{"while CloseAll waits for it", Config[int]{}, func(r *rig) {
			lent(r, "a", "b")
			r.m.closeAll(r.now, make(chan error, 1))
			r.settle()
			r.did = nil
			takes(r)
			r.settles("start Kill #1")
			assert.Equal(r, []int{0, 0, 1}, places(r))
			assert.False(r, r.m.end.answered)
			r.report(killJob, nil)
			r.put(1, Keep)
			r.settle()
			assert.True(r, r.m.ended())
			assert.NoError(r, r.m.result())
		}},
		{"not what CloseAll has taken", Config[int]{}, func(r *rig) {
			lent(r, "a")
			r.m.closeAll(r.now, make(chan error, 1))
			r.m.revoke(r.now, errServer)
			r.settle()
			r.did = nil
			takes(r)
			r.settles()
			assert.EqualValues(r, 1, r.m.stats.revoked)
		}},
		{"CloseAll does not take it again, or name it", Config[int]{}, func(r *rig) {
			lent(r, "a")
			takes(r)
			r.m.closeAll(r.now, make(chan error, 1))
			r.m.revoke(r.now, errServer)
			r.settles("start Kill #1", "shut")
			r.report(killJob, nil)
			r.settles()
			assert.True(r, r.m.ended())
			assert.NoError(r, r.m.result())
		}},
		{"not what has been taken by its borrower", Config[int]{}, func(r *rig) {
			lent(r, "a")
			require.NoError(r, r.m.taken(r.now, r.slot(1)))
			takes(r)
			r.settles()
		}},
		{"not what is with a helper, at rest, or lent without key", Config[int]{Judge: keep}, func(r *rig) {
			lent(r, "a")
			r.put(1, Keep)
			takes(r)
			r.settles("start Judge #1")
			r.report(judgeJob, nil)
			takes(r)
			r.settles()
			takes(r)
			r.get("x")
			takes(r)
			r.settles("grant x #1")
			takes(r)
			r.put(1, Discard)
			takes(r)
			r.settles("start Close #1")
		}},
		{"what Bind has changed for it meanwhile is judged", Config[int]{Judge: keep, Bind: rigBind}, func(r *rig) {
			r.rests(2)
			r.getWith("a", Request{Key: "k", Bind: true})
			r.settle()
			r.cancel("a")
			r.getWith("b", Request{Key: "k", Bind: true})
			r.settle()
			r.running[0], r.running[1] = r.running[1], r.running[0]
			r.report(lookJob, nil)
			r.settle()
			r.did = nil
			r.m.takeAway(r.now, r.slot(2))
			r.report(lookJob, nil)
			r.settles("start Kill #2", "start Judge #1")
		}},
	})
}

// rigBind is there: what it says is the reports'.
func rigBind(context.Context, any, int) error { return nil }
