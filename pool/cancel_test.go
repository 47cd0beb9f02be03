package pool_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// soon is a context that ends while a statement runs.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// cancelGrace is the time that CancelQuery gives the server. Only a cancel that takes
// longer may cost a connection.
const cancelGrace = 250 * time.Millisecond

// past is how long ago a context's deadline was.
func past(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return time.Since(deadline)
}

const sleeps = "select pg_sleep(20)"

// TestCancelKeepsTheConnection cancels every kind of statement: the error is that of
// the context, and the connection stays.
func TestCancelKeepsTheConnection(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	overdue := 0
	for name, run := range map[string]func(ctx context.Context, c *pool.Conn) error{
		"Exec":     func(ctx context.Context, c *pool.Conn) error { _, err := c.Exec(ctx, sleeps); return err },
		"QueryRow": func(ctx context.Context, c *pool.Conn) error { return c.QueryRow(ctx, sleeps).Scan(nil) },
		"Query": func(ctx context.Context, c *pool.Conn) error {
			rows, err := c.Query(ctx, sleeps)
			if err != nil {
				return err
			}
			rows.Next()
			return rows.Err()
		},
		"Query, all at once": func(ctx context.Context, c *pool.Conn) error {
			rows, _ := c.Query(ctx, sleeps)
			_, err := pgx.CollectRows(rows, pgx.RowTo[any])
			return err
		},
		"SendBatch": func(ctx context.Context, c *pool.Conn) error {
			var b pgx.Batch
			b.Queue(sleeps)
			return c.SendBatch(ctx, &b).Close()
		},
		"SendBatch, a result": func(ctx context.Context, c *pool.Conn) error {
			var b pgx.Batch
			b.Queue(sleeps)
			results := c.SendBatch(ctx, &b)
			defer results.Close()
			_, err := results.Exec()
			return err
		},
		"SendBatch, rows": func(ctx context.Context, c *pool.Conn) error {
			var b pgx.Batch
			b.Queue(sleeps)
			results := c.SendBatch(ctx, &b)
			defer results.Close()
			return results.QueryRow().Scan(nil)
		},
		"Tx": func(ctx context.Context, c *pool.Conn) error {
			tx, err := c.Begin(t.Context())
			require.NoError(t, err)
			defer tx.Rollback(ctx)
			_, err = tx.Exec(ctx, sleeps)
			return err
		},
		"a savepoint": func(ctx context.Context, c *pool.Conn) error {
			tx, err := c.Begin(t.Context())
			require.NoError(t, err)
			defer tx.Rollback(ctx)
			nested, err := tx.Begin(t.Context())
			require.NoError(t, err)
			defer nested.Rollback(ctx)
			return nested.QueryRow(ctx, sleeps).Scan(nil)
		},
		"Prepare": func(ctx context.Context, c *pool.Conn) error {
			tx, err := c.Begin(t.Context())
			require.NoError(t, err)
			defer tx.Rollback(ctx)
			_, err = tx.Exec(ctx, "do $$ begin perform pg_sleep(20); end $$")
			return err
		},
	} {
		c := get(t, p)
		ctx := soon(t)
		err := run(ctx, c)
		assert.ErrorIs(t, err, context.DeadlineExceeded, name)
		if past(ctx) < cancelGrace {
			assert.Equal(t, "57014", code(err), name)
		}
		if past(ctx) >= cancelGrace/5 { // the machine is busy: what is not certain in time costs the connection
			overdue++
		}
		require.NoError(t, p.PutConn(c))
	}
	ctx := soon(t)
	_, err := p.Exec(ctx, sleeps)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	if past(ctx) >= cancelGrace/5 {
		overdue++
	}
	require.NoError(t, p.Ping(background(t)))
	assert.LessOrEqual(t, int(p.Stat().NewConnsCount()), 1+overdue)

	cancelled, cancel := context.WithCancelCause(background(t))
	why := errors.New("the user has left")
	time.AfterFunc(30*time.Millisecond, func() { cancel(why) })
	_, err = p.Exec(cancelled, sleeps)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, why)
}

// TestEndedContextsCostNoConnection: what pgx closes a connection for.
func TestEndedContextsCostNoConnection(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	ctx := background(t)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	before := backend(t, p)
	_, err := p.Exec(ctx, "create table t (n int)")
	require.NoError(t, err)

	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "insert into t values (1)")
	require.NoError(t, err)
	require.ErrorIs(t, tx.Commit(ended), context.Canceled)
	require.ErrorIs(t, tx.Rollback(ctx), pgx.ErrTxClosed)

	c := get(t, p)
	_, err = c.Begin(ended)
	require.ErrorIs(t, err, context.Canceled)
	tx, err = c.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "insert into t values (2)")
	require.NoError(t, err)
	nested, err := tx.Begin(ctx)
	require.NoError(t, err)
	_, err = nested.Exec(ctx, "insert into t values (3)")
	require.NoError(t, err)
	require.NoError(t, nested.Rollback(ended))
	require.ErrorIs(t, nested.Rollback(ended), pgx.ErrTxClosed)
	require.NoError(t, tx.Commit(ctx), "without what the savepoint had")
	tx, err = c.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "insert into t values (4)")
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(ended))
	_, err = c.Exec(ctx, "insert into t values (5)")
	require.NoError(t, err, "outside the transaction")
	require.NoError(t, p.PutConn(c))

	rows, _ := p.Query(ctx, "select n from t order by n")
	ns, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	assert.Equal(t, []int{2, 5}, ns)
	assert.Equal(t, before, backend(t, p))
}

// TestCloseConn is pgx's own way.
func TestCloseConn(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.CancelPolicy = 1, pool.CloseConn })
	before := backend(t, p)
	_, err := p.Exec(soon(t), sleeps)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.NotEqual(t, before, backend(t, p))
}

// backend is the process that serves the next statement.
func backend(t *testing.T, p *pool.Pool) (pid int) {
	require.NoError(t, p.QueryRow(background(t), "select pg_backend_pid()").Scan(&pid))
	return pid
}

// TestWaitForNotification: that ends with its context too, and the connection goes on.
func TestWaitForNotification(t *testing.T) {
	p, a := threaded(t, 1, 1)
	c := get(t, p)
	_, err := c.Exec(background(t), "listen news")
	require.NoError(t, err)
	for range 3 {
		_, err = c.Conn().WaitForNotification(soon(t))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	_, err = a.conn.Exec(background(t), "notify news, 'good'")
	require.NoError(t, err)
	n, err := c.Conn().WaitForNotification(background(t))
	require.NoError(t, err)
	assert.Equal(t, "good", n.Payload)
	_, err = c.Exec(background(t), "unlisten *")
	require.NoError(t, err)
	c.Release()
	assert.EqualValues(t, 1, p.Stat().NewConnsCount())
}
