package persistent_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// The end of a reference's context, at each stage of its life. After each, what
// the borrower still does is no error where it puts, and harms nobody.

var errGone = errors.New("the client has gone")

// ending is a context of an identity, and what ends it.
func ending[K comparable](t *testing.T, id K) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(as(t, id))
	t.Cleanup(func() { cancel(nil) })
	return ctx, func() { cancel(errGone) }
}

// putAfterTheEnd tries the puts that a borrower may do after the end.
func putAfterTheEnd(t *testing.T, p *persistent.Pool, c *pool.Conn) {
	require.NoError(t, p.PutConn(c), "its first put")
	require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
	c.Release()
	require.Nil(t, c.Conn())
}

func TestContextEndsBefore(t *testing.T) {
	p, a := persisting(t, 1)
	ctx, end := ending(t, "me")
	end()
	_, err := p.GetConn(ctx)
	require.Equal(t, context.Canceled, err, "the context's error itself: programs compare it")
	eachVerb(ctx, p, func(verb string, err error) { require.Equal(t, context.Canceled, err, verb) })
	a.await(0)
}

func TestContextEndsQueued(t *testing.T) {
	p, _ := persisting(t, 1)
	mine := as(t, "me")
	c := get(t, p, mine)
	ctx, end := ending(t, "you")
	stays := as(t, "you")
	errs, stayed := make(chan error), make(chan *pool.Conn)
	go func() {
		_, err := p.GetConn(ctx)
		errs <- err
	}()
	go func() { // the same identity, and its context goes on
		c, err := p.GetConn(stays)
		if err != nil {
			c = nil
		}
		stayed <- c
	}()
	awaitWaiting(t, p, 2)
	end()
	err := <-errs
	require.ErrorIs(t, err, errGone)
	var wait *pool.WaitError
	require.ErrorAs(t, err, &wait)
	require.ErrorIs(t, wait.Cause, pool.ErrExhausted)
	require.NoError(t, p.PutConn(c))
	c = <-stayed
	require.NotNil(t, c)
	require.Equal(t, 1, p.Pool().Leases()[0].Holders)
	require.NoError(t, p.PutConn(c))
}

func TestContextEndsDialing(t *testing.T) {
	dialing, goOn := make(chan struct{}), make(chan struct{})
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConns = 2
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			close(dialing)
			<-goOn
			return nil
		}
	})
	ctx, end := ending(t, "me")
	errs := make(chan error)
	go func() {
		_, err := p.GetConn(ctx)
		errs <- err
	}()
	<-dialing
	end()
	require.ErrorIs(t, <-errs, errGone)
	close(goOn)
	a.await(1)
	awaitQuiet(t, p)
	exec(t, p, as(t, "you"), "select 1")
	a.await(1)
}

func TestContextEndsBoundIdle(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx, end := ending(t, "me")
	c := get(t, p, ctx)
	first := pid(t, c, ctx)
	end()
	awaitQuiet(t, p)
	_, err := c.Exec(background(t), "select 1")
	require.ErrorIs(t, err, pool.ErrNotLeased)
	require.ErrorIs(t, err, errGone, "it says why")

	other := as(t, "you")
	next := get(t, p, other)
	require.Equal(t, first, pid(t, next, other), "nothing was wrong with the connection")
	putAfterTheEnd(t, p, c)
	require.Equal(t, first, pid(t, next, other), "no harm is done to the next borrower")
	require.NoError(t, p.PutConn(next))
}

// Of several references the one goes back, and the others stay.
func TestContextEndsOneOfSeveral(t *testing.T) {
	p, _ := persisting(t, 1)
	outside := as(t, "me")
	ctx, end := context.WithCancel(outside)
	outer, inner := get(t, p, outside), get(t, p, ctx)
	first := pid(t, inner, ctx)
	end()
	awaitHolders(t, p, 1)
	require.Equal(t, first, pid(t, outer, outside))
	putAfterTheEnd(t, p, inner)
	require.Equal(t, first, pid(t, outer, outside))
	require.NoError(t, p.PutConn(outer))
}

// A statement that is running is cancelled on the server, whatever context it was
// sent with.
func TestContextEndsInStatement(t *testing.T) {
	p, a := persisting(t, 1)
	var ctx context.Context
	for name, run := range map[string]func(c *pool.Conn) error{
		"its own context": func(c *pool.Conn) error {
			_, err := c.Exec(ctx, "select pg_sleep(3600)")
			return err
		},
		"another context": func(c *pool.Conn) error {
			_, err := c.Exec(background(t), "select pg_sleep(3600)")
			return err
		},
		"a row": func(c *pool.Conn) error {
			return c.QueryRow(background(t), "select 1 from pg_sleep(3600)").Scan(new(int))
		},
		"rows": func(c *pool.Conn) error {
			rows, err := c.Query(background(t), "select pg_sleep(3600)")
			if err == nil {
				rows.Next()
				err = rows.Err()
			}
			return err
		},
		"a batch": func(c *pool.Conn) error {
			var b pgx.Batch
			b.Queue("select pg_sleep(3600)")
			return c.SendBatch(background(t), &b).Close()
		},
		"a transaction": func(c *pool.Conn) error {
			tx, err := c.Begin(background(t))
			if err == nil {
				_, err = tx.Exec(background(t), "select pg_sleep(3600)")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			of, end := ending(t, "me")
			ctx = of
			c := get(t, p, ctx)
			errs := make(chan error)
			go func() { errs <- run(c) }()
			a.awaitSleep(1)
			end()
			require.ErrorIs(t, <-errs, context.Canceled)
			a.awaitSleep(0)
			putAfterTheEnd(t, p, c)
			exec(t, p, as(t, "you"), "select 1")
		})
	}
}

// Where pgx cancels without closing, the connection is kept.
func TestContextEndsInStatementKept(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConns = 1
		c.ConnConfig.BuildContextWatcherHandler = func(pc *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.CancelRequestContextWatcherHandler{Conn: pc, DeadlineDelay: wide}
		}
	})
	ctx, end := ending(t, "me")
	c := get(t, p, ctx)
	first := pid(t, c, ctx)
	errs := make(chan error)
	go func() {
		_, err := c.Exec(background(t), "select pg_sleep(3600)")
		errs <- err
	}()
	a.awaitSleep(1)
	end()
	require.ErrorContains(t, <-errs, "canceling statement")
	require.Equal(t, first, pid(t, p, as(t, "you")), "proved clean, and lent again")
	putAfterTheEnd(t, p, c)
}

// Whoever leaves rows, a row, or the results of a batch open loses the connection
// after the grace, and others get the place.
func TestContextEndsWithResultsAbandoned(t *testing.T) {
	const many = "select repeat('x', 1000) from generate_series(1, 10000)"
	for name, abandon := range map[string]func(t *testing.T, d db, ctx context.Context){
		"rows": func(t *testing.T, d db, ctx context.Context) {
			rows, err := d.Query(ctx, many)
			require.NoError(t, err)
			require.True(t, rows.Next())
		},
		"a row": func(t *testing.T, d db, ctx context.Context) { d.QueryRow(ctx, many) },
		"a batch": func(t *testing.T, d db, ctx context.Context) {
			var b pgx.Batch
			b.Queue(many)
			d.SendBatch(ctx, &b)
		},
	} {
		for from, of := range map[string]func(t *testing.T, p *persistent.Pool, ctx context.Context) db{
			"a handle": func(t *testing.T, p *persistent.Pool, ctx context.Context) db { return get(t, p, ctx) },
			"the pool": func(_ *testing.T, p *persistent.Pool, _ context.Context) db { return p },
		} {
			t.Run(name+" of "+from, func(t *testing.T) {
				t.Parallel() // most of it is the grace
				p, a := persisting(t, 1)
				exec(t, p, as(t, "me"), "select 1")
				first := a.backend()
				ctx, end := ending(t, "me")
				d := of(t, p, ctx)
				abandon(t, d, ctx)
				end()
				next := as(t, "you")
				c := get(t, p, next)
				require.NotEqual(t, first, pid(t, c, next))
				a.awaitDeath(first)
				if old, ok := d.(*pool.Conn); ok {
					putAfterTheEnd(t, p, old)
				}
				require.NoError(t, c.Ping(next))
				require.NoError(t, p.PutConn(c))
			})
		}
	}
}

// Rows that are closed within the grace cost nobody the wait for it.
func TestContextEndsWithRowsOpenThenClosed(t *testing.T) {
	p, _ := persisting(t, 1)
	ctx, end := ending(t, "me")
	c := get(t, p, ctx)
	rows, err := c.Query(background(t), "select generate_series(1, 100000)")
	require.NoError(t, err)
	require.True(t, rows.Next())
	require.NotNil(t, rows.Conn())
	end()
	rows.Close()
	rows.Close()
	require.Nil(t, rows.Conn())
	exec(t, p, as(t, "you"), "select 1")
	require.Zero(t, p.Pool().Stat().Actor().Revoked)
}

// What an ended reference has in a transaction is rolled back.
func TestContextEndsInTransaction(t *testing.T) {
	for name, of := range map[string]func(t *testing.T, p *persistent.Pool, ctx context.Context) pgx.Tx{
		"of a handle": func(t *testing.T, p *persistent.Pool, ctx context.Context) pgx.Tx {
			return begin(t, get(t, p, ctx), ctx)
		},
		"of the pool": func(t *testing.T, p *persistent.Pool, ctx context.Context) pgx.Tx { return begin(t, p, ctx) },
		"of a batch": func(t *testing.T, p *persistent.Pool, ctx context.Context) pgx.Tx {
			var b pgx.Batch
			b.BeginTx(pgx.TxOptions{})
			results := p.SendBatch(ctx, &b)
			require.NoError(t, results.Close())
			return results.Tx()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, a := persisting(t, 1)
			a.exec("create table n (i int)")
			ctx, end := ending(t, "me")
			tx := of(t, p, ctx)
			first := pid(t, tx, ctx)
			exec(t, tx, ctx, "insert into n values (1)")
			end()
			next := as(t, "you")
			c := get(t, p, next)
			require.Equal(t, first, pid(t, c, next))
			require.Zero(t, ask[int](t, c, next, "select count(*) from n"))
			mine := begin(t, c, next)
			err := tx.Commit(background(t))
			require.ErrorIs(t, err, pgx.ErrTxClosed)
			require.ErrorIs(t, err, pool.ErrNotLeased)
			require.ErrorIs(t, err, context.Canceled, "the end of its context")
			require.ErrorIs(t, tx.Rollback(background(t)), pgx.ErrTxClosed)
			exec(t, mine, next, "insert into n values (2)")
			require.NoError(t, mine.Commit(next))
			require.NoError(t, p.PutConn(c))
			require.Equal(t, 2, a.count("select sum(i) from n"))
		})
	}
}

// An inner reference ends in its savepoint, and the outer goes on and commits: what
// the inner did is not in it.
func TestContextEndsInNestedTransaction(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, p *persistent.Pool, ctx context.Context){
		"of a handle": func(t *testing.T, p *persistent.Pool, ctx context.Context) {
			exec(t, begin(t, get(t, p, ctx), ctx), ctx, "insert into n values (10)")
		},
		"of the pool": func(t *testing.T, p *persistent.Pool, ctx context.Context) {
			exec(t, begin(t, p, ctx), ctx, "insert into n values (10)")
		},
		"two deep": func(t *testing.T, p *persistent.Pool, ctx context.Context) {
			exec(t, begin(t, p, ctx), ctx, "insert into n values (10)")
			exec(t, begin(t, p, ctx), ctx, "insert into n values (20)")
		},
		"two deep, one of them released": func(t *testing.T, p *persistent.Pool, ctx context.Context) {
			exec(t, begin(t, p, ctx), ctx, "insert into n values (10)")
			tx := begin(t, p, ctx)
			exec(t, tx, ctx, "insert into n values (20)")
			require.NoError(t, tx.Commit(ctx))
		},
		"of a transaction of its own": func(t *testing.T, p *persistent.Pool, ctx context.Context) {
			exec(t, begin(t, begin(t, p, ctx), ctx), ctx, "insert into n values (10)")
		},
		"failed": func(t *testing.T, p *persistent.Pool, ctx context.Context) {
			_, err := begin(t, p, ctx).Exec(ctx, "select 1/0")
			require.Error(t, err)
		},
	} {
		for finish, commit := range map[string]func(ctx context.Context, d db, tx pgx.Tx) error{
			"Commit": func(ctx context.Context, _ db, tx pgx.Tx) error { return tx.Commit(ctx) },
			"a statement": func(ctx context.Context, d db, _ pgx.Tx) error {
				_, err := d.Exec(ctx, "commit")
				return err
			},
		} {
			t.Run(name+", "+finish, func(t *testing.T) {
				p, a := persisting(t, 1)
				a.exec("create table n (i int)")
				outside := as(t, "me")
				outer := get(t, p, outside)
				tx := begin(t, outer, outside)
				exec(t, tx, outside, "insert into n values (1)")
				ctx, end := context.WithCancel(outside)
				leave(t, p, ctx)
				end()
				awaitHolders(t, p, 1)
				require.NoError(t, commit(outside, outer, tx))
				require.Equal(t, 1, a.count("select sum(i) from n"))
				require.NoError(t, p.PutConn(outer))
			})
		}
	}
}

// The outer reference ends, and the inner goes on: the transaction was the outer's.
func TestContextEndsOfTheOuterTransaction(t *testing.T) {
	p, a := persisting(t, 1)
	a.exec("create table n (i int)")
	outside, end := ending(t, "me")
	tx := begin(t, p, outside)
	exec(t, tx, outside, "insert into n values (1)")
	ctx := as(t, "me")
	inner := get(t, p, ctx)
	nested := begin(t, inner, ctx)
	exec(t, nested, ctx, "insert into n values (10)")
	end()
	awaitHolders(t, p, 1)
	_, err := nested.Exec(ctx, "insert into n values (20)")
	require.ErrorIs(t, err, pgx.ErrTxClosed)
	require.ErrorIs(t, nested.Commit(ctx), pgx.ErrTxClosed)
	require.Zero(t, ask[int](t, inner, ctx, "select count(*) from n"))
	again := begin(t, inner, ctx)
	exec(t, again, ctx, "insert into n values (100)")
	require.NoError(t, again.Commit(ctx))
	require.NoError(t, p.PutConn(inner))
	require.Equal(t, 100, a.count("select sum(i) from n"))
}

// A connection out in the open is waited for, as long as the grace.
func TestContextEndsExposed(t *testing.T) {
	t.Run("and put", func(t *testing.T) {
		p, _ := persisting(t, 1)
		ctx, end := ending(t, "me")
		c := get(t, p, ctx)
		conn := c.Conn()
		first := conn.PgConn().PID()
		end()
		require.NoError(t, conn.Ping(background(t)))
		require.NoError(t, p.PutConn(c))
		require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
		require.Equal(t, first, pid(t, p, as(t, "you")), "it was put in time")
	})
	t.Run("and used on", func(t *testing.T) {
		t.Parallel()
		p, a := persisting(t, 1)
		ctx, end := ending(t, "me")
		c := get(t, p, ctx)
		conn := c.Conn()
		first := conn.PgConn().PID()
		errs := make(chan error)
		go func() {
			_, err := conn.Exec(background(t), "select pg_sleep(3600)")
			errs <- err
		}()
		a.awaitSleep(1)
		end()
		require.Error(t, <-errs, "the connection is closed under its user")
		require.NotEqual(t, first, pid(t, p, as(t, "you")))
		a.awaitDeath(first)
		putAfterTheEnd(t, p, c)
	})
}

// Put after the end puts nobody else's, and is no error either: with others there,
// and with nobody.
func TestPutAfterTheEndOfTheContext(t *testing.T) {
	p, _ := persisting(t, 1)
	outside := as(t, "me")
	outer := get(t, p, outside)
	ctx, end := context.WithCancel(outside)
	get(t, p, ctx)
	end()
	awaitHolders(t, p, 1)
	require.NoError(t, p.Put(ctx))
	require.NoError(t, outer.Ping(outside))
	require.NoError(t, p.PutConn(outer))
	require.NoError(t, p.Put(ctx))
	require.ErrorIs(t, p.Put(outside), pool.ErrNotLeased)
}

// A long lease collects nothing from the statements that are sent with contexts of
// their own, nor do these from it.
func TestContextsAreLetGo(t *testing.T) {
	p, a := persisting(t, 1)
	a.exec("create table copied (i int)")
	lease, other := count(as(t, "me")), count(background(t))
	c := get(t, p, lease)
	before := [2]int64{lease.live.Load(), other.live.Load()}
	require.Equal(t, [2]int64{1, 0}, before, "the lease itself")
	for range 3 {
		eachVerb(other, c, func(verb string, err error) { require.NoError(t, err, verb) })
	}
	require.Equal(t, before, [2]int64{lease.live.Load(), other.live.Load()})
	require.NoError(t, p.PutConn(c))
	require.Zero(t, lease.live.Load())
}

// counting is a context that knows how many wait for its end.
type counting struct {
	context.Context
	done chan struct{} // its own, or package context would go past it
	live atomic.Int64
}

func count(ctx context.Context) *counting { return &counting{Context: ctx, done: make(chan struct{})} }

func (c *counting) Done() <-chan struct{} { return c.done }

// AfterFunc is what package context calls, if there is such a method.
func (c *counting) AfterFunc(func()) (stop func() bool) {
	c.live.Add(1)
	var once sync.Once
	return func() (stopped bool) {
		once.Do(func() { c.live.Add(-1); stopped = true })
		return stopped
	}
}

// The end races with the put, and with a put by key: the reference goes back once.
func TestContextEndsDuringPut(t *testing.T) {
	p, a := persisting(t, 1)
	outside := as(t, "me")
	outer := get(t, p, outside)
	first := pid(t, outer, outside)
	for range 300 {
		ctx, cancel := context.WithCancel(as(t, "me"))
		c := get(t, p, ctx)
		require.NoError(t, c.Ping(ctx))
		done := make(chan struct{})
		go func() {
			defer close(done)
			cancel()
		}()
		require.NoError(t, p.PutConn(c))
		<-done
		require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
	}
	awaitHolders(t, p, 1)
	require.Equal(t, first, pid(t, outer, outside), "no reference but theirs went back")
	require.NoError(t, p.PutConn(outer))
	awaitQuiet(t, p)
	a.await(1)
}

// The end races with the beginning of a statement.
func TestContextEndsDuringUse(t *testing.T) {
	p, _ := persisting(t, 2)
	for i := range 100 {
		ctx, cancel := context.WithCancel(as(t, i))
		c := get(t, p, ctx)
		go cancel()
		if _, err := c.Exec(background(t), "select 1"); err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
		require.NoError(t, p.PutConn(c))
	}
	awaitQuiet(t, p)
}

// A tracer that looks at the connection survives the end of a context.
func TestReleaseIsTracedOnceWhateverEndsIt(t *testing.T) {
	told := make(chan uint32, 10)
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.Tracer = 1, pids(told) })
	ctx, cancel := context.WithCancel(as(t, "me"))
	c := get(t, p, ctx)
	require.NoError(t, p.PutConn(c))
	require.NotZero(t, <-told)
	c = get(t, p, ctx)
	cancel()
	require.NotZero(t, <-told, "by the end of its context")
	require.NoError(t, p.PutConn(c))
	require.NoError(t, p.Put(ctx))
	other := as(t, "you")
	get(t, p, other)
	require.NoError(t, p.Put(other))
	require.NotZero(t, <-told, "by Put")
	require.Empty(t, told)
}

type pids chan uint32

func (p pids) TraceRelease(_ *pool.Pool, data pool.TraceReleaseData) { p <- data.Conn.PgConn().PID() }

func (pids) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (pids) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
