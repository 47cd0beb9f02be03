package line

import "errors"

// A keeper is the owner of a line in the simulation and in the stress test. It opens
// values up to a limit, refuses waiters when it can open none, shuts and opens the gate,
// draws what is laid meanwhile, checks idle values, and ends. It has no goroutine: its
// user has it serve messages, one at a time, and settle while it says again.
type keeper struct {
	line    *Line[int]
	limit   int
	dial    func()      // begins to open a value: the message opened or failed follows
	discard func(v int) // ends a value; nil: nothing

	held     []int // values in the keeper's hands
	made     int   // values opened so far, which is the name of the last
	open     int   // values that are open now
	dialing  int
	shut     bool
	ending   bool
	refusing bool // until nobody waits
	again    bool // there was no room in hand: settle once more after others ran
}

type message struct {
	kind   messageKind
	value  int
	joined func() // joinFor: called after the token is posted
}

type messageKind uint8

const (
	woke      messageKind = iota // somebody waits
	brought                      // value comes back
	opened                       // a dial has ended well
	failed                       // a dial has failed
	discarded                    // a borrower threw a value away
	shutGate
	openGate
	refuseOne // refuse one waiter, or change your mind if there is no room
	checkIdle // draw an idle value and return it
	joinFor   // post a token for a borrower
	end
)

var (
	errNoDial  = errors.New("nothing is open and no dial succeeds")
	errRefused = errors.New("refused")
)

// serve does what m asks for.
func (k *keeper) serve(m message) {
	k.handle(m)
	if m.kind != checkIdle { // whose Return must do without the Match in settle
		k.settle()
	}
}

func (k *keeper) handle(m message) {
	switch m.kind {
	case woke:
	case brought:
		k.held = append(k.held, m.value)
	case opened:
		k.dialing--
		k.open++
		k.made++
		k.held = append(k.held, k.made)
	case failed:
		k.dialing--
		k.refusing = k.open == 0 && k.dialing == 0
	case discarded:
		k.open--
	case shutGate:
		k.shut = true
		k.line.Shut()
	case openGate:
		k.shut = false
	case refuseOne:
		k.line.Refuse(errRefused)
	case checkIdle:
		if v, ok := drawAny(k.line); ok {
			k.keep(k.line.Return(v, k.open%2 == 0))
		}
	case joinFor:
		k.line.Join()
		m.joined()
	case end:
		k.ending = true
		k.line.Shut()
		k.line.End()
	}
}

// settle does what is to be done, and says with again whether some of it had no room.
func (k *keeper) settle() {
	k.again = false
	if k.open < k.limit || k.dialing > 0 {
		k.line.SetFull(false) // before any look at Waiting
	}
	switch {
	case k.ending:
		k.drawAll()
		for _, v := range k.held {
			k.close(v)
		}
		k.held = nil
		k.refuseAll(ErrEnded)
	case k.shut:
		k.drawAll()
	default:
		k.line.Open()
		held := k.held
		k.held = nil
		for _, v := range held {
			k.keep(k.line.Hand(v))
		}
		if k.refusing {
			k.refuseAll(errNoDial)
			k.refusing = k.line.Waiting() > 0
		}
		for !k.refusing && k.line.Waiting() > k.dialing && k.open+k.dialing < k.limit {
			k.dialing++
			k.dial()
		}
		if k.open == k.limit && k.dialing == 0 {
			k.line.SetFull(true)
		}
		k.keep(k.line.Match())
		k.again = k.again || k.line.Waiting() > 0 && (k.refusing || len(k.held) > 0)
	}
}

// keep keeps what Hand, Match or Return found no room for.
func (k *keeper) keep(v int, ok bool) {
	if !ok {
		k.held = append(k.held, v)
		k.again = true
	}
}

func (k *keeper) drawAll() {
	for v, ok := drawAny(k.line); ok; v, ok = drawAny(k.line) {
		k.held = append(k.held, v)
	}
}

func (k *keeper) refuseAll(err error) {
	for k.line.Refuse(err) {
	}
	k.again = k.again || k.line.Waiting() > 0
}

func (k *keeper) close(v int) {
	k.open--
	if k.discard != nil {
		k.discard(v)
	}
}

// done reports whether the keeper has ended, closed every value and refused everybody.
func (k *keeper) done() bool { return k.ending && k.open == 0 && k.dialing == 0 && !k.again }
