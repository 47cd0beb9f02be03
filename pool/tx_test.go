package pool_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
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
