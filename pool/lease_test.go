package pool_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

func TestGetAndPut(t *testing.T) {
	p, a := threaded(t, 0, 2)
	c := get(t, p)
	var one int
	require.NoError(t, c.QueryRow(background(t), "select 1").Scan(&one))
	require.Equal(t, 1, one)
	first := pid(c)
	require.NoError(t, p.PutConn(c))
	c = get(t, p)
	require.Equal(t, first, pid(c), "kept open, and lent again")
	require.Equal(t, 1, a.backends())
	c.Release()
	c.Release()
}

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

// A handle that was put is dead: every method says so, and the next borrower's
// connection is not touched.
func TestUseAfterPut(t *testing.T) {
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

func TestBadPutsChangeNothing(t *testing.T) {
	p, a := threaded(t, 0, 1)
	other, _ := threaded(t, 0, 1)
	require.ErrorIs(t, p.PutConn(nil), pool.ErrForeignConn)
	require.ErrorIs(t, p.PutConn(new(pool.Conn)), pool.ErrNotLeased)

	c := get(t, p, pool.WithKey("k"))
	require.ErrorIs(t, other.PutConn(c), pool.ErrForeignConn)
	require.ErrorIs(t, p.PutConn(c, pool.WithKey("other"), pool.WithClose()), pool.ErrWrongKey)
	require.NoError(t, c.Ping(background(t)), "still lent")
	require.NoError(t, p.PutConn(c, pool.WithKey("k")))

	c = get(t, p)
	require.ErrorIs(t, p.PutConn(c, pool.WithKey("k")), pool.ErrWrongKey)
	require.NoError(t, p.PutConn(c))
	require.Equal(t, 1, a.backends(), "one connection served all of it")
}

func TestKeys(t *testing.T) {
	p, _ := threaded(t, 0, 3)
	type id int
	one := get(t, p, pool.WithKey(1))
	again := get(t, p, pool.WithKey(1))
	typed := get(t, p, pool.WithKey(id(1)))
	free := get(t, p, pool.WithKey(nil))
	require.Equal(t, pid(one), pid(again), "the same key, the same connection")
	require.NotSame(t, one, again, "but a handle of its own")
	require.NotEqual(t, pid(one), pid(typed), "keys of different types are different")
	require.NotEqual(t, pid(one), pid(free))
	_, err := p.TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted)
	shared, err := p.TryGetConn(pool.WithKey(1))
	require.NoError(t, err, "a bound key needs no idle connection")
	for _, c := range []*pool.Conn{one, shared, typed, free} {
		require.NoError(t, p.PutConn(c))
	}
	require.NoError(t, again.Ping(background(t)), "a holder is left")
	require.NoError(t, p.PutConn(again))

	for _, bad := range []any{[]int{1}, map[string]int{}, any([]any{1})} {
		_, err := p.GetConn(background(t), pool.WithKey(bad))
		var key *pool.KeyError
		require.ErrorAs(t, err, &key)
	}
}

func TestWithClose(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	c := get(t, p)
	first := pid(c)
	require.NoError(t, p.PutConn(c, pool.WithClose()))
	c = get(t, p)
	require.NotEqual(t, first, pid(c))
	c.Release()

	k1, k2 := get(t, p, pool.WithKey("k")), get(t, p, pool.WithKey("k"))
	first = pid(k1)
	require.NoError(t, p.PutConn(k1, pool.WithClose()))
	require.NoError(t, k2.Ping(background(t)), "shared: closed with its last lease")
	require.NoError(t, p.PutConn(k2))
	c = get(t, p)
	require.NotEqual(t, first, pid(c))
	c.Release()
}

func TestTryGetConn(t *testing.T) {
	p, a := threaded(t, 0, 2)
	_, err := p.TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted)
	require.Equal(t, 0, a.backends(), "it opens nothing")
	get(t, p).Release()
	c, err := p.TryGetConn()
	require.NoError(t, err)
	c.Release()
	require.NoError(t, p.CloseAll(background(t)))
	_, err = p.TryGetConn()
	require.ErrorIs(t, err, pool.ErrClosed)
}

func TestGetWithEndedContext(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	_, err := p.GetConn(ended())
	require.ErrorIs(t, err, context.Canceled)
}

func TestExhaustionErrorTellsHowThingsStand(t *testing.T) {
	p, _ := threaded(t, 0, 2)
	one, two := get(t, p), get(t, p)
	defer one.Release()
	defer two.Release()
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error)
	go func() {
		_, err := p.GetConn(ctx)
		failed <- err
	}()
	awaitWaiting(t, p, 1)
	cancel()
	err := <-failed
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, pool.ErrExhausted)
	var wait *pool.WaitError
	require.ErrorAs(t, err, &wait)
	require.Equal(t, [3]int{2, 2, 0}, [3]int{wait.Limit, wait.Leased, wait.Waiting})
}

// awaitWaiting waits until n gets wait.
func awaitWaiting(t *testing.T, p *pool.Pool, n int) {
	require.Eventually(t, func() bool { return pool.StatOf(p).Waiting == n }, wide, time.Millisecond)
}

func TestWaitersAreServedInOrder(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	c := get(t, p)
	order := make(chan int, 10)
	for i := range 10 {
		go func() {
			c, err := p.GetConn(context.Background())
			if err == nil {
				order <- i
				c.Release()
			}
		}()
		awaitWaiting(t, p, i+1)
	}
	c.Release()
	for i := range 10 {
		require.Equal(t, i, <-order)
	}
}
