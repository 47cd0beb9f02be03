package persistent_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One uses an identity's connection at a time. The others are told so, whether they
// have the same handle, another one, or ask the pool.

// isBusy checks what somebody is told who comes meanwhile.
func isBusy(t *testing.T, err error, doing string) {
	t.Helper()
	require.ErrorIs(t, err, persistent.ErrIdentityBusy)
	var busy *pool.BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, doing, busy.Doing)
	require.ErrorContains(t, err, "key me: "+doing, "whose it is, and what for")
}

const (
	aStatement = "a statement is running"
	openRows   = "rows of a query are open"
	openBatch  = "the results of a batch are open"
)

func oneStatement() *pgx.Batch {
	var b pgx.Batch
	b.Queue("select 1")
	return &b
}

// Every verb, of everything that leads to the connection.
func TestBusy(t *testing.T) {
	p, a := persisting(t, 2)
	a.exec("create table copied (i int)")
	ctx := as(t, "me")
	c, other := get(t, p, ctx), get(t, p, ctx)
	defer c.Release()
	defer other.Release()
	tx := begin(t, c, ctx)
	defer tx.Rollback(ctx)
	nested := begin(t, other, ctx)
	ways := map[string]db{
		"the handle": c, "another handle": other, "the pool": p, "the transaction": tx, "a nested one": nested,
	}

	for _, use := range []struct {
		doing string
		begin func(d db) (end func() error)
	}{
		{openRows, func(d db) func() error {
			rows, err := d.Query(ctx, "select generate_series(1, 3)")
			require.NoError(t, err)
			require.True(t, rows.Next())
			return func() error { rows.Close(); return rows.Err() }
		}},
		{openRows, func(d db) func() error {
			rows, err := d.Query(ctx, "select generate_series(1, 3)")
			require.NoError(t, err)
			return func() error { // read to the end, and not closed
				for rows.Next() {
				}
				return rows.Err()
			}
		}},
		{openRows, func(d db) func() error {
			rows, err := d.Query(ctx, "select generate_series(1, 3)")
			require.NoError(t, err)
			require.True(t, rows.Next())
			return func() error { // a Scan that fails closes them
				require.Error(t, rows.Scan(new(int), new(int)))
				return nil
			}
		}},
		{openRows, func(d db) func() error {
			row := d.QueryRow(ctx, "select 1")
			return func() error { return row.Scan(new(int)) }
		}},
		{openRows, func(d db) func() error {
			row := d.QueryRow(ctx, "select 1")
			return func() error { require.Error(t, row.Scan(new(int), new(int))); return nil }
		}},
		{openBatch, func(d db) func() error { return d.SendBatch(ctx, oneStatement()).Close }},
	} {
		for by, user := range ways {
			end := use.begin(user)
			for name, d := range ways {
				eachVerb(ctx, d, func(verb string, err error) {
					if err == nil {
						t.Errorf("%s of %s by %s: %s is let in", use.doing, by, name, verb)
						return
					}
					isBusy(t, err, use.doing)
				})
			}
			for _, tx := range []pgx.Tx{tx, nested} {
				isBusy(t, tx.Commit(ctx), use.doing)
				_, err := tx.Prepare(ctx, "s", "select 1")
				isBusy(t, err, use.doing)
			}
			require.NoError(t, end(), "%s of %s", use.doing, by)
			exec(t, user, ctx, "select 1")
			require.Equal(t, 2, p.Pool().Leases()[0].Holders, "%s of %s: refused verbs keep no reference", use.doing, by)
		}
	}
	eachVerb(ctx, p, func(verb string, err error) { require.NoError(t, err, verb) })
	require.NoError(t, nested.Commit(ctx))
	require.NoError(t, tx.Commit(ctx))
	require.Equal(t, 1, a.count("select count(*) from copied"))
}

// The results of a batch are closed as a whole, whatever is read of them.
func TestBusyWithBatchResults(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx := as(t, "me")
	var b pgx.Batch
	for range 3 {
		b.Queue("select 1")
	}
	results := p.SendBatch(ctx, &b)
	_, err := results.Exec()
	require.NoError(t, err)
	require.NoError(t, results.QueryRow().Scan(new(int)))
	rows, err := results.Query()
	require.NoError(t, err)
	rows.Close()
	isBusy(t, p.Ping(ctx), openBatch)
	require.NoError(t, results.Close())
	require.NoError(t, results.Close())
	require.NoError(t, p.Ping(ctx))
}

func TestBusyWithAStatement(t *testing.T) {
	p, a := persisting(t, 2)
	ctx := as(t, "me")
	c, other := get(t, p, ctx), get(t, p, ctx)
	running, cancel := context.WithCancel(ctx)
	errs := make(chan error)
	go func() {
		_, err := c.Exec(running, "select pg_sleep(3600)")
		errs <- err
	}()
	a.awaitSleep(1)
	for _, d := range []db{c, other, p} {
		eachVerb(ctx, d, func(_ string, err error) { isBusy(t, err, aStatement) })
	}
	exec(t, p, as(t, "you"), "select 1")
	require.PanicsWithValue(t, "cannot hijack: "+pool.ErrBusy.Error()+": key me: "+aStatement, func() { other.Hijack() })
	cancel()
	require.ErrorIs(t, <-errs, context.Canceled)
	require.NoError(t, p.PutConn(c))
	require.NoError(t, p.PutConn(other))
}

// Within a query's own rows, and within the source of a copy.
func TestBusyWithin(t *testing.T) {
	p, a := persisting(t, 1)
	a.exec("create table copied (i int)")
	ctx := as(t, "me")
	rows, err := p.Query(ctx, "select 1")
	require.NoError(t, err)
	_, err = pgx.CollectRows(rows, func(pgx.CollectableRow) (int, error) {
		return 0, p.Ping(ctx)
	})
	isBusy(t, err, openRows)
	require.NoError(t, p.Ping(ctx))
	_, err = p.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"i"}, pgx.CopyFromFunc(func() ([]any, error) {
		return nil, p.Ping(ctx)
	}))
	require.ErrorContains(t, err, "key me: "+aStatement, "the server passes it on")
	require.NoError(t, p.Ping(ctx))
}

// Rows that are left open are the end of the connection at its put: it goes back
// after the grace, and never to the next as it is.
func TestBusyAtPut(t *testing.T) {
	t.Parallel()
	p, a := persisting(t, 1)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	first := pid(t, c, ctx)
	rows, err := c.Query(ctx, "select repeat('x', 1000) from generate_series(1, 10000)")
	require.NoError(t, err)
	require.True(t, rows.Next())
	require.NoError(t, p.PutConn(c))
	require.ErrorIs(t, c.Ping(ctx), pool.ErrNotLeased)
	next := as(t, "you")
	require.NotEqual(t, first, pid(t, p, next))
	a.awaitDeath(first)
	rows.Close()
	exec(t, p, next, "select 1")
}

// Rows closed after the put, within the grace, end the use: the connection is kept.
func TestRowsClosedAfterPut(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	first := pid(t, c, ctx)
	rows, err := c.Query(ctx, "select 1")
	require.NoError(t, err)
	require.NoError(t, p.PutConn(c))
	rows.Close()
	require.Equal(t, first, pid(t, p, as(t, "you")))
}

// Goroutines that know nothing of each other: every call succeeds, or is told that
// the connection is busy. What it did it did once.
func TestBusyHammered(t *testing.T) {
	const goroutines, rounds = 8, 40
	for name, way := range hammers() {
		t.Run(name, func(t *testing.T) {
			p, a := persisting(t, 4)
			a.exec("create table copied (i int)")
			ctx, cancel := context.WithCancel(as(t, "me"))
			var copied, busy atomic.Int64
			var all sync.WaitGroup
			for range goroutines {
				d := way(t, p, ctx)
				all.Go(func() {
					for range rounds {
						eachVerb(ctx, noBegin{d}, func(verb string, err error) {
							switch {
							case verb == "Begin":
							case err != nil:
								busy.Add(1)
								assert.ErrorIs(t, err, persistent.ErrIdentityBusy, verb)
							case verb == "CopyFrom":
								copied.Add(1)
							}
						})
					}
				})
			}
			all.Wait()
			require.Positive(t, busy.Load())
			require.EqualValues(t, copied.Load(), a.count("select count(*) from copied"))
			cancel()
			awaitQuiet(t, p)
			// A get in the moment of the last put may find the connection still on its way back,
			// and open another.
			require.LessOrEqual(t, a.count("select count(*)"+backends, a.name), 4)
		})
	}
}

// noBegin keeps eachVerb from transactions: they are everybody's.
type noBegin struct{ db }

func (noBegin) Begin(context.Context) (pgx.Tx, error) { return nil, errHook }

// hammers are the ways to one identity's connection.
func hammers() map[string]func(*testing.T, *persistent.Pool, context.Context) db {
	var c *pool.Conn
	return map[string]func(*testing.T, *persistent.Pool, context.Context) db{
		"one handle": func(t *testing.T, p *persistent.Pool, ctx context.Context) db {
			if c == nil {
				c = get(t, p, ctx)
			}
			return c
		},
		"a handle each":    func(t *testing.T, p *persistent.Pool, ctx context.Context) db { return get(t, p, ctx) },
		"the pool's verbs": func(_ *testing.T, p *persistent.Pool, _ context.Context) db { return p },
	}
}

// The same with transactions, which are in each other, and end each other. Nothing
// of them may be left.
func TestBusyHammeredWithTransactions(t *testing.T) {
	const goroutines, rounds = 8, 40
	for name, way := range hammers() {
		t.Run(name, func(t *testing.T) {
			p, a := persisting(t, 4)
			a.exec("create table n (i int)")
			ctx, cancel := context.WithCancel(as(t, "me"))
			var all sync.WaitGroup
			for range goroutines {
				d := way(t, p, ctx)
				all.Go(func() {
					for range rounds {
						tx, err := d.Begin(ctx)
						if err != nil {
							continue // busy, or in a transaction that has failed
						}
						_, _ = tx.Exec(ctx, "insert into n values (1)")
						for err = tx.Rollback(ctx); err != nil && !tolerable(err); err = tx.Rollback(ctx) {
							assert.ErrorIs(t, err, persistent.ErrIdentityBusy)
						}
					}
				})
			}
			all.Wait()
			cancel()
			awaitQuiet(t, p)
			a.await(1)
			require.Zero(t, a.count("select count(*) from n"))
		})
	}
}

// tolerable says that the transaction is over, or that the one it is in is: its
// savepoint is gone.
func tolerable(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, pgx.ErrTxClosed) || errors.As(err, &pg)
}
