package actor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: requests that do not wait.

func TestMachinePatience(t *testing.T) {
	refused := func(r *rig, name string) {
		r.Helper()
		assert.ErrorIs(r, r.answers[r.tickets[name]].err, ErrExhausted, name)
	}
	playAll(t, []scene{
		{"TryOnly does not dial", Config[int]{}, func(r *rig) {
			r.getWith("a", Request{Patience: TryOnly})
			r.settles("shut", refusal("a", ErrExhausted), "open")
			assert.EqualValues(r, 1, r.m.stats.refused)
		}},
		{"TryOnly with a key does not dial", Config[int]{}, func(r *rig) {
			r.getWith("a", Request{Patience: TryOnly, Key: "k"})
			r.settles("shut", refusal("a", ErrExhausted), "open")
			assert.Empty(r, r.m.keys)
		}},
		{"TryOnly takes what is idle", Config[int]{}, func(r *rig) {
			r.rests(1)
			r.getWith("a", Request{Patience: TryOnly})
			r.settles("grant a #1")
		}},
		{"TryOnly does not take what is coming", Config[int]{}, func(r *rig) {
			r.get("a")
			r.settle()
			r.getWith("b", Request{Patience: TryOnly})
			r.settle()
			refused(r, "b")
			assert.Equal(r, 1, r.m.dialing)
		}},
		{"NoWait waits for a dial", Config[int]{}, func(r *rig) {
			r.getWith("a", Request{Patience: NoWait})
			r.settles("shut", "start Open")
			r.report(dialJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"NoWait waits for what is being cleaned", Config[int]{MaxOpen: 1, Clean: hook}, func(r *rig) {
			r.opens("a")
			r.put(1, Clean)
			r.settle()
			r.getWith("b", Request{Patience: NoWait})
			r.settle()
			r.report(cleanJob, nil)
			r.did = nil
			r.settles("grant b #1", "open")
		}},
		{"NoWait does not wait for a borrower", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			r.getWith("b", Request{Patience: NoWait})
			r.settles("shut", refusal("b", ErrExhausted), "open")
		}},
		{"NoWait does not take what is coming for those before it", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.get("a")
			r.settle()
			r.getWith("b", Request{Patience: NoWait})
			r.settle()
			refused(r, "b")
		}},
		{"NoWait keeps what is coming when others come behind it", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.getWith("a", Request{Patience: NoWait})
			r.settle()
			r.get("b")
			r.getWith("c", Request{Patience: NoWait})
			r.settle()
			refused(r, "c")
			r.report(dialJob, nil)
			r.did = nil
			r.settles("grant a #1")
		}},
		{"of several NoWait the first are served", Config[int]{MaxOpen: 2}, func(r *rig) {
			for i := range 4 {
				r.getWith(fmt.Sprint(i), Request{Patience: NoWait})
			}
			r.settle()
			refused(r, "2")
			refused(r, "3")
			r.report(dialJob, nil)
			r.report(dialJob, nil)
			r.settle()
			assert.NotNil(r, r.answers[r.tickets["0"]].slot)
			assert.NotNil(r, r.answers[r.tickets["1"]].slot)
		}},
		{"NoWait of one key shares one place", Config[int]{MaxOpen: 1}, func(r *rig) {
			for i := range 3 {
				r.getWith(fmt.Sprint(i), Request{Patience: NoWait, Key: "k"})
			}
			r.getWith("other", Request{Patience: NoWait, Key: "j"})
			r.settles("shut", refusal("other", ErrExhausted), "start Open")
			r.report(dialJob, nil)
			r.settles("grant 0 #1", "grant 1 #1", "grant 2 #1", "open")
		}},
		{"NoWait takes the place of what it waited for", Config[int]{MaxOpen: 1, Clean: hook}, func(r *rig) {
			r.opens("a")
			r.put(1, Clean)
			r.getWith("b", Request{Patience: NoWait})
			r.settle()
			r.report(cleanJob, context.Canceled)
			r.settle()
			r.report(closeJob, nil)
			r.did = nil
			r.settles("start Open")
		}},
		{"the next request on a ticket given up in haste may wait", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			r.getWith("b", Request{Patience: NoWait})
			r.cancel("b")
			r.reuse("b", &ticket[int]{ctx: context.Background()})
			r.settle()
			require.NotContains(r, r.answers, r.tickets["b"])
		}},
		{"the next request on such a ticket may be for the first fill", Config[int]{MaxOpen: 1, MinOpen: 1}, func(r *rig) {
			r.getWith("a", Request{Patience: TryOnly})
			r.cancel("a")
			r.reuse("a", &ticket[int]{asks: forMinimum})
			r.get("b")
			r.settle()
			require.NotContains(r, r.answers, r.tickets["a"])
		}},
	})
}

func TestMachineLooksOnceForAllWhoGiveUpTogether(t *testing.T) {
	playAll(t, []scene{{"with Track", Config[int]{MaxOpen: 2, Track: true}, func(r *rig) {
		blamed := func(name string) []LeaseInfo {
			r.cancel(name)
			var e *WaitError
			require.ErrorAs(r, r.answers[r.tickets[name]].err, &e)
			require.Len(r, e.Leases, e.Leased)
			return e.Leases
		}
		r.opens("a", "b")
		r.get("c")
		r.get("d")
		r.get("e")
		r.get("f")
		r.settle()
		r.pass(time.Second)
		first, second := blamed("c"), blamed("d")
		assert.Same(r, &first[0], &second[0])
		r.settle()
		r.pass(time.Second)
		third := blamed("e")
		assert.Equal(r, first[0].AtLeast+time.Second, third[0].AtLeast, "who gives up later is told how things stand then")
		r.put(1, Keep)
		assert.Len(r, blamed("f"), 1, "who gives up after a put too")
	}}})
}
