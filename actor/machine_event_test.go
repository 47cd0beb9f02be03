package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The machine alone: what OnEvent is told, and why.

// tells compares the events since the last call, as text.
func (r *rig) tells(events ...string) {
	r.Helper()
	var got []string
	for _, e := range r.events {
		got = append(got, e.String())
	}
	r.events = nil
	assert.Equal(r, events, got)
}

func TestMachineTells(t *testing.T) {
	told := func(cfg Config[int]) Config[int] {
		cfg.OnEvent = func(Event) {}
		return cfg
	}
	playAll(t, []scene{
		{"nobody, where nobody listens", Config[int]{}, func(r *rig) {
			r.opens("a")
			r.put(1, Discard)
			assert.Empty(r, r.events)
		}},
		{"of a life, in order", told(Config[int]{Clean: hook}), func(r *rig) {
			r.opens("a")
			r.put(1, Clean)
			r.settle()
			j := r.running[0]
			j.cleaned = true
			r.report(cleanJob, nil)
			r.settle()
			r.lends()
			r.put(1, Discard)
			r.settle()
			r.tells("opened #1 (1)", "cleaned #1")
			r.report(closeJob, errServer)
			r.tells("closed #1: discarded: " + errServer.Error())
		}},
		{"of what was wrong", told(Config[int]{MaxOpen: 4, Clean: hook, Check: hook, Look: keep}), func(r *rig) {
			r.opens("a", "b", "c", "d")
			r.events = nil
			r.put(1, Clean)
			r.report(cleanJob, errServer)
			r.m.put(r.now, r.slot(2), Discard, ReasonBroken)
			r.m.put(r.now, r.slot(3), Discard, ReasonRefused)
			r.m.put(r.now, r.slot(4), Discard, ReasonPanicked)
			for range 4 {
				r.report(closeJob, nil)
			}
			r.tells("closed #1: unfit: "+errServer.Error(), "closed #2: broken", "closed #3: refused by Prepare", "closed #4: a hook panicked")
		}},
		{"of what a look for a key found", told(Config[int]{MaxOpen: 1, Prepare: prepareNothing}), func(r *rig) {
			closed := []string{}
			for _, err := range []error{errBroken, errRefused, errUnfit, errServer} {
				r.getWith("k", Request{Key: "k"})
				r.settle()
				r.report(dialJob, nil)
				r.settle()
				r.report(lookJob, err)
				r.cancel("k")
				r.settle()
				r.events = nil
				r.report(closeJob, nil)
				closed = append(closed, r.events[0].Reason.String())
			}
			assert.Equal(r, []string{"broken", "refused by Prepare", "unfit", "unfit"}, closed)
			assert.Equal(r, errServer, r.events[0].Err)
		}},
		{"of age and rest", told(Config[int]{MaxOpen: 3, MaxAge: time.Hour, MaxRest: time.Minute, CheckPeriod: time.Minute}), func(r *rig) {
			r.opens("a", "b")
			r.put(1, Keep)
			r.settle()
			r.events = nil
			r.pass(time.Minute)
			r.report(closeJob, nil)
			r.pass(time.Hour)
			r.put(2, Keep)
			r.report(closeJob, nil)
			r.tells("closed #1: not needed", "closed #2: expired")
		}},
		{"of what is idle and too many", told(Config[int]{MaxOpen: 3, MaxIdle: 1}), func(r *rig) {
			r.opens("a", "b")
			r.put(1, Keep)
			r.put(2, Keep)
			r.settle()
			r.events = nil
			r.report(closeJob, nil)
			r.tells("closed #2: too many")
		}},
		{"of Resize, Reset, Pause and their ends", told(Config[int]{MaxOpen: 3}), func(r *rig) {
			r.rests(2)
			r.events = nil
			r.resize(0, 1)
			r.settle()
			r.report(closeJob, nil)
			r.m.reset()
			r.settle()
			r.report(closeJob, nil)
			r.pause("one")
			r.pause("two")
			r.m.resume()
			r.m.resume()
			r.tells("resized (1)", "closed #1: too many", "reset", "closed #2: reset",
				"paused", "resumed", "refused: "+ErrResumed.Error(), "refused: "+ErrResumed.Error())
			r.get("a")
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.events = nil
			r.pause("three")
			r.cancel("three")
			assert.Equal(r, []EventKind{EventPaused, EventResumed, EventCancelled}, []EventKind{r.events[0].Kind, r.events[1].Kind, r.events[2].Kind})
		}},
		{"of an outage", told(Config[int]{}), func(r *rig) {
			r.get("a")
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			r.tells("open failed: "+errServer.Error(), "outage began: "+errServer.Error(), "refused: "+unavailable(errServer).Error())
			r.pass(time.Second)
			r.get("a")
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			r.pass(time.Second)
			r.get("a")
			r.settle()
			r.events = nil
			r.report(dialJob, nil)
			r.settle()
			r.tells("opened #1 (1)", "outage ended (2)")
		}},
		{"of a helper that ignores its context", told(Config[int]{Clean: hook}), func(r *rig) {
			r.opens("a")
			r.put(1, Clean)
			r.pass(time.Minute)
			r.report(cleanJob, nil)
			r.settle()
			r.events = nil
			r.report(closeJob, nil)
			r.tells("closed #1: a hook ignored its context")
		}},
		{"of an Open that comes too late", told(Config[int]{}), func(r *rig) {
			r.get("a")
			r.settle()
			r.pass(time.Hour)
			r.report(dialJob, nil)
			r.report(closeJob, nil)
			r.tells("opened #1 (1)", "closed #1: opened too late")
		}},
		{"of who waits in vain", told(Config[int]{MaxOpen: 1, GetTimeout: time.Second}), func(r *rig) {
			r.opens("a")
			r.events = nil
			r.get("b")
			r.get("c")
			r.settle()
			r.cancel("b")
			r.pass(time.Second)
			r.getWith("d", Request{Patience: TryOnly})
			r.getWith("e", Request{Patience: NoWait})
			r.settle()
			const stood = "(1 leased of 1, 0 others waiting, oldest lease at least 1s)"
			r.tells("cancelled: gave up after 0s: pool exhausted (1 leased of 1, 1 others waiting, oldest lease at least 0s)",
				"cancelled: get timed out: context deadline exceeded after 1s: pool exhausted "+stood,
				"refused: pool exhausted", "refused: pool exhausted (1 leased of 1, 0 others waiting, oldest lease at least 0s)")
			assert.Nil(r, r.answers[r.tickets["b"]].err.(*WaitError).Err, "the borrower's own to complete")
		}},
		{"of what is taken, and taken away", told(Config[int]{MaxOpen: 3, MaxLease: time.Minute}), func(r *rig) {
			r.opens("a", "b")
			r.getWith("k", Request{Key: "k"})
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.events = nil
			assert.NoError(r, r.m.taken(r.now, r.slot(1)))
			r.pass(time.Second)
			r.m.takeAway(r.now, r.slot(3))
			r.pass(time.Hour)
			r.tells("taken #1", "revoked #3 key k for at least 1s: used after the end of its lease", "revoked #2 for at least 1h0m1s: held too long")
		}},
		{"of the end", told(Config[int]{MaxOpen: 3}), func(r *rig) {
			r.opens("a", "b")
			r.put(1, Keep)
			r.settle()
			r.events = nil
			r.m.closeAll(r.now, make(chan error, 1))
			r.m.closeAll(r.now, make(chan error, 1))
			r.get("late")
			r.settle()
			r.m.revoke(r.now, errServer)
			for len(r.running) > 0 {
				r.report(r.running[0].kind, nil)
			}
			assert.Equal(r, []EventKind{EventClosing, EventRefused}, []EventKind{r.events[0].Kind, r.events[1].Kind})
			for _, e := range r.events[2:] {
				assert.Equal(r, ReasonClosing, e.Reason, "%v", e)
			}
		}},
		{"of a lease that is lost, once", told(Config[int]{Track: true}), func(r *rig) {
			k := func(name string) *origin {
				o := &origin{label: name}
				r.tickets[name] = &ticket[int]{key: "k", origin: o}
				r.m.get(r.now, r.tickets[name])
				return o
			}
			a, b := k("a"), k("b")
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.events = nil
			r.m.lost(r.now, r.slot(1), b)
			r.m.lost(r.now, r.slot(1), b)
			l := r.events[0].Lease
			assert.Equal(r, b, l.by)
			assert.Equal(r, []Holder{{by: a}}, l.Others)
			assert.True(r, l.Leaked)
			assert.Len(r, r.events, 1)
			r.m.giveBack(r.now, r.slot(1), Keep, a)
			r.m.lost(r.now, r.slot(1), a)
			assert.Len(r, r.events, 1, "it was put")
			assert.EqualValues(r, 1, r.m.stats.leaked)
		}},
	})
}

func TestEventNames(t *testing.T) {
	for k := EventOpened; k <= EventEnded; k++ {
		assert.NotEmpty(t, k.String())
	}
	for r := ReasonNone; r <= ReasonUsed; r++ {
		assert.NotEmpty(t, r.String())
	}
	assert.Equal(t, "unknown event", EventKind(0).String())
	assert.Equal(t, "unknown event", (EventEnded + 1).String())
	assert.Equal(t, "unknown reason", (ReasonUsed + 1).String())
	panicked := Event{Kind: EventOpenFailed, Err: panicError("Open", "no")}
	assert.Equal(t, "open failed: Open panicked: no", panicked.String(), "one line, without the stack")
	assert.EqualError(t, whole(errServer, errUnfit), errServer.Error()+"; unfit")
}
