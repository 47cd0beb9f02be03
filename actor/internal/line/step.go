package line

// A Step is one operation on a channel, or one look at it. Between two steps of one
// goroutine any number of steps of others can happen.
type Step uint8

// The steps.
const (
	LookAtGate Step = iota // is the gate shut?
	LookAtWant             // does somebody wait?
	LookAtEnd              // has the line ended?
	LookAtFull             // need the owner be told?
	TakeTop                // take the value on top
	TakeIdle               // take the first idle value
	LayTop                 // lay a value on top
	LayIdle                // lay a value behind the idle ones
	Post                   // put a token in want
	Claim                  // take a token out of want
	Hand                   // send an answer; a put blocks here until there is room
	Receive                // receive an answer, or be told by the context or the timer
	LookAgain              // before it leaves, a dismissed waiter receives an answer if there is one
	Leave                  // take a token back or receive the answer on its way
	Set                    // shut or open the gate, say whether the line is full
	Finish                 // end
)

var stepNames = [...]string{
	LookAtGate: "look at gate", LookAtWant: "look at want", LookAtEnd: "look at end", LookAtFull: "look at full",
	TakeTop: "take top", TakeIdle: "take idle", LayTop: "lay top", LayIdle: "lay idle", Post: "post", Claim: "claim",
	Hand: "hand", Receive: "receive", LookAgain: "look again", Leave: "leave", Set: "set", Finish: "finish",
}

// String names the step.
func (s Step) String() string {
	if int(s) >= len(stepNames) {
		return "unknown step"
	}
	return stepNames[s]
}

func (l *Line[T]) step(s Step) {
	if l.owner.Step != nil {
		l.owner.Step(s)
	}
}
