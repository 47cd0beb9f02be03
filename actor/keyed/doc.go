// Package keyed shares leases under keys: all who get with the same key, at the same
// time, hold the same resource. It is a layer over a pool's plain leases. The pool
// knows nothing of keys, and the layer knows nothing of how the pool works: see [Lease]
// and [Config].
//
// # The picture
//
//	            ┌─────── shard ───────┐
//	key ───────▶│ key ─▶ entry        │   16 of them, each in a channel of one
//	            └──────────┼──────────┘
//	                       ▼
//	            ┌─────── entry ───────┐
//	            │ lease of the pool   │   one for each key in use
//	            │ note                │   in a channel of one
//	            └──────────┼──────────┘
//	                       ▼
//	            ┌─────── note ────────┐
//	            │ refs, oldest first  │   the holders
//	            │ turn, and what for  │   the use under way
//	            │ waiting             │   gets that wait while another one fetches
//	            └─────────────────────┘
//
// A borrower has a [Hold], which stands for one ref. The first get of a key makes the
// entry and fetches a lease, with its own context; the gets that come meanwhile wait in
// the note. Later ones add a ref and are done: a nested get and its put touch the shard
// and the note, and never the pool. The last put ends the entry and the lease.
//
//	fetching ─▶ bound ─▶ draining ─▶ over
//	    │         │                    ▲
//	    └─────────┴────────────────────┘
//
// # The channels
//
// These are all there are. Nobody closes one.
//
//	shards   goroutine → goroutine: a shard of the table
//	note     one for each entry, goroutine → goroutine: the note
//	answer   one for each get that waits, the one that fetched → it: how it goes on
//
// A shard or a note belongs to the goroutine that has taken it out of its channel, for a
// few instructions: then it is back. No goroutine has two of them at a time.
//
// # The rules
//
// Each has a test of its name.
//
//  1. One key, one resource. A get of a bound key adds a reference to what is bound to
//     it, whatever the pool has in mind for the resource: refusing it would deadlock its
//     holder.
//  2. One get fetches. The first get of a key does, with its own context; the others
//     wait for it. When it succeeds all who wait are holders in that moment, also those
//     that give up just then: these put at once.
//  3. The next takes over. If a fetch fails for a reason of its get's own (its context,
//     its timeout, its unwillingness to wait), only that get has the error, and the
//     longest waiting get fetches.
//  4. A failure is shared. Any other error of a fetch goes to all who wait for the key
//     then.
//  5. Bind comes first. The get that fetched calls its Bind before the others are told.
//     If Bind fails, or the context ends meanwhile, the lease is put, so the pool judges
//     what Bind did; the error goes as in 3 and 4.
//  6. A panic costs the resource. If Get or Bind panics, or ends its goroutine, the lease
//     is discarded, the next get takes over, and the panic goes on.
//  7. The last put ends the lease. It is discarded if a holder wished so.
//  8. One turn at a time. Of all holders one has the turn; the others are told what it
//     is for, and nobody waits.
//  9. A use may outlast its hold. A reference that ends during its turn, or exposed to
//     the end of its context, comes back when the use is over. After EndGrace the
//     resource is killed.
//  10. A tied hold ends with its context. Whichever of put and context comes first ends
//     it, once.
//  11. An ended entry serves nobody. If all its holds have ended, though one is still
//     used, a get of the key fetches another resource.
//  12. A dead key is refused. While the holders of a revoked resource have not let go of
//     it, a get of the key has their error, and holds nothing; after MaxLease it gets
//     another resource.
//  13. Put by key takes the newest. It prefers a hold of its own context, and passes over
//     those that are their holder's own.
//  14. A sole holder may take. In a turn, or while others hold the resource, a take
//     changes nothing.
//  15. Closing refuses gets. Those that wait are refused too. Holders go on.
//  16. A try does not wait. It shares, or takes what is idle, or is refused. A NoWait get
//     waits for a fetch of its own kind, and never behind one that may wait for a borrower.
//  17. Every end is reported. OnEnd is called once for each hold that a get returned,
//     before the resource is back in the pool.
//  18. A note is never kept. With a note or a shard in hand a goroutine does not call the
//     pool, a hook or a context, and does not wait. (Lease.Revoked, a look, is the
//     exception.)
//  19. A leak is found. A tracked Hold that nobody can reach any more is reported; nothing
//     that lives on with the entry leads to it.
//  20. One tenant at a time. What is bound, or being fetched, for one tenant is refused to
//     another: its gets and puts change nothing.
//  21. A hold can be shared. Share adds a reference while the hold is held, and never
//     fetches.
//  22. A key is shown by ShowKey. Errors and descriptions of leases never have the key
//     itself, which its owner may be changing.
//  23. A scope ends the uses. Once the scope of a hold has ended no turn of it begins; the
//     hold can still be put.
//
// # Reading the code
//
// config.go has what the layer stands on, table.go the shards, entry.go the entry and its
// note, ref.go the references. Then a hold's life: get.go, fetch.go, turn.go, put.go.
// dead.go is about revoked resources, tenant.go about those of other tenants, scope.go
// limits uses, hold.go has the borrower's handle, track.go names the borrowers.
package keyed
