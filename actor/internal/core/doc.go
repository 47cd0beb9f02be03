// Package core decides: when to open, clean, check and close resources, and when
// there is no hope for those who wait. It is a plain state machine. It starts no
// goroutine, reads no clock and touches no channel: it is told the time and what
// happened, and says what is to be done by calling its [Effects].
//
// Events change the books. [Machine.Settle] compares the books with the time and
// acts; after any number of events one Settle is enough. It returns the moment at
// which it wants to be called again if nothing happens.
//
// # Reading the code
//
// slot.go has the record of a resource, its states, and move, which alone changes a
// state. machine.go has the books and the effects, settle.go the order of the decisions.
// Then one file for each decision: give.go (the gate, and what is idle goes to the line),
// refuse.go (gets without hope), nowait.go (gets that wait for no borrower), pick.go (those
// that wait for no dial either), dial.go, outage.go and brief.go (opening, failing to, and
// opening what does not last), job.go (what helpers do and how long they may), minimum.go,
// limit.go, age.go, surplus.go (what nobody needs), rounds.go and suspect.go (checks of
// idle resources), lease.go (leases that last too long), conditions.go (Ready and Pause),
// ending.go (CloseAll). event.go has what is told to the outside, stat.go what is
// counted, verdict.go what borrowers say of a resource.
//
// # Tests
//
// Scenes in testdata show what the machine does, one fact each; kit_test.go documents
// their language. rules_test.go has what must hold after every step, of the scenes and of
// random runs.
package core
