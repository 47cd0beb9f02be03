package actor

// A Reason says why the supervisor has ended a lease or a resource.
type Reason uint8

// The reasons for which a lease is revoked.
const (
	ReasonNone    Reason = iota
	ReasonHeld           // it was held for longer than MaxLease
	ReasonUsed           // it has ended, and its use went on for longer than EndGrace
	ReasonClosing        // CloseAll
)

var reasonNames = [...]string{
	ReasonNone:    "no reason",
	ReasonHeld:    "held too long",
	ReasonUsed:    "used after the end of its lease",
	ReasonClosing: "pool closing",
}

// String says it in a few words.
func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return "unknown reason"
	}
	return reasonNames[r]
}
