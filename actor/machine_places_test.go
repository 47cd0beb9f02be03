package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The machine alone: places, graces, and what a reset makes old.

func TestMachinePlaces(t *testing.T) {
	grace := 250 * time.Millisecond
	one := Config[int]{MaxOpen: 1, Clean: hook, Check: hook}
	playAll(t, []scene{
		{"what is being closed takes a place until it is gone", one, func(r *rig) {
			r.opens("a")
			r.put(1, Discard)
			r.get("b")
			r.settles("start Close #1", "shut")
			assert.Equal(r, grace, r.running[0].timeout)
			r.report(closeJob, errServer)
			r.settles("start Open")
			assert.EqualValues(r, []uint64{1, 1}, []uint64{r.m.stats.closed, r.m.stats.closeFailed})
		}},
		{"or until the grace is over", one, func(r *rig) {
			r.opens("a")
			r.put(1, Discard)
			r.get("b")
			r.settle()
			r.did = nil
			assert.Equal(r, 2*grace, r.next, "the Close has a grace, and one to notice that it is over")
			r.pass(2*grace - 1)
			r.want()
			r.pass(1)
			r.want("start Open")
			r.report(closeJob, nil)
			r.report(dialJob, nil)
			r.settles("grant b #2", "open")
			assert.Equal(r, []int{1, 0, 0}, []int{r.m.open, r.m.closing, r.m.dialing})
		}},
		{"a Clean that ignores its context is killed, and closed when it returns", one, func(r *rig) {
			r.opens("a")
			r.put(1, Clean)
			r.settle()
			assert.Equal(r, 5*time.Second, r.running[0].timeout)
			assert.Equal(r, 5*time.Second+grace, r.next)
			r.did = nil
			r.pass(5*time.Second + grace)
			r.want("start Kill #1")
			assert.Equal(r, []int{0, 0}, []int{r.m.open, r.m.closing})
			r.get("b")
			r.settles("shut", "start Open")
			r.report(dialJob, nil)
			r.settles("grant b #2", "open")
			r.report(killJob, nil)
			r.report(cleanJob, nil)
			r.settles("start Close #1")
			r.report(closeJob, nil)
			r.settles()
			assert.Equal(r, []int{1, 0}, []int{r.m.open, r.m.closing})
		}},
		{"an Open that ignores its context is given up, and closed when it brings something", one, func(r *rig) {
			r.get("a")
			r.settle()
			r.did = nil
			assert.Equal(r, 2*time.Minute, r.running[0].timeout)
			r.pass(hedge)
			r.want() // no place for another
			r.pass(2*time.Minute + grace - hedge)
			r.want("start Open")
			first := r.running[0]
			r.running = r.running[1:]
			r.report(dialJob, nil)
			r.settles("grant a #1", "open")
			r.end(first, nil)
			r.settles("start Close #2")
			r.report(closeJob, nil)
			r.settles()
			assert.Equal(r, []int{1, 0, 0}, []int{r.m.open, r.m.closing, r.m.dialing})
		}},
		{"a Config may say never", Config[int]{MaxOpen: 1, OpenTimeout: never, CleanTimeout: never, CloseGrace: never, BackoffMax: never, Clean: hook}, func(r *rig) {
			r.get("a")
			r.settles("shut", "start Open")
			r.pass(hedge)
			r.want()
			r.report(dialJob, nil)
			r.settles("grant a #1", "open")
			r.put(1, Clean)
			r.settles("start Clean #1")
			r.report(cleanJob, errServer)
			r.settles("start Close #1")
			assert.Equal(r, 1, r.m.closing)
			for range 100 {
				r.m.failed(r.now, &job[int]{epoch: r.m.outage.epoch})
			}
			for _, p := range r.pauses {
				assert.Positive(r, p)
			}
		}},
	})
}

func TestMachineReset(t *testing.T) {
	playAll(t, []scene{
		{"closes what is idle, without traffic", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.rests(3)
			r.m.reset()
			r.settles("recall #1", "recall #2", "recall #3", "start Close #1", "start Close #2", "start Close #3")
			assert.Equal(r, 1, r.mostHidden)
		}},
		{"closes what is lent when it is put", Config[int]{}, func(r *rig) {
			r.opens("a")
			r.m.reset()
			r.settles("recall #1")
			r.put(1, Keep)
			r.settles("start Close #1")
		}},
		{"closes what a dial from before it brings, and dials anew", Config[int]{}, func(r *rig) {
			r.get("a")
			r.settle()
			r.did = nil
			r.m.reset()
			r.settles("cancel Open", "start Open")
			r.report(dialJob, nil)
			r.settles("start Close #1")
			r.report(dialJob, nil)
			r.settles("grant a #2", "open")
		}},
		{"recalls each once", Config[int]{}, func(r *rig) {
			r.opens("a")
			r.m.reset()
			r.m.reset()
			r.settles("recall #1")
		}},
		{"a recalled slot that was put on the shelf is swept", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.rests(2)
			old := rigEffects{r}.take() // a get from the shelf
			r.m.reset()
			r.settle()
			r.opens("b")
			r.shelf = append(r.shelf, old) // its put looked before the reset
			r.put(3, Keep)
			r.m.nudged()
			r.settles("start Close #1")
			assert.Len(r, r.shelf, 1)
		}},
		{"also one behind a full shelf's overflow", Config[int]{MaxOpen: 4}, func(r *rig) {
			r.shelves = 2
			r.opens("a")
			old := r.slot(1)
			r.m.reset()
			r.settle()
			r.opens("b", "c", "d")
			r.shelf = append(r.shelf, old)
			for v := 2; v <= 4; v++ {
				r.put(v, Keep)
			}
			r.m.nudged()
			r.settle()
			assert.Equal(r, 1, r.count("start Close #1"))
			assert.Equal(r, 3, r.m.stat().Idle)
		}},
		{"a sweep hides one at a time and keeps the order", Config[int]{MaxOpen: 5}, func(r *rig) {
			r.rests(5)
			r.m.nudged()
			r.settles()
			assert.Equal(r, 1, r.mostHidden, "rule 3")
			for i, sl := range r.shelf {
				assert.Equal(r, i+1, sl.value)
			}
			r.m.leases(r.now)
			assert.Equal(r, 1, r.mostHidden, "rule 3")
			assert.Len(r, r.shelf, 5)
		}},
	})
}
