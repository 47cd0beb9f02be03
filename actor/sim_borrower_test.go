package actor

import (
	"context"
	"time"
)

// simBorrower is a goroutine in get.go and put.go: each pc is the atomic step
// that it does next.
type simBorrower struct {
	id     int
	pc     simPC
	frozen int // no step before this one
	ctx    context.Context
	ends   time.Duration // when its context ends

	t    *simTicket
	sl   *simSlot
	then simPC // where a slot brought to the desk leaves it

	// Of the request.
	key      int // 0: none
	binds    bool
	patience Patience
	want     want
	gaveUp   bool // its context ended before it had its slot
	viaDesk  bool
	fresh    bool
	resets   int  // done when the get began
	brings   bool // its slot goes to the desk with the request
	refused  int  // proven slots that Prepare refused
	verdict  Verdict
	uses     int
	took     chan error // what its Take gets
	lease    *origin    // with Track

	// The world's account.
	arrival uint64        // of the request at the desk
	since   time.Duration // by the desk's clock
	arrived bool          // and no answer yet
	caused  bool          // a dial was made for it
	mends   *simHelper    // mends what it brought
	shut    bool          // a Pause had returned when the get began
	resumes int           // done when the get began
}

type simPC uint8

const (
	pcRest simPC = iota
	pcGate
	pcTop
	pcTake
	pcTell
	pcToken
	pcTold
	pcFit
	pcLook
	pcPrepare
	pcUnfit
	pcTicket
	pcGet
	pcAgain
	pcSent
	pcAwait
	pcCancel
	pcAwaitLast
	pcLend
	pcUse
	pcTakeAway
	pcTaken
	pcPutGate
	pcPushTop
	pcPush
	pcPushed
	pcPutClosed
	pcPut
)

// simContextKey marks each borrower's context.
type simContextKey struct{}

func newSimBorrower(id int) *simBorrower {
	return &simBorrower{id: id, ctx: context.WithValue(context.Background(), simContextKey{}, id)}
}

// step does one atomic step. False: it can do none now.
func (b *simBorrower) step(w *simWorld) bool {
	switch b.pc {
	case pcRest:
		return b.begin(w)
	case pcAwait, pcAwaitLast:
		return b.await(w)
	case pcTaken:
		return b.taken(w)
	case pcGate, pcTop, pcTake, pcTell, pcToken, pcTold:
		b.stepShelf(w)
	case pcFit, pcLook, pcPrepare, pcUnfit:
		b.stepFit(w)
	case pcTicket, pcGet, pcAgain, pcSent, pcCancel:
		b.stepDesk(w)
	case pcLend, pcUse, pcTakeAway:
		b.stepUse(w)
	default:
		b.stepPut(w)
	}
	return true
}

func (b *simBorrower) note(w *simWorld, what string) { w.step("borrower", b.id, what, b.sl) }

// begin starts a new request. Its context may end at any time.
func (b *simBorrower) begin(w *simWorld) bool {
	if w.draining || w.closed {
		return false
	}
	*b = simBorrower{id: b.id, ctx: b.ctx, ends: never, resets: w.resets, shut: w.quiet, resumes: w.resumes, pc: pcGate}
	if w.in(w.impatient) {
		b.ends = w.now + w.upTo(3*time.Second)
	}
	if w.in(w.hasty) {
		b.patience = NoWait + Patience(w.n(2))
	}
	if w.in(w.keyed) {
		b.key, b.pc = 1+w.n(w.keys), pcTicket
		b.binds = w.in(w.binds)
	}
	if w.in(w.awaitsFill) {
		b.want, b.key, b.patience, b.pc = forMinimum, 0, Wait, pcTicket
	} else if w.in(w.pauses) {
		b.want, b.key, b.patience, b.pc = forQuiet, 0, Wait, pcTicket
		if w.in(40) {
			b.ends = w.now + w.upTo(20*w.tick) // perhaps before the desk can answer
		}
	}
	w.active++
	w.peak = max(w.peak, w.active)
	b.note(w, "begins")
	return true
}

// end is the return of a get that failed, or of a put.
func (b *simBorrower) end(w *simWorld, what string) {
	b.note(w, what)
	if b.t != nil {
		w.recycle(b.t)
	}
	b.t, b.sl, b.pc = nil, nil, pcRest
	w.active--
}

// stepShelf is fromShelf up to fit, and tellIfLow.
func (b *simBorrower) stepShelf(w *simWorld) {
	switch b.pc {
	case pcGate:
		b.note(w, "reads the gate")
		b.pc = pcTop
		if w.gate {
			b.pc = pcTicket
		}
	case pcTop:
		if b.sl = w.popTop(); b.sl == nil {
			b.note(w, "finds nothing on top")
			b.pc = pcTake
			return
		}
		b.takes(w)
	case pcTake:
		if b.sl = w.pop(); b.sl == nil {
			b.note(w, "finds the shelf empty")
			b.pc = pcTicket
			return
		}
		b.takes(w)
	default:
		b.tell(w)
	}
}

// takes is what it does with a slot off the shelf.
func (b *simBorrower) takes(w *simWorld) {
	w.move(b.sl, theShelf, aBorrower, b)
	b.sl.uses++
	if w.gate {
		w.justTaken++
	}
	if !b.sl.value.revoked {
		w.leases++
	}
	b.note(w, "takes")
	b.pc = pcFit
	if w.pool.MinIdle > 0 {
		b.pc = pcTell
	}
}

// tell has the token of those who leave too few be taken by one.
func (b *simBorrower) tell(w *simWorld) {
	switch b.pc {
	case pcTell:
		b.note(w, "counts the shelf")
		b.pc = pcFit
		if len(w.lying()) < w.pool.MinIdle {
			b.pc = pcToken
		}
	case pcToken:
		b.note(w, "wants the token")
		b.pc = pcFit
		if w.low {
			w.low, b.pc = false, pcTold
		}
	case pcTold:
		w.send(simMessage{kind: wakeMessage})
		b.note(w, "tells of too few")
		b.pc = pcFit
	}
}

// stepFit is fit, and prepare.
func (b *simBorrower) stepFit(w *simWorld) {
	switch b.pc {
	case pcFit:
		b.fit(w)
	case pcLook:
		b.look(w)
	case pcPrepare:
		b.prepare(w)
	case pcUnfit:
		b.bring(w)
	}
}

// fit looks at the recall, and says whether the slot must be looked at.
func (b *simBorrower) fit(w *simWorld) {
	b.note(w, "looks at the recall")
	b.verdict, b.then = Keep, pcGate
	if b.viaDesk {
		b.then = pcAgain
	}
	switch {
	case isClosed(b.sl.recall):
		b.pc = pcUnfit
	case w.pool.Look == nil && !w.pool.KeepAlive || b.isFresh():
		b.pc = w.afterLook()
	default:
		b.pc = w.afterLook()
		if w.pool.Look != nil && w.now-b.sl.since >= w.pool.LookAfter {
			b.pc = pcLook
		} else {
			w.checkRested(b.sl.value, w.now)
		}
		b.sl.since = w.now
	}
}

// look asks Look, which may panic: then the slot goes to the desk all the same.
func (b *simBorrower) look(w *simWorld) {
	b.note(w, "looks at the resource")
	b.pc = w.afterLook()
	if b.verdict = w.verdict(); b.verdict != Keep {
		b.pc = pcUnfit
	}
	if b.verdict == Discard && w.in(30) {
		b.then, b.t = pcRest, nil
	}
	b.sl.value.proven = w.now
}

// isFresh is what the desk says of a slot that it granted.
func (b *simBorrower) isFresh() bool { return b.viaDesk && b.fresh }

// verdict is a random one; Discard stands for a panic too.
func (w *simWorld) verdict() Verdict {
	if w.draining || !w.in(w.unfit) {
		return Keep
	}
	return Verdict(w.between(int(Clean), int(Discard)))
}

// bring gives an unfit slot to the desk.
func (b *simBorrower) bring(w *simWorld) {
	w.move(b.sl, aBorrower, theInbox, b)
	w.send(simMessage{kind: putMessage, slot: b.sl, verdict: b.verdict, why: ReasonBroken})
	b.note(w, "brings back unfit")
	b.sl, b.pc = nil, b.then
	if b.pc == pcRest {
		b.end(w, "panics")
	}
}

// stepDesk is fromDesk and request.
func (b *simBorrower) stepDesk(w *simWorld) {
	switch b.pc {
	case pcTicket:
		b.t = w.ticket()
		b.t.ctx, b.t.patience, b.t.asks = b.ctx, b.patience, b.want
		b.lease = w.origin()
		b.t.origin = b.lease
		if b.key > 0 {
			b.t.key, b.t.binds = b.key, b.binds
		}
		b.note(w, "takes a ticket")
		b.viaDesk, b.pc = true, pcGet
	case pcGet:
		b.bringsAlong(w)
		w.send(simMessage{kind: getMessage, ticket: b.t})
		b.note(w, "sends get")
		b.pc = pcSent
	case pcAgain:
		b.bringsAlong(w)
		w.send(simMessage{kind: againMessage, ticket: b.t})
		b.note(w, "sends again")
		b.pc = pcSent
	case pcSent:
		b.pc = pcAwait
		if w.closed {
			b.lastLook(w)
		}
	case pcCancel:
		w.send(simMessage{kind: cancelMessage, ticket: b.t})
		b.note(w, "sends cancel")
		b.pc = pcAwaitLast
	}
}

// await receives the answer, or goes on without if the context ends:
// whichever is ready.
func (b *simBorrower) await(w *simWorld) bool {
	answered := len(b.t.reply) > 0
	cancels := b.pc == pcAwait && w.now >= b.ends
	switch {
	case !answered && !cancels:
		return false
	case answered && (!cancels || w.in(50)):
		b.receive(w)
	default:
		b.note(w, "sees its context end")
		b.pc = pcCancel
	}
	return true
}

func (b *simBorrower) receive(w *simWorld) {
	a := <-b.t.reply
	gaveUp := b.pc == pcAwaitLast
	if a.slot == nil {
		if gaveUp && w.closed {
			b.t = nil
		}
		b.end(w, "gets an error")
		return
	}
	b.sl, b.fresh, b.pc = a.slot, a.fresh, pcFit
	if b.key == 0 {
		w.move(b.sl, aReply, aBorrower, b)
	}
	b.note(w, "gets a slot")
	switch {
	case gaveUp:
		b.gaveUp, b.verdict = true, Keep
		b.putBack(pcRest)
	case b.key > 0:
		b.pc = pcLend
	}
}

// lastLook leaves without recycling the ticket: it may still be in the inbox.
func (b *simBorrower) lastLook(w *simWorld) {
	select {
	case a := <-b.t.reply:
		w.must(a.slot == nil || a.slot.value.revoked, "inv10EndsClean", "a slot is lost at the end")
	default:
	}
	b.t, b.arrived = nil, false
	b.end(w, "finds the actor ended")
}

// stepUse is the time between get and put.
func (b *simBorrower) stepUse(w *simWorld) {
	if b.pc == pcLend {
		if b.t != nil {
			w.recycle(b.t)
			b.t = nil
		}
		w.checkLease(b)
		b.note(w, "has it")
		b.uses, b.pc = w.n(6), pcUse
		return
	}
	if b.pc == pcTakeAway {
		b.takeAway(w)
		return
	}
	w.checkUse(b)
	if b.uses--; b.uses >= 0 {
		b.note(w, "uses it")
		if w.in(3) {
			w.lose(b)
		}
		return
	}
	if w.in(w.takeaways) {
		b.pc = pcTakeAway
		return
	}
	if b.key > 0 && w.in(w.overstays) {
		b.overstay(w)
		return
	}
	b.verdict = Keep
	switch {
	case !w.draining && w.in(w.discards):
		b.verdict = Discard
	case b.key == 0 && w.pool.Judge != nil:
		b.verdict = w.verdict()
	}
	b.note(w, "is done with it")
	b.putBack(pcRest)
}

// putBack begins the way back.
func (b *simBorrower) putBack(then simPC) {
	b.then, b.pc = then, pcPutClosed
	if b.key == 0 && b.verdict == Keep {
		b.pc = pcPutGate
	}
}

// stepPut is toShelf, and the message where that is not allowed.
func (b *simBorrower) stepPut(w *simWorld) {
	switch b.pc {
	case pcPutGate:
		b.note(w, "reads the gate to put")
		b.pc = pcPushTop
		if w.gate {
			b.pc = pcPutClosed
		}
	case pcPushTop:
		b.push(w, w.pushTop, pcPush)
	case pcPush:
		b.push(w, w.push, pcPutClosed)
	case pcPushed:
		if isClosed(b.sl.recall) {
			w.send(simMessage{kind: nudgeMessage})
			b.note(w, "nudges")
		}
		b.hasPut(w, "has put")
	case pcPutClosed:
		b.pc = pcPut
		if w.closed || b.key == 0 && isClosed(b.sl.gone) {
			b.hasPut(w, "puts after the end")
		}
	case pcPut:
		if b.key == 0 {
			b.laysDown(w, theInbox)
		}
		b.sendPut(w)
		b.hasPut(w, "brings back")
	}
}

// laysDown begins the slot's rest, unless it was not used: then its rest goes
// on.
func (b *simBorrower) laysDown(w *simWorld, to simOwner) {
	w.move(b.sl, aBorrower, to, b)
	th := b.sl.value
	if th.used = !b.gaveUp; th.used {
		th.proven = w.now
	}
}

// hasPut is the end of a put, or of a round of a get that goes on. Who gave up
// still has a ticket, which may be in the inbox if the actor has ended.
func (b *simBorrower) hasPut(w *simWorld, what string) {
	if b.then != pcRest {
		b.note(w, what)
		b.sl, b.pc = nil, b.then
		return
	}
	if w.closed {
		b.t = nil
	}
	b.end(w, what)
}

func (w *simWorld) ticket() *simTicket {
	if len(w.free) == 0 {
		return &simTicket{reply: make(chan answer[*simThing], 1)}
	}
	t := w.free[0]
	w.free = w.free[1:]
	return t
}

func (w *simWorld) recycle(t *simTicket) {
	t.ctx, t.key, t.binds, t.patience, t.asks, t.brings, t.origin = nil, nil, false, Wait, forResource, brought[*simThing]{}, nil
	w.free = append(w.free, t)
}

// push lays the slot on the shelf, or goes on elsewhere.
func (b *simBorrower) push(w *simWorld, onto func(*simSlot) bool, full simPC) {
	b.pc = full
	if onto(b.sl) {
		b.laysDown(w, theShelf)
		w.justPut++
		b.note(w, "puts on the shelf")
		b.pc = pcPushed
	}
}
