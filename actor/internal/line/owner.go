package line

// What the owner does. These methods never block.
//
// Hand and Refuse hold a token for a moment and may put it back. A put that looked at
// want in that moment has laid its value on idle, and nobody is left who looks. So the
// owner has one duty: after Open, and after Hand or Refuse returned false, it calls
// [Line.Match] before it waits for something to happen.

// Waiting is the number of waiters that nobody has provided for yet. Anybody may call
// it.
//
// Puts and the owner rely on its order: a value is laid, or full is cleared, and then
// Waiting is read. The length of a channel is a plain load, which arm64 may do before what
// the caller did before. The receive in isEnded is not reordered, and nor is the load
// across it.
func (l *Line[T]) Waiting() int {
	l.isEnded()
	return len(l.want)
}

// Idle is the number of idle values. Anybody may call it; while values move it is off
// by those on their way.
func (l *Line[T]) Idle() int {
	below, top := l.Lengths()
	return below + top
}

// Lengths is Idle in its two parts.
func (l *Line[T]) Lengths() (below, top int) { return len(l.idle), len(l.top) }

// Full reports whether the owner can do nothing for another waiter, see SetFull. Anybody
// may call it.
func (l *Line[T]) Full() bool { return len(l.full) > 0 }

// Answers is the number of answers that no waiter has received yet. Anybody may call
// it.
func (l *Line[T]) Answers() int { return len(l.hand) }

// Hand passes v on as [Line.Give] does, whatever the gate is, but without blocking. It
// returns false and a value for which there is no room now: v, or another one. The owner
// keeps that and tries again, at once after others ran if somebody waits.
func (l *Line[T]) Hand(v T) (rest T, ok bool) {
	for {
		if l.claim() {
			if l.answer(answer[T]{value: v}) {
				return rest, true
			}
			return v, false
		}
		if !l.lay(v) {
			return v, false
		}
		l.step(LookAtWant)
		if l.Waiting() == 0 {
			return rest, true
		}
		if v, ok = l.grab(); !ok {
			return rest, true
		}
	}
}

// Match hands idle values to waiters, as long as there are both. While the gate is shut
// it does nothing. Like [Line.Hand] it returns false and a value for which there is no
// room now.
func (l *Line[T]) Match() (rest T, ok bool) {
	if len(l.gate) > 0 {
		return rest, true
	}
	for {
		l.step(LookAtWant)
		if l.Waiting() == 0 {
			return rest, true
		}
		v, ok := l.grab()
		if !ok {
			return rest, true
		}
		if v, ok = l.Hand(v); !ok {
			return v, false
		}
	}
}

// Refuse answers one waiter with err. It returns false if nobody waits, or if there is
// no room for the answer now; [Line.Waiting] tells which.
func (l *Line[T]) Refuse(err error) bool {
	return l.claim() && l.answer(answer[T]{err: err})
}

// answer sends an answer for a token that the owner has claimed. Without room it puts
// the token back: the waiter is not provided for.
func (l *Line[T]) answer(a answer[T]) bool {
	l.step(Hand)
	if send(l.hand, a) {
		return true
	}
	l.step(Post)
	l.want <- struct{}{}
	return false
}

// Draw takes the first idle value below the top, whatever the gate is. Borrowers use the top
// again and again, so the owner takes that last, with [Line.DrawTop].
func (l *Line[T]) Draw() (v T, ok bool) {
	l.step(TakeIdle)
	return receive(l.idle)
}

// DrawTop takes the value on top.
func (l *Line[T]) DrawTop() (v T, ok bool) {
	l.step(TakeTop)
	return receive(l.top)
}

// Laid are the channels of idle values. The owner also receives from these while the
// gate is shut: a value there is of a put that had looked at the gate before.
func (l *Line[T]) Laid() (idle, top <-chan T) { return l.idle, l.top }

// Return lays v back where it was drawn from, on top if top is set, or where there is
// room. Then it looks for waiters that came while v was drawn, as [Line.Match] does, and
// returns what Match returns. Without any room it returns v and false.
func (l *Line[T]) Return(v T, top bool) (rest T, ok bool) {
	if !l.layBack(v, top) {
		return v, false
	}
	return l.Match()
}

func (l *Line[T]) layBack(v T, top bool) bool {
	if top {
		return l.lay(v)
	}
	l.step(LayIdle)
	if send(l.idle, v) {
		return true
	}
	l.step(LayTop)
	return send(l.top, v)
}

// Shut shuts the gate. Shutting it again does nothing.
func (l *Line[T]) Shut() { l.set(l.gate, true) }

// Open opens the gate. The owner calls [Line.Match] next: a waiter that saw the gate shut
// has not looked at idle.
func (l *Line[T]) Open() { l.set(l.gate, false) }

// SetFull says whether another waiter need not wake the owner. An owner that clears it
// must look at Waiting after that.
func (l *Line[T]) SetFull(full bool) { l.set(l.full, full) }

// End refuses nobody by itself: from now on a waiter that joins is told ErrEnded. The
// owner refuses those that wait already, until nobody is [Line.Waiting]. The gate must be
// shut. End must be called once.
func (l *Line[T]) End() {
	l.step(Finish)
	close(l.ended)
}

// set puts the token in a channel of one, or takes it out.
func (l *Line[T]) set(c chan struct{}, to bool) {
	switch {
	case to && len(c) == 0:
		l.step(Set)
		c <- struct{}{}
	case !to && len(c) > 0:
		l.step(Set)
		<-c
	}
}
