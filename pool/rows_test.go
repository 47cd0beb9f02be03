package pool_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// over asserts that rows have no connection: it may be another borrower's.
func over(t *testing.T, rows pgx.Rows) {
	assert.False(t, rows.Next())
	assert.ErrorIs(t, rows.Scan(new(int)), pool.ErrNotLeased)
	_, err := rows.Values()
	assert.ErrorIs(t, err, pool.ErrNotLeased)
	assert.Nil(t, rows.RawValues())
	assert.Nil(t, rows.FieldDescriptions())
	assert.Nil(t, rows.TypeMap())
	assert.Nil(t, rows.Conn())
	rows.Close()
}

// Rows that have ended touch nothing of the connection's next borrower, who uses it at
// the same time; they remember how they ended. With -race the test is about that, too.
func TestRowsAfterTheirEndHaveNoConnection(t *testing.T) {
	p := single(t)
	ctx := background(t)
	query := func(sql string) pgx.Rows {
		rows, err := p.Query(ctx, sql)
		require.NoError(t, err)
		return rows
	}
	for name, row := range map[string]struct {
		end func() pgx.Rows
		tag string
		err string
	}{
		"closed": {func() pgx.Rows {
			rows := query("select generate_series(1, 3)")
			require.True(t, rows.Next())
			rows.Close()
			return rows
		}, "SELECT 3", ""},
		"read to the end": {func() pgx.Rows {
			rows := query("select generate_series(1, 2)")
			for rows.Next() {
				require.Len(t, rows.FieldDescriptions(), 1)
				require.NotNil(t, rows.TypeMap())
			}
			return rows
		}, "SELECT 2", ""},
		"failed at the server": {func() pgx.Rows {
			rows := query("select 1 / (2 - i) from generate_series(1, 2) i")
			for rows.Next() {
			}
			return rows
		}, "", "division by zero"},
		"failed in Scan": {func() pgx.Rows {
			rows := query("select 'a'")
			require.True(t, rows.Next())
			require.ErrorContains(t, rows.Scan(new(int)), "can't scan")
			return rows
		}, "SELECT 1", "can't scan"},
	} {
		t.Run(name, func(t *testing.T) {
			rows := row.end()
			next := get(t, p)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 20 {
					theirs, err := next.Query(ctx, "select 1 as a, 2 as b, 3 as c")
					if assert.NoError(t, err) {
						theirs.Close()
					}
				}
			}()
			for range 20 {
				over(t, rows)
				assert.Equal(t, row.tag, rows.CommandTag().String())
				if row.err == "" {
					assert.NoError(t, rows.Err())
				} else {
					assert.ErrorContains(t, rows.Err(), row.err)
				}
			}
			<-done
			next.Release()
		})
	}
	t.Run("a row", func(t *testing.T) {
		row := p.QueryRow(ctx, "select 1")
		require.NoError(t, row.Scan(new(int)))
		require.ErrorIs(t, row.Scan(new(int)), pool.ErrNotLeased)
	})
	free(t, p)
}

// Rows and results whose connection was put before they were closed leave it to the pool,
// which closes it at the same time.
func TestRowsWhoseConnectionWasPut(t *testing.T) {
	p := single(t)
	ctx := background(t)
	batch := func(c *pool.Conn) pgx.BatchResults {
		var b pgx.Batch
		b.Queue("select generate_series(1, 10)")
		b.Queue("select 1")
		return c.SendBatch(ctx, &b)
	}
	const long = "select repeat('x', 1000) from generate_series(1, 10000)"
	for name, use := range map[string]func(c *pool.Conn) (after func()){
		"rows": func(c *pool.Conn) func() {
			rows, err := c.Query(ctx, long)
			require.NoError(t, err)
			require.True(t, rows.Next())
			return func() {
				over(t, rows)
				require.ErrorIs(t, rows.Err(), pool.ErrNotLeased)
				require.Empty(t, rows.CommandTag().String())
			}
		},
		"a row": func(c *pool.Conn) func() {
			row := c.QueryRow(ctx, long)
			return func() { require.ErrorIs(t, row.Scan(new(string)), pool.ErrNotLeased) }
		},
		"results of a batch": func(c *pool.Conn) func() {
			results := batch(c)
			return func() {
				_, err := results.Exec()
				require.ErrorIs(t, err, pool.ErrNotLeased)
				_, err = results.Query()
				require.ErrorIs(t, err, pool.ErrNotLeased)
				require.ErrorIs(t, results.QueryRow().Scan(new(int)), pool.ErrNotLeased)
				require.ErrorIs(t, results.Close(), pool.ErrNotLeased)
			}
		},
		"rows of a batch": func(c *pool.Conn) func() {
			rows, err := batch(c).Query()
			require.NoError(t, err)
			require.True(t, rows.Next())
			return func() { over(t, rows) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := get(t, p)
			after := use(c)
			c.Release()
			after()
			require.NoError(t, p.Ping(ctx), "on another connection")
		})
	}
}

// Results of a batch that were closed remember how that went.
func TestBatchResultsAfterTheirEnd(t *testing.T) {
	p := single(t)
	ctx := background(t)
	for _, sql := range []string{"select 1", "select 1/0"} {
		var b pgx.Batch
		b.Queue(sql)
		results := p.SendBatch(ctx, &b)
		first := results.Close()
		require.Equal(t, sql == "select 1/0", first != nil)
		other := get(t, p)
		require.Equal(t, first, results.Close())
		_, err := results.Exec()
		require.Error(t, err)
		_, err = results.Query()
		require.Error(t, err)
		require.Error(t, results.QueryRow().Scan(new(int)))
		require.Nil(t, results.Tx())
		require.NoError(t, other.Ping(ctx))
		other.Release()
	}
}

// What a request had in its context and in its arguments is garbage after its end, also
// while the handles that it was given are kept, and the connection is idle.
func TestAPoolAtRestKeepsNoRequest(t *testing.T) {
	p := single(t)
	_, err := p.Exec(background(t), "create table copied (b bytea)")
	require.NoError(t, err)
	const sql = "select length($1::bytea)"
	type named struct{}
	long, cancel := context.WithCancel(context.Background())
	defer cancel()
	view, err := p.Keyed(pool.Keying{Key: func(context.Context) (any, error) { return "k", nil }})
	require.NoError(t, err)
	var alive *atomic.Int64 // what tracked has made
	var kept []any
	tracked := func() []byte {
		b := make([]byte, 1<<10)
		alive.Add(1)
		runtime.AddCleanup(&b[0], func(alive *atomic.Int64) { alive.Add(-1) }, alive)
		return b
	}
	rows := func(rows pgx.Rows, err error) {
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.NoError(t, rows.Scan(new(int)))
		rows.Close()
		kept = append(kept, rows)
	}
	row := func(row pgx.Row) {
		require.NoError(t, row.Scan(new(int)))
		kept = append(kept, row)
	}
	results := func(results pgx.BatchResults) {
		rows(results.Query())
		require.NoError(t, results.Close())
		kept = append(kept, results)
	}
	batch := func() *pgx.Batch {
		var b pgx.Batch
		b.Queue(sql, tracked())
		return &b
	}
	for name, do := range map[string]func(ctx context.Context){
		"Exec": func(ctx context.Context) {
			_, err := p.Exec(ctx, sql, tracked())
			require.NoError(t, err)
		},
		"Query": func(ctx context.Context) { rows(p.Query(ctx, sql, tracked())) },
		"Query, read to the end": func(ctx context.Context) {
			rows, err := p.Query(ctx, sql, tracked())
			require.NoError(t, err)
			for rows.Next() {
			}
			kept = append(kept, rows)
		},
		"Query, failed": func(ctx context.Context) {
			rows, err := p.Query(ctx, sql, tracked())
			require.NoError(t, err)
			require.True(t, rows.Next())
			require.Error(t, rows.Scan(new(bool)))
			kept = append(kept, rows)
		},
		"QueryRow":  func(ctx context.Context) { row(p.QueryRow(ctx, sql, tracked())) },
		"SendBatch": func(ctx context.Context) { results(p.SendBatch(ctx, batch())) },
		"a batch with a transaction": func(ctx context.Context) {
			var b pgx.Batch
			b.BeginTx(pgx.TxOptions{})
			b.Queue(sql, tracked())
			results := p.SendBatch(ctx, &b)
			require.NoError(t, results.Close())
			require.NoError(t, results.Tx().Commit(ctx))
			kept = append(kept, results, results.Tx())
		},
		"CopyFrom": func(ctx context.Context) {
			_, err := p.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"b"}, pgx.CopyFromRows([][]any{{tracked()}}))
			require.NoError(t, err)
		},
		"Tx": func(ctx context.Context) {
			tx, err := p.Begin(ctx)
			require.NoError(t, err)
			nested, err := tx.Begin(ctx)
			require.NoError(t, err)
			rows(nested.Query(ctx, sql, tracked()))
			row(tx.QueryRow(ctx, sql, tracked()))
			results(tx.SendBatch(ctx, batch()))
			gone, cancel := context.WithCancel(ctx)
			cancel()
			require.NoError(t, nested.Rollback(gone))
			require.NoError(t, tx.Commit(ctx))
			kept = append(kept, tx, nested)
		},
		"under a key": func(ctx context.Context) {
			c, err := p.GetConn(ctx, pool.WithKey("k"))
			require.NoError(t, err)
			rows(c.Query(ctx, sql, tracked()))
			row(c.QueryRow(ctx, sql, tracked()))
			results(c.SendBatch(ctx, batch()))
			tx, err := c.Begin(ctx)
			require.NoError(t, err)
			rows(tx.Query(ctx, sql, tracked()))
			require.NoError(t, tx.Rollback(ctx))
			c.Release() // c and tx have a hold, which has ctx: they are not kept
		},
		"with a lease that another context ends": func(ctx context.Context) {
			c, err := view.GetConn(long)
			require.NoError(t, err)
			_, err = c.Exec(ctx, sql, tracked())
			require.NoError(t, err)
			rows(c.Query(ctx, sql, tracked()))
			c.Release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			alive = new(atomic.Int64)
			do(context.WithValue(background(t), named{}, tracked()))
			require.Positive(t, alive.Load())
			var last pgx.Batch // pgx keeps the last one, as it does the last statement
			last.Queue("select 1")
			require.NoError(t, p.SendBatch(context.Background(), &last).Close())
			require.NoError(t, p.Ping(context.Background()))
			require.Eventually(t, func() bool { runtime.GC(); return alive.Load() == 0 }, wide, 10*time.Millisecond,
				"something of it is left")
		})
	}
	runtime.KeepAlive(kept)
}
