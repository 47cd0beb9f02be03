package actor

import (
	"runtime"
	"time"
)

// desk is the supervisor's goroutine: the machine that decides, and the
// channels and the timer that it decides about. It does no I/O and blocks on
// nobody.
type desk[R any] struct {
	*Supervisor[R]
	machine *machine[R]
	timer   *time.Timer   // sends a wake, so that there is one channel less to wait for
	clock   time.Duration // read once a wake: what a report made fit has not rested before the settle
	next    time.Duration // what the timer is set to

	batching batching
}

func newDesk[R any](s *Supervisor[R]) *desk[R] {
	d := &desk[R]{Supervisor: s, next: never}
	d.timer = time.AfterFunc(never, func() { s.send(message[R]{kind: wakeMessage}) })
	d.machine = newMachine[R](s.cfg, d)
	d.machine.sup = s
	return d
}

// run is the actor's life.
func (d *desk[R]) run() {
	for {
		d.set(d.machine.settle(d.clock))
		if d.machine.end.answered && d.finish() {
			return
		}
		msg := d.wait()
		lets := d.machine.shut && d.batching.let()
		if lets {
			runtime.Gosched()
		}
		d.clock = d.now()
		d.handle(msg)
		if n := d.drain(batch); lets {
			d.batching.came(n)
		}
	}
}

// wait blocks until something happens. What lies on the shelf while the gate is shut is
// a put that raced the shutting.
func (d *desk[R]) wait() message[R] {
	if !d.machine.shut {
		return <-d.inbox
	}
	select {
	case msg := <-d.inbox:
		return msg
	case sl := <-d.idle:
		return message[R]{kind: putMessage, slot: sl}
	case sl := <-d.top:
		return message[R]{kind: putMessage, slot: sl}
	}
}

// drain handles what is in the inbox, and on the shelf while the gate is shut. It says
// how much that was.
func (d *desk[R]) drain(most int) (n int) {
	for ; n < most; n++ {
		select {
		case msg := <-d.inbox:
			d.handle(msg)
			continue
		default:
		}
		if !d.machine.shut {
			return n
		}
		sl := d.take()
		if sl == nil {
			return n
		}
		d.handle(message[R]{kind: putMessage, slot: sl})
	}
	return n
}

func (d *desk[R]) handle(msg message[R]) {
	now, m := d.clock, d.machine
	switch msg.kind {
	case getMessage:
		m.get(now, msg.ticket)
	case againMessage:
		m.again(now, msg.ticket)
	case cancelMessage:
		m.cancel(now, msg.ticket)
	case putMessage:
		m.put(now, msg.slot, msg.verdict, msg.why)
	case nudgeMessage:
		m.nudged()
	case wakeMessage: // settle sees what there is to do
		d.next = 0 // the timer may have fired since the clock was read: it is to be set anew
	case reportMessage:
		m.reported(now, msg.job)
	case askMessage:
		msg.ask(m, now)
	}
}

// set sets the timer to the next deadline.
func (d *desk[R]) set(next time.Duration) {
	if next == d.next {
		return
	}
	d.next = next
	if next == never {
		d.timer.Stop()
		return
	}
	d.timer.Reset(next - d.now())
}

// finish answers CloseAll. It says whether the actor has ended: not before the
// last helper has reported, since what a late dial brings must be closed by
// somebody.
func (d *desk[R]) finish() bool {
	// CloseAll takes a closed channel for the end of another's CloseAll, so the
	// answers come first.
	for _, c := range d.machine.end.callers {
		c <- d.machine.result()
	}
	d.machine.end.callers = nil
	if !d.machine.ended() {
		return false
	}
	d.timer.Stop()
	d.final = d.machine.stat()
	close(d.closed)
	// Whoever sent before closed was closed is in the inbox, and answered now;
	// whoever sends after it finds it closed.
	d.drain(inboxSize)
	d.tellEnd()
	return true
}

// The effects of the machine's decisions.

func (d *desk[R]) shutGate() { d.gate <- struct{}{} }
func (d *desk[R]) openGate() { <-d.gate }

func (d *desk[R]) lookout() {
	select {
	case d.low <- struct{}{}:
	default: // it is there
	}
}

func (d *desk[R]) answer(t *ticket[R], a answer[R]) { t.reply <- a }
func (d *desk[R]) recall(sl *slot[R])               { close(sl.recall) }
func (d *desk[R]) revoke(sl *slot[R])               { close(sl.gone) }
