// Package persistent gives each of a caller's identities a connection of its own,
// as psycopg2's PersistentConnectionPool gives one to each thread. Go has no thread
// identity, so the context carries one:
//
//	ctx = persistent.WithIdentity(ctx, requestID)
//	...
//	c, err := p.GetConn(ctx) // the connection of this request
//
// From the first get of an identity to its last put, everybody who asks with that
// identity gets the same connection. So code that is called within a request and
// takes a connection too cannot deadlock the pool, works in the transaction that is
// open, and sees what belongs to the session: its role, settings, temporary tables,
// advisory locks. Code that only knows an interface gets all this through its
// context.
//
// Each get has a handle of its own, one reference, which goes back with its put or
// with the end of its context, whichever comes first; the connection goes back
// with the last. Two goroutines may hold handles of one identity, but not use the
// connection at the same time: that is refused, with ErrIdentityBusy.
//
// There is no registry here and no lock: an identity is a key in the books of the
// pool's supervisor.
package persistent
