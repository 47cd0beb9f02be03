// Package actor lends reusable resources of any kind, such as connections, from a pool
// that is an actor: one goroutine, the supervisor, owns every resource, and others ask
// it over channels. It uses no locks and knows nothing of what it lends. Package pool
// builds PostgreSQL pools on it.
//
// # The picture
//
//	         take ┌──────────┐ put
//	get ◀─────────│   idle   │◀───────── put, if nobody waits
//	              └──────────┘
//	              ┌──────────┐
//	get ─ token ─▶│   want   │─ token ─▶ put, if somebody waits
//	get ◀─────────│   hand   │◀───────── put
//	              └──────────┘
//	inbox: what needs a decision ─▶ supervisor ─▶ helpers (open, clean, check, close) ─▶ inbox
//
// The supervisor keeps the right number of resources open, has done to them what they
// need, and says no when there is no hope. It does no I/O and waits for nobody: work that
// may block goes to helper goroutines, each of which reports exactly once. Idle resources
// and the gets that wait meet in the line, without the supervisor: a put hands its
// resource to the first in line, or lays it idle. That one borrower may answer another
// changes who answers, and not who owns: what is opened, lent, recalled, revoked and
// closed is decided by the supervisor alone.
//
// # The channels
//
// These are all there are. The supervisor alone closes one, except told.
//
//	idle, top   slots at rest; top is one place, taken first and filled first
//	want, hand  tokens of gets that wait, and the answers on their way to them
//	gate, full  a token inside: slots go to the supervisor; a get that waits need not tell it
//	            (these are package line's; see there)
//	inbox       borrowers, helpers, the timer → supervisor: a message
//	fewIdle     supervisor → one get: a token, for the get that leaves fewer than MinIdle and tells
//	unlent      supervisor → one get: a token, for the first lease that MaxLease has to watch
//	board       supervisor → gets in vain: how things stand; a reader puts it back
//	gaveUp      gets → supervisor: a count of tokens; and turnedAway, the same
//	card        one for each slot, if leases have cards: borrower ↔ supervisor: who holds it
//	recall      one for each slot, only ever closed: bring it to the supervisor
//	gone        one for each slot, only ever closed: it is no longer yours
//	closing     only ever closed: CloseAll has begun
//	closed      only ever closed: the supervisor has ended
//	events      supervisor → reporter: what OnEvent is told
//	told        reporter → CloseAll, only ever closed: OnEvent was told of everything
//
// A question, such as Stat, brings a channel for its one answer, as do a call that waits
// for a condition, a TryGet that finds nothing idle, a GetNoWait that may be dismissed, and
// a repair that Prepare demands. All have room for what the supervisor sends, so it blocks
// nowhere but where it waits for something to do, and where a card or the board is in
// somebody's hands for the moment of a look.
//
// # The rules
//
// A slot is the record of one resource. Each rule has tests of its name, such as
// TestRule03ResetBetweenTakeAndLookIsSeen, and the simulation checks them after every step.
//
//  1. Places. What is open, being opened and being closed is never more than MaxOpen. Only
//     a helper that outlasts its grace takes no place any more.
//  2. One owner. A slot has one owner at any moment: the supervisor, a helper, a borrower,
//     or the line. Ownership moves with the pointer through a channel. A resource is
//     closed or killed exactly once, and never lent after that.
//  3. Recall. A get looks at a slot's recall before it lends the slot; a put looks once more
//     after it has given the slot away, and has the supervisor sweep. So a get that begins
//     after Reset returned never yields an older resource, and nothing old lies idle.
//  4. The supervisor draws idle slots one at a time and lays each back where it was: a
//     walk hides at most one, and changes no order.
//  5. Every get has exactly one answer. One that gives up while its answer is on the way
//     passes that on. Nobody waits beside an idle slot.
//  6. Order is that of the line: first come, first served. A get whose slot proved unfit
//     waits at the end of the line.
//  7. The end. Senders also watch closed. The supervisor closes it, then empties the inbox
//     once more: a question sent before is answered, a later one finds closed.
//  8. Demand is exact: tokens in want are demand, so one cold get is one dial. A get waits
//     for the pool, never for its own dial. A dial or repair that hangs counts for a second.
//     A dial carries the values of a get that caused it.
//  9. A dial is stamped with the epoch of the outage and the count of resets: failures
//     that belong together count once, and what was begun before a reset is known to be old.
//     What proves unfit within a second counts as a dial that failed, but for the first in
//     a row.
//  10. Refusal in an outage is a condition, looked at in every settle, not an event.
//  11. A hook that panics or ends its goroutine costs its resource, not the pool: helpers
//     report all the same, and a borrower's panic goes on in the borrower.
//  12. A lease with a card has one end. The get lays the card, the put lifts it before
//     anything else; the supervisor revokes with the card in its hands. Of a put and
//     MaxLease one wins, and the put knows which.
//  13. What is revoked is nobody's: its place is free as soon as it is killed, and a put that
//     comes later changes nothing.
//  14. What is too old, or too many, is recalled or waited for, never taken from its borrower.
//  15. After Pause returned nothing is lent until Resume.
//  16. A minimum is a demand with patience: in an outage it is tried every CheckPeriod, unless
//     somebody waits for it with Ready.
//  17. An idle supervisor sleeps. It wakes for what is due, and no deadline is lost. A
//     minimum, MaxRest and KeepAlive have what is idle looked at every CheckPeriod.
//  18. The supervisor waits for no hook. Who holds what is put into words by the goroutine
//     that is told, and OnEvent may miss events but holds nobody up, except CloseAll at its
//     end, for a grace.
//  19. A get in vain makes its error without the supervisor, from the board, and with Track
//     with its help. No reader of the board loses the newest standing.
//
// # Reading the code
//
// First package line: doc.go and line.go, 250 lines. Then this one: supervisor.go has the
// channels and loop.go the supervisor's goroutine; get.go, nowait.go, pick.go, lease.go
// and repair.go are the borrowers' side, slot.go is what both sides know of a resource and
// its card. What the supervisor decides is package core, a plain state machine: settle.go there is the order of
// the decisions. effects.go does what core has decided, helper.go is the helpers.
//
// The rest is one idea a file: manage.go (Reset, Ready, Pause, Resize, CloseAll), causes.go
// (whose values a dial carries), board.go and shortage.go (errors of gets in vain), stat.go,
// leases.go and track.go (who holds what), event.go, reason.go and report.go (OnEvent),
// config.go, errors.go and logvalue.go, counter.go, key.go (keys in errors and lists of
// leases), background.go (the name of all goroutines), and point.go (where tests come
// between).
package actor
