package line

import (
	"context"
	"errors"
	"math"
	"time"
)

// A Line passes values of type T between goroutines. Take, Give, Join and Await are
// for any number of goroutines; the other methods say if they are for the owner
// alone, which is one goroutine. Make one with [New].
type Line[T any] struct {
	top, idle chan T
	want      chan struct{}
	hand      chan answer[T]
	gate      chan struct{}
	full      chan struct{}
	ended     chan struct{}

	owner Owner[T]
}

// An Owner decides what the line cannot. Its functions are called by borrowers.
type Owner[T any] struct {
	// Wake tells the owner that somebody waits. It is called with the context of the
	// get, after the token is posted. A get under way may call it after End.
	Wake func(ctx context.Context)

	// Bring takes a value for which there is no place in the line, or that must not
	// be given since the gate is shut. A get under way may call it after End.
	Bring func(v T)

	// Passed, if not nil, is told of a value that a get has passed on, as a put does: one
	// that came too late for it. The get no longer owns v.
	Passed func(v T)

	// Step, if not nil, is called before each operation on a channel that others can
	// observe. Tests use it to make one order of steps happen; it is nil otherwise.
	Step func(Step)
}

// An answer is what a waiter receives: a value, or an error.
type answer[T any] struct {
	value T
	err   error
}

var (
	// ErrEnded is the answer to a waiter after End.
	ErrEnded = errors.New("line: ended")

	// ErrGaveUp is Await's error when the context ended first.
	ErrGaveUp = errors.New("line: gave up")

	// ErrLate is Await's error when the timer fired first.
	ErrLate = errors.New("line: timed out")
)

// How many answers may be on their way without a receiver. A put waits for room, the
// owner does not.
const (
	fewestAnswers = 8
	mostAnswers   = 128
)

// New makes a line with room for so many idle values. The gate is open.
func New[T any](room int, owner Owner[T]) *Line[T] {
	top := min(room, 1)
	return &Line[T]{
		top:   make(chan T, top),
		idle:  make(chan T, room-top),
		want:  make(chan struct{}, math.MaxInt), // of no size: it takes no memory
		hand:  make(chan answer[T], min(max(room, fewestAnswers), mostAnswers)),
		gate:  make(chan struct{}, 1),
		full:  make(chan struct{}, 1),
		ended: make(chan struct{}),
		owner: owner,
	}
}

// Take takes an idle value, unless the gate is shut. It does not block.
func (l *Line[T]) Take() (v T, ok bool) {
	l.step(LookAtGate)
	if len(l.gate) > 0 {
		return v, false
	}
	return l.grab()
}

// Give passes v on: to the first in line, or to idle. If the gate is shut, or idle has
// no room, it returns false and a value that the caller must bring to the owner: v, or
// another one that Give took for a waiter. It blocks while hand is full, until a waiter
// receives. There is one that can: if h answers fill hand and k callers of Give are blocked,
// h+k wait by rule 1, so at least h waiters are not blocked here.
func (l *Line[T]) Give(v T) (rest T, ok bool) {
	l.step(LookAtGate)
	if len(l.gate) > 0 {
		return v, false
	}
	for {
		if l.claim() {
			l.step(Hand)
			l.hand <- answer[T]{value: v}
			return rest, true
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

// Join posts a token: the caller, or the one for whom the owner calls Join, waits from
// then on and must call [Line.Await].
func (l *Line[T]) Join() {
	l.step(Post)
	l.want <- struct{}{}
}

// Await waits for an answer after [Line.Join]: a value, the error of [Line.Refuse],
// ErrGaveUp when ctx ends, ErrLate when late fires, an error from dismissed, or ErrEnded.
// Late and dismissed may be nil.
func (l *Line[T]) Await(ctx context.Context, late <-chan time.Time, dismissed <-chan error) (T, error) {
	// The look at ended comes first. It is a receive, so the looks at gate and full,
	// which are lengths, come after the token on every processor: see Waiting.
	l.step(LookAtEnd)
	if l.isEnded() {
		return l.leave(ErrEnded)
	}
	if v, ok := l.Take(); ok {
		if l.claim() {
			return v, nil
		}
		l.pass(v) // an answer is on its way to this waiter
	}
	l.step(LookAtFull)
	if len(l.full) == 0 {
		l.owner.Wake(ctx)
	}
	l.step(Receive)
	select {
	case a := <-l.hand:
		return a.value, a.err
	case <-ctx.Done():
		return l.leave(ErrGaveUp)
	case <-late:
		return l.leave(ErrLate)
	case why := <-dismissed:
		return l.dismiss(why)
	}
}

// dismiss ends the wait of a caller that its owner dismisses: with an answer that is there
// already, of which the owner did not know, or with the error why.
func (l *Line[T]) dismiss(why error) (T, error) {
	l.step(LookAgain)
	if a, ok := receive(l.hand); ok {
		return a.value, a.err
	}
	return l.leave(why)
}

// leave ends the wait of the caller with the error why: it takes a token back, or
// receives the answer that is on its way. It passes a value on; an error is the result
// instead of ErrEnded.
//
// The token goes first. If leave chose between a token and an answer at random, it could
// receive the last answer and let its token lie, when the owner has ended and looks no
// more: another waiter would wait for ever. The select is for a token that the owner
// holds at the moment: the owner either answers or puts it back.
func (l *Line[T]) leave(why error) (none T, err error) {
	if l.claim() {
		return none, why
	}
	l.step(Leave)
	select {
	case <-l.want:
		return none, why
	case a := <-l.hand:
		if a.err == nil {
			l.pass(a.value)
		} else if why == ErrEnded {
			why = a.err
		}
		return none, why
	}
}

// pass gives v away, or brings it to the owner.
func (l *Line[T]) pass(v T) {
	if rest, ok := l.Give(v); !ok {
		l.owner.Bring(rest)
	} else if l.owner.Passed != nil {
		l.owner.Passed(v)
	}
}

// claim takes a token out of want. The caller owes one waiter an answer then, or
// no longer waits itself.
func (l *Line[T]) claim() bool {
	l.step(Claim)
	select {
	case <-l.want:
		return true
	default:
		return false
	}
}

// grab takes an idle value, whatever the gate is: the top first.
func (l *Line[T]) grab() (v T, ok bool) {
	l.step(TakeTop)
	if v, ok = receive(l.top); ok {
		return v, true
	}
	l.step(TakeIdle)
	return receive(l.idle)
}

// lay puts v on top if that is free, else on idle. It reports whether there was room.
func (l *Line[T]) lay(v T) bool {
	l.step(LayTop)
	if send(l.top, v) {
		return true
	}
	l.step(LayIdle)
	return send(l.idle, v)
}

func (l *Line[T]) isEnded() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// receive takes what is in c. It does not block.
func receive[T any](c <-chan T) (v T, ok bool) {
	select {
	case v = <-c:
		return v, true
	default:
		return v, false
	}
}

// send puts v in c if there is room. It does not block.
func send[T any](c chan<- T, v T) bool {
	select {
	case c <- v:
		return true
	default:
		return false
	}
}
