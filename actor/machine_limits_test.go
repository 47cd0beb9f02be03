package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: how many resources there may be, open and idle.

func TestMachineResize(t *testing.T) {
	playAll(t, []scene{
		{"growth serves who waits", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			r.get("b")
			r.get("c")
			r.settles("shut")
			r.resize(0, 3)
			r.settles("start Open", "start Open")
			r.report(dialJob, nil)
			r.report(dialJob, nil)
			r.settles("grant b #2", "grant c #3", "open")
		}},
		{"growth opens the new minimum", Config[int]{MaxOpen: 1, MinOpen: 1}, func(r *rig) {
			r.report(dialJob, nil)
			r.did = nil
			r.resize(3, 4)
			r.settles("start Open", "start Open")
			r.awaitFill("ready")
			r.report(dialJob, nil)
			r.settles()
			r.report(dialJob, nil)
			r.settles("refuse ready: <nil>")
		}},
		{"a lower minimum closes nothing", Config[int]{MaxOpen: 2, MinOpen: 2}, func(r *rig) {
			r.report(dialJob, nil)
			r.report(dialJob, nil)
			r.did = nil
			r.resize(0, 2)
			r.settles()
			r.lends()
			r.put(1, Discard)
			r.settles("start Close #1")
			r.report(closeJob, nil)
			r.settles()
		}},
		{"shrinking closes what is idle and too many", Config[int]{MaxOpen: 4}, func(r *rig) {
			r.rests(4)
			r.resize(0, 3)
			r.settles("shut", "start Close #1", "open")
			assert.Len(r, r.shelf, 3, "never below")
			r.resize(0, 1)
			r.settles("shut", "start Close #2", "start Close #3", "open")
			assert.Len(r, r.shelf, 1)
		}},
		{"what is lent is closed when it is put, in the order of the puts", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.opens("a", "b", "c")
			r.resize(0, 1)
			r.settles("shut") // nothing is recalled
			r.put(2, Keep)
			r.settles("start Close #2")
			r.put(1, Keep)
			r.settles("start Close #1", "open")
			r.put(3, Keep)
			r.settles()
			assert.Len(r, r.shelf, 1)
			assert.Equal(r, []int{1, 2, 0}, []int{r.m.open, r.m.closing, r.m.stat().Leased})
			assert.Equal(r, 1, r.m.stat().Limit)
		}},
		{"what is being cleaned too", Config[int]{MaxOpen: 2, Clean: hook}, func(r *rig) {
			r.opens("a", "b")
			r.put(1, Clean)
			r.settle()
			r.did = nil
			r.resize(0, 1)
			r.settles("shut")
			r.report(cleanJob, nil)
			r.settles("start Close #1", "open")
		}},
		{"what is being opened is closed when it comes", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.opens("a", "b")
			r.get("c")
			r.settle()
			r.resize(0, 2)
			r.did = nil
			r.settles()
			r.report(dialJob, nil)
			r.settles("start Close #3")
			r.put(1, Keep)
			r.settles("grant c #1", "open")
		}},
		{"what comes first goes, not to who waits", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a", "b")
			r.get("c")
			r.settles("shut")
			r.resize(0, 1)
			r.settles()
			r.put(1, Keep)
			r.settles("start Close #1")
			r.put(2, Keep)
			r.settles("grant c #2", "open")
		}},
		{"an idle one that came while there were too many is served when there are not", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a", "b")
			r.get("c")
			r.settle()
			r.resize(0, 1)
			r.settle()
			r.put(1, Discard)
			r.put(2, Keep)
			r.did = nil
			r.settles("grant c #2", "open")
		}},
		{"a place is free only below the new limit", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.opens("a", "b", "c")
			r.resize(0, 1)
			r.put(1, Discard)
			r.put(2, Discard)
			r.put(3, Discard)
			r.get("d")
			r.settle()
			r.did = nil
			r.report(closeJob, nil)
			r.settles()
			r.report(closeJob, nil)
			r.settles()
			r.report(closeJob, nil)
			r.settles("start Open")
		}},
		{"a put that raced the shrinking is closed", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a", "b")
			r.between = func(what string) {
				if what == "shut" {
					r.shelf = append(r.shelf, r.m.slots[0])
				}
			}
			r.resize(0, 1)
			r.settles("shut", "start Close #1", "open")
		}},
		{"also one that raced it and lies on the shelf late", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a", "b")
			r.get("c")
			r.settles("shut")
			r.resize(0, 1)
			r.m.fx = &latePut{rigEffects: rigEffects{r}, slot: r.slot(1)}
			r.m.settle(r.now)
			r.want()
			r.m.fx = rigEffects{r}
			r.settles("start Close #1")
		}},
		{"and MaxRest leaves that to the shrinking, which opens the gate again", Config[int]{MaxOpen: 3, MaxRest: time.Minute}, func(r *rig) {
			r.opens("a", "b")
			r.rests(1)
			r.settle() // the span begins with one that is idle
			r.lends()
			r.resize(0, 2)
			r.m.fx = &latePut{rigEffects: rigEffects{r}, slot: r.slot(3)}
			r.now += time.Minute
			r.m.settle(r.now)
			r.want("shut")
			r.m.fx = rigEffects{r}
			r.settles("start Close #3", "open")
		}},
		{"a bound key is served while there are too many", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.getWith("x", Request{Key: "k"})
			r.settle()
			r.report(dialJob, nil)
			r.opens("a")
			r.resize(0, 1)
			r.settle()
			r.did = nil
			r.getWith("y", Request{Key: "k"})
			r.settles("grant y #1")
		}},
		{"who does not wait is refused while there are too many", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a", "b")
			r.resize(0, 1)
			r.getWith("c", Request{Patience: NoWait})
			r.getWith("d", Request{Patience: TryOnly})
			r.settles("shut", refusal("c", ErrExhausted), refusal("d", ErrExhausted))
		}},
		{"shrink, then grow, before anything was put", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a", "b")
			r.resize(0, 1)
			r.settles("shut")
			r.resize(0, 2)
			r.settles("open")
			r.put(1, Keep)
			r.put(2, Keep)
			r.settles()
			assert.Len(r, r.shelf, 2)
		}},
		{"Ready asks for no more than the limit", Config[int]{MaxOpen: 4, MinIdle: 3}, func(r *rig) {
			r.resize(0, 1)
			for range 3 {
				r.report(dialJob, nil)
			}
			r.settle()
			r.report(closeJob, nil)
			r.report(closeJob, nil)
			r.awaitFill("ready")
			r.did = nil
			r.settles("refuse ready: <nil>")
			assert.Equal(r, never, r.next)
			assert.False(r, r.low, "more cannot be had")
		}},
	})
}

func TestMachineMaxIdle(t *testing.T) {
	two := Config[int]{MaxOpen: 4, MaxIdle: 2}
	playAll(t, []scene{
		{"one more that is put is closed", two, func(r *rig) {
			r.opens("a", "b", "c", "d")
			for v := range 3 {
				r.put(v+1, Keep)
			}
			r.settles("start Close #3")
			assert.Len(r, r.shelf, 2)
			r.put(4, Keep)
			r.settles("start Close #4")
			assert.EqualValues(r, 0, r.m.stats.unneeded)
			assert.Equal(r, 2, r.m.usable)
		}},
		{"who waits comes first", two, func(r *rig) {
			r.opens("a", "b", "c", "d")
			r.get("e")
			for v := range 3 {
				r.put(v+1, Keep)
			}
			r.settles("grant e #1")
			assert.Len(r, r.shelf, 2)
		}},
		{"what the shelf has no room for is idle too", two, func(r *rig) {
			r.shelves = 1
			r.opens("a", "b", "c", "d")
			for v := range 4 {
				r.put(v+1, Keep)
			}
			r.settle()
			assert.Equal(r, 2, r.count("start Close"))
			assert.Equal(r, []int{1, 1}, []int{len(r.shelf), r.m.hands.len()})
		}},
		{"holds for what is opened for nobody", two, func(r *rig) {
			for _, n := range []string{"a", "b", "c"} {
				r.get(n)
			}
			r.settle()
			for _, n := range []string{"a", "b", "c"} {
				r.cancel(n)
			}
			for range 3 {
				r.report(dialJob, nil)
			}
			r.did = nil
			r.settles("open", "start Close #3")
		}},
		{"zero is no limit", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.rests(3)
			r.settles()
			assert.Len(r, r.shelf, 3)
		}},
		{"a greater limit than MaxOpen is none", two, func(r *rig) {
			r.rests(2)
			r.resize(0, 1)
			r.settle()
			r.did = nil
			r.settles()
			require.Len(r, r.shelf, 1)
		}},
	})
}

// latePut has a put lie on the shelf once the desk has found it empty.
type latePut struct {
	rigEffects
	slot *slot[int]
}

func (l *latePut) take() *slot[int] {
	if len(l.shelf) == 0 && l.slot != nil {
		l.shelf, l.slot = append(l.shelf, l.slot), nil
		return nil
	}
	return l.rigEffects.take()
}
