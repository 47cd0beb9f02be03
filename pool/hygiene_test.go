package pool_test

import (
	"testing"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// A transaction left open is rolled back before the next borrower comes, and
// the connection is kept.
func openTransaction(t *testing.T) {
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

func halfReadRows(t *testing.T) {
	p, a := threaded(t, 0, 1)
	c := get(t, p)
	rows, err := c.Query(background(t), "select * from generate_series(1, 1000000)")
	require.NoError(t, err)
	require.True(t, rows.Next())
	first := pid(c)
	require.NoError(t, p.PutConn(c))
	require.Zero(t, pool.StatOf(p).Idle, "closed when it is put, not when it is wanted")
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

func brokenConnections(t *testing.T) {
	for name, breakIt := range map[string]func(*testing.T, *admin, *pool.Conn){
		"closed": func(t *testing.T, _ *admin, c *pool.Conn) {
			require.NoError(t, c.Conn().Close(background(t)))
		},
		"ended by the server": func(t *testing.T, a *admin, c *pool.Conn) {
			a.terminate(pid(c))
			require.Error(t, c.Ping(background(t)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, a := threaded(t, 0, 1)
			c := get(t, p)
			breakIt(t, a, c)
			require.NoError(t, p.PutConn(c))
			_, err := p.TryGetConn()
			require.ErrorIs(t, err, pool.ErrExhausted, "it is not kept")
			c = get(t, p)
			require.NoError(t, c.Ping(background(t)))
			c.Release()
		})
	}
}

// The rollback cannot succeed: the backend is gone, though the pool cannot know
// yet. In psycopg2 the place is lost for good.
func rollbackThatFails(t *testing.T) {
	for name, opts := range map[string][]pool.GetOption{"unkeyed": nil, "keyed": {pool.WithKey("k")}} {
		t.Run(name, func(t *testing.T) {
			p, a := threaded(t, 0, 1)
			c := get(t, p, opts...)
			_, err := c.Begin(background(t))
			require.NoError(t, err)
			first := pid(c)
			a.terminate(first)
			require.NoError(t, p.PutConn(c))
			c = get(t, p, opts...)
			require.NotEqual(t, first, pid(c))
			require.NoError(t, c.Ping(background(t)))
			c.Release()
		})
	}
}

// What is set outside a transaction stays, and so does what was set before one
// that is rolled back.
func sessionStateStays(t *testing.T) {
	p, a := threaded(t, 0, 1)
	c := get(t, p)
	_, err := c.Exec(background(t), `set my.mark = 'kept'; create temporary table mine (i int); listen news;
		select pg_advisory_lock(7); prepare seven as select 7`)
	require.NoError(t, err)
	_, err = c.Exec(background(t), "begin; set my.mark = 'lost'; drop table mine; unlisten news")
	require.NoError(t, err)
	first := pid(c)
	require.NoError(t, p.PutConn(c))

	c = get(t, p)
	defer c.Release()
	require.Equal(t, first, pid(c))
	var mark string
	var rows, seven int
	require.NoError(t, c.QueryRow(background(t), "select current_setting('my.mark')").Scan(&mark))
	require.Equal(t, "kept", mark)
	require.NoError(t, c.QueryRow(background(t), "select count(*) from mine").Scan(&rows))
	require.NoError(t, c.QueryRow(background(t), "execute seven").Scan(&seven))
	require.Equal(t, 7, seven)
	var free bool
	require.NoError(t, a.conn.QueryRow(background(t), "select pg_try_advisory_lock(7)").Scan(&free))
	require.False(t, free)
	_, err = a.conn.Exec(background(t), "notify news, 'hello'")
	require.NoError(t, err)
	n, err := c.Conn().WaitForNotification(background(t))
	require.NoError(t, err)
	require.Equal(t, "hello", n.Payload)
}
