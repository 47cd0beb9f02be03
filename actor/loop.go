package actor

import (
	"runtime"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// A loop is the supervisor's goroutine: the machine that decides, and what it decides
// about. It does no I/O and waits for nothing but the next message.
type loop[R any] struct {
	*Supervisor[R]
	machine *core.Machine
	timer   *time.Timer   // sends a wake, so that there is one channel less to wait for
	clock   time.Duration // read once a turn
	next    time.Duration // what the timer is set to
	causes  causes
	shut    bool     // the gate is
	shown   standing // what the board says
	looked  culprits // of the last look at the leases
	end     ending

	outageBegan time.Duration // the last one
}

// An ending is what CloseAll tells if its context ended first.
type ending struct {
	err    error
	leases []LeaseInfo // those that it revoked
}

// batch bounds the messages between two settles, so that deadlines are kept however
// busy the inbox is.
const batch = 256

func newLoop[R any](s *Supervisor[R]) *loop[R] {
	l := &loop[R]{Supervisor: s, next: core.Never}
	l.timer = time.AfterFunc(core.Never, func() { s.send(message[R]{kind: wakeMessage}) })
	l.machine = core.New(s.cfg.coreConfig(), l)
	return l
}

// run is the supervisor's life.
func (l *loop[R]) run() {
	for !l.turn() {
	}
}

// turn settles, waits for what happens next, and handles it. It returns true at the end.
func (l *loop[R]) turn() (over bool) {
	l.at(beforeSettle)
	next := l.machine.Settle(l.clock)
	l.publish()
	if l.machine.Over() {
		l.finish()
		return true
	}
	if next > l.clock {
		l.set(next)
		l.at(beforeWait)
		msg := l.wait()
		l.at(beforeHandling)
		l.clock = l.now()
		l.handle(msg)
	} else { // the line has no room for an answer until others run
		runtime.Gosched()
		l.clock = l.now()
	}
	l.drain(batch)
	return false
}

// wait blocks until something happens. What lies idle while the gate is shut is of a put
// that had looked at the gate before.
func (l *loop[R]) wait() message[R] {
	if !l.shut {
		return <-l.inbox
	}
	idle, top := l.line.Laid()
	select {
	case msg := <-l.inbox:
		return msg
	case sl := <-idle:
		return message[R]{kind: putMessage, slot: sl}
	case sl := <-top:
		return message[R]{kind: putMessage, slot: sl}
	}
}

// drain handles what is in the inbox.
func (l *loop[R]) drain(most int) {
	for range most {
		select {
		case msg := <-l.inbox:
			l.handle(msg)
		default:
			return
		}
	}
}

func (l *loop[R]) handle(msg message[R]) {
	now, m := l.clock, l.machine
	switch msg.kind {
	case waitMessage:
		m.Waits()
		l.causes.add(msg.ctx)
	case putMessage:
		m.Put(now, msg.slot.Slot, msg.verdict, msg.why)
	case sweepMessage:
		m.Sweep()
	case lentMessage:
		m.Lent(now)
	case wakeMessage: // Settle sees what there is to do
		l.next = 0 // the timer may have fired since the clock was read: it must be set anew
	case reportMessage:
		l.reported(now, msg.job)
	case askMessage:
		msg.ask(l, now)
	}
}

// set sets the timer to the next deadline.
func (l *loop[R]) set(next time.Duration) {
	if next == l.next {
		return
	}
	l.next = next
	if next == core.Never {
		l.timer.Stop()
		return
	}
	l.timer.Reset(next - l.now())
}

// publish tells the borrowers how things stand.
func (l *loop[R]) publish() {
	l.causes.trim(l.line.Waiting())
	if now := l.standing(); now.differs(l.shown) {
		l.shown = now
		l.board.post(now)
	}
}

// finish ends the supervisor. That is not before the last helper has reported: what a
// late dial brings must be closed by somebody.
func (l *loop[R]) finish() {
	l.timer.Stop()
	l.final = l.stat(l.machine.Now())
	close(l.closed)
	// A message that was sent before closed was closed is in the inbox, and handled now;
	// a later sender finds it closed.
	l.drain(inboxSize)
	l.tellEnd()
}
