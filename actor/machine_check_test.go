package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: the rounds in which what rests is looked at.

func TestMachineRounds(t *testing.T) {
	min := time.Minute
	keepAlive := Config[int]{MaxOpen: 4, KeepAlive: true, Check: hook}
	looking := Config[int]{MaxOpen: 4, MaxRest: time.Hour, Look: keep}
	playAll(t, []scene{
		{"one at a time, each once", keepAlive, func(r *rig) {
			r.rests(3)
			assert.Equal(r, min, r.next)
			r.mostHidden = 0
			r.pass(min)
			r.want("start Check #1")
			r.settles()
			r.report(checkJob, nil)
			r.settles("start Check #2")
			r.report(checkJob, nil)
			r.settles("start Check #3")
			r.report(checkJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 3)
			assert.Equal(r, 1, r.mostHidden)
			assert.Equal(r, 2*min, r.next)
			assert.Equal(r, min, r.slot(1).since, "its rest begins anew")
		}},
		{"again in the next, though the check took its time", keepAlive, func(r *rig) {
			r.rests(2)
			for range 3 {
				r.pass(min)
				for _, check := range []string{"start Check #1", "start Check #2"} {
					r.want(check)
					r.now += min / 4
					r.report(checkJob, nil)
					r.settle()
				}
				r.now -= min / 2
			}
		}},
		{"what fails is closed, and the next is visited", keepAlive, func(r *rig) {
			r.rests(2)
			r.pass(min)
			r.did = nil
			r.report(checkJob, errServer)
			r.settles("start Close #1", "start Check #2")
		}},
		{"what has not rested so long is passed over", keepAlive, func(r *rig) {
			r.rests(3)
			r.shelf[0].since, r.shelf[2].since = 1, 1 // lent at that time, over the shelf
			r.mostHidden = 0
			r.pass(min)
			r.want("start Check #2")
			r.report(checkJob, nil)
			r.settles()
			assert.Len(r, r.shelf, 3)
			assert.Equal(r, 1, r.mostHidden)
			r.pass(min)
			r.want("start Check #1")
		}},
		{"a slot away is not waited for", keepAlive, func(r *rig) {
			r.rests(2)
			r.lends()
			r.pass(min)
			r.want("start Check #2")
			r.report(checkJob, nil)
			r.settles()
		}},
		{"who waits gets the next, and the round ends", keepAlive, func(r *rig) {
			r.opens("x", "y")
			r.put(1, Keep)
			r.put(2, Keep)
			r.resize(0, 2)
			r.settle()
			r.pass(min)
			r.get("a")
			r.get("b")
			r.did = nil
			r.settles("grant a #2", "shut") // and no dial
			r.report(checkJob, nil)
			r.settles("grant b #1", "open")
		}},
		{"one who comes for the last one waits for its check", Config[int]{MaxOpen: 4, KeepAlive: true, Check: hook}, func(r *rig) {
			r.rests(1)
			r.pass(min)
			r.get("a")
			r.did = nil
			r.settles("shut")
			r.report(checkJob, nil)
			r.settles("grant a #1", "open")
		}},
		{"while somebody waits no round is made", Config[int]{MaxOpen: 4, KeepAlive: true, Check: hook, Look: keep}, func(r *rig) {
			r.rests(3)
			r.now = min
			r.getWith("k", Request{Key: "k"})
			r.settles("shut", "start Look #1")
			assert.Equal(r, 2, r.m.idle())
			r.report(lookJob, nil)
			r.settles("grant k #1", "open")
		}},
		{"but not longer than for anything that is coming", keepAlive, func(r *rig) {
			r.rests(1)
			r.pass(min)
			r.get("a")
			r.settle()
			r.did = nil
			r.pass(hedge)
			r.want("start Open")
		}},
		{"a check that hangs does not end the rounds", keepAlive, func(r *rig) {
			r.rests(2)
			r.pass(min)
			r.want("start Check #1")
			r.pass(5*time.Second + 250*time.Millisecond)
			r.want("start Kill #1", "start Check #2")
			r.report(killJob, nil)
			r.running = r.running[1:] // that of 1 never comes
			r.report(checkJob, nil)
			r.settle()
			r.pass(min)
			assert.Equal(r, 1, r.count("start Check #2"))
		}},
		{"a check that takes longer than a CheckPeriod is the only one", Config[int]{MaxOpen: 2, KeepAlive: true, Check: hook, CheckPeriod: time.Second}, func(r *rig) {
			r.rests(2)
			r.pass(time.Second)
			r.want("start Check #1")
			r.pass(time.Second)
			r.want()
			r.report(checkJob, nil)
			r.settles("start Check #2")
		}},
		{"without KeepAlive they are looked at, while there are more than the minimum", looking, func(r *rig) {
			r.rests(2)
			r.pass(min)
			r.want("start Look #1")
			assert.Nil(r, r.running[0].bound)
			r.report(lookJob, nil)
			r.settles("start Look #2")
			r.report(lookJob, errUnfit)
			r.settles("start Close #2")
		}},
		{"and not if there is no Look", Config[int]{MaxOpen: 4, MaxRest: time.Hour}, func(r *rig) {
			r.rests(2)
			r.pass(min)
			r.want()
			assert.Equal(r, 2*min, r.next)
		}},
		{"KeepAlive sleeps while nothing is open", keepAlive, func(r *rig) {
			assert.Equal(r, never, r.next)
			r.rests(1)
			assert.Equal(r, min, r.next)
			r.lends()
			r.put(1, Discard)
			r.settle()
			r.report(closeJob, nil)
			r.settle()
			assert.Equal(r, never, r.next)
			r.get("a")
			r.settle()
			r.now += 7 * min
			r.report(dialJob, nil)
			r.settle()
			assert.Equal(r, 8*min, r.next, "counted anew")
		}},
		{"a pause ends a round", keepAlive, func(r *rig) {
			r.rests(3)
			r.pass(min)
			r.pause("p")
			r.settle()
			r.report(checkJob, nil)
			r.did = nil
			r.settles()
			r.m.resume()
			r.settles("open")
			require.Len(r, r.shelf, 3)
		}},
		{"a pause keeps a round from beginning", keepAlive, func(r *rig) {
			r.rests(3)
			r.pause("p")
			r.settle()
			r.did = nil
			r.pass(min)
			r.want()
			assert.Equal(r, 2*min, r.next)
		}},
		{"one that is recalled meanwhile is closed", keepAlive, func(r *rig) {
			r.rests(1)
			r.pass(min)
			r.m.reset()
			r.settle()
			r.did = nil
			r.report(checkJob, nil)
			r.settles("start Close #1")
		}},
		{"a round counts what is idle when it begins", keepAlive, func(r *rig) {
			r.rests(2)
			out := r.slot(1)
			r.lends()
			r.pass(min)
			r.want("start Check #2")
			r.shelf = append(r.shelf, out)
			r.report(checkJob, nil)
			r.settles()
			r.pass(min)
			r.want("start Check #1")
		}},
	})
}
