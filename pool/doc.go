// Package pool lends PostgreSQL connections: psycopg2's connection pools in Go,
// without locks. One goroutine owns all connections and serves requests over
// channels; see package actor for how.
//
//	p, err := pool.NewThreaded(ctx, 1, 20, "postgres://localhost/shop")
//	if err != nil { ... }
//	defer p.CloseAll(ctx)
//
//	conn, err := p.GetConn(ctx)
//	if err != nil { ... }
//	defer p.PutConn(conn)
//	rows, err := conn.Query(ctx, "select id, name from mobile")
//
// # What a borrower can rely on
//
// A connection is alive as far as its socket shows, outside a transaction, and
// nobody else's, except for those who ask with the same key. GetConn never
// blocks past the end of its context. A connection that is put twice, put to
// another pool, or used after its put is refused with a typed error, and the
// next borrower is not touched; the same holds for a transaction begun on it.
// Session state that a borrower sets outside a transaction stays.
//
// # Reading the code
//
// config.go, pool.go and simple.go have the pools, conn.go and tx.go what the
// borrower has in hand; session.go connects and closes, hygiene.go keeps one
// borrower's transaction from the next, liveness.go keeps dead connections from
// everybody.
package pool
