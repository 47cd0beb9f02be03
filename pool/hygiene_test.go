package pool_test

import (
	"testing"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// A transaction left open is rolled back before the next borrower comes, and
// the connection is kept.
func TestPutInsideTransaction(t *testing.T) {
	for name, last := range map[string]string{
		"open":   "insert into n values (1)",
		"failed": "select 1/0",
	} {
		t.Run(name, func(t *testing.T) {
			p, a := threaded(t, 0, 1)
			_, err := a.conn.Exec(background(t), "create table n (i int)")
			require.NoError(t, err)
			c := get(t, p)
			_, err = c.Begin(background(t))
			require.NoError(t, err)
			_, _ = c.Exec(background(t), last)
			first := pid(c)
			require.NoError(t, p.PutConn(c))

			c = get(t, p)
			require.Equal(t, first, pid(c))
			require.EqualValues(t, 'I', c.Conn().PgConn().TxStatus())
			var n int
			require.NoError(t, c.QueryRow(background(t), "select count(*) from n").Scan(&n))
			require.Zero(t, n)
			c.Release()
		})
	}
}

// Keyed leases are judged by a helper, once the last is put.
func TestPutKeyedInsideTransaction(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	c := get(t, p, pool.WithKey("k"))
	_, err := c.Begin(background(t))
	require.NoError(t, err)
	first := pid(c)
	require.NoError(t, p.PutConn(c))
	c = get(t, p)
	require.Equal(t, first, pid(c))
	require.EqualValues(t, 'I', c.Conn().PgConn().TxStatus())
	c.Release()
}

func TestBusyConnectionIsReplaced(t *testing.T) {
	p, a := threaded(t, 0, 1)
	c := get(t, p)
	rows, err := c.Query(background(t), "select * from generate_series(1, 1000000)")
	require.NoError(t, err)
	require.True(t, rows.Next())
	first := pid(c)
	require.NoError(t, p.PutConn(c))
	c = get(t, p)
	require.NotEqual(t, first, pid(c))
	c.Release()
	a.await(1)
}

// The backend of a busy connection is told to stop, not left to its statement.
func TestRunningStatementIsCancelledOnClose(t *testing.T) {
	p, a := threaded(t, 0, 1)
	c := get(t, p)
	// Enough rows before the sleep that the server sends some. They stay open.
	_, err := c.Query(background(t), `select repeat('x', 1000) from generate_series(1, 100)
		union all select 'late' from pg_sleep(3600)`)
	require.NoError(t, err)
	require.NoError(t, p.PutConn(c))
	a.await(0)
}

func TestClosedConnectionIsReplaced(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	c := get(t, p)
	require.NoError(t, c.Conn().Close(background(t)))
	require.NoError(t, p.PutConn(c))
	c = get(t, p)
	require.NoError(t, c.Ping(background(t)))
	c.Release()
}
