package actor

// A Reason says why a resource was closed, or a lease revoked.
type Reason uint8

// The reasons for which a resource is closed, and the last three for which a lease
// is revoked too, or only.
const (
	ReasonNone      Reason = iota
	ReasonDiscarded        // its borrower, or Judge, said Discard, or asked for a Clean or Check that there is not
	ReasonBroken           // Look said so, at rest or before it was lent
	ReasonRefused          // Prepare said so
	ReasonPanicked         // Judge, Look or Prepare panicked in its borrower
	ReasonUnfit            // Clean, Check, Judge or Bind failed in a helper, with the event's Err
	ReasonOverdue          // a helper's function ignored its context
	ReasonLate             // it was opened after OpenTimeout
	ReasonExpired          // it reached MaxAge
	ReasonUnneeded         // MaxRest
	ReasonExcess           // there were more than MaxOpen or MaxIdle
	ReasonReset            // it was opened before a Reset
	ReasonClosing          // CloseAll
	ReasonHeld             // it was held for longer than MaxLease
	ReasonUsed             // its lease has ended, and its use went on for longer than EndGrace
)

var reasonNames = [...]string{
	ReasonNone:      "no reason",
	ReasonDiscarded: "discarded",
	ReasonBroken:    "broken",
	ReasonRefused:   "refused by Prepare",
	ReasonPanicked:  "a hook panicked",
	ReasonUnfit:     "unfit",
	ReasonOverdue:   "a hook ignored its context",
	ReasonLate:      "opened too late",
	ReasonExpired:   "expired",
	ReasonUnneeded:  "not needed",
	ReasonExcess:    "too many",
	ReasonReset:     "reset",
	ReasonClosing:   "pool closing",
	ReasonHeld:      "held too long",
	ReasonUsed:      "used after the end of its lease",
}

// String says it in a few words.
func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return "unknown reason"
	}
	return reasonNames[r]
}
