package pool_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// Rows of TestPsycopg2 about putting a connection back; see hygiene_test.go for
// those about what it is left in.

func closedInsteadOfKept(t *testing.T) {
	p, a := threaded(t, 0, 2)
	c := get(t, p)
	first := pid(c)
	require.NoError(t, p.PutConn(c, pool.WithClose()))
	a.await(0)
	c = get(t, p)
	require.NotEqual(t, first, pid(c))
	c.Release()
}

func sharedIsClosedWithItsLastLease(t *testing.T) {
	p, a := threaded(t, 0, 1)
	one, two := get(t, p, pool.WithKey("k")), get(t, p, pool.WithKey("k"))
	require.NoError(t, p.PutConn(one, pool.WithClose()))
	require.NoError(t, two.Ping(background(t)))
	require.NoError(t, p.PutConn(two))
	a.await(0)
}

func foreignConn(t *testing.T) {
	p, a := threaded(t, 0, 1)
	other, _ := threaded(t, 0, 1)
	c := get(t, p)
	require.ErrorIs(t, other.PutConn(c), pool.ErrForeignConn)
	require.ErrorIs(t, other.PutConn(c, pool.WithClose()), pool.ErrForeignConn)
	require.ErrorIs(t, other.PutConn(nil), pool.ErrForeignConn)
	require.NoError(t, c.Ping(background(t)), "still lent")
	_, err := other.TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted, "nothing came to the other pool")
	require.NoError(t, p.PutConn(c))
	require.Equal(t, 1, a.backends())
}

// A connection that is put twice does not lie there twice.
func putTwice(t *testing.T) {
	p, _ := threaded(t, 0, 2)
	c := get(t, p)
	require.NoError(t, p.PutConn(c))
	require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
	require.ErrorIs(t, p.PutConn(c, pool.WithClose()), pool.ErrNotLeased)
	c.Release()
	require.ErrorIs(t, p.PutConn(new(pool.Conn)), pool.ErrNotLeased)
	c, err := p.TryGetConn()
	require.NoError(t, err)
	_, err = p.TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted)
	require.NoError(t, p.PutConn(c))
}

// psycopg2 takes the connection back first and then raises: it is both idle and
// lent.
func wrongKeyChangesNothing(t *testing.T) {
	p, a := threaded(t, 0, 1)
	c := get(t, p, pool.WithKey("k"))
	require.ErrorIs(t, p.PutConn(c, pool.WithKey("other")), pool.ErrWrongKey)
	require.ErrorIs(t, p.PutConn(c, pool.WithKey("other"), pool.WithClose()), pool.ErrWrongKey)
	require.ErrorIs(t, p.PutConn(c, pool.WithKey([]int{1})), pool.ErrWrongKey, "no key at all")
	require.NoError(t, c.Ping(background(t)), "still lent")
	_, err := p.TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted, "and not idle")
	require.NoError(t, p.PutConn(c, pool.WithKey("k")))

	c = get(t, p)
	require.ErrorIs(t, p.PutConn(c, pool.WithKey("k")), pool.ErrWrongKey)
	require.NoError(t, p.PutConn(c))
	require.Equal(t, 1, a.backends(), "one connection served all of it")
}

// A handle that was put is dead: every method says so, and the next borrower's
// connection is not touched.
func useAfterPut(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	ctx := background(t)
	dead := get(t, p)
	require.NoError(t, p.PutConn(dead))
	next := get(t, p)
	tx, err := next.Begin(ctx)
	require.NoError(t, err)

	require.ErrorIs(t, p.PutConn(dead), pool.ErrNotLeased)
	require.ErrorIs(t, p.PutConn(dead, pool.WithClose()), pool.ErrNotLeased)
	dead.Release()
	require.Nil(t, dead.Conn())
	_, err = dead.Exec(ctx, "rollback")
	require.ErrorIs(t, err, pool.ErrNotLeased)
	rows, err := dead.Query(ctx, "select 1")
	require.ErrorIs(t, err, pool.ErrNotLeased)
	require.False(t, rows.Next())
	require.ErrorIs(t, rows.Err(), pool.ErrNotLeased)
	require.ErrorIs(t, dead.QueryRow(ctx, "select 1").Scan(nil), pool.ErrNotLeased)
	var b pgx.Batch
	b.Queue("select 1")
	require.ErrorIs(t, dead.SendBatch(ctx, &b).Close(), pool.ErrNotLeased)
	_, err = dead.CopyFrom(ctx, pgx.Identifier{"n"}, nil, pgx.CopyFromRows(nil))
	require.ErrorIs(t, err, pool.ErrNotLeased)
	_, err = dead.Begin(ctx)
	require.ErrorIs(t, err, pool.ErrNotLeased)
	require.ErrorIs(t, dead.Ping(ctx), pool.ErrNotLeased)

	require.NoError(t, tx.Commit(ctx), "the next borrower's transaction is unharmed")
	require.NoError(t, p.PutConn(next))
}
