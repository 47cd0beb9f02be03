package actor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: who is served, by what, and in which order.

func TestMachineServes(t *testing.T) {
	playAll(t, []scene{
		{"a put serves the first who waits", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			r.get("b")
			r.get("c")
			r.settles("shut")
			r.put(1, Keep)
			r.settles("grant b #1")
			r.put(1, Keep)
			r.settles("grant c #1", "open")
			assert.Empty(r, r.shelf)
			r.put(1, Keep)
			r.settles()
			assert.Len(r, r.shelf, 1)
		}},
		{"the shelf serves in the order it was filled", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.rests(3)
			r.get("a")
			r.get("b")
			r.settles("grant a #1", "grant b #2")
		}},
		{"who asks again keeps the old place", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			r.get("b")
			r.get("c")
			r.settle()
			r.put(1, Keep)
			r.settle()
			r.did = nil
			r.put(1, Discard) // b found it unfit
			r.again("b")
			r.settles("start Close #1")
			r.report(closeJob, nil)
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("grant b #2")
		}},
		{"a cancelled waiter is passed over", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			for _, n := range []string{"b", "c", "d"} {
				r.get(n)
			}
			r.settle()
			r.cancel("c")
			r.cancel("b")
			assert.Len(r, r.answers, 3)
			r.put(1, Keep)
			r.settle()
			assert.NotNil(r, r.answers[r.tickets["d"]].slot)
			assert.EqualValues(r, 2, r.m.stats.cancelled)
		}},
		{"a cancel behind the grant does nothing", Config[int]{MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			r.cancel("a")
			r.settles()
			assert.EqualValues(r, 0, r.m.stats.cancelled)
		}},
		{"a put that came while the gate was being shut is not passed by", Config[int]{MaxOpen: 2}, func(r *rig) {
			r.opens("a")
			sl := r.slot(1)
			r.between = func(what string) {
				if what == "shut" {
					r.shelf = append(r.shelf, sl) // a's put saw the gate open
				}
			}
			r.get("b")
			r.settles("shut", "grant b #1", "open") // and no dial
		}},
		{"nothing is laid on the shelf while the gate is shut", Config[int]{MaxOpen: 2, Look: keep}, func(r *rig) {
			r.rests(2)
			r.now += time.Second
			r.getWith("k", Request{Key: "k"})
			r.settles("shut", "start Look #1") // 2 stays on the shelf meanwhile
			raced := rigEffects{r}.take()      // as the desk does with what lies there
			raced.since = r.now
			r.put(raced.value, Keep)
			r.m.nudged()
			r.settles()
			assert.Equal(r, 1, r.m.hands.len())
			r.report(lookJob, nil)
			r.settles("grant k #1", "open")
			assert.Len(r, r.shelf, 1)
		}},
		{"what the shelf has no room for stays in the hands, and is lent from there", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.shelves = 1
			r.rests(3)
			assert.Equal(r, 2, r.m.hands.len())
			assert.Equal(r, 3, r.m.stat().Idle)
			for _, n := range []string{"a", "b", "c"} {
				r.get(n)
				r.settle()
			}
			assert.Equal(r, []int{0, 3}, []int{r.m.stat().Idle, r.m.stat().Leased})
			assert.Equal(r, 3, r.count("grant"))
		}},
	})
}

func keep(int) Verdict { return Keep }

func TestMachineDemand(t *testing.T) {
	playAll(t, []scene{
		{"one get is one dial", Config[int]{}, func(r *rig) {
			r.get("a")
			r.settles("shut", "start Open")
			r.settles()
			r.report(dialJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"as many dials as waiters, up to the limit", Config[int]{MaxOpen: 3}, func(r *rig) {
			for i := range 5 {
				r.get(fmt.Sprint(i))
			}
			r.settles("shut", "start Open", "start Open", "start Open")
		}},
		{"as many dials as may be under way", Config[int]{MaxOpen: 9, MaxDials: 2}, func(r *rig) {
			for i := range 5 {
				r.get(fmt.Sprint(i))
			}
			r.settles("shut", "start Open", "start Open")
			r.report(dialJob, nil)
			r.settles("grant 0 #1", "start Open")
		}},
		{"waiters of one key are one demand, of two keys two", Config[int]{MaxOpen: 9}, func(r *rig) {
			for i := range 6 {
				r.getWith(fmt.Sprint(i), Request{Key: i % 2})
			}
			r.get("unkeyed")
			r.settles("shut", "start Open", "start Open", "start Open")
		}},
		{"the dial of a waiter that is served otherwise counts for the next", Config[int]{}, func(r *rig) {
			r.opens("a")
			r.get("b")
			r.settles("shut", "start Open")
			r.put(1, Keep)
			r.settles("grant b #1", "open")
			r.get("c")
			r.settles("shut")
			r.report(dialJob, nil)
			r.settles("grant c #2", "open")
		}},
		{"what is being cleaned counts as coming, for the hedge", Config[int]{Clean: hook}, func(r *rig) {
			r.opens("a")
			r.put(1, Clean)
			r.get("b")
			r.settles("start Clean #1", "shut")
			assert.Equal(r, hedge, r.next)
			r.pass(hedge - 1)
			r.want()
			r.pass(1)
			r.want("start Open")
		}},
		{"a dial counts for the hedge", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.get("a")
			r.settles("shut", "start Open")
			assert.Equal(r, hedge, r.next)
			r.pass(hedge - 1)
			r.want()
			r.pass(1)
			r.want("start Open")
			r.report(dialJob, nil) // late, but still of use
			r.settles("grant a #1", "open")
		}},
		{"a hung dial takes no part in the dials under way", Config[int]{MaxDials: 1}, func(r *rig) {
			r.get("a")
			r.settle()
			r.get("b")
			r.settles("shut", "start Open")
			r.pass(hedge)
			r.want("start Open")
		}},
		{"a dial carries the context of the first it was not yet made for", Config[int]{MaxOpen: 3}, func(r *rig) {
			r.get("a")
			r.settle()
			r.get("b")
			r.settle()
			assert.Equal(r, "a", r.running[0].cause.Value(rigKey{}))
			assert.Equal(r, "b", r.running[1].cause.Value(rigKey{}))
			r.pass(hedge)
			assert.Nil(r, r.running[2].cause, "nobody is left without a dial of his")
		}},
		{"nobody waits, nothing is dialed", Config[int]{}, func(r *rig) {
			r.opens("a")
			r.put(1, Discard)
			r.settles("start Close #1")
			r.report(closeJob, nil)
			r.settles()
			assert.Equal(r, never, r.next)
		}},
	})
}

func hook(context.Context, int) error { return nil }

func TestMachineVerdicts(t *testing.T) {
	both := Config[int]{Clean: hook, Check: hook}
	for _, c := range []struct {
		name    string
		config  Config[int]
		verdict Verdict
		want    string // what is started
	}{
		{"keep", both, Keep, ""},
		{"clean", both, Clean, "start Clean #1"},
		{"check", both, Check, "start Check #1"},
		{"discard", both, Discard, "start Close #1"},
		{"clean without Clean", Config[int]{Check: hook}, Clean, "start Close #1"},
		{"check without Check", Config[int]{Clean: hook}, Check, "start Close #1"},
		{"a verdict that is none", both, 77, "start Close #1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.config)
			r.opens("a")
			r.put(1, c.verdict)
			r.settle()
			if c.want == "" {
				r.want()
				assert.Len(t, r.shelf, 1)
				return
			}
			r.want(c.want)
			assert.Empty(t, r.shelf)
		})
	}
}

func TestMachineMends(t *testing.T) {
	for _, k := range []struct {
		kind    jobKind
		verdict Verdict
	}{{cleanJob, Clean}, {checkJob, Check}} {
		cfg := Config[int]{MaxOpen: 1, Clean: hook, Check: hook}
		t.Run(jobNames[k.kind]+" fits it for the next", func(t *testing.T) {
			r := newRig(t, cfg)
			r.opens("a")
			r.put(1, k.verdict)
			r.settle()
			r.now = time.Second
			r.report(k.kind, nil)
			r.settle()
			assert.Len(t, r.shelf, 1)
			assert.Equal(t, time.Second, r.slot(1).since, "its rest begins when it is mended")
		})
		t.Run(jobNames[k.kind]+" fails", func(t *testing.T) {
			r := newRig(t, cfg)
			r.opens("a")
			r.put(1, k.verdict)
			r.settle()
			r.did = nil
			r.report(k.kind, context.Canceled)
			r.settles("start Close #1")
		})
		t.Run(jobNames[k.kind]+" ends after a reset", func(t *testing.T) {
			r := newRig(t, cfg)
			r.opens("a")
			r.put(1, k.verdict)
			r.m.reset()
			r.settle()
			r.did = nil
			r.report(k.kind, nil)
			r.settles("start Close #1")
		})
	}
}

func TestMachineFirstFill(t *testing.T) {
	cfg := Config[int]{MaxOpen: 4, MinOpen: 3, MaxDials: 2}
	playAll(t, []scene{
		{"opens MinOpen, and then tells", cfg, func(r *rig) {
			r.want("start Open", "start Open")
			assert.Nil(r, r.running[0].cause)
			r.awaitFill("ready")
			r.report(dialJob, nil)
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles()
			r.report(dialJob, nil)
			r.settles("refuse ready: <nil>")
			assert.Len(r, r.shelf, 3)
			r.awaitFill("later")
			r.settles("refuse later: <nil>")
		}},
		{"counts what waiters have taken", cfg, func(r *rig) {
			r.get("a")
			r.report(dialJob, nil)
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.report(dialJob, nil)
			r.awaitFill("ready")
			r.did = nil
			r.settles("refuse ready: <nil>")
		}},
		{"those who wait are refused in an outage, and it is tried again later", cfg, func(r *rig) {
			r.awaitFill("ready")
			r.report(dialJob, errServer)
			r.did = nil
			r.settles() // the other may still come
			r.report(dialJob, errServer)
			r.settles(refusal("ready", unavailable(errServer)))
			a := r.answers[r.tickets["ready"]]
			assert.ErrorIs(r, a.err, ErrUnavailable)
			assert.ErrorIs(r, a.err, errServer)
			assert.Equal(r, time.Minute, r.next, "CheckPeriod, not the backoff: nobody waits")
			r.pass(time.Minute - 1)
			r.want()
			r.pass(1)
			r.want("start Open")
		}},
		{"a cancel is told how things stand", cfg, func(r *rig) {
			r.awaitFill("ready")
			r.settle()
			r.cancel("ready")
			var w *WaitError
			require.ErrorAs(r, r.answers[r.tickets["ready"]].err, &w)
			for range 3 {
				r.report(dialJob, nil)
				r.settle()
			}
		}},
		{"goes on after a reset", cfg, func(r *rig) {
			r.awaitFill("ready")
			r.m.reset()
			r.did = nil
			r.settle()
			r.report(dialJob, context.Canceled)
			r.report(dialJob, context.Canceled)
			r.settles("start Open", "start Open")
			assert.NotContains(r, r.answers, r.tickets["ready"])
		}},
	})
}
