package actor

// What OnEvent is told of.

// simTold is what it was told.
type simTold struct {
	kinds map[EventKind]int
	live  map[uint64]bool // resources that are told to be open
}

func newSimTold() simTold { return simTold{map[EventKind]int{}, map[uint64]bool{}} }

// hear notes an event: the life of a resource has one beginning and one end, and
// what ends it has a reason.
func (t *simTold) hear(w *simWorld, e Event) {
	w.must(w.pool.OnEvent != nil, "everythingIsTold", "nobody listens to %v", e)
	t.kinds[e.Kind]++
	switch e.Kind {
	case EventOpened:
		w.must(!t.live[e.ID], "everythingIsTold", "#%d is opened twice", e.ID)
		t.live[e.ID] = true
	case EventClosed, EventRevoked, EventTaken:
		w.must(t.live[e.ID], "everythingIsTold", "#%d ends, and is not open: %v", e.ID, e)
		w.must(e.Kind == EventTaken || e.Reason != ReasonNone, "everythingIsTold", "#%d ends without a reason", e.ID)
		w.must(e.Kind != EventRevoked || e.Lease != nil && e.Lease.ID == e.ID, "everythingIsTold", "#%d: the lease is %v", e.ID, e.Lease)
		delete(t.live, e.ID)
	case EventCleaned:
		w.must(t.live[e.ID], "everythingIsTold", "#%d is cleaned, and is not open", e.ID)
	case EventRefused, EventCancelled, EventOpenFailed, EventOutageBegan:
		w.must(e.Err != nil, "everythingIsTold", "%v without an error", e.Kind)
	}
}

// everythingIsTold: in the end, as often as Stat counts it.
func (w *simWorld) everythingIsTold(s Stat) {
	if w.pool.OnEvent == nil {
		return
	}
	t := w.told.kinds
	for kind, n := range map[EventKind]uint64{
		EventOpened: s.Opened, EventClosed: s.Closed, EventTaken: s.Taken, EventRevoked: s.Revoked, EventLeaked: s.Leaked,
		EventOpenFailed: s.DialsFailed, EventRefused: s.Refused, EventCancelled: s.Cancelled, EventClosing: 1, EventReset: uint64(w.resets),
	} {
		w.must(uint64(t[kind]) == n, "everythingIsTold", "%v: %d times, told %d times", kind, n, t[kind])
	}
	began, ended := t[EventOutageBegan], t[EventOutageEnded]
	w.must(began == ended || began == ended+1, "everythingIsTold", "%d outages began, %d ended", began, ended)
	began, ended = t[EventPaused], t[EventResumed]
	w.must(began == ended || began == ended+1, "everythingIsTold", "%d pauses began, %d ended", began, ended)
	w.must(len(w.told.live) == 0, "everythingIsTold", "the end of %d is not told", len(w.told.live))
}
