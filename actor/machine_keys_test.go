package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The machine alone: keys.

func TestMachineKeys(t *testing.T) {
	k := Request{Key: "k"}
	bound := func(r *rig, names ...string) { // all hold #1 under k
		for _, n := range names {
			r.getWith(n, k)
		}
		r.settle()
		r.report(dialJob, nil)
		r.settle()
		r.did = nil
	}
	playAll(t, []scene{
		{"a grant serves everybody who waits for the key", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("x")
			r.getWith("a", k)
			r.get("between")
			r.getWith("b", k)
			r.settle()
			r.did = nil
			r.put(1, Keep)
			r.settles("grant a #1", "grant b #1")
			assert.Equal(r, 2, r.m.keys["k"].holders)
		}},
		{"a bound key is served at once, whoever waits", Config[int]{MaxOpen: 1}, func(r *rig) {
			bound(r, "a")
			r.get("x")
			r.settle()
			r.did = nil
			r.getWith("b", k)
			r.want("grant b #1")
			r.put(1, Keep)
			r.settles()
			r.put(1, Keep)
			r.settles("grant x #1", "open")
			assert.Empty(r, r.m.keys)
		}},
		{"a bound key is served after a reset, until the last holder has put it", Config[int]{}, func(r *rig) {
			bound(r, "a")
			r.m.reset()
			r.getWith("b", k)
			r.settles("recall #1", "grant b #1")
			r.put(1, Keep)
			r.settles()
			r.put(1, Keep)
			r.settles("start Close #1")
			r.getWith("c", k)
			r.settles("shut", "start Open")
		}},
		{"a cancel takes away one of those who wait", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("x")
			for _, n := range []string{"a", "b", "c"} {
				r.getWith(n, k)
			}
			r.settle()
			r.cancel("a")
			r.put(1, Keep)
			r.did = nil
			r.settles("grant b #1", "grant c #1", "open")
			assert.Equal(r, 2, r.m.keys["k"].holders)
		}},
		{"the last cancel forgets the key and its demand", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("x")
			r.getWith("a", k)
			r.getWith("b", k)
			r.settle()
			r.cancel("a")
			assert.Equal(r, 1, r.m.demand())
			r.cancel("b")
			assert.Zero(r, r.m.demand())
			assert.Empty(r, r.m.keys)
			r.settle()
		}},
		{"the worst verdict of the holders wins, at the last put", Config[int]{Judge: keep}, func(r *rig) {
			bound(r, "a", "b", "c")
			r.put(1, Keep)
			r.put(1, Discard)
			r.settles()
			r.put(1, Keep)
			r.settles("start Close #1")
		}},
		{"Judge is asked once, after the last put", Config[int]{Judge: keep}, func(r *rig) {
			bound(r, "a", "b")
			r.put(1, Keep)
			r.settles()
			r.now = time.Second
			r.put(1, Keep)
			r.settles("start Judge #1")
			r.report(judgeJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 1)
			assert.Equal(r, time.Second, r.shelf[0].since)
			r.getWith("again", k)
			r.settles("grant again #1")
		}},
		{"a key bound anew while the old slot is judged gets another slot", Config[int]{Judge: keep}, func(r *rig) {
			bound(r, "a")
			r.put(1, Keep)
			r.getWith("b", k)
			r.settles("start Judge #1", "shut")
			r.get("x")
			r.settles("start Open")
			r.report(judgeJob, errUnfit)
			r.settles("start Close #1")
		}},
		{"Judge is not asked about what is closed anyway", Config[int]{Judge: keep}, func(r *rig) {
			bound(r, "a")
			r.m.reset()
			r.put(1, Keep)
			r.settles("recall #1", "start Close #1")
		}},
	})
}

func TestMachineLooksForKeys(t *testing.T) {
	k := Request{Key: "k"}
	look := Config[int]{MaxOpen: 3, Look: keep}
	rested := func(r *rig, n int) {
		r.rests(n)
		r.now += time.Millisecond
	}
	playAll(t, []scene{
		{"a rested slot is looked at first", look, func(r *rig) {
			rested(r, 1)
			r.getWith("a", k)
			r.settles("shut", "start Look #1")
			r.getWith("b", k)
			r.settles()
			r.report(lookJob, nil)
			r.settles("grant a #1", "grant b #1", "open")
		}},
		{"a fresh one is not", look, func(r *rig) {
			r.rests(1)
			r.now += time.Millisecond - 1
			r.getWith("a", k)
			r.settles("grant a #1")
		}},
		{"who needs no look is served meanwhile", look, func(r *rig) {
			rested(r, 2)
			r.getWith("a", k)
			r.get("x")
			r.settles("shut", "start Look #1", "grant x #2")
			r.report(lookJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"an unfit one is closed and another one looked at", look, func(r *rig) {
			rested(r, 2)
			r.getWith("a", k)
			r.settle()
			r.did = nil
			r.report(lookJob, errUnfit)
			r.settles("start Close #1", "start Look #2")
			r.report(lookJob, errUnfit)
			r.settles("start Close #2", "start Open")
		}},
		{"TryOnly waits for the look", look, func(r *rig) {
			rested(r, 1)
			r.getWith("a", Request{Key: "k", Patience: TryOnly})
			r.settles("shut", "start Look #1")
			r.report(lookJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"and is refused if it finds the slot unfit", look, func(r *rig) {
			rested(r, 1)
			r.getWith("a", Request{Key: "k", Patience: TryOnly})
			r.settles("shut", "start Look #1")
			r.report(lookJob, errUnfit)
			r.settles("start Close #1", refusal("a", ErrExhausted), "open")
		}},
		{"nobody waits beside something idle for a look that hangs", look, func(r *rig) {
			rested(r, 1)
			r.getWith("a", k)
			r.settle()
			r.did = nil
			r.pass(hedge)
			r.want("start Open")
			r.report(dialJob, nil)
			r.settles("grant a #2", "open")
			r.report(lookJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 1)
		}},
		{"all who waited give up, the slot goes back", look, func(r *rig) {
			rested(r, 1)
			r.getWith("a", k)
			r.settle()
			r.cancel("a")
			r.settle()
			r.getWith("b", k) // a new binding of the same key
			r.did = nil
			r.settle()
			r.report(lookJob, nil)
			r.settle()
			assert.NotNil(r, r.answers[r.tickets["b"]].slot)
		}},
	})
}
