package pool_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// single makes a pool of one connection: whatever does not give it back blocks
// the next get.
func single(t *testing.T) *pool.Pool {
	p, _ := threaded(t, 1, 1)
	return p
}

// free says that the one connection has been put back, without a wait.
func free(t *testing.T, p *pool.Pool) {
	t.Helper()
	c, err := p.TryGetConn()
	require.NoError(t, err)
	c.Release()
}

// panics is a destination whose Scan panics.
type panics struct{}

func (panics) Scan(any) error { panic("in Scan") }

// Rows, row and batch results put their connection back when they are closed,
// at their end, or when they fail, and once.
func TestVerbsPutBack(t *testing.T) {
	p := single(t)
	ctx := background(t)
	var n int
	for name, do := range map[string]func(){
		"Exec that fails": func() {
			_, err := p.Exec(ctx, "select 1/0")
			require.Error(t, err)
		},
		"Query that fails": func() {
			rows, err := p.Query(ctx, "select no such thing")
			if err == nil {
				rows.Close()
				err = rows.Err()
			}
			require.Error(t, err)
		},
		"rows read to the end": func() {
			rows, err := p.Query(ctx, "select generate_series(1, 3)")
			require.NoError(t, err)
			for rows.Next() {
				require.NotNil(t, rows.Conn())
			}
			require.Nil(t, rows.Conn(), "it is another's now")
			require.NoError(t, rows.Err())
			require.Equal(t, "SELECT 3", rows.CommandTag().String())
		},
		"rows closed, twice": func() {
			rows, err := p.Query(ctx, "select generate_series(1, 3)")
			require.NoError(t, err)
			rows.Close()
			other := get(t, p)
			rows.Close()
			require.NoError(t, other.Ping(ctx))
			other.Release()
		},
		"rows whose Scan fails": func() {
			rows, err := p.Query(ctx, "select 'a'")
			require.NoError(t, err)
			require.True(t, rows.Next())
			require.Error(t, rows.Scan(&n))
		},
		"a row": func() {
			row := p.QueryRow(ctx, "select 1")
			require.NoError(t, row.Scan(&n))
			other := get(t, p)
			require.Error(t, row.Scan(&n))
			require.NoError(t, other.Ping(ctx))
			other.Release()
		},
		"no row": func() {
			require.ErrorIs(t, p.QueryRow(ctx, "select 1 where false").Scan(&n), pgx.ErrNoRows)
		},
		"batch results": func() {
			var b pgx.Batch
			b.Queue("select 1")
			results := p.SendBatch(ctx, &b)
			require.Nil(t, results.Tx())
			require.NoError(t, results.QueryRow().Scan(&n))
			require.NoError(t, results.Close())
			require.NoError(t, results.Close())
		},
		"CopyFrom that fails": func() {
			_, err := p.CopyFrom(ctx, pgx.Identifier{"none"}, []string{"i"}, pgx.CopyFromRows([][]any{{1}}))
			require.Error(t, err)
		},
		"AcquireFunc that panics": func() {
			require.Panics(t, func() { _ = p.AcquireFunc(ctx, func(*pool.Conn) error { panic("in f") }) })
		},
		"AcquireFunc that fails": func() {
			require.ErrorIs(t, p.AcquireFunc(ctx, func(*pool.Conn) error { return errHook }), errHook)
		},
		"Begin that fails": func() {
			_, err := p.BeginTx(ctx, pgx.TxOptions{BeginQuery: "begin nonsense"})
			require.Error(t, err)
			get(t, p).Release() // perhaps a new one
		},
	} {
		t.Run(name, func(t *testing.T) {
			do()
			free(t, p)
		})
	}
	t.Run("a row whose Scan panics", func(t *testing.T) {
		require.PanicsWithValue(t, "in Scan", func() { _ = p.QueryRow(ctx, "select 1").Scan(panics{}) })
		get(t, p).Release()
	})
}

// A transaction of the pool has its connection until its end.
func TestPoolTx(t *testing.T) {
	p := single(t)
	ctx := background(t)
	for name, end := range map[string]func(pgx.Tx) error{
		"Commit":   func(tx pgx.Tx) error { return tx.Commit(ctx) },
		"Rollback": func(tx pgx.Tx) error { return tx.Rollback(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := p.Begin(ctx)
			require.NoError(t, err)
			_, err = p.TryGetConn()
			require.ErrorIs(t, err, pool.ErrExhausted)
			inner, err := tx.Begin(ctx)
			require.NoError(t, err)
			require.NoError(t, end(inner))
			require.IsType(t, &pool.Tx{}, tx)
			require.NoError(t, end(tx))
			other := get(t, p)
			for _, dead := range []pgx.Tx{tx, inner} {
				require.ErrorIs(t, dead.Rollback(ctx), pgx.ErrTxClosed)
				require.ErrorIs(t, dead.Commit(ctx), pgx.ErrTxClosed)
				_, err = dead.Exec(ctx, "select 1")
				require.ErrorIs(t, err, pgx.ErrTxClosed)
				require.Nil(t, dead.Conn())
			}
			require.NotErrorIs(t, tx.Rollback(ctx), pool.ErrNotLeased)
			other.Release()
			free(t, p)
		})
	}
	t.Run("a failed commit", func(t *testing.T) {
		tx, err := p.Begin(ctx)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, "select 1/0")
		require.Error(t, err)
		require.ErrorIs(t, tx.Commit(ctx), pgx.ErrTxCommitRollback)
		free(t, p)
	})
}

// A batch begun with BeginTx has its connection until the transaction ends; one
// on a connection answers like any transaction when that is put.
func TestBatchBeginTx(t *testing.T) {
	p := single(t)
	ctx := background(t)
	batch := func() *pgx.Batch {
		var b pgx.Batch
		b.BeginTx(pgx.TxOptions{})
		b.Queue("create temporary table t (i int) on commit drop")
		return &b
	}
	results := p.SendBatch(ctx, batch())
	tx := results.Tx()
	require.NoError(t, results.Close())
	_, err := p.TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted)
	_, err = tx.Exec(ctx, "insert into t values (1)")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	free(t, p)

	c := get(t, p)
	results = c.SendBatch(ctx, batch())
	tx = results.Tx()
	require.NoError(t, results.Close())
	c.Release()
	_, err = tx.Exec(ctx, "select 1")
	require.ErrorIs(t, err, pool.ErrNotLeased)
	require.ErrorIs(t, tx.Rollback(ctx), pgx.ErrTxClosed)
}

// Results of a batch whose transaction ended before they were closed reach
// nobody else's connection.
func TestBatchClosedAfterItsTx(t *testing.T) {
	p := single(t)
	ctx := background(t)
	var b pgx.Batch
	b.BeginTx(pgx.TxOptions{})
	b.Queue("select 1")
	results := p.SendBatch(ctx, &b)
	require.Error(t, results.Tx().Commit(ctx), "the results are not read")
	_, err := results.Exec()
	require.ErrorIs(t, err, pgx.ErrTxClosed)
	_, err = results.Query()
	require.ErrorIs(t, err, pgx.ErrTxClosed)
	require.ErrorIs(t, results.QueryRow().Scan(nil), pgx.ErrTxClosed)
	require.ErrorIs(t, results.Close(), pgx.ErrTxClosed)
	get(t, p).Release()
}

// Whoever connects with the configuration of a lent connection does not depend
// on that.
func TestConnectWithAConnsConfig(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	ctx := background(t)
	c := get(t, p)
	config := c.Conn().Config()
	before, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	require.NoError(t, p.PutConn(c, pool.WithClose()))
	get(t, p).Release() // the place of the one is free when it is closed
	require.NoError(t, before.Ping(ctx))
	require.NoError(t, before.Close(ctx))
	after, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	require.NoError(t, after.Close(ctx))
}

// Hijack takes a connection out for good, and frees its place at once.
func TestHijack(t *testing.T) {
	p, a := threaded(t, 1, 1)
	ctx := background(t)
	c := get(t, p)
	mine := c.Hijack()
	require.PanicsWithValue(t, "cannot hijack already released or hijacked connection", func() { c.Hijack() })
	c.Release()
	require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
	other := get(t, p)
	require.NotEqual(t, mine.PgConn().PID(), pid(other))
	other.Release()
	require.NoError(t, p.CloseAll(ctx))
	require.NoError(t, mine.Ping(ctx), "the pool's end is not the connection's")
	require.NoError(t, mine.Close(ctx))
	a.await(0)

	p = single(t)
	one, two := get(t, p, pool.WithKey("k")), get(t, p, pool.WithKey("k"))
	require.Panics(t, func() { one.Hijack() })
	two.Release()
	require.NoError(t, one.Hijack().Close(ctx))
	get(t, p).Release()
}

// The verbs of a closed pool answer ErrClosed.
func TestVerbsAfterClose(t *testing.T) {
	p := single(t)
	ctx := background(t)
	p.Close()
	p.Close()
	p.Reset()
	var b pgx.Batch
	b.Queue("select 1")
	_, execErr := p.Exec(ctx, "select 1")
	rows, queryErr := p.Query(ctx, "select 1")
	_, beginErr := p.Begin(ctx)
	_, copyErr := p.CopyFrom(ctx, pgx.Identifier{"t"}, nil, pgx.CopyFromRows(nil))
	for i, err := range []error{
		execErr, queryErr, beginErr, copyErr, rows.Err(), p.QueryRow(ctx, "select 1").Scan(nil), p.SendBatch(ctx, &b).Close(),
		p.Ping(ctx), p.AcquireFunc(ctx, nil), p.WaitReady(ctx), p.Resize(0, 1), p.Pause(ctx), p.Resume(),
	} {
		require.ErrorIs(t, err, pool.ErrClosed, "%d", i)
	}
	require.Empty(t, p.AcquireAllIdle(ctx))
	require.True(t, errors.Is(p.CloseAll(ctx), pool.ErrClosed))
}
