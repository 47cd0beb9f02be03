package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: the minimums.

func TestMachineMinOpen(t *testing.T) {
	two := Config[int]{MaxOpen: 3, MinOpen: 2}
	filled := func(r *rig) {
		r.Helper()
		r.report(dialJob, nil)
		r.report(dialJob, nil)
		r.settle()
		require.Len(r, r.shelf, 2)
		require.Equal(r, never, r.next)
		r.did = nil
	}
	playAll(t, []scene{
		{"one that is lost is replaced at once", two, func(r *rig) {
			filled(r)
			r.lends()
			r.put(1, Discard)
			r.settles("start Close #1", "start Open")
			r.report(closeJob, nil)
			r.report(dialJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 2)
			assert.Equal(r, never, r.next)
		}},
		{"once its place is free", Config[int]{MaxOpen: 2, MinOpen: 2}, func(r *rig) {
			filled(r)
			r.lends()
			r.put(1, Discard)
			r.settles("start Close #1")
			r.report(closeJob, nil)
			r.settles("start Open")
		}},
		{"all are replaced after a reset", two, func(r *rig) {
			filled(r)
			r.m.reset()
			r.settle()
			assert.Equal(r, 2, r.count("start Close"))
			assert.Equal(r, 1, r.count("start Open"), "a place that is free")
			r.report(closeJob, nil)
			r.did = nil
			r.settles("start Open")
		}},
		{"in an outage it is tried every CheckPeriod", two, func(r *rig) {
			filled(r)
			r.lends()
			r.put(1, Discard)
			r.settle()
			r.report(closeJob, nil)
			r.report(dialJob, errServer)
			r.did = nil
			r.settles()
			for range 3 {
				require.Equal(r, r.now+time.Minute, r.next)
				r.pass(time.Minute - 1)
				r.want()
				r.pass(1)
				r.want("start Open")
				r.report(dialJob, errServer)
				r.settle()
			}
			r.now = r.next
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 2)
			assert.Equal(r, never, r.next)
		}},
		{"but not before the backoff is over", Config[int]{MinOpen: 1, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(r *rig) {
			r.report(dialJob, errServer)
			r.did = nil
			r.settles()
			assert.Equal(r, time.Hour, r.next)
			r.pass(time.Hour)
			r.want("start Open")
		}},
		{"or with the next that is opened", Config[int]{MaxOpen: 4, MinOpen: 3, MaxDials: 1}, func(r *rig) {
			r.report(dialJob, errServer)
			r.settle()
			r.pass(time.Second)
			r.get("a")
			r.did = nil
			r.settles("shut", "start Open")
			r.report(dialJob, nil)
			r.settles("grant a #1", "start Open", "open")
			r.report(dialJob, nil)
			r.settles("start Open")
		}},
		{"who waits for it has it tried after each backoff", Config[int]{MinOpen: 2, Outage: WaitForServer}, func(r *rig) {
			r.awaitFill("ready")
			r.report(dialJob, errServer)
			r.report(dialJob, errServer)
			r.did = nil
			r.settles()
			for range 3 {
				require.Equal(r, r.now+r.pauses[len(r.pauses)-1], r.next)
				r.now = r.next
				r.settles("start Open") // one probe
				r.report(dialJob, errServer)
				r.settles()
			}
			r.now = r.next
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("refuse ready: <nil>")
		}},
		{"a permanent failure refuses under WaitForServer too", Config[int]{MinOpen: 1, Outage: WaitForServer}, func(r *rig) {
			r.awaitFill("ready")
			r.running[0].permanent = true
			r.report(dialJob, errServer)
			r.did = nil
			r.settles(refusal("ready", unavailable(errServer)))
			assert.Equal(r, time.Minute, r.next)
		}},
		{"what is lent counts", two, func(r *rig) {
			filled(r)
			r.lends()
			r.lends()
			r.awaitFill("ready")
			r.settles("refuse ready: <nil>")
		}},
		{"who waits for it while one is lost waits for the next", two, func(r *rig) {
			filled(r)
			r.lends()
			r.put(1, Discard)
			r.awaitFill("ready")
			r.settles("start Close #1", "start Open")
			r.report(dialJob, nil)
			r.settles("refuse ready: <nil>")
		}},
		{"a waiter's dial counts too", two, func(r *rig) {
			r.get("a")
			r.did = nil
			r.settles("shut")
			r.report(dialJob, nil)
			r.settles("grant a #1", "open")
		}},
	})
}

func TestMachineMinIdle(t *testing.T) {
	two := Config[int]{MaxOpen: 4, MinIdle: 2}
	filled := func(r *rig) {
		r.Helper()
		r.report(dialJob, nil)
		r.report(dialJob, nil)
		r.settle()
		require.Len(r, r.shelf, 2)
		require.True(r, r.low)
		r.did = nil
	}
	playAll(t, []scene{
		{"is opened at the start, and told", two, func(r *rig) {
			r.want("start Open", "start Open")
			r.awaitFill("ready")
			r.report(dialJob, nil)
			r.settles()
			assert.False(r, r.low, "the desk knows that there are too few")
			r.report(dialJob, nil)
			r.settles("refuse ready: <nil>")
			assert.True(r, r.low)
			assert.Equal(r, never, r.next)
		}},
		{"who leaves too few has another opened", two, func(r *rig) {
			filled(r)
			require.True(r, r.lends())
			r.settles("start Open")
			require.False(r, r.lends(), "the desk knows already")
			r.report(dialJob, nil)
			r.settles("start Open") // it sees the second take
			assert.False(r, r.low)
			r.report(dialJob, nil)
			r.settles()
			assert.True(r, r.low)
		}},
		{"a get over the desk too", two, func(r *rig) {
			filled(r)
			r.get("a")
			r.settles("grant a #1", "start Open")
			r.report(dialJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 2)
		}},
		{"those who wait do not take what is opened for it", two, func(r *rig) {
			r.get("a")
			r.did = nil
			r.settles("shut", "start Open")
			for range 3 {
				r.report(dialJob, nil)
			}
			r.settles("grant a #1", "open")
			assert.Len(r, r.shelf, 2)
		}},
		{"as long as MaxOpen allows, and then without a word", two, func(r *rig) {
			filled(r)
			for range 2 {
				r.lends()
				r.settle()
				r.report(dialJob, nil)
				r.settle()
			}
			require.Equal(r, 4, r.m.open)
			r.did = nil
			require.True(r, r.lends())
			r.settles()
			out := 1
			for range 5 {
				r.lays(out)
				out = r.shelf[0].value
				require.False(r, r.lends(), "nothing can be done about it")
			}
			r.settles()
			assert.False(r, r.low)
			assert.Equal(r, never, r.next)
			r.lays(out)
			r.settles()
			assert.True(r, r.low, "there are enough again")
		}},
		{"a take just before the desk is told to watch is not missed", two, func(r *rig) {
			r.report(dialJob, nil)
			r.settle()
			r.report(dialJob, nil)
			r.did = nil
			r.m.fx = lateTake{rigEffects{r}}
			r.settles("start Open")
		}},
		{"and MinOpen are both kept", Config[int]{MaxOpen: 4, MinOpen: 3, MinIdle: 1}, func(r *rig) {
			r.want("start Open", "start Open", "start Open")
			for range 3 {
				r.report(dialJob, nil)
			}
			r.settles()
			r.lends()
			require.False(r, r.lends())
			require.True(r, r.lends())
			r.settles("start Open")
		}},
		{"what is being cleaned counts, until its grace is over", Config[int]{MaxOpen: 4, MinIdle: 2, Clean: hook}, func(r *rig) {
			filled(r)
			r.lends()
			r.put(1, Clean)
			r.settles("start Clean #1")
			r.pass(hedge)
			r.want()
			r.pass(5*time.Second + 250*time.Millisecond)
			r.want("start Kill #1", "start Open")
		}},
		{"in an outage it is tried every CheckPeriod", two, func(r *rig) {
			filled(r)
			r.lends()
			r.settle()
			r.report(dialJob, errServer)
			r.did = nil
			r.settles()
			assert.Equal(r, time.Minute, r.next)
			r.pass(time.Minute)
			r.want("start Open")
		}},
		{"nothing is tried once enough was put", two, func(r *rig) {
			filled(r)
			r.lends()
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			r.lays(1)
			r.did = nil
			r.pass(time.Minute)
			r.want()
			assert.Equal(r, never, r.next)
		}},
	})
}

// lateTake has a borrower take a slot just before the desk asks to be told.
type lateTake struct{ rigEffects }

func (l lateTake) lookout() {
	if !l.low {
		l.lends()
	}
	l.rigEffects.lookout()
}
