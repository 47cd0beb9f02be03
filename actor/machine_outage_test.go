package actor

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errServer = errors.New("server is down")

// The machine alone: what failing dials mean.

func TestMachineBackoff(t *testing.T) {
	ms := time.Millisecond
	cfg := Config[int]{MaxOpen: 8, Outage: WaitForServer}
	playAll(t, []scene{
		{"doubles up to its maximum and starts afresh after a success", cfg, func(r *rig) {
			r.get("a")
			r.settle()
			for range 7 {
				r.report(dialJob, errServer)
				r.settle()
				require.Equal(r, r.now+r.pauses[len(r.pauses)-1], r.next)
				r.now = r.next
				r.settle()
			}
			assert.Equal(r, []time.Duration{10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 200 * ms, 200 * ms}, r.pauses)
			r.report(dialJob, nil)
			r.settle()
			assert.Zero(r, r.m.outage.failures)
			r.get("b")
			r.settle()
			r.report(dialJob, errServer)
			assert.Equal(r, 10*ms, r.pauses[7])
		}},
		{"its bounds are the Config's", Config[int]{Outage: WaitForServer, BackoffMin: 3 * ms, BackoffMax: 10 * ms}, func(r *rig) {
			r.get("a")
			r.settle()
			for range 4 {
				r.report(dialJob, errServer)
				r.settle()
				r.now = r.next
				r.settle()
			}
			assert.Equal(r, []time.Duration{3 * ms, 6 * ms, 10 * ms, 10 * ms}, r.pauses)
		}},
		{"dials that fail together count once", cfg, func(r *rig) {
			for i := range 5 {
				r.get(fmt.Sprint(i))
			}
			r.settle()
			for range 5 {
				r.report(dialJob, errServer)
				r.settle()
			}
			assert.Equal(r, 1, r.m.outage.failures)
			assert.EqualValues(r, 5, r.m.stats.dialsFailed)
		}},
		{"a failure from before the recovery is no news", cfg, func(r *rig) {
			r.get("a")
			r.get("b")
			r.settle()
			early := r.running[1]
			r.report(dialJob, errServer)
			r.pass(10 * ms)
			r.running = r.running[1:]
			r.report(dialJob, nil) // the probe
			r.settle()
			assert.Zero(r, r.m.outage.failures)
			r.end(early, errServer)
			r.did = nil
			r.settles("start Open")
			assert.Zero(r, r.m.outage.failures)
		}},
		{"a failure from before a reset is no news", cfg, func(r *rig) {
			r.get("a")
			r.settle()
			r.m.reset()
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			assert.Zero(r, r.m.outage.failures)
		}},
		{"a reset ends it", cfg, func(r *rig) {
			r.get("a")
			r.settle()
			r.report(dialJob, errServer)
			r.did = nil
			r.settles()
			r.m.reset()
			r.settles("start Open")
		}},
		{"after it there is one probe", cfg, func(r *rig) {
			for i := range 3 {
				r.get(fmt.Sprint(i))
			}
			r.settle()
			for range 3 {
				r.report(dialJob, errServer)
			}
			r.settle()
			r.did = nil
			r.pass(10 * ms)
			r.want("start Open")
			r.pass(hedge - 1)
			r.want()
			r.report(dialJob, nil)
			r.settles("grant 0 #1", "start Open", "start Open")
		}},
		{"a hung probe makes way for another", cfg, func(r *rig) {
			r.get("a")
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			r.did = nil
			r.pass(10 * ms)
			r.want("start Open")
			r.pass(hedge)
			r.want("start Open")
		}},
	})
}

func TestMachineRefusal(t *testing.T) {
	fail, wait := Config[int]{Outage: FailFast}, Config[int]{Outage: WaitForServer}
	refused := func(r *rig, name string) {
		r.Helper()
		a, ok := r.answers[r.tickets[name]]
		require.True(r, ok, "%s has no answer", name)
		assert.ErrorIs(r, a.err, ErrUnavailable, name)
		assert.ErrorIs(r, a.err, errServer, name)
	}
	waits := func(r *rig, name string) { r.Helper(); assert.NotContains(r, r.answers, r.tickets[name], name) }
	outage := func(r *rig) {
		r.get("first")
		r.settle()
		r.report(dialJob, errServer)
		r.settle()
		r.did = nil
	}
	playAll(t, []scene{
		{"FailFast refuses", fail, func(r *rig) {
			outage(r)
			refused(r, "first")
			assert.EqualValues(r, 1, r.m.stats.refused)
		}},
		{"FailFast refuses newcomers without a dial, until the backoff is over", fail, func(r *rig) {
			outage(r)
			r.now += 10*time.Millisecond - 1
			r.get("b")
			r.settle()
			refused(r, "b")
			assert.Zero(r, r.count("start"))
			r.pass(1)
			r.get("c")
			r.settle()
			waits(r, "c")
			assert.Equal(r, 1, r.count("start Open"))
		}},
		{"nobody is refused while another dial is coming", fail, func(r *rig) {
			r.get("a")
			r.get("b")
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			waits(r, "a")
			waits(r, "b")
			r.report(dialJob, errServer)
			r.settle()
			refused(r, "a")
			refused(r, "b")
		}},
		{"nobody is refused while something is open", fail, func(r *rig) {
			r.opens("holder")
			outage(r)
			waits(r, "first")
			r.put(1, Keep)
			r.settles("grant first #1", "open")
		}},
		{"what counts is the state, not the failure: the last one open goes", fail, func(r *rig) {
			r.opens("holder")
			outage(r)
			r.put(1, Discard)
			r.settle()
			refused(r, "first")
		}},
		{"what is recalled is not usable", fail, func(r *rig) {
			r.opens("holder")
			r.m.reset()
			outage(r)
			refused(r, "first")
		}},
		{"what is being cleaned is", Config[int]{Clean: hook}, func(r *rig) {
			r.opens("holder")
			r.put(1, Clean)
			r.get("a")
			r.get("b")
			r.settle()
			r.report(dialJob, errServer)
			r.settle()
			waits(r, "a")
			waits(r, "b")
		}},
		{"WaitForServer keeps waiters", wait, func(r *rig) {
			outage(r)
			waits(r, "first")
			r.pass(10 * time.Millisecond)
			r.want("start Open")
			r.report(dialJob, nil)
			r.settles("grant first #1", "open")
		}},
		{"a permanent failure refuses under both", wait, func(r *rig) {
			r.get("a")
			r.settle()
			r.running[0].permanent = true
			r.report(dialJob, errServer)
			r.settle()
			refused(r, "a")
			r.get("b")
			r.settle()
			refused(r, "b")
			r.pass(10 * time.Millisecond)
			r.did = nil
			r.get("c")
			r.settle()
			waits(r, "c")
			r.report(dialJob, errServer) // this one may heal
			r.settle()
			waits(r, "c")
		}},
		{"keys are refused like anybody", fail, func(r *rig) {
			r.getWith("k", Request{Key: "k"})
			outage(r)
			r.report(dialJob, errServer)
			r.settle()
			refused(r, "k")
			assert.Empty(r, r.m.keys)
		}},
	})
}
