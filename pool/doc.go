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
// A connection is alive as far as its socket shows, outside a transaction (unless
// PrepareConn has begun one), and nobody else's, except for those who ask with the same key. GetConn never
// blocks past the end of its context. A connection that is put twice, put to
// another pool, or used after its put is refused with a typed error, and the
// next borrower is not touched; the same holds for a transaction begun on it.
// Session state that a borrower sets outside a transaction stays.
//
// # Coming from pgxpool
//
// The package exports what [github.com/jackc/pgx/v5/pgxpool] does: import it as
// pgxpool, and a program goes on to work. The README lists what is different on
// purpose. Smaller differences:
//
//   - Settings that cannot be (negative, MinConns greater than MaxConns,
//     HealthCheckPeriod 0, an unknown pool_ parameter) are errors that name field and value.
//   - MaxConnLifetimeJitter counts to the nanosecond; an idle connection is closed when
//     MaxConnLifetime is over, not at the next get, put or health check.
//   - Of idle connections a lone borrower gets the same one again and again, as there;
//     the others are lent first in, first out.
//   - AfterRelease has 5 seconds, BeforeClose 250 ms, a ping without PingTimeout 5
//     seconds. AfterRelease also gets what was rolled back. A transaction that
//     AfterConnect leaves open is a failure.
//   - A connect has 2 minutes for each host, also in the background, unless
//     ConnConfig.ConnectTimeout says otherwise. What failed before another host or address
//     succeeded is tried last from then on.
//   - Durations between 0 and 100 µs are refused: they lack their unit.
//   - A connection that the server ends, or PrepareConn refuses, within a second of its
//     connect counts as a connect that failed, from the second in a row on.
//   - Backends of MinConns and MinIdleConns that die at rest are found and replaced within
//     HealthCheckPeriod.
//   - In [Stat] the counts of acquires lag by what is lent, durations are those of
//     waits, NewConnsCount is without failures, and a get whose context had ended
//     before is not counted as cancelled.
//   - AcquireAllIdle takes one connection after the other.
//   - After a statement in a transaction was cancelled the connection is open: what
//     pgxpool answers to the next statement with "conn closed" is here the server's
//     "current transaction is aborted, commands ignored until end of transaction block
//     (SQLSTATE 25P02)", until Rollback. Commit fails with pgx.ErrTxCommitRollback.
//     CancelPolicy: CloseConn does as pgxpool.
//   - After their end transactions and rows have no connection: Tx.Conn and Rows.Conn are
//     nil, Scan and Values are ErrNotLeased, FieldDescriptions and TypeMap are nil.
//   - The errors of ParseConfig never quote the connection string; one in which the password
//     would be taken for a part of a host, a database or a parameter's name is refused.
//   - A tracer that names *pgxpool.Pool gets a closed stand-in with the pool's
//     configuration; one that names *pool.Pool gets the pool.
//
// [CompatPgxpool] is one setting for what a program may rely on in spite of these
// differences: pool_compat=pgxpool in the connection string.
//
// pgx v5.12 is required. Earlier versions have two security faults (an SQL injection in
// batches of the simple protocol, and a server that can skip the authentication which
// require_auth demands), and have no transactions that begin in a batch. The interfaces
// that pgx extended on the way concern stubs: pgx.Rows has TypeMap since v5.11, and
// pgx.BatchResults has Tx since v5.12.
//
// # Goroutines
//
// An open pool has one goroutine, and one more with OnEvent; others connect, close and
// check, for a time. They have ended soon after CloseAll. Test suites that look for leaked
// goroutines with goleak while a pool is open leave all of them out with
//
//	goleak.IgnoreAnyFunction("github.com/pgactor/pgactor/actor.background")
//
// # Reading the code
//
// config.go and parse.go have the settings, pool.go and simple.go the pools.
// get.go lends and takes back, verbs.go does so for one statement. conn.go, tx.go, rows.go
// and batch.go are what the borrower has in hand, use.go is each use of a connection.
// Behind a Conn is a lease, see lease.go: plain, for a connection that has one borrower
// (plain.go and plain_tx.go), or shared, under a key (shared.go and shared_tx.go, with
// turns and savepoints). keyed.go shares connections under keys, hold.go keeps them
// between their uses, in_tx.go limits uses to a transaction. session.go connects and
// closes, hosts.go chooses where to, permanent.go knows what waiting cannot heal.
// hygiene.go keeps one borrower's transaction from the next, liveness.go keeps
// dead connections from everybody. compat.go has what pgxpool does, validate.go checks
// settings. manage.go and stat.go are for operators, tracer.go and
// tracer_pgxpool.go for tracers, events.go, log.go and label.go tell what happens and who
// holds what. deadline.go and secret.go are about errors: that pgconn.Timeout finds a
// deadline in them, and that nobody finds a password.
package pool
