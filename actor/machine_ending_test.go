package actor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: CloseAll.

func TestMachineEnding(t *testing.T) {
	grace := 250 * time.Millisecond
	closeAll := func(r *rig) chan error {
		done := make(chan error, 1)
		r.m.closeAll(r.now, done)
		return done
	}
	result := func(r *rig) *CloseError {
		r.Helper()
		require.True(r, r.m.end.answered, "CloseAll has no answer")
		err, _ := r.m.result().(*CloseError)
		return err
	}
	playAll(t, []scene{
		{"an empty pool ends at once", Config[int]{}, func(r *rig) {
			closeAll(r)
			r.settles("shut")
			assert.Nil(r, result(r))
			assert.True(r, r.m.ended())
			assert.Equal(r, ErrClosed, <-closeAll(r))
		}},
		{"idle ones are closed, lent ones when they are put", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.rests(2)
			r.get("a")
			r.settle()
			r.did = nil
			closeAll(r)
			r.want("shut", "recall #1", "recall #2")
			r.settles("start Close #2")
			r.report(closeJob, nil)
			r.settle()
			assert.False(r, r.m.end.answered)
			assert.Equal(r, never, r.next)
			r.put(1, Clean)
			r.settles("start Close #1")
			r.report(closeJob, nil)
			r.settle()
			assert.Nil(r, result(r))
			assert.True(r, r.m.ended())
		}},
		{"who waits, comes or asks again gets ErrClosed", Config[int]{MaxOpen: 1, MinOpen: 1}, func(r *rig) {
			r.awaitFill("ready")
			r.getWith("k", Request{Key: "k"})
			r.get("a")
			r.settle()
			r.report(dialJob, nil)
			r.did = nil
			closeAll(r)
			r.want(refusal("k", ErrClosed), refusal("a", ErrClosed), refusal("ready", ErrClosed), "recall #1")
			r.get("b")
			r.again("a")
			r.getWith("c", Request{Key: "k"})
			r.awaitFill("d")
			r.want(refusal("b", ErrClosed), refusal("a", ErrClosed), refusal("c", ErrClosed), refusal("d", ErrClosed))
			r.cancel("b")
			r.settle()
			r.report(closeJob, nil)
			r.settle()
			assert.Nil(r, result(r))
		}},
		{"dials are cancelled and what they bring is closed", Config[int]{}, func(r *rig) {
			r.get("a")
			r.get("b")
			r.settle()
			r.did = nil
			closeAll(r)
			r.want(refusal("a", ErrClosed), refusal("b", ErrClosed), "cancel Open", "cancel Open")
			r.report(dialJob, context.Canceled)
			r.report(dialJob, nil)
			r.settles("start Close #1")
			assert.Zero(r, r.m.outage.failures)
			r.report(closeJob, nil)
			r.settle()
			assert.Nil(r, result(r))
		}},
		{"an Open that ignores its context is named, and what it brings is closed", Config[int]{}, func(r *rig) {
			r.get("a")
			r.settle()
			closeAll(r)
			r.settle()
			assert.Equal(r, grace, r.next)
			r.pass(grace)
			assert.Equal(r, []string{"Open"}, result(r).Hooks)
			assert.False(r, r.m.ended(), "rule 11: the supervisor outlives every helper")
			r.did = nil
			r.report(dialJob, nil)
			r.settles("start Close #1")
			assert.False(r, r.m.ended())
			r.report(closeJob, nil)
			r.settle()
			assert.True(r, r.m.ended())
			assert.Equal(r, []int{0, 0, 0}, []int{r.m.open, r.m.closing, r.m.dialing})
		}},
		{"a revoke kills what is lent and names it", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.opens("a", "b")
			r.getWith("k", Request{Key: "k"})
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.did = nil
			closeAll(r)
			r.settle()
			r.did = nil
			r.now = time.Second
			r.m.revoke(r.now, context.DeadlineExceeded)
			r.settles("start Kill #3", "start Kill #2", "start Kill #1")
			r.put(1, Keep) // late puts find nothing to give back
			r.put(3, Discard)
			r.settles()
			for range 3 {
				r.report(killJob, nil)
			}
			r.settles()
			err := result(r)
			assert.Equal(r, context.DeadlineExceeded, err.Err)
			assert.Len(r, err.Leases, 3)
			assert.Equal(r, LeaseInfo{ID: 3, Key: "k", Holders: 1, AtLeast: time.Second, Recalled: true}, err.Leases[2])
			assert.Empty(r, err.Hooks)
			assert.EqualValues(r, []uint64{3, 0}, []uint64{r.m.stats.revoked, r.m.stats.closed})
		}},
		{"a second revoke changes nothing", Config[int]{}, func(r *rig) {
			r.opens("a")
			closeAll(r)
			r.m.revoke(r.now, context.Canceled)
			r.m.revoke(r.now, context.DeadlineExceeded)
			r.settle()
			assert.Equal(r, 1, r.count("start Kill"))
			r.report(killJob, nil)
			r.settle()
			assert.Equal(r, context.Canceled, result(r).Err)
		}},
		{"a put that raced the end is closed, not revoked", Config[int]{}, func(r *rig) {
			r.rests(1)
			closeAll(r)
			r.did = nil
			r.m.revoke(r.now, context.Canceled)
			assert.Zero(r, r.count("start Kill"))
			assert.Equal(r, 1, r.count("start Close #1"))
			r.settle()
			r.report(closeJob, nil)
			r.settle()
			assert.Nil(r, result(r))
		}},
		{"hooks that hang are named at the end of the grace, those that just began are not", Config[int]{MaxOpen: 4, Clean: hook}, func(r *rig) {
			r.opens("a", "b", "c")
			r.put(1, Clean)
			r.put(2, Discard)
			r.get("d") // waits for 1
			r.get("e")
			r.settle()
			r.did = nil
			closeAll(r)
			assert.Equal(r, 1, r.count("cancel Open"))
			assert.Zero(r, r.count("cancel Clean"))
			r.m.revoke(r.now, context.DeadlineExceeded)
			assert.Equal(r, 1, r.count("cancel Clean"))
			r.settle()
			assert.Equal(r, grace, r.next)
			r.pass(grace - 1)
			assert.False(r, r.m.end.answered)
			r.pass(1)
			assert.ElementsMatch(r, []string{"Clean", "Close", "Open", "Kill"}, result(r).Hooks, "Kill is that of c")
			assert.Len(r, result(r).Leases, 1)
			r.report(killJob, nil)
			r.report(killJob, nil)
			r.report(closeJob, nil)
			r.report(dialJob, nil)
			r.report(cleanJob, nil)
			r.settle()
			assert.False(r, r.m.ended())
			r.report(closeJob, nil)
			r.report(closeJob, nil)
			r.settle()
			assert.True(r, r.m.ended())
			assert.EqualValues(r, []uint64{4, 3, 1}, []uint64{r.m.stats.opened, r.m.stats.closed, r.m.stats.revoked})
		}},
		{"a Clean under way may finish", Config[int]{Clean: hook}, func(r *rig) {
			r.opens("a")
			r.put(1, Clean)
			r.settle()
			closeAll(r)
			r.settle()
			assert.Zero(r, r.count("cancel"))
			r.report(cleanJob, nil)
			r.settle()
			assert.Equal(r, 1, r.count("start Close #1"))
			r.report(closeJob, nil)
			r.settle()
			assert.Nil(r, result(r))
		}},
	})
}
