package pool

import "github.com/pgactor/pgactor/actor"

// What Config.OnEvent is told, under the names of package actor.

type (
	// An Event tells of one thing that happened to a pool or to one of its
	// connections.
	Event = actor.Event
	// An EventKind says what happened.
	EventKind = actor.EventKind
	// A Reason says why a connection was closed, or taken from its borrower.
	Reason = actor.Reason
)

// The kinds of events.
const (
	EventOpened      = actor.EventOpened      // a connection was opened; N are open
	EventOpenFailed  = actor.EventOpenFailed  // connecting failed, with Err; N have since the outage began
	EventClosed      = actor.EventClosed      // a connection was closed, for the Reason
	EventCleaned     = actor.EventCleaned     // a connection was rolled back, reset, or given to AfterRelease; Err is in what state it was put, if that was at fault
	EventTaken       = actor.EventTaken       // Conn.Hijack
	EventRevoked     = actor.EventRevoked     // a Lease was revoked, for the Reason; no EventClosed follows
	EventLeaked      = actor.EventLeaked      // a Lease was garbage collected without a put
	EventRefused     = actor.EventRefused     // a get, Pause or WaitReady was refused, with Err
	EventCancelled   = actor.EventCancelled   // one's context, or AcquireTimeout, ended while it waited
	EventResized     = actor.EventResized     // N is the new MaxConns
	EventPaused      = actor.EventPaused      // nothing is lent from now on
	EventResumed     = actor.EventResumed     // the pause is over
	EventNotReady    = actor.EventNotReady    // WaitReady, or a constructor, waits on though connecting has failed, with Err
	EventReset       = actor.EventReset       // what is open is old
	EventOutageBegan = actor.EventOutageBegan // connecting has failed, with Err, and had not before, or connections do not last
	EventOutageEnded = actor.EventOutageEnded // it has Lasted, and N connects have failed
	EventOutageLasts = actor.EventOutageLasts // it has Lasted for ReconnectTimeout; N connects have failed, Err is the last failure
	EventClosing     = actor.EventClosing     // CloseAll has begun
	EventDropped     = actor.EventDropped     // N events before the next were not told: OnEvent was too slow
	EventEnded       = actor.EventEnded       // the last event
)

// The reasons of EventClosed and EventRevoked.
const (
	ReasonNone      = actor.ReasonNone
	ReasonDiscarded = actor.ReasonDiscarded // put with WithClose, or closed, or with unread rows
	ReasonBroken    = actor.ReasonBroken    // its socket, looked at before it was lent or at rest
	ReasonRefused   = actor.ReasonRefused   // by PrepareConn
	ReasonPanicked  = actor.ReasonPanicked  // a hook in its borrower's goroutine
	ReasonUnfit     = actor.ReasonUnfit     // the rollback, ping, AfterRelease or OnBind failed, with Err
	ReasonOverdue   = actor.ReasonOverdue   // a hook ignored its context
	ReasonLate      = actor.ReasonLate      // a connect came after its time; see Config.ConnConfig
	ReasonExpired   = actor.ReasonExpired   // MaxConnLifetime
	ReasonUnneeded  = actor.ReasonUnneeded  // MaxConnIdleTime
	ReasonExcess    = actor.ReasonExcess    // there were more than MaxConns or MaxIdleConns
	ReasonReset     = actor.ReasonReset     // it was opened before a Reset
	ReasonClosing   = actor.ReasonClosing   // CloseAll
	ReasonHeld      = actor.ReasonHeld      // it was held for longer than MaxLeaseTime
	ReasonUsed      = actor.ReasonUsed      // its lease has ended, and its use went on for 500 ms
)
