package actor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The machine alone: what it tells, and what it keeps its books in.

func TestMachineStat(t *testing.T) {
	r := newRig(t, Config[int]{MaxOpen: 9, MaxDials: 1, Clean: hook})
	r.opens("a", "b", "c", "d", "e")
	r.getWith("k1", Request{Key: "k"})
	r.settle()
	r.report(dialJob, nil)
	r.getWith("k2", Request{Key: "k"})
	r.settle()
	r.put(1, Keep)
	r.put(2, Clean)
	r.put(3, Discard)
	r.settle()
	r.get("taker")
	r.get("w1")
	r.get("w2")
	r.settle()
	got := r.m.stat()
	assert.Equal(t, Stat{
		Limit: 9, Open: 5, Idle: 0, Leased: 4, Mending: 1, Dialing: 1, Closing: 1, Waiting: 2, Keys: 1,
		Leases: 8, Waited: 6, Opened: 6,
	}, got)

	r.put(4, Keep)
	r.settle()
	r.cancel("w2")
	r.report(closeJob, errServer)
	r.settle()
	r.get("w3")
	r.get("w4")
	r.settle()
	r.report(dialJob, errServer)
	r.settle()
	got = r.m.stat()
	assert.EqualValues(t, []uint64{6, 1, 1, 1, 1}, []uint64{got.Opened, got.Closed, got.CloseFailed, got.Cancelled, got.DialsFailed})
	assert.Equal(t, 1, got.Failures)
	assert.Equal(t, errServer, got.LastError)
}

func TestMachineLeases(t *testing.T) {
	r := newRig(t, Config[int]{MaxOpen: 4})
	r.opens("a", "b", "c")
	r.put(2, Keep)
	r.settle()
	r.now = time.Second
	r.getWith("k", Request{Key: "k"}) // takes 2
	r.getWith("l", Request{Key: "k"})
	r.settle()
	r.put(1, Keep)
	r.settle()
	r.now = 2 * time.Second
	assert.ElementsMatch(t, []LeaseInfo{{ID: 3, Holders: 1}, {ID: 2, Holders: 2, Key: "k", AtLeast: time.Second}},
		r.m.leases(r.now), "what rests on the shelf is not lent; while the gate is open nobody knows for how long")
	assert.Len(t, r.shelf, 1)

	// With the gate shut everything passes the desk, and times are known.
	r.get("d")
	r.get("e")
	r.get("f")
	r.settle()
	r.now = 3 * time.Second
	assert.Len(t, r.m.leases(r.now), 3)
	for _, l := range r.m.leases(r.now) {
		if l.ID == 3 {
			assert.Equal(t, time.Second, l.AtLeast)
		}
	}
	assert.Equal(t, 2*time.Second, r.m.oldest(r.now), "the key's lease is the oldest")
}

func TestQueueKeepsArrivals(t *testing.T) {
	var q queue[int]
	tickets := map[uint64]*ticket[int]{}
	for _, arrival := range []uint64{1, 2, 5, 3, 9, 4, 8} {
		tk := &ticket[int]{wait: waiting[int]{arrival: arrival}}
		if arrival%2 == 0 {
			tk.wait.key = &binding[int]{}
		}
		tickets[arrival] = tk
		q.insert(tk)
	}
	order := func() (got []uint64) {
		var back []uint64
		for tk := q.first; tk != nil; tk = tk.wait.next {
			got = append(got, tk.wait.arrival)
		}
		for tk := q.last; tk != nil; tk = tk.wait.prev {
			back = append([]uint64{tk.wait.arrival}, back...)
		}
		require.Equal(t, got, back, "the links forward and back disagree")
		require.Len(t, got, q.len)
		return got
	}
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 8, 9}, order())
	require.Equal(t, 4, q.unkeyed)
	for _, arrival := range []uint64{9, 1, 4} { // the last, the first, one between
		q.remove(tickets[arrival])
		require.False(t, tickets[arrival].wait.queued)
	}
	require.Equal(t, []uint64{2, 3, 5, 8}, order())
	require.Equal(t, 2, q.unkeyed)
	q.insert(tickets[1])
	require.Equal(t, []uint64{1, 2, 3, 5, 8}, order())
	for _, arrival := range []uint64{1, 2, 3, 5, 8} {
		q.remove(tickets[arrival])
	}
	require.Empty(t, order())
	require.Equal(t, []any{(*ticket[int])(nil), (*ticket[int])(nil), 0}, []any{q.first, q.last, q.unkeyed})
}

func TestHandsDoNotGrow(t *testing.T) {
	var h hand[int]
	slots := []*slot[int]{{value: 0}, {value: 1}, {value: 2}}
	for _, sl := range slots {
		h.push(sl)
	}
	for i := range 10_000 {
		sl := h.pop()
		require.Equal(t, i%3, sl.value, "first in, first out")
		h.push(sl)
	}
	require.Less(t, cap(h.slots), 100, "three slots take the room of thousands")
}
