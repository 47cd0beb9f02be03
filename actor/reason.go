package actor

import "github.com/pgactor/pgactor/actor/internal/core"

// A Reason says why a resource was closed, or a lease revoked.
type Reason = core.Reason

// The reasons for which a resource is closed. A lease is revoked for one of the last two,
// or because the pool is closing.
const (
	ReasonNone      = core.ReasonNone
	ReasonDiscarded = core.ReasonDiscarded // its borrower, or Judge, said Discard, or asked for a Clean or Check that there is not
	ReasonBroken    = core.ReasonBroken    // Look said so, at rest or before it was lent
	ReasonRefused   = core.ReasonRefused   // Prepare said so
	ReasonPanicked  = core.ReasonPanicked  // Judge, Look or Prepare panicked in its borrower
	ReasonUnfit     = core.ReasonUnfit     // Clean or Check failed, with the event's Err
	ReasonOverdue   = core.ReasonOverdue   // a function ignored its context
	ReasonLate      = core.ReasonLate      // it was opened after OpenTimeout
	ReasonExpired   = core.ReasonExpired   // it reached MaxAge
	ReasonUnneeded  = core.ReasonUnneeded  // MaxRest
	ReasonExcess    = core.ReasonExcess    // there were more than MaxOpen or MaxIdle
	ReasonReset     = core.ReasonReset     // it was opened before a Reset
	ReasonClosing   = core.ReasonClosing   // CloseAll
	ReasonHeld      = core.ReasonHeld      // it was held for longer than MaxLease
	ReasonUsed      = core.ReasonUsed      // its lease has ended, and its use went on for too long
)
