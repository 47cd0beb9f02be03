// Package actor lends reusable resources of any kind, such as connections,
// from a pool that is an actor: one goroutine, the supervisor, owns every
// resource, and everyone else asks it over channels. It uses no locks and knows
// nothing of what it lends. Package pool builds PostgreSQL pools on it.
//
// # The picture
//
// Think of a lending desk with a shelf beside it.
//
// The supervisor sits at the desk. It alone decides to open, lend, clean,
// check and close resources, keeps the one queue of those who wait, and answers
// every question. It does no I/O and blocks on nobody: work that may block goes
// to helper goroutines, which report back exactly once.
//
// The shelf is a buffered channel of idle resources. While nobody waits, the
// gate to it is open: a borrower takes a resource from the shelf and puts it
// back there without a word. When somebody waits, or there are more resources
// than the limit, or the pool is paused or closing, or every lease must be seen, the
// gate is shut, and every get and put goes over the desk, in order.
//
//	gate open:  borrower ──take──▶ shelf ──put──▶ ...
//	gate shut:  borrower ──get──▶ inbox ──▶ supervisor ──answer──▶ borrower
//	            borrower ──put──▶ inbox ──▶ supervisor
//	            helper ──report──▶ inbox ──▶ supervisor
//
// # The channels
//
// These are all there are. Only the supervisor closes one.
//
//	inbox    borrowers, helpers, the timer → supervisor: a message
//	idle     the shelf, whoever puts → whoever gets: a slot
//	top      the top of it: a put lays its slot there if it is free, a get looks there first
//	gate     the supervisor's alone, a token inside: shut; others read its len
//	low      the supervisor → one borrower: a token, whoever finds too few left takes it and tells
//	reply    one for each ticket, supervisor → its borrower: the one answer
//	tickets  borrower → borrower: used tickets
//	recall   one for each slot, only ever closed: bring it to the desk
//	gone     one for each slot, only ever closed: it is no longer yours
//	share    one for each bound key, holder → holder: the note of rule 12
//	over     holder → holder: a use that outlasted its lease has been brought back
//	closed   only ever closed: the actor has ended
//	events   supervisor → reporter: what OnEvent is told
//
// A question, such as Stat, brings a reply channel of its own. Replies have room for
// the one answer they get, and an event for which there is no room is dropped: so the
// supervisor blocks nowhere but where it waits for something to do.
//
// # Concurrency
//
// A slot, the record of one resource, has one owner at any moment: the
// supervisor (its hands or its shelf), a helper, or a borrower. Ownership moves
// with the pointer through a channel. The rules that make this safe:
//
//  1. The gate is a hint. While it is shut the supervisor also receives from
//     the shelf and puts nothing there, so a put that raced the shutting is not
//     lost; on shutting it looks at the shelf once more.
//  2. Whoever takes a slot looks at its recall before using it. A put looks
//     after pushing, and nudges the desk to sweep the shelf.
//  3. The shelf is swept one slot at a time, never emptied at once; its top, to which
//     borrowers come back, joins the others before.
//  4. Every request gets exactly one answer, a cancelled one too.
//  5. Order is the order of arrival at the desk. Who asks again, because the
//     slot granted proved unfit, keeps its place. A slot that Prepare wants
//     mended comes with the request, which waits for it, and not for another.
//  6. Senders also watch for the end. The supervisor closes the closed channel,
//     then empties the inbox once more and answers: who finds the channel open
//     after sending will be answered, and waits for nothing else.
//  7. Demand is exact: waiters without key plus distinct waiting keys. Dials
//     are made while it exceeds what is coming. A waiter waits for the pool,
//     never for its own dial.
//  8. Dials are stamped with an epoch, so that failures that belong together
//     count once, and a connection from before a reset is known to be old.
//  9. Refusal in an outage is a condition, looked at in every settle.
//  10. What is being closed takes a place until it is gone, or a grace is over.
//  11. A helper that panics still reports. The supervisor outlives every helper.
//  12. A keyed request is a request like any other; the grant binds the key and
//     serves everybody who waits for it. Between them its holders pass one note,
//     in a channel of its own, that says whose turn it is; whoever has the note
//     writes in it and puts it back at once. A reference is given back by whoever
//     first notes its end: its borrower, or the end of its context. What was killed
//     keeps its key until those who held it have let go of it, or for MaxLease: who
//     comes meanwhile is refused, and holds nothing.
//  13. The desk does not see what goes over the shelf. Who leaves too few there
//     takes a token and tells, so one message is enough; what nobody needs is
//     found by the fewest that were idle, not by how long one rested.
//     Where it must see every lease, for Track and MaxLease, the gate stays shut:
//     the hands hold what is idle, and what is away is lent.
//  14. What expires, or is too many, is recalled or waited for, never taken from
//     its borrower. What rests is checked one at a time, as in rule 3.
//  15. In a pause nobody is served but the holders of a bound key: refusing them
//     would deadlock the pause.
//  16. A minimum is a demand with patience: in an outage it is tried every
//     CheckPeriod, unless somebody waits for it.
//  17. An idle supervisor sleeps: it wakes for what is due, never to have a look.
//  18. What is revoked is nobody's: its place is free, and a put that comes later
//     changes nothing. A put that the desk has heard of comes first.
//  19. Who holds what, and what happened, is put into words by whoever is told, never
//     by the supervisor; and OnEvent may miss events, but not hold it up.
//
// # Reading the code
//
// The decisions are a plain state machine without goroutines: machine.go has
// the books and the events, settle.go what follows from them, and beside it one
// file for each thing that may follow: serve.go and refuse.go for those who wait,
// gate.go, dial.go, outage.go, keys.go, job.go (what helpers do and how long they
// may), fill.go (the minimums), limits.go (Resize), age.go, rest.go (what nobody
// needs), check.go (rounds of what rests), pause.go, revoke.go (what is taken from its
// borrower), ending.go (CloseAll), reason.go and event.go (what is told). hand.go
// and ticket.go hold the idle slots and the waiting requests, slot.go says who
// owns what, share.go what the holders of one key know of each other.
//
// Around it: supervisor.go has the channels, shelf.go the shelf, desk.go the supervisor's
// loop, batching.go how many messages it takes at once, helper.go the helpers, report.go
// the reporter that calls OnEvent, get.go and put.go the borrowers' side, track.go who
// they are, stat.go and leases.go what the supervisor tells.
package actor
