package pool_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestQueryMethods(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	ctx := background(t)
	c := get(t, p)
	defer c.Release()
	require.NoError(t, c.Ping(ctx))
	tag, err := c.Exec(ctx, "create table n (i int)")
	require.NoError(t, err)
	require.Equal(t, "CREATE TABLE", tag.String())
	copied, err := c.CopyFrom(ctx, pgx.Identifier{"n"}, []string{"i"}, pgx.CopyFromRows([][]any{{1}, {2}, {3}}))
	require.NoError(t, err)
	require.EqualValues(t, 3, copied)
	rows, err := c.Query(ctx, "select i from n order by i")
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, got)

	var b pgx.Batch
	b.Queue("insert into n values (4)")
	b.Queue("select count(*) from n")
	res := c.SendBatch(ctx, &b)
	_, err = res.Exec()
	require.NoError(t, err)
	var count int
	require.NoError(t, res.QueryRow().Scan(&count))
	require.NoError(t, res.Close())
	require.Equal(t, 4, count)

	tx, err := c.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(ctx))
	tx, err = c.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "insert into n values (5)")
	require.ErrorContains(t, err, "read-only")
	require.NoError(t, tx.Rollback(ctx))
}
