package actor

import "time"

// OnEvent is called by a goroutine of its own, the reporter, and the supervisor
// waits for neither: it drops events when there are too many, and counts them. Only
// CloseAll waits, for a bounded time: a program ends after it, and would lose its last
// lines.

// eventsKept is how many events wait for the reporter.
const eventsKept = 1024

// reports are the channel to the reporter, and the supervisor's side of it.
type reports struct {
	events chan Event    // nil without OnEvent; closed at the end
	last   []Event       // what is left to tell then; the reporter's once events is closed
	told   chan struct{} // closed by the reporter when it has told the last

	// The supervisor's.
	dropped  int    // since the last that was not
	panics   uint64 // calls of OnEvent that did not return
	panicked error  // the last of them
}

// tellPublic gives an event to the reporter, if there is room for it and for the news
// that some were dropped before. What it points to must be nobody else's.
func (l *loop[R]) tellPublic(e Event) {
	if l.cfg.OnEvent == nil {
		return
	}
	e.At = l.began.Add(l.clock)
	r := &l.reports
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
func (l *loop[R]) tellEnd() {
	r := &l.reports
	if r.events == nil {
		return
	}
	at := l.began.Add(l.clock)
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
			s.post(func(l *loop[R], _ time.Duration) {
				l.reports.panics, l.reports.panicked = l.reports.panics+1, err
			})
			go background(s.report)
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
	close(s.reports.told)
}

// awaitReporter waits until OnEvent was told of everything, for CloseGrace at most.
func (s *Supervisor[R]) awaitReporter() {
	timer := time.NewTimer(s.cfg.CloseGrace)
	defer timer.Stop()
	select {
	case <-s.reports.told:
	case <-timer.C:
	}
}

// complete finds out the names in an event.
func (s *Supervisor[R]) complete(e Event) Event {
	if e.Lease != nil {
		e.Lease = &s.shown([]LeaseInfo{*e.Lease})[0]
	}
	e.Err = s.named(e.Err)
	return e
}
