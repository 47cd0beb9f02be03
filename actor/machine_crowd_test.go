package actor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: who would be one too many to wait, and who has waited too
// long.

func TestMachineMaxWaiting(t *testing.T) {
	gets := func(r *rig, from, to int) {
		for i := from; i < to; i++ {
			r.get(fmt.Sprint(i))
		}
	}
	// refused are those who were told that there are too many.
	refused := func(r *rig) (names []string) {
		for i := range 100 {
			if a, ok := r.answers[r.tickets[fmt.Sprint(i)]]; ok && errors.Is(a.err, ErrTooManyWaiting) {
				names = append(names, fmt.Sprint(i))
			}
		}
		return names
	}
	playAll(t, []scene{
		{"refuses the newcomer", Config[int]{MaxOpen: 1, MaxWaiting: 2}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 2)
			r.settles("shut")
			gets(r, 2, 3)
			r.settles(refusal("2", ErrTooManyWaiting))
			r.put(1, Keep)
			gets(r, 3, 5)
			r.settles("grant 0 #1", refusal("4", ErrTooManyWaiting))
			assert.EqualValues(r, 2, r.m.stats.refused)
		}},
		{"of newcomers the last", Config[int]{MaxOpen: 1, MaxWaiting: 2}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 6)
			r.settle()
			assert.Equal(r, []string{"2", "3", "4", "5"}, refused(r))
			assert.Equal(r, 2, r.m.queue.len)
		}},
		{"a cold start of as many as there may be is not refused", Config[int]{MaxOpen: 4, MaxWaiting: 1}, func(r *rig) {
			gets(r, 0, 6)
			r.settle()
			assert.Equal(r, []string{"5"}, refused(r))
			assert.Equal(r, 4, r.count("start Open"))
		}},
		{"nor those whom MaxDials holds back", Config[int]{MaxOpen: 4, MaxWaiting: 1, MaxDials: 1}, func(r *rig) {
			gets(r, 0, 6)
			r.settle()
			assert.Equal(r, []string{"5"}, refused(r))
			gets(r, 6, 7)
			r.settle()
			assert.Equal(r, []string{"5", "6"}, refused(r))
		}},
		{"what is being cleaned is coming", Config[int]{MaxOpen: 1, MaxWaiting: 1, Clean: hook}, func(r *rig) {
			r.opens("x")
			r.put(1, Clean)
			gets(r, 0, 3)
			r.settle()
			assert.Equal(r, []string{"2"}, refused(r))
		}},
		{"who has waited goes on when what was coming does not come", Config[int]{MaxOpen: 2, MaxWaiting: 1}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 2)
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			assert.Empty(r, refused(r))
			assert.Equal(r, 2, r.m.queue.len)
			gets(r, 2, 3)
			r.settle()
			assert.Equal(r, []string{"2"}, refused(r), "a place is free, but dials are held back")
		}},
		{"who has waited goes on when fewer may be", Config[int]{MaxOpen: 4, MaxWaiting: 1}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 3)
			r.settle()
			r.m.reset()
			r.resize(0, 1)
			r.settle()
			assert.Empty(r, refused(r))
			assert.Equal(r, 3, r.m.queue.len)
		}},
		{"who asks again keeps its place", Config[int]{MaxOpen: 1, MaxWaiting: 1}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 1)
			r.settle()
			r.put(1, Keep)
			r.settle()
			gets(r, 1, 2)
			r.settle()
			r.again("0")
			r.put(1, Discard)
			r.settle()
			assert.Empty(r, refused(r))
			gets(r, 2, 3)
			r.settle()
			assert.Equal(r, []string{"2"}, refused(r))
		}},
		{"who does not wait is not counted, nor who waits for something else", Config[int]{MaxOpen: 1, MaxWaiting: 1}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 1)
			r.getWith("99", Request{Patience: TryOnly})
			r.awaitFill("ready")
			r.settle()
			assert.Equal(r, ErrExhausted, r.answers[r.tickets["99"]].err)
			assert.Empty(r, refused(r))
			assert.Equal(r, 1, r.m.queue.len)
		}},
		{"a key is refused like any other", Config[int]{MaxOpen: 1, MaxWaiting: 1}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 1)
			r.getWith("k", Request{Key: "k"})
			r.settles("shut", refusal("k", ErrTooManyWaiting))
			assert.Empty(r, r.m.keys)
		}},
		{"a pause lets no more wait", Config[int]{MaxOpen: 4, MaxWaiting: 1}, func(r *rig) {
			r.pause("p")
			gets(r, 0, 3)
			r.settle()
			assert.Equal(r, []string{"1", "2"}, refused(r))
		}},
		{"nor does an outage", Config[int]{MaxOpen: 4, MaxWaiting: 1, Outage: WaitForServer}, func(r *rig) {
			gets(r, 0, 1)
			r.settle()
			r.report(dialJob, errServer)
			gets(r, 1, 3)
			r.settle()
			assert.Equal(r, []string{"1", "2"}, refused(r))
			r.now = r.next
			r.settle() // the probe
			gets(r, 3, 5)
			r.settle()
			assert.Equal(r, []string{"1", "2", "4"}, refused(r), "one waits for what is coming")
		}},
		{"zero is no limit", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("x")
			gets(r, 0, 100)
			r.settle()
			assert.Empty(r, refused(r))
		}},
	})
}

func TestMachineGetTimeout(t *testing.T) {
	second := time.Second
	cfg := Config[int]{MaxOpen: 1, GetTimeout: second}
	late := func(r *rig, name string) *WaitError {
		r.Helper()
		var w *WaitError
		require.ErrorAs(r, r.answers[r.tickets[name]].err, &w, name)
		assert.Equal(r, ErrTimeout, w.Err)
		return w
	}
	playAll(t, []scene{
		{"exactly on time, in order", cfg, func(r *rig) {
			r.opens("x")
			r.get("a")
			r.getWith("k", Request{Key: "k"})
			r.pass(second / 2)
			assert.Equal(r, second, r.next)
			r.get("b")
			r.pass(second/2 - 1)
			assert.NotContains(r, r.answers, r.tickets["a"])
			r.did = nil
			r.pass(1)
			assert.Equal(r, 2, len(r.did))
			assert.Equal(r, []int{2, 1}, []int{r.count("refuse"), r.m.queue.len})
			assert.Contains(r, r.did[0], "refuse a")
			w := late(r, "a")
			assert.Equal(r, []any{second, 1, 1, 2}, []any{w.Waited, w.Limit, w.Leased, w.Waiting})
			assert.ErrorIs(r, w, context.DeadlineExceeded)
			assert.ErrorIs(r, w, ErrTimeout)
			assert.ErrorIs(r, w, ErrExhausted)
			late(r, "k")
			assert.Empty(r, r.m.keys)
			assert.Equal(r, second+second/2, r.next)
			r.pass(second / 2)
			late(r, "b")
			assert.False(r, r.gate)
			assert.EqualValues(r, 3, r.m.stats.cancelled)
			assert.EqualValues(r, 0, r.m.stats.refused)
			assert.Equal(r, never, r.next)
		}},
		{"not for who is served at that moment", cfg, func(r *rig) {
			r.opens("x")
			r.get("a")
			r.settle()
			r.did = nil
			r.now = second
			r.put(1, Keep)
			r.settles("grant a #1", "open")
		}},
		{"nor for who is refused", Config[int]{MaxOpen: 1, GetTimeout: 10 * second}, func(r *rig) {
			r.get("a")
			r.settle()
			r.did = nil
			r.now = 10 * second
			r.report(dialJob, errServer)
			r.settles(refusal("a", unavailable(errServer)), "open")
		}},
		{"the time of who asks again goes on", cfg, func(r *rig) {
			r.opens("x")
			r.get("a")
			r.settle()
			r.pass(second / 2)
			r.put(1, Keep)
			r.settle()
			r.put(1, Discard)
			r.again("a")
			r.settle()
			assert.Equal(r, second, r.next)
			r.pass(second / 2)
			late(r, "a")
		}},
		{"in an outage the cause is the failure", Config[int]{MaxOpen: 1, GetTimeout: second, Outage: WaitForServer, BackoffMin: time.Hour, BackoffMax: time.Hour}, func(r *rig) {
			r.get("a")
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			r.pass(second)
			assert.ErrorIs(r, late(r, "a"), errServer)
		}},
		{"in a pause the cause is the pause", cfg, func(r *rig) {
			r.pause("p")
			r.get("a")
			r.settle()
			r.pass(second)
			assert.Equal(r, ErrPaused, late(r, "a").Cause)
		}},
		{"not for Ready, nor for Pause", Config[int]{MaxOpen: 2, MinOpen: 2, GetTimeout: second}, func(r *rig) {
			r.report(dialJob, nil)
			r.settle()
			r.lends()
			r.awaitFill("ready")
			r.pause("p")
			r.settle()
			r.did = nil
			r.pass(second)
			r.want()
		}},
		{"one that hangs in a look for its key", Config[int]{MaxOpen: 1, GetTimeout: second, Look: keep}, func(r *rig) {
			r.rests(1)
			r.now = 10 * second
			r.getWith("a", Request{Key: "k"})
			r.settle()
			r.pass(second)
			late(r, "a")
			r.did = nil
			r.report(lookJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 1)
		}},
		{"zero is no limit", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("x")
			r.get("a")
			r.settle()
			assert.Equal(r, never, r.next)
		}},
	})
}
