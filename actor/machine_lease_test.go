package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: MaxLease, and the gate that is shut for good.

func TestMachineMaxLease(t *testing.T) {
	second := time.Second
	limited := Config[int]{MaxLease: second}
	two := Config[int]{MaxLease: second, MaxOpen: 2}
	shared := func(r *rig) Request { // by a and b
		k := Request{Key: "k"}
		r.getWith("a", k)
		r.getWith("b", k)
		r.settle()
		r.report(dialJob, nil)
		r.settle()
		return k
	}
	playAll(t, []scene{
		{"the gate is shut, and what is put stays at the desk", limited, func(r *rig) {
			r.want("shut")
			r.opens("a")
			r.put(1, Keep)
			r.settles()
			assert.Equal(r, 1, r.m.idle())
			r.get("b")
			r.settles("grant b #1")
			assert.Equal(r, r.now+second, r.next)
		}},
		{"what is held too long is killed, and its place goes to who waits", Config[int]{MaxLease: second, MaxOpen: 1}, func(r *rig) {
			r.opens("a")
			r.get("b")
			r.pass(second - 1)
			r.want()
			r.pass(1)
			r.want("start Kill #1")
			require.True(r, isClosed(r.slot(1).gone))
			assert.Equal(r, &RevokedError{Reason: ReasonHeld, Held: second}, r.slot(1).fate)
			r.report(killJob, nil)
			r.settles("start Open")
			r.put(1, Keep) // late: it changes nothing
			r.settles()
			r.report(dialJob, nil)
			r.settles("grant b #2")
			assert.EqualValues(r, []uint64{2, 0, 1}, []uint64{r.m.stats.opened, r.m.stats.closed, r.m.stats.revoked})
		}},
		{"a put at that moment comes first", limited, func(r *rig) {
			r.opens("a")
			r.now += second
			r.put(1, Keep)
			r.settles()
			assert.Zero(r, r.m.stats.revoked)
			assert.Equal(r, never, r.next, "nothing is lent: the timer rests")
		}},
		{"each lease has its own time, anew with each get", two, func(r *rig) {
			r.opens("a")
			r.now += second / 2
			r.opens("b")
			r.put(1, Keep)
			r.get("c")
			r.settles("grant c #1")
			r.pass(second / 2) // a's would have been over
			r.want()
			assert.Equal(r, 3*second/2, r.next)
			r.pass(second / 2)
			r.want("start Kill #2", "start Kill #1")
		}},
		{"a key has it since it was bound, whoever comes later", two, func(r *rig) {
			k := Request{Key: "k"}
			r.getWith("a", k)
			r.settle()
			r.report(dialJob, nil)
			r.settle()
			r.did = nil
			r.pass(second / 2)
			r.getWith("b", k)
			r.settles("grant b #1")
			r.pass(second / 2)
			r.want("start Kill #1")
			r.put(1, Keep)
			assert.Equal(r, 1, r.m.keys["k"].holders, "until all have put it")
			for _, q := range []Request{k, {Key: "k", Patience: NoWait}, {Key: "k", Patience: TryOnly}} {
				r.getWith("c", q)
				r.settles(refusal("c", &RevokedError{Reason: ReasonHeld, Held: second}))
			}
			assert.Equal(r, 1, r.m.keys["k"].holders, "whoever comes")
			r.put(1, Keep)
			r.getWith("c", k)
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("grant c #2")
			assert.Equal(r, 1, r.m.keys["k"].holders)
		}},
		{"who never puts it keeps the key for as long again", two, func(r *rig) {
			k := shared(r)
			r.pass(second)
			r.report(killJob, nil)
			r.settle()
			assert.Equal(r, 2*second, r.next)
			r.pass(second - 1)
			r.did = nil
			r.getWith("c", k)
			r.want(refusal("c", &RevokedError{Reason: ReasonHeld, Held: second}))
			r.pass(1)
			assert.Equal(r, never, r.next, "the timer rests")
			assert.Empty(r, r.m.keys)
			r.getWith("c", k)
			r.settles("start Open")
			r.report(dialJob, nil)
			r.settles("grant c #2")
			for range 2 { // late
				r.put(1, Discard)
				r.m.takeAway(r.now, r.slot(1))
				r.m.giveBack(r.now, r.slot(1), Discard, &origin{})
				assert.ErrorIs(r, r.m.taken(r.now, r.slot(1)), ErrRevoked)
			}
			r.settles()
			assert.Equal(r, 1, r.m.keys["k"].holders)
			assert.Same(r, r.slot(2), r.m.keys["k"].slot)
			r.put(2, Keep)
			r.settles()
			assert.Empty(r, r.m.keys)
			assert.EqualValues(r, []uint64{2, 0, 1}, []uint64{r.m.stats.opened, r.m.stats.closed, r.m.stats.revoked})
		}},
		{"so does who holds what another's turn has cost", two, func(r *rig) {
			shared(r)
			r.pass(second / 2)
			r.m.takeAway(r.now, r.slot(1))
			r.settle()
			assert.Equal(r, 1, r.m.keys["k"].holders)
			r.pass(second - 1)
			assert.NotEmpty(r, r.m.keys)
			r.pass(1)
			assert.Empty(r, r.m.keys)
		}},
		{"a key that is free again may be bound, and killed, and bound again", two, func(r *rig) {
			k := Request{Key: "k"}
			for id := range 3 {
				r.getWith("a", k)
				r.settle()
				r.report(dialJob, nil)
				r.settle()
				assert.Same(r, r.slot(id+1), r.m.keys["k"].slot)
				r.pass(second)
				r.report(killJob, nil)
				r.pass(second)
				assert.Empty(r, r.m.keys)
			}
			r.did = nil
			for id := range 3 {
				r.put(id+1, Keep)
			}
			r.settles()
			assert.Equal(r, []int{0, 0, 0}, []int{r.m.open, r.m.usable, r.m.closing})
		}},
		{"what is recalled, or lent in a pause or at the end, too", Config[int]{MaxLease: second, MaxOpen: 3}, func(r *rig) {
			r.opens("a", "b")
			r.m.reset()
			r.pause("quiet")
			r.did = nil
			r.pass(second)
			r.want("start Kill #2", "start Kill #1", "refuse quiet: <nil>")
			assert.Zero(r, r.m.usable)
			r.m.resume()
			r.opens("c")
			r.m.closeAll(r.now, make(chan error, 1))
			r.settle()
			r.pass(second)
			assert.Equal(r, 1, r.count("start Kill #3"))
			for range 3 {
				r.report(killJob, nil)
			}
			r.settle()
			assert.NoError(r, r.m.result(), "CloseAll has revoked nothing")
		}},
		{"a slot that Prepare had for too long is not mended", Config[int]{MaxLease: second, Prepare: prepareNothing, Check: hook}, func(r *rig) {
			r.opens("a")
			r.pass(second)
			r.want("start Kill #1")
			r.tickets["a"].brings = brought[int]{r.slot(1), Check}
			r.again("a")
			r.settles("start Open")
			assert.Nil(r, r.tickets["a"].wait.mends)
		}},
		{"a Take at that moment is too late", limited, func(r *rig) {
			r.opens("a")
			r.pass(second)
			assert.ErrorIs(r, r.m.taken(r.now, r.slot(1)), ErrRevoked)
			assert.Zero(r, r.m.stats.taken)
		}},
		{"MinIdle and MaxIdle are kept", Config[int]{MaxLease: second, MaxOpen: 4, MinIdle: 1, MaxIdle: 2}, func(r *rig) {
			r.want("shut", "start Open")
			r.report(dialJob, nil)
			r.settles()
			for _, n := range []string{"a", "b", "c"} {
				r.get(n)
				r.settle()
				r.report(dialJob, nil)
				r.settle()
			}
			r.did = nil
			r.put(1, Keep)
			r.settles()
			r.put(2, Keep)
			r.settles("start Close #4")
		}},
		{"what nobody needs is closed, however much is got and put", Config[int]{MaxLease: second, MaxRest: time.Minute, CheckPeriod: time.Minute}, func(r *rig) {
			r.opens("a", "b")
			r.put(1, Keep)
			r.put(2, Keep)
			r.settle()
			for i := range 7 {
				r.pass(10 * second)
				if i < 5 {
					assert.Zero(r, r.m.stats.unneeded)
				}
				r.get("c")
				r.settle()
				r.put(r.answers[r.tickets["c"]].slot.value, Keep)
				r.settle()
			}
			assert.EqualValues(r, 1, r.m.stats.unneeded)
		}},
		{"what rests is checked, one at a time", Config[int]{MaxLease: second, KeepAlive: true, Check: hook, CheckPeriod: time.Minute}, func(r *rig) {
			r.opens("a", "b")
			r.put(1, Keep)
			r.put(2, Keep)
			r.settle()
			r.pass(time.Minute)
			r.want("start Check #1")
			r.report(checkJob, nil)
			r.settles("start Check #2")
			r.report(checkJob, nil)
			r.settles()
			assert.Equal(r, 2, r.m.hands.len())
		}},
	})
}

// Who is TryOnly and had its slot mended twice waits for a second in all.
func TestMachineTryOnlyTakesWhatIsIdle(t *testing.T) {
	playAll(t, []scene{{"", Config[int]{Prepare: prepareNothing, Check: hook}, func(r *rig) {
		r.opens("a", "b")
		t := r.tickets["a"]
		asksFor := func() {
			t.patience, t.brings = TryOnly, brought[int]{r.slot(1), Check}
			r.again("a")
		}
		asksFor()
		r.pass(900 * time.Millisecond)
		r.report(checkJob, nil)
		r.settle()
		require.NotNil(r, r.answers[t].slot)
		asksFor()
		r.put(2, Keep)
		r.did = nil
		r.pass(100*time.Millisecond - 1)
		assert.Zero(r, r.count("grant"), "it waits for what it has brought")
		r.did = nil
		r.pass(1)
		r.want("grant a #2", "open")
	}}})
}
