package persistent_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// ledger is a pool and a table n; sum is what is committed.
func ledger(t *testing.T) (p *persistent.Pool, a *admin, sum func() int) {
	p, a = persisting(t, 2)
	a.exec("create table n (i int)")
	return p, a, func() int { return a.count("select coalesce(sum(i), 0) from n") }
}

// Whoever asks for the identity in a transaction works in it.
func TestNestedCallsAreInTheTransaction(t *testing.T) {
	p, a, sum := ledger(t)
	ctx := as(t, "me")
	tx := begin(t, p, ctx)
	id := "select pg_current_xact_id()::text"
	want := ask[string](t, tx, ctx, id)
	require.Equal(t, want, ask[string](t, p, ctx, id))
	c := get(t, p, ctx)
	require.Equal(t, want, ask[string](t, c, ctx, id))
	exec(t, p, ctx, "insert into n values (1)")
	exec(t, c, ctx, "insert into n values (2)")
	_, err := p.CopyFrom(ctx, pgx.Identifier{"n"}, []string{"i"}, pgx.CopyFromRows([][]any{{4}}))
	require.NoError(t, err)
	var b pgx.Batch
	b.Queue("insert into n values (8)")
	require.NoError(t, p.SendBatch(ctx, &b).Close())
	require.NoError(t, p.PutConn(c))
	require.Zero(t, sum())
	require.Zero(t, ask[int](t, p, as(t, "you"), "select count(*) from n"), "it is not another's")
	require.NoError(t, tx.Commit(ctx))
	require.Equal(t, 15, sum())
	awaitQuiet(t, p)
	a.await(2)
}

// A connection that is closed under a transaction takes the identity with it: what is
// called next, and comes for the identity's connection, does not go on outside, until
// the transaction's holder knows.
func TestNestedCallsAfterMaxLeaseTime(t *testing.T) {
	t.Parallel()
	p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.MaxLeaseTime = 2, 2*time.Second })
	a.exec("create table n (i int)")
	ctx := as(t, "me")
	tx := begin(t, p, ctx)
	exec(t, p, ctx, "insert into n values (1)")
	require.Eventually(t, func() bool { return p.Pool().Stat().RevokedCount() == 1 }, wide, tick)
	_, err := p.Exec(ctx, "insert into n values (2)")
	require.ErrorIs(t, err, pool.ErrRevoked)
	_, err = p.GetConn(ctx)
	require.ErrorIs(t, err, pool.ErrRevoked)
	require.ErrorIs(t, tx.Commit(ctx), pool.ErrRevoked)
	exec(t, p, ctx, "insert into n values (4)")
	require.Equal(t, 4, a.count("select coalesce(sum(i), 0) from n"))
	awaitQuiet(t, p)
}

func TestNestedBegin(t *testing.T) {
	for name, row := range map[string]struct {
		inner, outer func(pgx.Tx, context.Context) error
		want         int
	}{
		"both commit":          {pgx.Tx.Commit, pgx.Tx.Commit, 11},
		"the inner rolls back": {pgx.Tx.Rollback, pgx.Tx.Commit, 1},
		"the outer rolls back": {pgx.Tx.Commit, pgx.Tx.Rollback, 0},
		"both roll back":       {pgx.Tx.Rollback, pgx.Tx.Rollback, 0},
		"the inner has no end": {func(pgx.Tx, context.Context) error { return nil }, pgx.Tx.Rollback, 0},
	} {
		for from, of := range map[string]func(p *persistent.Pool, c *pool.Conn, tx pgx.Tx) db{
			"pool":        func(p *persistent.Pool, _ *pool.Conn, _ pgx.Tx) db { return p },
			"handle":      func(_ *persistent.Pool, c *pool.Conn, _ pgx.Tx) db { return c },
			"transaction": func(_ *persistent.Pool, _ *pool.Conn, tx pgx.Tx) db { return tx },
		} {
			t.Run(name+", begun on the "+from, func(t *testing.T) {
				p, _, sum := ledger(t)
				ctx, cancel := context.WithCancel(as(t, "me"))
				defer cancel()
				c := get(t, p, ctx)
				outer := begin(t, p, ctx)
				exec(t, outer, ctx, "insert into n values (1)")
				inner := begin(t, of(p, c, outer), ctx)
				exec(t, p, ctx, "insert into n values (10)")
				require.NoError(t, row.inner(inner, ctx))
				exec(t, p, ctx, "select 1")
				require.Zero(t, sum())
				require.NoError(t, row.outer(outer, ctx))
				for _, tx := range []pgx.Tx{inner, outer} {
					require.ErrorIs(t, tx.Commit(ctx), pgx.ErrTxClosed)
					require.ErrorIs(t, tx.Rollback(ctx), pgx.ErrTxClosed)
				}
				require.Equal(t, row.want, sum())
				exec(t, c, ctx, "insert into n values (100)")
				require.Equal(t, row.want+100, sum(), "no transaction is left")
			})
		}
	}
}

// A statement that fails in a savepoint is its business alone.
func TestNestedFailure(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	require.NoError(t, pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
		exec(t, tx, ctx, "insert into n values (1)")
		err := pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "select 1/0")
			return err
		})
		require.ErrorContains(t, err, "division by zero")
		exec(t, p, ctx, "insert into n values (2)")
		return nil
	}))
	require.Equal(t, 3, sum())
}

// Savepoints in savepoints, whoever begins them.
func TestNestedDeep(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	var deeper func(level int) error
	deeper = func(level int) error {
		return pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			exec(t, p, ctx, "insert into n values ($1)", 1<<level)
			if level < 5 {
				_ = deeper(level + 1)
			}
			if level%2 == 1 {
				return errHook
			}
			return nil
		})
	}
	require.NoError(t, deeper(0))
	require.Equal(t, 1, sum(), "level 1 took the rest with it")
	awaitQuiet(t, p)
}

func TestBeginTxOptions(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	readOnly := pgx.TxOptions{AccessMode: pgx.ReadOnly, IsoLevel: pgx.Serializable}
	tx, err := p.BeginTx(ctx, readOnly)
	require.NoError(t, err)
	_, err = p.Exec(ctx, "insert into n values (1)")
	require.ErrorContains(t, err, "read-only")
	require.NoError(t, tx.Rollback(ctx))

	outer, err := p.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	require.Equal(t, "repeatable read", ask[string](t, p, ctx, "show transaction_isolation"))
	c := get(t, p, ctx)
	for _, nested := range []func() (pgx.Tx, error){
		func() (pgx.Tx, error) { return p.BeginTx(ctx, readOnly) },
		func() (pgx.Tx, error) { return c.BeginTx(ctx, pgx.TxOptions{BeginQuery: "begin"}) },
	} {
		_, err = nested()
		var bad *pool.ConfigError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "TxOptions", bad.Field)
	}
	inner, err := p.BeginTx(ctx, pgx.TxOptions{})
	require.NoError(t, err)
	exec(t, inner, ctx, "insert into n values (1)")
	require.NoError(t, inner.Commit(ctx))
	require.NoError(t, p.PutConn(c))
	require.NoError(t, outer.Commit(ctx))
	require.Equal(t, 1, sum())
	awaitQuiet(t, p)
}

// Transactions that are begun and ended by statements of their own.
func TestRawTransactions(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	exec(t, c, ctx, "begin")
	exec(t, p, ctx, "insert into n values (1)")
	_, err := p.Begin(ctx)
	require.ErrorContains(t, err, "begun by a statement of its own")
	_, err = c.Begin(ctx)
	require.ErrorContains(t, err, "begun by a statement of its own")
	var b pgx.Batch
	b.BeginTx(pgx.TxOptions{})
	results := p.SendBatch(ctx, &b)
	require.ErrorContains(t, results.Close(), "begun by a statement of its own")
	require.ErrorIs(t, results.Tx().Commit(ctx), pgx.ErrTxClosed)
	exec(t, c, ctx, "commit")
	require.Equal(t, 1, sum(), "the refusals did it no harm")

	tx := begin(t, c, ctx)
	exec(t, tx, ctx, "insert into n values (2)")
	exec(t, p, ctx, "commit")
	require.Equal(t, 3, sum())
	again := begin(t, p, ctx) // a transaction, not a savepoint
	exec(t, again, ctx, "insert into n values (4)")
	require.NoError(t, again.Commit(ctx))
	require.Equal(t, 7, sum())
	exec(t, p, ctx, "rollback") // of nothing
	require.NoError(t, p.PutConn(c))
	require.Equal(t, 7, sum())
}

// A batch may begin the transaction.
func TestBatchThatBegins(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	var b pgx.Batch
	b.BeginTx(pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	b.Queue("insert into n values (1)")
	results := p.SendBatch(ctx, &b)
	isBusy(t, p.Ping(ctx), openBatch)
	isBusy(t, results.Tx().Commit(ctx), openBatch)
	require.NoError(t, results.Close())
	require.Equal(t, "repeatable read", ask[string](t, p, ctx, "show transaction_isolation"))
	inner := begin(t, p, ctx)
	exec(t, inner, ctx, "insert into n values (10)")
	require.NoError(t, inner.Rollback(ctx))
	exec(t, p, ctx, "insert into n values (2)")
	require.Zero(t, sum())
	require.NoError(t, results.Tx().Commit(ctx))
	require.Equal(t, 3, sum())
	awaitQuiet(t, p)
}

// One that comes in a transaction cannot: nothing of it is sent.
func TestBatchThatBeginsInATransaction(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	outer := begin(t, p, ctx)
	inner := begin(t, p, ctx)
	for _, d := range []db{p, outer, inner} {
		var b pgx.Batch
		b.BeginTx(pgx.TxOptions{})
		b.Queue("insert into n values (100)")
		results := d.SendBatch(ctx, &b)
		require.ErrorContains(t, results.Close(), "within a transaction")
		require.ErrorIs(t, results.Tx().Rollback(ctx), pgx.ErrTxClosed)
	}
	exec(t, p, ctx, "insert into n values (1)")
	require.NoError(t, inner.Commit(ctx))
	require.NoError(t, outer.Commit(ctx))
	require.Equal(t, 1, sum())
	awaitQuiet(t, p)
}

// What a handle leaves open at its put is rolled back before the others go on, as
// at the end of its context.
func TestPutInNestedTransaction(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	outer := begin(t, p, ctx)
	exec(t, outer, ctx, "insert into n values (1)")
	c := get(t, p, ctx)
	inner := begin(t, c, ctx)
	exec(t, inner, ctx, "insert into n values (10)")
	require.NoError(t, p.PutConn(c))
	require.ErrorIs(t, inner.Commit(ctx), pool.ErrNotLeased)
	require.Equal(t, 1, ask[int](t, p, ctx, "select sum(i) from n"))
	require.NoError(t, outer.Commit(ctx))
	require.Equal(t, 1, sum())
}

// A transaction's end puts its connection, and nothing of the next.
func TestTransactionUseAfterEnd(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	tx := begin(t, p, ctx)
	require.NoError(t, tx.Commit(ctx))
	awaitQuiet(t, p)
	next := begin(t, p, ctx)
	exec(t, next, ctx, "insert into n values (1)")
	require.ErrorIs(t, tx.Rollback(ctx), pgx.ErrTxClosed)
	eachVerb(ctx, tx, func(verb string, err error) {
		require.ErrorIs(t, err, pgx.ErrTxClosed, verb)
		require.NotErrorIs(t, err, pool.ErrNotLeased, "it was ended before its connection was put")
	})
	require.Nil(t, tx.Conn())
	require.NoError(t, next.Commit(ctx))
	require.Equal(t, 1, sum())
}

// A connection that ends in a transaction is an error for all in it, and lost.
func TestBackendEndsInTransaction(t *testing.T) {
	p, a, sum := ledger(t)
	ctx := as(t, "me")
	outer := begin(t, p, ctx)
	exec(t, outer, ctx, "insert into n values (1)")
	inner := begin(t, p, ctx)
	backend := pid(t, p, ctx)
	a.exec("select pg_terminate_backend($1)", backend)
	a.awaitDeath(backend)
	_, err := inner.Exec(ctx, "insert into n values (10)")
	require.Error(t, err)
	require.Error(t, inner.Rollback(ctx))
	require.Error(t, outer.Commit(ctx))
	awaitQuiet(t, p)
	require.NotEqual(t, backend, pid(t, p, ctx))
	require.Zero(t, sum())
}

// The methods of a transaction that is somebody's savepoint.
func TestTransactionMethods(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	outer := begin(t, p, ctx)
	tx := begin(t, p, ctx)
	_, err := tx.Prepare(ctx, "add", "insert into n values ($1)")
	require.NoError(t, err)
	exec(t, tx, ctx, "add", 1)
	rows, err := tx.Query(ctx, "select i from n")
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.Equal(t, []int{1}, got)
	large := tx.LargeObjects()
	oid, err := large.Create(ctx, 0)
	require.NoError(t, err)
	require.NoError(t, large.Unlink(ctx, oid))
	require.NotNil(t, tx.Conn())
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, outer.Commit(ctx))
	require.Equal(t, 1, sum())
	exec(t, p, ctx, "deallocate add")
}

// A Rollback is called once, in a defer. While somebody else uses the connection it is
// left to the pool; nothing that comes later is in the transaction.
func TestRollbackIsNotRefused(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	var rows pgx.Rows
	err := pgx.BeginFunc(ctx, p, func(tx pgx.Tx) (err error) {
		exec(t, tx, ctx, "insert into n values (1)")
		rows, err = p.Query(ctx, "select 1")
		require.NoError(t, err)
		return errGone
	})
	require.ErrorIs(t, err, errGone)
	rows.Close()
	exec(t, p, ctx, "insert into n values (10)")
	require.NoError(t, pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
		exec(t, tx, ctx, "insert into n values (100)")
		return nil
	}))
	require.Equal(t, 110, sum())
}

// A transaction whose lease its context has ended is rolled back. Who shared it and
// goes on is told once that he is no longer in it, unless the borrower has said so.
func TestRolledBackWithItsLease(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	outer := get(t, p, ctx)
	defer outer.Release()
	for _, says := range []bool{false, true} {
		inner, cancel := context.WithCancel(ctx)
		tx := begin(t, p, inner)
		exec(t, p, ctx, "insert into n values (1)")
		cancel()
		if says {
			_ = tx.Rollback(inner)
		} else {
			require.Eventually(t, func() bool { return p.Pool().Leases()[0].Holders == 1 }, wide, time.Millisecond)
			_, err := p.Exec(ctx, "insert into n values (10)")
			require.ErrorIs(t, err, pool.ErrRolledBack)
		}
		exec(t, p, ctx, "insert into n values (100)")
		require.ErrorIs(t, tx.Commit(ctx), pgx.ErrTxClosed)
	}
	require.Equal(t, 200, sum())
}

// Put gives back what GetConn gave, not what a transaction, a query or a statement has.
func TestPutLeavesTheVerbsTheirs(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	tx := begin(t, p, ctx)
	exec(t, tx, ctx, "insert into n values (1)")
	require.NoError(t, p.Put(ctx))
	require.ErrorIs(t, c.Ping(ctx), pool.ErrNotLeased)
	require.ErrorIs(t, p.Put(ctx), pool.ErrNotLeased, "there is only the transaction's")
	require.NoError(t, tx.Commit(ctx))
	require.Equal(t, 1, sum())
}

// A Rollback that cannot be done, since the connection is gone, gives it back all the
// same: it is called once.
func TestRollbackThatFailsGivesBack(t *testing.T) {
	p, a, _ := ledger(t)
	for name, d := range map[string]func() (pgx.Tx, context.Context){
		"with an identity": func() (pgx.Tx, context.Context) { ctx := as(t, "me"); return begin(t, p, ctx), ctx },
		"without": func() (pgx.Tx, context.Context) {
			tx, err := p.Pool().Begin(background(t))
			require.NoError(t, err)
			return tx, background(t)
		},
	} {
		tx, ctx := d()
		savepoint, err := tx.Begin(ctx)
		require.NoError(t, err, name)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		require.NoError(t, savepoint.Rollback(ended), name)
		a.exec("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", a.name)
		require.Error(t, tx.Rollback(ctx), name)
		require.Eventually(t, func() bool { return len(p.Pool().Leases()) == 0 }, wide, time.Millisecond, name)
	}
}
