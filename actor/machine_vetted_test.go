package actor

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: what Prepare says of a slot that is to be bound to a key,
// and slots that a borrower takes away.

func TestMachineVetted(t *testing.T) {
	two := Config[int]{MaxOpen: 2, Prepare: prepareNothing}
	// says ends the first look under way: the error closes the slot, the
	// refusal is for those who wait.
	says := func(r *rig, err, refusal error) {
		r.Helper()
		for _, j := range r.running {
			if j.kind == lookJob {
				j.refusal = refusal
				r.report(lookJob, err)
				return
			}
		}
		r.Fatal("no look is running")
	}
	asks := func(r *rig, names ...string) {
		for _, n := range names {
			r.getWith(n, Request{Key: "k"})
		}
	}
	playAll(t, []scene{
		{"is asked once for all who wait, with the context of the first", two, func(r *rig) {
			asks(r, "a", "b")
			r.settles("shut", "start Open")
			r.report(dialJob, nil)
			r.settles("start Look #1")
			require.NotNil(r, r.running[0].bound)
			assert.Equal(r, "a", r.running[0].cause.Value(rigKey{}))
			assert.Equal(r, "Prepare", r.m.cfg.hook(r.running[0]))
			asks(r, "c")
			r.settles()
			says(r, nil, nil)
			r.settles("grant a #1", "grant b #1", "grant c #1", "open")
			asks(r, "d")
			r.settles("grant d #1")
		}},
		{"and again for the next binding", two, func(r *rig) {
			r.rests(1)
			for range 2 {
				asks(r, "a")
				r.settle()
				r.did = nil
				says(r, nil, nil)
				r.settles("grant a #1", "open")
				r.put(1, Keep)
				r.settle()
				r.did = nil
			}
		}},
		{"what it says against the get, all are told", two, func(r *rig) {
			r.rests(1)
			asks(r, "a", "b")
			r.get("other")
			r.settles("shut", "start Look #1", "start Open")
			says(r, nil, errServer)
			r.want(refusal("a", errServer), refusal("b", errServer))
			r.settles("grant other #1", "open")
			assert.Empty(r, r.m.keys)
			assert.EqualValues(r, 2, r.m.stats.refused)
		}},
		{"and the slot may be closed with it", two, func(r *rig) {
			r.rests(1)
			asks(r, "a")
			r.settle()
			r.did = nil
			says(r, errRefused, errServer)
			r.settles(refusal("a", errServer), "start Close #1", "open")
		}},
		{"one refused is replaced", two, func(r *rig) {
			r.rests(1)
			asks(r, "a")
			r.settle()
			r.did = nil
			says(r, errRefused, nil)
			r.settles("start Close #1", "start Open")
			r.report(dialJob, nil)
			r.settles("start Look #2")
			says(r, nil, nil)
			r.settles("grant a #2", "open")
		}},
		{"more than MaxOpen refused are enough", two, func(r *rig) {
			asks(r, "a", "b")
			for range 2 {
				r.settle()
				r.report(dialJob, nil)
				r.settle()
				says(r, errRefused, nil)
				r.settle()
				r.report(closeJob, nil)
				require.NotContains(r, r.answers, r.tickets["a"])
			}
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			says(r, errRefused, nil)
			for _, n := range []string{"a", "b"} {
				err := r.answers[r.tickets[n]].err
				assert.ErrorIs(r, err, ErrUnavailable)
				assert.ErrorContains(r, err, "3 resources")
			}
			r.settle()
			asks(r, "c")
			r.settle()
			r.report(closeJob, nil)
			r.report(dialJob, nil)
			r.settle()
			says(r, errRefused, nil)
			r.settle()
			require.NotContains(r, r.answers, r.tickets["c"], "counted anew")
		}},
		{"one that failed otherwise is not counted", two, func(r *rig) {
			asks(r, "a")
			for range 5 {
				r.settle()
				r.report(dialJob, nil)
				r.settle()
				says(r, errUnfit, nil)
				r.settle()
				r.report(closeJob, nil)
			}
			r.settle()
			require.NotContains(r, r.answers, r.tickets["a"])
		}},
		{"two keys are each asked about", two, func(r *rig) {
			r.rests(2)
			r.getWith("a", Request{Key: 1})
			r.getWith("b", Request{Key: 2})
			r.settles("shut", "start Look #1", "start Look #2")
			says(r, nil, nil)
			says(r, nil, errServer)
			r.settles(refusal("b", errServer), "grant a #1", "open")
		}},
		{"once, though they are done in the other order", two, func(r *rig) {
			r.rests(2)
			r.getWith("a", Request{Key: 1})
			r.getWith("b", Request{Key: 2})
			r.settle()
			r.running[0], r.running[1] = r.running[1], r.running[0]
			says(r, nil, nil)
			says(r, nil, nil)
			r.did = nil
			r.settles("grant a #1", "grant b #2", "open")
		}},
		{"who came before may take it", two, func(r *rig) {
			r.opens("x", "y")
			r.get("early")
			r.settle()
			r.put(1, Keep)
			r.settle()
			r.getWith("a", Request{Key: "k"})
			r.settle()
			r.put(2, Keep)
			r.settle()
			r.put(1, Discard)
			r.again("early")
			says(r, nil, nil)
			r.did = nil
			r.settles("grant early #2")
			r.report(closeJob, nil)
			r.settles("start Open")
		}},
		{"nobody waits any more", two, func(r *rig) {
			r.rests(1)
			asks(r, "a")
			r.settle()
			r.cancel("a")
			says(r, nil, errServer)
			r.did = nil
			r.settles("open")
			assert.Len(r, r.shelf, 1)
		}},
		{"a get without key is not prepared by a helper", two, func(r *rig) {
			r.rests(1)
			r.get("a")
			r.settles("grant a #1")
		}},
	})
}

func TestMachineTaken(t *testing.T) {
	two := Config[int]{MaxOpen: 2}
	taken := func(r *rig, value int) error { return r.m.taken(r.now, r.slot(value)) }
	playAll(t, []scene{
		{"its place is free at once", two, func(r *rig) {
			r.opens("a", "b")
			r.get("c")
			r.settle()
			r.did = nil
			require.NoError(r, taken(r, 1))
			r.settles("start Open")
			assert.EqualValues(r, 1, r.m.stats.taken)
			assert.Equal(r, []int{1, 1, 0}, []int{r.m.open, r.m.dialing, r.m.closing})
			assert.Equal(r, ErrNotLeased, taken(r, 1), "it is not the supervisor's any more")
			r.put(1, Keep)
			r.settles()
		}},
		{"alone under a key", two, func(r *rig) {
			r.getWith("a", Request{Key: "k"})
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.getWith("b", Request{Key: "k"})
			r.settle()
			assert.Equal(r, ErrShared, taken(r, 1))
			assert.Equal(r, []int{1, 1}, []int{r.m.open, r.m.usable}, "nothing is changed")
			r.put(1, Keep)
			require.NoError(r, taken(r, 1))
			assert.Empty(r, r.m.keys)
			r.getWith("c", Request{Key: "k"})
			r.did = nil
			r.settles("shut", "start Open")
		}},
		{"a minimum is kept", Config[int]{MaxOpen: 2, MinOpen: 1}, func(r *rig) {
			r.get("a")
			r.report(dialJob, nil)
			r.settle()
			r.did = nil
			require.NoError(r, taken(r, 1))
			r.settles("start Open")
		}},
		{"one that is recalled", Config[int]{MaxOpen: 2, MinOpen: 1}, func(r *rig) {
			r.get("a")
			r.report(dialJob, nil)
			r.settle()
			r.m.reset()
			require.NoError(r, taken(r, 1))
			r.settle()
			assert.Zero(r, r.m.usable)
		}},
		{"what was lent over the shelf is counted", two, func(r *rig) {
			r.rests(1)
			sl := r.shelf[0]
			r.lends()
			sl.uses = 5
			before := r.m.stats.leases
			require.NoError(r, r.m.taken(r.now, sl))
			assert.Equal(r, before+5, r.m.stats.leases)
		}},
		{"CloseAll need not wait for it", two, func(r *rig) {
			r.opens("a", "b")
			r.m.closeAll(r.now, make(chan error, 1))
			require.NoError(r, taken(r, 1))
			r.put(2, Keep)
			r.settle()
			r.report(closeJob, nil)
			r.settle()
			assert.True(r, r.m.ended())
			assert.NoError(r, r.m.result())
		}},
		{"not what CloseAll has revoked", two, func(r *rig) {
			r.opens("a")
			r.m.closeAll(r.now, make(chan error, 1))
			r.m.revoke(r.now, errServer)
			r.settle()
			assert.ErrorIs(r, taken(r, 1), ErrRevoked)
			assert.EqualValues(r, 0, r.m.stats.taken)
			r.report(killJob, nil)
			r.settle()
		}},
	})
}

func prepareNothing(context.Context, int, bool) (Verdict, error) { return Keep, nil }
