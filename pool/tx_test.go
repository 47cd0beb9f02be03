package pool_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// A transaction kept past the put of its connection cannot reach the next
// borrower's, neither can its savepoint.
func TestTxUseAfterPut(t *testing.T) {
	p, a := threaded(t, 1, 1)
	ctx := background(t)
	c := get(t, p)
	outer, err := c.Begin(ctx)
	require.NoError(t, err)
	inner, err := outer.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, p.PutConn(c))

	next := get(t, p)
	mine, err := next.Begin(ctx)
	require.NoError(t, err)
	_, err = mine.Exec(ctx, "create table kept (i int)")
	require.NoError(t, err)
	for _, dead := range []pgx.Tx{outer, inner} {
		require.ErrorIs(t, dead.Rollback(ctx), pool.ErrNotLeased)
		require.ErrorIs(t, dead.Commit(ctx), pool.ErrNotLeased)
		_, err = dead.Begin(ctx)
		require.ErrorIs(t, err, pool.ErrNotLeased)
		_, err = dead.Exec(ctx, "rollback")
		require.ErrorIs(t, err, pool.ErrNotLeased)
		_, err = dead.Query(ctx, "select 1")
		require.ErrorIs(t, err, pool.ErrNotLeased)
		require.ErrorIs(t, dead.QueryRow(ctx, "select 1").Scan(nil), pool.ErrNotLeased)
		_, err = dead.Prepare(ctx, "s", "select 1")
		require.ErrorIs(t, err, pool.ErrNotLeased)
		_, err = dead.CopyFrom(ctx, pgx.Identifier{"kept"}, []string{"i"}, pgx.CopyFromRows(nil))
		require.ErrorIs(t, err, pool.ErrNotLeased)
		var b pgx.Batch
		b.Queue("select 1")
		require.ErrorIs(t, dead.SendBatch(ctx, &b).Close(), pool.ErrNotLeased)
		require.Nil(t, dead.Conn())
		require.Equal(t, pgx.LargeObjects{}, dead.LargeObjects())
	}
	require.NoError(t, mine.Commit(ctx))
	require.NoError(t, p.PutConn(next))
	var n int
	require.NoError(t, a.conn.QueryRow(ctx, "select count(*) from kept").Scan(&n), "the table is there")
}

func TestTxMethods(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	ctx := background(t)
	c := get(t, p)
	defer c.Release()
	tx, err := c.Begin(ctx)
	require.NoError(t, err)
	require.Same(t, c.Conn(), tx.Conn())
	_, err = tx.Prepare(ctx, "made", "create table made (i int)")
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "made")
	require.NoError(t, err)
	copied, err := tx.CopyFrom(ctx, pgx.Identifier{"made"}, []string{"i"}, pgx.CopyFromRows([][]any{{1}, {2}}))
	require.NoError(t, err)
	require.EqualValues(t, 2, copied)
	savepoint, err := tx.Begin(ctx)
	require.NoError(t, err)
	var b pgx.Batch
	b.Queue("delete from made")
	require.NoError(t, savepoint.SendBatch(ctx, &b).Close())
	require.NoError(t, savepoint.Rollback(ctx))
	rows, err := tx.Query(ctx, "select i from made order by i")
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, got)
	large := tx.LargeObjects()
	oid, err := large.Create(ctx, 0)
	require.NoError(t, err)
	require.NotZero(t, oid)
	require.NoError(t, tx.Commit(ctx))
	require.ErrorIs(t, tx.Rollback(ctx), pgx.ErrTxClosed)
	var n int
	require.NoError(t, c.QueryRow(ctx, "select count(*) from made").Scan(&n))
	require.Equal(t, 2, n)
}

// Transactions whose rollback is left to the pool, in any order: it is done before the
// next use of the connection, once, and costs no connection. What has ended on its own is
// not rolled back.
func TestTransactionsLeftToThePool(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	_, err := p.Exec(background(t), "create table t (i int)")
	require.NoError(t, err)
	for name, row := range map[string]struct {
		do   func(s *left)
		want []int // committed at the end
	}{
		"a transaction": {func(s *left) {
			tx := s.begin(s.c, 1)
			s.leave(tx)
			s.insert(s.c, 2)
		}, []int{2}},
		"a savepoint": {func(s *left) {
			tx := s.begin(s.c, 1)
			s.leave(s.begin(tx, 2))
			s.insert(tx, 3)
			require.NoError(s, tx.Commit(s.ctx))
		}, []int{1, 3}},
		"a savepoint, before the commit": {func(s *left) {
			tx := s.begin(s.c, 1)
			s.leave(s.begin(tx, 2))
			require.NoError(s, tx.Commit(s.ctx))
		}, []int{1}},
		"a savepoint, then the one around it": {func(s *left) {
			tx := s.begin(s.c, 1)
			outer := s.begin(tx, 2)
			s.leave(s.begin(outer, 4))
			s.leave(outer)
			require.NoError(s, tx.Commit(s.ctx))
		}, []int{1}},
		"a savepoint, then the one in it": {func(s *left) {
			tx := s.begin(s.c, 1)
			outer := s.begin(tx, 2)
			inner := s.begin(outer, 4)
			s.leave(outer)
			s.leave(inner)
			require.NoError(s, tx.Commit(s.ctx))
		}, []int{1}},
		"a transaction, then the savepoint in it": {func(s *left) {
			tx := s.begin(s.c, 1)
			inner := s.begin(tx, 2)
			s.leave(tx)
			s.leave(inner)
			s.insert(s.c, 3)
		}, []int{3}},
		"a savepoint that went with the one around it": {func(s *left) {
			tx := s.begin(s.c, 1)
			outer := s.begin(tx, 2)
			inner := s.begin(outer, 3)
			require.NoError(s, outer.Commit(s.ctx))
			s.leave(inner)
			require.NoError(s, tx.Commit(s.ctx))
		}, []int{1, 2, 3}},
		"a transaction that a statement has ended": {func(s *left) {
			tx := s.begin(s.c, 1)
			s.insert(s.c, 2)
			_, err := s.c.Exec(s.ctx, "commit")
			require.NoError(s, err)
			next := s.begin(s.c, 3)
			s.leave(tx)
			s.insert(next, 4)
			require.NoError(s, next.Commit(s.ctx))
		}, []int{1, 2, 3, 4}},
		"a transaction that a statement ends on the bare connection": {func(s *left) {
			s.leave(s.begin(s.c, 1))
			_, err := s.c.Conn().Exec(s.ctx, "commit")
			require.NoError(s, err)
			s.insert(s.c, 2)
		}, []int{1, 2}},
		"a transaction, before the put": {func(s *left) {
			s.leave(s.begin(s.c, 1))
		}, []int{}},
		"a savepoint, before the put": {func(s *left) {
			s.leave(s.begin(s.begin(s.c, 1), 2))
		}, []int{}},
		"a transaction, and the next use has no time": {func(s *left) {
			s.leave(s.begin(s.c, 1))
			require.ErrorIs(s, s.c.Ping(ended()), context.Canceled)
			s.insert(s.c, 2)
		}, []int{2}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := background(t)
			_, err := p.Exec(ctx, "truncate t")
			require.NoError(t, err)
			before := backend(t, p)
			c := get(t, p)
			defer c.Release()
			row.do(&left{t, ctx, c})
			c.Release()
			next := get(t, p)
			defer next.Release()
			tx, err := next.Begin(ctx) // a transaction of its own, whatever the last borrower left
			require.NoError(t, err)
			rows, _ := tx.Query(ctx, "select i from t order by i")
			got, err := pgx.CollectRows(rows, pgx.RowTo[int])
			require.NoError(t, err)
			require.Equal(t, row.want, got)
			require.NoError(t, tx.Rollback(ctx))
			next.Release()
			require.Equal(t, before, backend(t, p), "no connection was lost")
		})
	}
}

// A rollback left to the pool that fails costs the connection: the transaction must not be
// committed by what comes next.
func TestTransactionLeftToThePoolThatCannotBeRolledBack(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	ctx := background(t)
	_, err := p.Exec(ctx, "create table t (i int)")
	require.NoError(t, err)
	c := get(t, p)
	defer c.Release()
	s := &left{t, ctx, c}
	tx := s.begin(c, 1)
	savepoint := s.begin(tx, 2)
	_, err = tx.Exec(ctx, "release savepoint sp_1")
	require.NoError(t, err)
	s.leave(savepoint)
	require.ErrorContains(t, tx.Commit(ctx), "does not exist")
	require.ErrorIs(t, tx.Commit(ctx), pgx.ErrTxClosed)
	require.Error(t, c.Ping(ctx))
	c.Release()
	var n int
	require.NoError(t, p.QueryRow(ctx, "select count(*) from t").Scan(&n))
	require.Zero(t, n)
}

// A transaction on a shared connection that a statement has ended cannot reach the next
// one, which another holder has begun.
func TestSharedTxThatAStatementHasEnded(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	ctx := background(t)
	mine, other := get(t, p, pool.WithKey("k")), get(t, p, pool.WithKey("k"))
	defer mine.Release()
	defer other.Release()
	tx, err := mine.Begin(ctx)
	require.NoError(t, err)
	_, err = other.Exec(ctx, "commit")
	require.NoError(t, err)
	next, err := other.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "create table stray (i int)")
	require.ErrorIs(t, err, pgx.ErrTxClosed)
	require.ErrorIs(t, tx.Rollback(ctx), pgx.ErrTxClosed)
	_, err = next.Exec(ctx, "create table kept (i int)")
	require.NoError(t, err)
	require.NoError(t, next.Commit(ctx))
	_, err = other.Exec(ctx, "select from kept")
	require.NoError(t, err, "the next transaction was committed, not rolled back")
}

// left is a connection on which transactions are left to the pool.
type left struct {
	*testing.T
	ctx context.Context
	c   *pool.Conn
}

// begin begins a transaction on d, in which i is inserted.
func (s *left) begin(d interface {
	Begin(context.Context) (pgx.Tx, error)
}, i int) pgx.Tx {
	tx, err := d.Begin(s.ctx)
	require.NoError(s, err)
	s.insert(tx, i)
	return tx
}

func (s *left) insert(d interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, i int) {
	_, err := d.Exec(s.ctx, "insert into t values ($1)", i)
	require.NoError(s, err)
}

// leave leaves the rollback of tx to the pool.
func (s *left) leave(tx pgx.Tx) { require.NoError(s, tx.Rollback(ended())) }
