package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: what grows too old.

func TestMachineMaxAge(t *testing.T) {
	hour := Config[int]{MaxOpen: 3, MaxAge: time.Hour, Clean: hook}
	playAll(t, []scene{
		{"what is idle is closed then", hour, func(r *rig) {
			r.rests(1)
			assert.Equal(r, time.Hour, r.next)
			assert.Empty(r, r.pauses, "no jitter was asked for")
			r.pass(time.Hour - 1)
			r.want()
			r.pass(1)
			r.want("recall #1", "start Close #1")
			assert.EqualValues(r, 1, r.m.stats.expired)
			assert.Empty(r, r.shelf)
			r.report(closeJob, nil)
			r.settle()
			assert.Equal(r, never, r.next)
		}},
		{"what is lent is closed when it is put", hour, func(r *rig) {
			r.opens("a")
			r.pass(time.Hour)
			r.want("recall #1")
			assert.Equal(r, never, r.next)
			r.pass(time.Hour)
			r.want()
			r.put(1, Keep)
			r.settles("start Close #1")
			assert.EqualValues(r, 1, r.m.stats.expired, "once")
		}},
		{"what is lent under a key too, and who shares it may", hour, func(r *rig) {
			r.getWith("a", Request{Key: "k"})
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.did = nil
			r.pass(time.Hour)
			r.want("recall #1")
			r.getWith("b", Request{Key: "k"})
			r.want("grant b #1")
			r.put(1, Keep)
			r.settles()
			r.put(1, Keep)
			r.settles("start Close #1")
		}},
		{"what is being cleaned when it is clean", hour, func(r *rig) {
			r.opens("a")
			r.now = time.Hour - 1
			r.put(1, Clean)
			r.settle()
			r.did = nil
			r.pass(1)
			r.want("recall #1")
			r.report(cleanJob, nil)
			r.settles("start Close #1")
		}},
		{"it is not lent at that moment", hour, func(r *rig) {
			r.rests(1)
			r.now = time.Hour
			r.get("a")
			r.settles("recall #1", "start Close #1", "shut", "start Open")
		}},
		{"nor when it is put at that moment", hour, func(r *rig) {
			r.opens("a", "b", "c")
			r.get("d")
			r.settle()
			r.did = nil
			r.now = time.Hour
			r.put(1, Keep)
			r.settle()
			assert.Equal(r, 0, r.count("grant"))
			assert.Equal(r, 1, r.count("start Close #1"))
		}},
		{"each has its own time", hour, func(r *rig) {
			r.opens("a")
			r.now = time.Minute
			r.opens("b")
			r.put(1, Keep)
			r.put(2, Keep)
			r.settle()
			assert.Equal(r, time.Hour, r.next)
			r.pass(time.Hour - time.Minute)
			r.want("recall #1", "start Close #1")
			assert.Equal(r, []*slot[int]{r.slot(2)}, r.shelf)
			r.report(closeJob, nil)
			r.settle()
			assert.Equal(r, time.Hour+time.Minute, r.next)
			r.pass(time.Minute)
			r.want("recall #2", "start Close #2")
		}},
		{"the jitter is added", Config[int]{MaxAge: time.Hour, AgeJitter: time.Minute}, func(r *rig) {
			r.rests(1) // the rig's jitter is all of it
			assert.Equal(r, []time.Duration{time.Minute}, r.pauses)
			assert.Equal(r, time.Hour+time.Minute, r.next)
		}},
		{"a jitter without age is none", Config[int]{AgeJitter: time.Minute}, func(r *rig) {
			r.rests(1)
			assert.Empty(r, r.pauses)
			assert.Equal(r, never, r.next)
		}},
		{"a minimum is replaced", Config[int]{MaxOpen: 2, MinOpen: 1, MaxAge: time.Hour}, func(r *rig) {
			r.report(dialJob, nil)
			r.settle()
			r.did = nil
			r.pass(time.Hour)
			r.want("recall #1", "start Close #1", "start Open")
			r.report(dialJob, nil)
			r.settle()
			r.now = r.running[0].deadline // that of the Close
			r.settle()
			assert.Equal(r, 2*time.Hour, r.next)
		}},
		{"what was recalled before does not expire", hour, func(r *rig) {
			r.opens("a")
			r.m.reset()
			r.did = nil
			r.pass(time.Hour)
			r.want()
			require.EqualValues(r, 0, r.m.stats.expired)
		}},
	})
}
