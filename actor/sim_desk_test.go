package actor

import "time"

// The supervisor's loop, as desk.go has it.

// wakes says whether the supervisor has something to wake for.
func (w *simWorld) wakes() bool {
	return !w.closed && (len(w.inbox) > 0 || w.gate && len(w.lying()) > 0)
}

// ring is the timer's: at its time, whatever the desk is doing.
func (w *simWorld) ring() {
	if w.now >= w.timer && !w.closed {
		w.timer = never
		w.step("timer", 0, "sends a wake", nil)
		w.send(simMessage{kind: wakeMessage})
	}
}

// set sets the timer to the next deadline.
func (w *simWorld) set(next time.Duration) {
	if next != w.next {
		w.next, w.timer = next, next
	}
}

// wake is one turn of the loop: wait, drain, settle. A batch of a random size
// stands for messages that came after the drain; in the end it reads them all,
// or it might never keep up with its own deadlines.
func (w *simWorld) wake() {
	w.was = w.next
	w.receive()
	most := w.n(w.batch)
	if w.draining {
		most = batch
	}
	for range most {
		w.bustles()
		if !w.drainOne() {
			break
		}
	}
	w.bustles()
	w.settle()
}

func (w *simWorld) receive() {
	raced := w.m.shut && len(w.lying()) > 0
	w.clock = w.now
	if len(w.inbox) > 0 && (!raced || w.in(60)) {
		w.handle()
	} else {
		w.m.put(w.clock, w.raced(), Keep, ReasonNone)
	}
	w.checkBooks()
}

// raced receives from the shelf in the same atomic step in which the select saw
// that something lies there.
func (w *simWorld) raced() *simSlot {
	sl := w.popAny()
	w.step("desk", 0, "receives from the shelf", sl)
	w.move(sl, theShelf, theDesk, nil)
	return sl
}

func (w *simWorld) drainOne() bool {
	if len(w.inbox) > 0 {
		w.handle()
		w.checkBooks()
		return true
	}
	if !w.m.shut {
		return false
	}
	sl := w.take()
	if sl == nil {
		return false
	}
	w.m.put(w.clock, sl, Keep, ReasonNone)
	w.checkBooks()
	return true
}

func (w *simWorld) handle() {
	msg := w.inbox[0]
	w.inbox = append(w.inbox[:0], w.inbox[1:]...)
	m, now := w.m, w.clock
	w.step("desk", 0, simMessageNames[msg.kind], msg.slot)
	switch msg.kind {
	case getMessage:
		w.arrive(msg.ticket, true)
		m.get(now, msg.ticket)
		w.bringing = nil
	case againMessage:
		w.arrive(msg.ticket, false)
		m.again(now, msg.ticket)
		w.bringing = nil
	case cancelMessage:
		w.cancelling = msg.ticket
		m.cancel(now, msg.ticket)
		w.cancelling = nil
	case putMessage:
		if o := msg.slot.desk.origin; msg.slot.value.owner == theInbox {
			delete(w.owned, o)
		}
		w.brought(msg.slot, msg.verdict)
		m.put(now, msg.slot, msg.verdict, msg.why)
	case nudgeMessage:
		m.nudged()
	case wakeMessage:
		w.next = 0
	case reportMessage:
		w.heard(w.helperOf(msg.job))
		m.reported(now, msg.job)
		w.must(!w.mayCount, "inv6FailuresCountOnce", "a failed dial did not raise the backoff")
		w.must(w.aging == nil, "nothingOldIsLent", "thing %d has no age", w.opened)
		w.afterVetting()
	case askMessage:
		msg.ask(m, now)
	}
}

var simMessageNames = [...]string{"handles get", "handles again", "handles cancel", "handles put", "handles nudge", "handles wake", "handles report", "handles question"}

// arrive notes a request at the desk: its number is the world's own.
func (w *simWorld) arrive(t *simTicket, first bool) {
	b, brings := w.whose(t), t.brings
	if brings.slot != nil {
		w.brought(brings.slot, brings.verdict)
	}
	if b == nil {
		return
	}
	w.bringing = b
	w.must(!b.arrived, "inv6AnsweredOnce", "borrower %d asks while it waits", b.id)
	b.arrived, b.caused, b.mends = true, false, nil
	if first {
		w.arrivals++
		b.arrival, b.since = w.arrivals, w.clock
		w.vetoed = w.vetoed || b.want == forResource && b.key == 0 && brings.slot == nil && !w.pool.watched()
		w.paused = w.paused || b.want == forQuiet && !w.closing
	}
}

// brought notes a slot at the desk; a keyed one with its last reference.
func (w *simWorld) brought(sl *simSlot, v Verdict) {
	th := sl.value
	th.verdict = max(th.verdict, v)
	if th.owner != theSharers {
		if th.used {
			th.proven = max(th.proven, w.clock) // its time in the inbox was no rest
		}
		w.move(sl, theInbox, theDesk, nil)
		return
	}
	w.must(th.refs > 0, "inv12Holders", "thing %d is put under key %v, but nobody holds it", th.id, th.key)
	th.refs--
	if th.refs == 0 {
		th.proven, th.key = w.clock, nil
		if th.judge = w.pool.Judge != nil && th.verdict == Keep; w.pool.Judge == nil {
			th.changed = 0 // without Judge it is the borrowers' business
		}
		w.move(sl, theSharers, theDesk, nil)
	}
}

func (w *simWorld) settle() {
	w.overflowed = false
	w.beforeSettle()
	w.set(w.m.settle(w.clock))
	w.step("desk", 0, "has settled", nil)
	w.checkBooks()
	w.checkSettled()
	if w.m.end.answered {
		w.finish()
	}
}

// finish is the desk's.
func (w *simWorld) finish() {
	w.inv10CloseAllTells()
	for _, c := range w.m.end.callers {
		c <- w.m.result()
	}
	w.m.end.callers = nil
	if !w.m.ended() {
		return
	}
	w.step("desk", 0, "ends", nil)
	w.closed = true
	w.bustles()
	for w.drainOne() {
		w.bustles()
	}
}

// simCloser is a goroutine in CloseAll.
type simCloser struct {
	done    chan error
	ends    time.Duration
	revoked bool // its context has ended, and the desk was told
	over    bool
}

// closeAll begins a CloseAll.
func (w *simWorld) closeAll(ends time.Duration) {
	c := &simCloser{done: make(chan error, 1), ends: ends}
	w.closers = append(w.closers, c)
	w.step("closer", len(w.closers), "calls CloseAll", nil)
	w.ask(func(m *machine[*simThing], now time.Duration) {
		w.closing, w.hurrying = true, true
		m.closeAll(now, c.done)
		w.hurrying = false
	})
}

// closersStep lets one CloseAll go on. False: none can.
func (w *simWorld) closersStep() bool {
	for i, c := range w.closers {
		switch {
		case c.over:
		case len(c.done) > 0:
			<-c.done
			c.over = true
			w.step("closer", i+1, "has its result", nil)
			return true
		case w.closed:
			c.over = true
			w.step("closer", i+1, "finds the actor ended", nil)
			return true
		case !c.revoked && w.now >= c.ends:
			c.revoked = true
			w.step("closer", i+1, "runs out of time", nil)
			w.ask(w.revokeAll)
			return true
		}
	}
	return false
}

func (w *simWorld) revokeAll(m *machine[*simThing], now time.Duration) {
	if !w.forced && !m.end.answered {
		w.forced, w.forceAt = true, w.clock+w.pool.CloseGrace
	}
	w.forcing, w.hurrying = true, true
	m.revoke(now, errSimJob)
	w.forcing, w.hurrying = false, false
}

func (w *simWorld) ask(f func(*machine[*simThing], time.Duration)) {
	w.send(simMessage{kind: askMessage, ask: f})
}

// trouble is what the owner of the pool does now and then, or time.
func (w *simWorld) trouble() bool {
	if w.draining {
		return false
	}
	roll := w.n(10000)
	for _, t := range []struct {
		share int
		do    func()
	}{
		{w.leap, w.leapAside},
		{w.questions, w.question},
		{w.resetting, w.reset},
		{w.resizing, w.resize},
		{w.resuming, w.resume},
		{w.closes, w.closeSometime},
	} {
		if roll < t.share {
			t.do()
			return true
		}
		roll -= t.share
	}
	return false
}

// leapAside jumps to what is due next, or somewhere else.
func (w *simWorld) leapAside() {
	if w.in(50) {
		w.leapAhead()
		return
	}
	w.now += w.upTo(time.Second)
	w.step("clock", 0, "leaps", nil)
}

func (w *simWorld) closeSometime() {
	if len(w.closers) < 3 {
		w.closeAll(w.pickTime())
	}
}

// pickTime is for a CloseAll: an ended context, one that ends, one that never
// does.
func (w *simWorld) pickTime() time.Duration {
	switch w.n(3) {
	case 0:
		return w.now
	case 1:
		return w.now + w.upTo(500*time.Millisecond)
	default:
		return never
	}
}

func (w *simWorld) reset() {
	w.step("owner", 0, "calls Reset", nil)
	w.ask(func(m *machine[*simThing], _ time.Duration) {
		m.reset()
		w.resets++
		w.heal()
	})
}
