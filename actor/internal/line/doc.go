// Package line is the waiting line of a pool, made of channels. Those who have a
// value to give hand it to the first in line; when nobody waits, the value lies
// idle until somebody takes it. The package knows neither resources nor a
// supervisor: its owner, which may be a supervisor, is told through two functions
// when something has to be decided.
//
// # The channels
//
//	        take ┌──────────┐ put
//	get ◀────────│   idle   │◀──────── put, if nobody waits
//	             └──────────┘
//	             ┌──────────┐
//	get ─ token ▶│   want   │─ token ▶ put, if somebody waits
//	get ◀────────│   hand   │◀──────── put
//	             └──────────┘
//
//	idle, top  values at rest; top is one place, taken first and filled first,
//	           which keeps the value of a lone borrower warm
//	want       one token for each waiter that nobody has provided for yet;
//	           its length is the demand, exactly
//	hand       answers on their way to the waiters: a value or an error
//	gate       a token inside: shut. Values go to the owner then, not to idle
//	full       a token inside: the owner can do nothing for another waiter,
//	           so a waiter need not wake it
//	ended      closed once nobody is served any more
//
// # The protocol
//
// A put takes a token out of want; with it, it sends its value over hand. Without
// a token it lays the value on idle and looks at want once more: if a token has
// come meanwhile, it takes a value from idle and begins anew.
//
// A get takes from idle. If idle is empty it posts a token in want, looks whether
// the line has ended, and looks at idle once more. If a value lies there now, the
// get takes a token back; if there is none left, an answer is on its way, and the
// get gives the value away like a put. Then it wakes the owner, unless the line is
// full, and receives from hand.
//
// A waiter that gives up takes a token back. If there is none it waits for one of
// two: the token that the owner puts back, or the answer that is on its way, whose
// value it gives away like a put.
//
// The owner gives like a put, and refuses by taking a token out of want and
// sending an error over hand. It never waits: if hand has no room it puts the
// token back and tries again later. A put may have missed the token meanwhile, and
// a get that saw the gate shut has not looked at idle: so after a token is put back,
// and after the gate is opened, the owner matches idle values with waiters.
//
// # The rules
//
//  1. Invariant: len(want) + tokens taken and not yet answered + len(hand) is the
//     number of waiters. So every waiter gets exactly one answer.
//  2. No value lies idle while somebody waits, once every put and get under way has
//     come to its end.
//  3. Waiters are served in the order in which they began to receive from hand,
//     which is the order of a Go channel's receivers.
//  4. While the gate is shut no get takes from idle, and no put lays a value there,
//     except those that had looked at the gate before; the owner draws these out.
//  5. After End every waiter has an answer, and nobody waits from then on.
//
// Each rule has a test of its name. The folder model has the protocol as a model that
// spin verifies; check.sh there runs it. TestSimulation interleaves the functions of
// this package step by step.
package line
