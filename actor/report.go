package actor

import "time"

// OnEvent is called by a goroutine of its own, the reporter, and the supervisor
// waits for neither: it drops events when there are too many, and counts them.

// eventsKept is how many events wait for the reporter.
const eventsKept = 1024

// reports are the channel to the reporter, and the supervisor's side of it.
type reports struct {
	events chan Event // nil without OnEvent; closed at the end
	last   []Event    // what is left to tell then; the reporter's once events is closed

	dropped int // since the last that was not
}

// tell gives an event to the reporter, if there is room for it and for the word
// that some were dropped before.
func (d *desk[R]) tell(e Event) {
	e.At = d.began.Add(d.clock)
	r := &d.reports
	if r.dropped > 0 {
		select {
		case r.events <- Event{Kind: EventDropped, At: e.At, N: r.dropped}:
			r.dropped = 0
		default:
		}
	}
	if r.dropped == 0 {
		select {
		case r.events <- e:
			return
		default:
		}
	}
	r.dropped++
}

// tellEnd is the last that the reporter hears, however much there is before it.
func (d *desk[R]) tellEnd() {
	r := &d.reports
	if r.events == nil {
		return
	}
	at := d.began.Add(d.clock)
	if r.dropped > 0 {
		r.last = append(r.last, Event{Kind: EventDropped, At: at, N: r.dropped})
	}
	r.last = append(r.last, Event{Kind: EventEnded, At: at})
	close(r.events)
}

// report is the reporter. A call of OnEvent that does not return, for a panic or
// Goexit, costs it its goroutine, and another one goes on with the next event.
func (s *Supervisor[R]) report() {
	returned := false
	defer func() {
		if !returned {
			err := panicError("OnEvent", recover())
			_ = s.tellNow(func(m *machine[R], _ time.Duration) {
				m.stats.eventPanics, m.stats.eventPanic = m.stats.eventPanics+1, err
			})
			go s.report()
		}
	}()
	for e := range s.reports.events {
		s.cfg.OnEvent(s.complete(e))
	}
	for len(s.reports.last) > 0 {
		e := s.reports.last[0]
		s.reports.last = s.reports.last[1:]
		s.cfg.OnEvent(e)
	}
	returned = true
}

// complete finds out the names in an event.
func (s *Supervisor[R]) complete(e Event) Event {
	if e.Lease != nil {
		l := s.shown(*e.Lease)
		e.Lease = &l
	}
	e.Err = s.explain(e.Err)
	return e
}
