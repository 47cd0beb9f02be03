package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: what nobody needs.

func TestMachineMaxRest(t *testing.T) {
	min := time.Minute
	five := Config[int]{MaxOpen: 6, MaxRest: 5 * min}
	// rounds lets n rounds pass, with a borrower's step before each.
	rounds := func(r *rig, n int, step func()) {
		r.Helper()
		for range n {
			if step != nil {
				step()
			}
			require.NotEqual(r, never, r.next, "no round is due")
			r.now = r.next
			r.settle()
		}
	}
	playAll(t, []scene{
		{"what was idle all the time is closed", five, func(r *rig) {
			r.rests(4)
			assert.Equal(r, min, r.next, "CheckPeriod")
			rounds(r, 4, nil)
			r.want()
			assert.Equal(r, 5*min, r.next)
			rounds(r, 1, nil)
			r.want("start Close #1", "start Close #2", "start Close #3", "start Close #4")
			assert.EqualValues(r, 4, r.m.stats.unneeded)
			for range 4 {
				r.report(closeJob, nil)
			}
			r.settle()
			assert.Equal(r, never, r.next, "nothing is open: the desk sleeps")
		}},
		{"but none below MinOpen", Config[int]{MaxOpen: 6, MinOpen: 3, MaxRest: 5 * min}, func(r *rig) {
			for range 3 {
				r.report(dialJob, nil)
			}
			r.settle()
			assert.Equal(r, never, r.next, "nothing to close: the desk sleeps")
			for range 3 {
				r.lends()
			}
			r.opens("a", "b")
			for v := range 5 {
				r.put(v+1, Keep)
			}
			r.settle()
			r.did = nil
			rounds(r, 5, nil)
			r.want("start Close #1", "start Close #2")
			r.report(closeJob, nil)
			r.report(closeJob, nil)
			r.settle()
			assert.Equal(r, never, r.next)
		}},
		{"and none below MinIdle", Config[int]{MaxOpen: 6, MinIdle: 2, MaxRest: 5 * min}, func(r *rig) {
			r.report(dialJob, nil)
			r.report(dialJob, nil)
			r.settle()
			assert.Equal(r, never, r.next, "nothing to close: the desk sleeps")
			r.lends()
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			assert.NotEqual(r, never, r.next)
			r.lays(1)
			r.did = nil
			r.settle()
			rounds(r, 5, nil)
			r.want("start Close #2")
			assert.Len(r, r.shelf, 2)
			r.report(closeJob, nil)
			r.settle()
			assert.Equal(r, never, r.next)
		}},
		{"what counts is the fewest that were idle", five, func(r *rig) {
			r.rests(4)
			n := 0
			rounds(r, 5, func() {
				if n++; n == 3 {
					for range 3 {
						r.lends()
					}
				} else if n == 4 {
					for v := range 3 {
						r.lays(v + 1)
					}
				}
			})
			r.want("start Close #4")
			r.report(closeJob, nil)
			r.settle()
			rounds(r, 5, nil)
			r.want("start Close #1", "start Close #2", "start Close #3")
		}},
		{"a time in which all were lent does not count", five, func(r *rig) {
			r.rests(2)
			rounds(r, 2, nil)
			r.lends()
			r.lends()
			rounds(r, 1, nil)
			r.lays(1)
			r.lays(2)
			rounds(r, 4, nil)
			r.want()
			rounds(r, 1, nil)
			assert.Equal(r, 8*min, r.now, "five after it was seen")
			assert.Equal(r, 2, r.count("start Close"))
		}},
		{"a get that found the shelf empty does not either", five, func(r *rig) {
			r.rests(2)
			rounds(r, 2, nil)
			r.pass(min / 2)
			r.get("a") // and on its way to the desk both were put
			r.settles("grant a #1")
			r.put(1, Keep)
			r.settle()
			rounds(r, 5, nil)
			r.want()
			rounds(r, 1, nil)
			assert.Equal(r, 8*min, r.now)
			assert.Equal(r, 2, r.count("start Close"))
		}},
		{"a get with a key found nothing empty", five, func(r *rig) {
			r.rests(2)
			rounds(r, 2, nil)
			r.getWith("a", Request{Key: "k"})
			r.settle()
			r.put(1, Keep)
			r.settle()
			r.did = nil
			rounds(r, 3, nil)
			r.want("start Close #2") // one was idle at every moment
		}},
		{"one client after the other on a grown pool lets it shrink", five, func(r *rig) {
			r.rests(5)
			rounds(r, 5, func() {
				sl := r.shelf[0]
				r.lends()
				r.now += time.Second
				r.lays(sl.value)
			})
			assert.Equal(r, 5, r.count("start Close"))
		}},
		{"a client that holds one keeps it", five, func(r *rig) {
			r.rests(3)
			r.lends()
			rounds(r, 5, nil)
			r.want("start Close #2", "start Close #3")
			assert.Equal(r, 1, r.m.usable)
			rounds(r, 20, nil)
			r.want()
		}},
		{"a pause is no rest", five, func(r *rig) {
			r.rests(2)
			rounds(r, 4, nil)
			r.pause("p")
			r.settle()
			assert.Equal(r, never, r.next)
			r.pass(time.Hour)
			r.m.resume()
			r.settle()
			r.did = nil
			rounds(r, 4, nil)
			r.want()
			rounds(r, 1, nil)
			assert.Equal(r, 2, r.count("start Close"))
		}},
		{"zero: they stay", Config[int]{MaxOpen: 6}, func(r *rig) {
			r.rests(3)
			assert.Equal(r, never, r.next)
			r.pass(1000 * time.Hour)
			r.want()
		}},
		{"a span that is longer than a CheckPeriod or shorter", Config[int]{MaxOpen: 2, MaxRest: 1, CheckPeriod: time.Hour}, func(r *rig) {
			r.rests(1)
			assert.Equal(r, time.Hour, r.next)
			r.pass(time.Hour)
			r.want("start Close #1")
		}},
	})
}
