package ecosystem_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCollect is about pgx's functions that read rows to their end.
func TestCollect(t *testing.T) {
	onEach(t, mobiles, func(t *testing.T, db handle) {
		ctx := background(t)
		query := func(sql string, args ...any) pgx.Rows {
			rows, err := db.Query(ctx, sql, args...)
			require.NoError(t, err)
			return rows
		}
		both := []mobile{{1, "IPhone 12", 800}, {2, "Google Pixel 2", 900}}

		all, err := pgx.CollectRows(query("select model, price, id from mobile order by id"), pgx.RowToStructByName[mobile])
		require.NoError(t, err)
		assert.Equal(t, both, all)

		one, err := pgx.CollectOneRow(query("select * from mobile where id = $1", 2), pgx.RowToAddrOfStructByPos[mobile])
		require.NoError(t, err)
		assert.Equal(t, &both[1], one)

		models, err := pgx.AppendRows([]string{"Nokia 3310"}, query("select model from mobile order by id"), pgx.RowTo[string])
		require.NoError(t, err)
		assert.Equal(t, []string{"Nokia 3310", "IPhone 12", "Google Pixel 2"}, models)

		var id, sum int
		tag, err := pgx.ForEachRow(query("select id from mobile"), []any{&id}, func() error {
			sum += id
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, 3, sum)
		assert.Equal(t, "SELECT 2", tag.String())

		// Failures give the connection back too.
		_, err = pgx.CollectOneRow(query("select id from mobile where id = 3"), pgx.RowTo[int])
		assert.ErrorIs(t, err, pgx.ErrNoRows)
		_, err = pgx.CollectExactlyOneRow(query("select id from mobile"), pgx.RowTo[int])
		assert.ErrorIs(t, err, pgx.ErrTooManyRows)
		_, err = pgx.CollectRows(query("select 1 as no_such_field from mobile"), pgx.RowToStructByName[mobile])
		assert.ErrorContains(t, err, "no_such_field")
		_, err = pgx.ForEachRow(query("select id from mobile"), []any{&id}, func() error { return errStop })
		assert.ErrorIs(t, err, errStop)
		sum, err = pgx.CollectOneRow(query("select 42"), pgx.RowTo[int])
		require.NoError(t, err)
		assert.Equal(t, 42, sum)
	})
}

var errStop = errors.New("stop")

// TestBeginFunc is about pgx's functions that commit or roll back, on a pool
// and on a connection acquired from it.
func TestBeginFunc(t *testing.T) {
	type beginner interface {
		handle
		Begin(ctx context.Context) (pgx.Tx, error)
		BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
	}
	test := func(t *testing.T, db beginner) {
		ctx := background(t)
		_, err := db.Exec(ctx, mobiles)
		require.NoError(t, err)
		remove := func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "delete from mobile where id = (select min(id) from mobile)")
			return err
		}
		count := func() (n int) {
			require.NoError(t, db.QueryRow(ctx, "select count(*) from mobile").Scan(&n))
			return n
		}

		require.NoError(t, pgx.BeginFunc(ctx, db, remove))
		assert.Equal(t, 1, count(), "committed")

		err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return errors.Join(remove(tx), errStop) })
		assert.ErrorIs(t, err, errStop)
		assert.Equal(t, 1, count(), "rolled back")

		assert.Panics(t, func() {
			_ = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
				require.NoError(t, remove(tx))
				panic("in the middle")
			})
		})
		assert.Equal(t, 1, count(), "rolled back")

		err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			err := pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error { return errors.Join(remove(savepoint), errStop) })
			assert.ErrorIs(t, err, errStop)
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, 1, count(), "rolled back to the savepoint")

		err = pgx.BeginTxFunc(ctx, db, pgx.TxOptions{AccessMode: pgx.ReadOnly}, remove)
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr)
		assert.Equal(t, "25006", pgErr.Code) // read_only_sql_transaction

		require.NoError(t, pgx.BeginTxFunc(ctx, db, pgx.TxOptions{IsoLevel: pgx.Serializable}, remove))
		assert.Equal(t, 0, count(), "committed")
	}
	t.Run("pool", func(t *testing.T) { test(t, open(t, server.Database(t))) })
	t.Run("conn", func(t *testing.T) {
		conn, err := open(t, server.Database(t)).Acquire(background(t))
		require.NoError(t, err)
		defer conn.Release()
		test(t, conn)
	})
}
