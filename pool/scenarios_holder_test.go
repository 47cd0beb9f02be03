package pool_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Scenarios: what holders do to their connections.

// Who holds a connection panics in a transaction: it is rolled back, the connection
// goes back, and the panic goes on.
func TestScenario22PanicWhileHolding(t *testing.T) {
	gone := errors.New("the handler panics")
	abandons(t, func(run func() error) {
		assert.PanicsWithValue(t, gone, func() { _ = run() })
	}, func() { panic(gone) })
}

// The same for runtime.Goexit, as t.FailNow does it in a test.
func TestScenario23GoexitWhileHolding(t *testing.T) {
	abandons(t, func(run func() error) {
		returned := false
		var all sync.WaitGroup
		all.Go(func() {
			_ = run()
			returned = true
		})
		all.Wait()
		assert.False(t, returned)
	}, runtime.Goexit)
}

// abandons has holders leave by leave, in all the ways in which the pool calls them, or
// they call it; outside sees them leave.
func abandons(t *testing.T, outside func(run func() error), leave func()) {
	p, a := threaded(t, 1, 1)
	ctx := background(t)
	_, err := a.conn.Exec(ctx, "create table t (n int)")
	require.NoError(t, err)
	insert := func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into t values (1)")
		require.NoError(t, err)
		leave()
		return nil
	}
	for name, run := range map[string]func() error{
		"AcquireFunc": func() error {
			return p.AcquireFunc(ctx, func(c *pool.Conn) error {
				tx, err := c.Begin(ctx)
				require.NoError(t, err)
				return insert(tx)
			})
		},
		"pgx.BeginFunc": func() error { return pgx.BeginFunc(ctx, p, insert) },
		"defer Release": func() error {
			c := get(t, p)
			defer c.Release()
			tx, err := c.Begin(ctx)
			require.NoError(t, err)
			return insert(tx)
		},
		"defer Rollback": func() error {
			tx, err := p.Begin(ctx)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(ctx) }()
			return insert(tx)
		},
		"a row that is scanned": func() error { return p.QueryRow(ctx, "select 1").Scan(leaver(leave)) },
	} {
		before := backend(t, p)
		outside(run)
		c := get(t, p)
		// pgx leaves the row half read: such a connection is closed.
		assert.Equal(t, name != "a row that is scanned", int(pid(c)) == before, name)
		assert.EqualValues(t, 'I', c.Conn().PgConn().TxStatus(), name)
		var n int
		require.NoError(t, c.QueryRow(ctx, "select count(*) from t").Scan(&n))
		assert.Zero(t, n, name)
		c.Release()
		assert.Empty(t, p.Leases(), name)
	}
}

// A leaver leaves when a value is scanned into it.
type leaver func()

func (l leaver) Scan(any) error {
	l()
	return nil
}

// Two wait, and the connection is put twice: one is served, and only its put serves the
// other.
func TestScenario24DoublePut(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	c := get(t, p)
	one := ask(background(t), p)
	awaitWaiting(t, p, 1)
	two := ask(background(t), p)
	awaitWaiting(t, p, 2)
	require.NoError(t, p.PutConn(c))
	assert.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
	assert.ErrorIs(t, p.PutConn(c, pool.WithClose()), pool.ErrNotLeased)
	c.Release()
	next := one.served(t)
	assert.Empty(t, two)
	assert.Equal(t, 1, pool.StatOf(p).Waiting)
	assert.NoError(t, next.Ping(background(t)), "it was not closed")
	require.NoError(t, p.PutConn(next))
	two.served(t).Release()
	assert.EqualValues(t, 3, p.Stat().AcquireCount())
	assert.EqualValues(t, 1, p.Stat().NewConnsCount())
}

// A connection is put to the wrong pool, where somebody waits: that pool refuses it, and
// it stays lent where it is from.
func TestScenario25ForeignPut(t *testing.T) {
	mine, _ := threaded(t, 0, 1)
	other, _ := threaded(t, 0, 1)
	c, busy := get(t, mine), get(t, other)
	waiter := ask(background(t), other)
	awaitWaiting(t, other, 1)
	for _, opts := range [][]pool.PutOption{nil, {pool.WithClose()}, {pool.WithKey("k")}} {
		assert.ErrorIs(t, other.PutConn(c, opts...), pool.ErrForeignConn)
	}
	assert.Empty(t, waiter)
	assert.Equal(t, 1, pool.StatOf(other).Waiting)
	assert.NoError(t, c.Ping(background(t)))
	assert.Len(t, mine.Leases(), 1)
	require.NoError(t, mine.PutConn(c))
	require.NoError(t, other.PutConn(busy))
	waiter.served(t).Release()
}

// Who has put a connection goes on to use it, while its next borrower does: the former
// is told so each time, and the latter does not notice.
func TestScenario26UseAfterReturn(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	ctx := background(t)
	dead := get(t, p)
	tx, err := dead.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, p.PutConn(dead))

	next := get(t, p)
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		uses := 0
		for ; ; uses++ {
			select {
			case <-stop:
				stopped <- uses
				return
			default:
			}
			_, err := dead.Exec(ctx, "rollback")
			assert.ErrorIs(t, err, pool.ErrNotLeased)
			assert.ErrorIs(t, dead.QueryRow(ctx, "select 1").Scan(nil), pool.ErrNotLeased)
			assert.ErrorIs(t, tx.Commit(ctx), pool.ErrNotLeased)
			assert.Nil(t, dead.Conn())
			assert.ErrorIs(t, p.PutConn(dead), pool.ErrNotLeased)
		}
	}()
	mine, err := next.Begin(ctx)
	require.NoError(t, err)
	for i := range 200 {
		var n int
		require.NoError(t, mine.QueryRow(ctx, "select $1::int", i).Scan(&n))
		require.Equal(t, i, n)
	}
	close(stop)
	assert.Positive(t, <-stopped)
	assert.NoError(t, mine.Commit(ctx))
	assert.NoError(t, p.PutConn(next))
}

// A connection is put inside a transaction, with all that may hang on one: it is rolled
// back before anybody else has it, and what it held is free.
func TestScenario27PutInsideATransaction(t *testing.T) {
	a := newAdmin(t)
	_, err := a.conn.Exec(background(t), "create table t (n int)")
	require.NoError(t, err)
	for name, left := range map[string][]string{
		"open":        {"begin", "insert into t values (1)"},
		"failed":      {"begin", "insert into t values (1)", "select 1/0"},
		"a lock":      {"begin", "lock table t in access exclusive mode", "insert into t values (1)"},
		"a savepoint": {"begin", "insert into t values (1)", "savepoint s", "insert into t values (2)"},
		"a cursor":    {"begin", "insert into t values (1)", "declare c cursor for select n from t", "fetch c"},
		"settings":    {"begin isolation level serializable", "insert into t values (1)", "set search_path = nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			p, ctx := made(t, a.url, func(c *pool.Config) { c.MaxConns = 1 }), background(t)
			c := get(t, p)
			before := pid(c)
			for _, statement := range left {
				_, err := c.Exec(ctx, statement)
				require.Equal(t, statement == "select 1/0", err != nil, "%v", err)
			}
			waiter := ask(ctx, p)
			awaitWaiting(t, p, 1)
			require.NoError(t, p.PutConn(c))
			c = waiter.served(t)
			defer c.Release()
			assert.Equal(t, before, pid(c), "kept")
			assert.EqualValues(t, 'I', c.Conn().PgConn().TxStatus())
			var n int
			require.NoError(t, c.QueryRow(ctx, "select count(*) from t").Scan(&n))
			assert.Zero(t, n)
			var isolation string
			require.NoError(t, c.QueryRow(ctx, "show transaction_isolation").Scan(&isolation))
			assert.Equal(t, "read committed", isolation)
			_, err = a.conn.Exec(ctx, "begin; lock table t in access exclusive mode nowait; commit")
			assert.NoError(t, err)
		})
	}
}

// Results that are not read to their end go back with their connection: who gets the
// next one reads what he asked for.
func TestScenario35HalfReadRows(t *testing.T) {
	a := newAdmin(t)
	const many = "select n from generate_series(1, 1000000) n"
	for name, leave := range map[string]func(t *testing.T, c *pool.Conn){
		"rows": func(t *testing.T, c *pool.Conn) { halfRead(t, c) },
		"rows in a transaction": func(t *testing.T, c *pool.Conn) {
			tx, err := c.Begin(background(t))
			require.NoError(t, err)
			halfRead(t, tx)
		},
		"rows that nobody has looked at": func(t *testing.T, c *pool.Conn) {
			_, err := c.Query(background(t), many)
			require.NoError(t, err)
		},
		"a row that is not scanned": func(t *testing.T, c *pool.Conn) { c.QueryRow(background(t), many) },
		"a batch": func(t *testing.T, c *pool.Conn) {
			var b pgx.Batch
			b.Queue("select 1")
			b.Queue(many)
			_, err := c.SendBatch(background(t), &b).Exec()
			require.NoError(t, err)
		},
		"rows of a bare connection": func(t *testing.T, c *pool.Conn) { halfRead(t, c.Conn()) },
	} {
		for how, opts := range map[string][]pool.GetOption{"": nil, ", with a key": {pool.WithKey("k")}} {
			t.Run(name+how, func(t *testing.T) {
				p := made(t, a.url, func(c *pool.Config) { c.MaxConns = 1 })
				c := get(t, p, opts...)
				leave(t, c)
				waiter := ask(background(t), p)
				awaitWaiting(t, p, 1)
				require.NoError(t, p.PutConn(c))
				c = waiter.served(t)
				var n int
				require.NoError(t, c.QueryRow(background(t), "select 42").Scan(&n))
				assert.Equal(t, 42, n)
				c.Release()
				a.await(1)
				require.NoError(t, p.CloseAll(background(t)))
				a.await(0)
			})
		}
	}
}

// halfRead reads one row of many.
func halfRead(t *testing.T, q interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
},
) {
	rows, err := q.Query(background(t), "select n from generate_series(1, 1000000) n")
	require.NoError(t, err)
	require.True(t, rows.Next())
}

// Five broken connections come back in a row, and all who wait are served.
func TestScenario39FiveBrokenReturns(t *testing.T) {
	t.Run("together", func(t *testing.T) {
		p, a := threaded(t, 0, 5)
		var held []*pool.Conn
		var waiters []asked
		for range 5 {
			held = append(held, get(t, p))
		}
		for i := range 5 {
			waiters = append(waiters, ask(background(t), p))
			awaitWaiting(t, p, i+1)
		}
		for _, c := range held {
			a.terminate(pid(c))
			require.Error(t, c.Ping(background(t)))
		}
		for _, c := range held {
			require.NoError(t, p.PutConn(c))
		}
		for _, w := range waiters {
			c := w.served(t)
			assert.NoError(t, c.Ping(background(t)))
			defer c.Release()
		}
		assert.EqualValues(t, 10, p.Stat().NewConnsCount())
	})
	t.Run("one after another", func(t *testing.T) {
		p, a := threaded(t, 0, 1)
		c := get(t, p)
		var waiters []asked
		for i := range 6 {
			waiters = append(waiters, ask(background(t), p))
			awaitWaiting(t, p, i+1)
		}
		for _, w := range waiters {
			a.terminate(pid(c))
			require.Error(t, c.Ping(background(t)))
			require.NoError(t, p.PutConn(c))
			c = w.served(t)
			require.NoError(t, c.Ping(background(t)))
		}
		require.NoError(t, p.PutConn(c))
		assert.EqualValues(t, 7, p.Stat().NewConnsCount())
	})
}
