// Package persistent gives each of a caller's identities a connection of its own,
// as psycopg2's PersistentConnectionPool gives one to each thread. Go has no thread
// identity, so the context carries one:
//
//	ctx, release := p.Hold(persistent.NewIdentity(ctx)) // in a middleware
//	defer release()
//	...
//	_, err := p.Exec(ctx, "create temporary table ...") // on the request's connection
//	err = store(ctx, p)                                 // and so is what this does
//
// From the first get of an identity to its last put, all gets with that identity have the
// same connection. So code that is called within a request and takes a connection too
// cannot deadlock the pool, works in the transaction that is open, and sees what belongs
// to the session: its role, settings, temporary tables, advisory locks. Code that only
// knows an interface gets all this through its context.
//
// Each get has a handle of its own, one reference, which goes back with its put or
// with the end of its context, whichever comes first; the connection goes back
// with the last. A verb of the pool, such as Exec, gets and puts: outside a transaction
// the next one may have another connection, unless a handle of the identity or
// [Pool.Hold] keeps it. Hold does so from the first use to the end of the request, and
// takes no connection before.
//
// An identity is one flow of control. [NewIdentity] makes one that is nobody else's;
// [WithIdentity] takes one of the caller's choice, which must never be a client's:
// whoever has an identity has its connection. Two goroutines may hold handles of one
// identity, but not use the connection at the same time: that is refused, with
// ErrIdentityBusy. A [Profile] that says for which tenant it sets a connection up has it
// refused to contexts of others.
//
// There is no registry here and no lock: an identity is a key of package actor/keyed.
package persistent
