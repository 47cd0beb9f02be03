package pool_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Scenarios: contexts that end. 18, which is a matter of nanoseconds, is package
// actor's.

// Every other one of those who wait gives up: the others are served, in order, and
// no connection is lost on its way to somebody who is gone.
func TestScenario17CancelledWhileQueued(t *testing.T) {
	const n = 200
	p, a := threaded(t, 0, 1)
	c := get(t, p)
	patient, impatient := background(t), make([]context.CancelFunc, n)
	served, gone := make(chan int, n), make(chan error, n)
	for i := range n {
		ctx := patient
		if i%2 == 1 {
			ctx, impatient[i] = context.WithCancel(patient)
			defer impatient[i]()
		}
		go func() {
			c, err := p.GetConn(ctx)
			if err != nil {
				gone <- err
				return
			}
			served <- i
			c.Release()
		}()
		awaitInLine(t, "TestScenario17", i+1)
	}
	for i := 1; i < n/2; i += 2 {
		impatient[i]()
	}
	for range n / 4 {
		require.ErrorIs(t, <-gone, context.Canceled)
	}
	awaitExactly(t, p, n-n/4)
	go c.Release() // while the others give up
	for i := n/2 + 1; i < n; i += 2 {
		impatient[i]()
	}
	last := -1
	for got := 0; got < n-n/4; got++ {
		select {
		case i := <-served:
			assert.Greater(t, i, last, "in order")
			last = i
		case err := <-gone:
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	assert.Equal(t, n-2+last%2, last, "the last who waited has been served")
	require.NoError(t, p.Ping(patient))
	assert.Zero(t, pool.StatOf(p).Waiting)
	assert.EqualValues(t, 1, p.Stat().NewConnsCount())
	assert.Equal(t, 1, a.backends())
}

// A statement is cancelled in the middle of its transaction: the server has ended it
// when the error comes, or soon after, and whatever becomes of the connection, the next
// borrower finds nothing of it.
func TestScenario19CancelledMidQuery(t *testing.T) {
	for _, policy := range []pool.CancelPolicy{pool.CancelQuery, pool.CloseConn} {
		t.Run(fmt.Sprintf("policy %d", policy), func(t *testing.T) {
			p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.CancelPolicy = 1, policy })
			_, err := p.Exec(background(t), "create table t (n int)")
			require.NoError(t, err)
			before := backend(t, p)

			c := get(t, p)
			ctx, cancel := context.WithCancel(background(t))
			_, err = c.Begin(ctx)
			require.NoError(t, err)
			_, err = c.Exec(ctx, "insert into t values (1)")
			require.NoError(t, err)
			failed := make(chan error)
			go func() {
				_, err := c.Exec(ctx, "insert into t select 2 from pg_sleep(60)")
				failed <- err
			}()
			a.awaitStatement(uint32(before))
			began := time.Now()
			cancel()
			require.ErrorIs(t, <-failed, context.Canceled)
			took := time.Since(began)
			require.NoError(t, p.PutConn(c))

			c = get(t, p)
			defer c.Release()
			switch kept := before == int(pid(c)); {
			case policy == pool.CloseConn:
				assert.False(t, kept)
			case took < cancelGrace:
				assert.True(t, kept)
			default:
				t.Logf("the server took %v for the cancel: kept is %t", took, kept)
			}
			assert.EqualValues(t, 'I', c.Conn().PgConn().TxStatus())
			var n int
			require.NoError(t, c.QueryRow(background(t), "select count(*) from t").Scan(&n))
			assert.Zero(t, n)
			require.Eventually(t, func() bool {
				var n int
				require.NoError(t, a.conn.QueryRow(background(t),
					"select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()").Scan(&n))
				return n == 0
			}, wide, 2*time.Millisecond, "the server goes on with it")
		})
	}
}

// Contexts end at about the same time as their statements: no statement of the next
// borrower is hit by the cancel. And none costs a connection, unless the server had not
// done it within the grace: there are machines that busy.
func TestScenario20LateCancel(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	var cancelled, overdue int
	// Each has the server make a process for the cancel, which takes a busy machine long.
	for i, began := 0, time.Now(); i < 2000 && time.Since(began) < 15*time.Second; i++ {
		late, cancel := context.WithTimeout(context.Background(), time.Duration(i%40)*50*time.Microsecond)
		_, err := p.Exec(late, "select pg_sleep(0.001)")
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancelled++
		}
		if past(late) >= cancelGrace {
			overdue++
		}
		cancel()
		_, err = p.Exec(background(t), "select 1")
		require.NoError(t, err, "statement %d, after %d cancels", i, cancelled)
	}
	opened := int(p.Stat().NewConnsCount())
	t.Logf("%d cancelled on %d connections; %d took longer than the grace", cancelled, opened, overdue)
	assert.Positive(t, cancelled)
	assert.LessOrEqual(t, opened, 1+overdue)
}

// Ten thousand give up at once, while connections come back: none is lost.
func TestScenario42TenThousandCancels(t *testing.T) {
	const n, limit = 10_000, 5
	p, a := threaded(t, limit, limit)
	var held []*pool.Conn
	for range limit {
		held = append(held, get(t, p))
	}
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error, n)
	all := queue(ctx, t, p, n, func(_ int, c *pool.Conn, err error) {
		if err == nil {
			c.Release()
		}
		results <- err
	})
	require.NoError(t, p.PutConn(held[0])) // it goes from one to the next
	for len(results) < 10 {
		runtime.Gosched()
	}
	cancel()
	for _, c := range held[1:] {
		require.NoError(t, p.PutConn(c))
	}
	all.Wait()
	served := 0
	for range n {
		if err := <-results; err == nil {
			served++
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	t.Logf("%d of %d were served", served, n)
	require.Eventually(t, func() bool { return pool.StatOf(p).Idle == limit }, wide, time.Millisecond)
	assert.Zero(t, pool.StatOf(p).Waiting)
	for range limit {
		c, err := p.TryGetConn()
		require.NoError(t, err)
		assert.NoError(t, c.Ping(background(t)))
		defer c.Release()
	}
	assert.EqualValues(t, limit, p.Stat().NewConnsCount())
	assert.Equal(t, limit, a.backends())
}
