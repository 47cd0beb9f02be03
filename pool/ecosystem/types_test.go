package ecosystem_test

import (
	"context"
	"testing"

	pgxdecimal "github.com/jackc/pgx-shopspring-decimal"
	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTypes registers an enum, a composite and another library's numeric type
// in AfterConnect, and uses them on every connection of a pool.
func TestTypes(t *testing.T) {
	ctx := background(t)
	url := server.Database(t)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	_, err = conn.Exec(ctx, `create type size as enum ('small', 'large');
		create type parcel as (label text, size size, price numeric)`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(ctx))

	type parcel struct {
		Label string
		Size  string
		Price decimal.Decimal
	}
	p := open(t, url, func(c *pool.Config) {
		c.MaxConns = 2
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			pgxdecimal.Register(conn.TypeMap())
			types, err := conn.LoadTypes(ctx, []string{"_size", "_parcel"})
			if err != nil {
				return err
			}
			conn.TypeMap().RegisterTypes(types)
			return nil
		}
	})
	use := func(db handle) {
		want := []parcel{{"book", "small", decimal.RequireFromString("12.30")}, {"desk", "large", decimal.RequireFromString("1e30")}}
		var got []parcel
		require.NoError(t, db.QueryRow(ctx, "select $1::parcel[]", want).Scan(&got))
		require.Len(t, got, 2)
		for i := range want {
			assert.Equal(t, want[i].Size, got[i].Size)
			assert.Equal(t, want[i].Price.String(), got[i].Price.String())
		}

		var sizes []string
		require.NoError(t, db.QueryRow(ctx, "select enum_range(null::size)").Scan(&sizes))
		assert.Equal(t, []string{"small", "large"}, sizes)

		rows, err := db.Query(ctx, "select 0.10")
		require.NoError(t, err)
		value, err := pgx.CollectOneRow(rows, pgx.RowTo[any])
		require.NoError(t, err)
		assert.IsType(t, decimal.Decimal{}, value)
	}

	require.NoError(t, p.AcquireFunc(ctx, func(first *pool.Conn) error {
		use(first)
		use(p) // the second
		return nil
	}))
	assert.EqualValues(t, 2, p.Stat().TotalConns())
	p.Reset()
	use(p) // a third
}
