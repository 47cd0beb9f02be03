package ecosystem_test

import (
	"testing"

	"github.com/georgysavva/scany/v2/pgxscan"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	_ pgxscan.Querier = (*pool.Pool)(nil)
	_ pgxscan.Querier = (*pool.Conn)(nil)
)

// mobile is the table of the psycopg2 tutorial.
type mobile struct {
	ID    int
	Model string
	Price float64
}

const mobiles = `create table mobile (id int primary key, model text, price float8);
	insert into mobile values (1, 'IPhone 12', 800), (2, 'Google Pixel 2', 900)`

func TestScany(t *testing.T) {
	onEach(t, mobiles, func(t *testing.T, db handle) {
		ctx := background(t)
		both := []mobile{{1, "IPhone 12", 800}, {2, "Google Pixel 2", 900}}

		var all []mobile
		require.NoError(t, pgxscan.Select(ctx, db, &all, "select * from mobile order by id"))
		assert.Equal(t, both, all)

		var one mobile
		require.NoError(t, pgxscan.Get(ctx, db, &one, "select * from mobile where id = $1", 2))
		assert.Equal(t, both[1], one)

		rows, err := db.Query(ctx, "select * from mobile order by id")
		require.NoError(t, err)
		var pointers []*mobile
		require.NoError(t, pgxscan.ScanAll(&pointers, rows))
		assert.Equal(t, []*mobile{&both[0], &both[1]}, pointers)

		rows, err = db.Query(ctx, "select count(*) from mobile")
		require.NoError(t, err)
		var count int
		require.NoError(t, pgxscan.ScanOne(&count, rows))
		assert.Equal(t, 2, count)

		// Failures give the connection back too.
		err = pgxscan.Get(ctx, db, &one, "select * from mobile where id = 3")
		assert.True(t, pgxscan.NotFound(err), err)
		err = pgxscan.Get(ctx, db, &one, "select * from mobile")
		assert.ErrorContains(t, err, "expected 1 row")
		err = pgxscan.Select(ctx, db, &all, "select 1 as no_such_field from mobile")
		assert.ErrorContains(t, err, "no_such_field")
		require.NoError(t, pgxscan.Get(ctx, db, &count, "select 42"))
		assert.Equal(t, 42, count)
	})
}
