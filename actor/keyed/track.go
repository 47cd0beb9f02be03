package keyed

import (
	"runtime"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// watch has the runtime say when hold, the handle of h, cannot be reached any more.
func (h *ref[R]) watch(hold *Hold[R]) runtime.Cleanup {
	return runtime.AddCleanup(hold, (*ref[R]).leak, h)
}

// leak notes that nobody can put the reference any more. The resource stays lent: the
// borrower may have kept it. The runtime calls it.
func (h *ref[R]) leak() {
	e := h.entry
	revoked := e.lease.Revoked()
	n := <-e.note
	leaks := h.phase == held && n.killed == nil && revoked == nil
	if leaks {
		h.leaked = true
	}
	e.note <- n
	if leaks && e.table.config.OnLeak != nil {
		e.table.config.OnLeak(e.id, h.holder(true))
	}
}

// holder describes the borrower of a tracked reference. It calls the origin, so it is
// called without the note.
func (h *ref[R]) holder(leaked bool) actor.Holder {
	who := h.origin.Holder()
	who.For, who.Leaked = time.Since(h.since), leaked
	return who
}

// Complete describes, in leases, those that are shared under keys of the table: their
// Key, how many Holders they have, what they are Doing, and AtLeast, since when they are
// bound; with tracking also Holder, Label, Others and Leaked. Other leases are left as
// they are. Complete keeps nothing of what it writes.
func (t *Table[R]) Complete(leases []actor.LeaseInfo) {
	type lent struct {
		at int
		e  *entry[R]
	}
	var found []lent
	for _, at := range t.shards {
		s := <-at
		if len(s.lent) > 0 {
			for i := range leases {
				if e := s.lent[leases[i].ID]; e != nil {
					found = append(found, lent{i, e})
				}
			}
		}
		at <- s
	}
	for _, f := range found {
		f.e.describe(&leases[f.at])
	}
}

// describe fills l, unless the lease has ended.
func (e *entry[R]) describe(l *actor.LeaseInfo) {
	type tracked struct {
		h      *ref[R]
		leaked bool
	}
	var origins []tracked
	n := <-e.note
	if n.refs.len == 0 {
		e.note <- n
		return
	}
	l.Holders, l.Doing, l.AtLeast = n.refs.len, n.doing, time.Since(e.since)
	for h := n.refs.first; h != nil; h = h.next {
		if h.origin != nil {
			origins = append(origins, tracked{h, h.leaked})
		}
	}
	e.note <- n
	l.Key, l.Leaked, l.Others = e.table.config.ShowKey(e.key), false, nil
	for i, o := range origins {
		who := o.h.holder(o.leaked)
		l.Leaked = l.Leaked || o.leaked
		if i == 0 {
			l.Holder, l.Label = who.Holder, who.Label
		} else {
			l.Others = append(l.Others, who)
		}
	}
}
