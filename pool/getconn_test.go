package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rows of TestPsycopg2 about getting a connection.

func idleElseNew(t *testing.T) {
	p, a := threaded(t, 0, 2)
	one := get(t, p)
	var answer int
	require.NoError(t, one.QueryRow(background(t), "select 6 * 7").Scan(&answer))
	require.Equal(t, 42, answer)
	two := get(t, p)
	require.NotEqual(t, pid(one), pid(two), "one connection has one borrower")
	first := pid(one)
	require.NoError(t, p.PutConn(one))
	one = get(t, p)
	require.Equal(t, first, pid(one), "kept open, and lent again")
	require.Equal(t, 2, a.backends())
	require.NoError(t, p.PutConn(one))
	require.NoError(t, p.PutConn(two))
}

func getWithEndedContext(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	_, err := p.GetConn(ended())
	require.ErrorIs(t, err, context.Canceled)
}

func exhaustionTellsHowThingsStand(t *testing.T) {
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

func tryGet(t *testing.T) {
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

func sameKeySameConnection(t *testing.T) {
	p, _ := threaded(t, 0, 2)
	one, again := get(t, p, pool.WithKey("k")), get(t, p, pool.WithKey("k"))
	require.Equal(t, pid(one), pid(again))
	require.NotSame(t, one, again, "a handle of its own for each get")
	require.NoError(t, p.PutConn(one))
	require.NoError(t, again.Ping(background(t)), "it goes back with the last")
	require.NoError(t, p.PutConn(again))
	require.Zero(t, p.Stat().BoundKeys())
}

// A bound key is served though everything is lent.
func boundKeyNeedsNoPlace(t *testing.T) {
	p, _ := threaded(t, 0, 1)
	one := get(t, p, pool.WithKey("k"))
	again := get(t, p, pool.WithKey("k"))
	third, err := p.TryGetConn(pool.WithKey("k"))
	require.NoError(t, err)
	_, err = p.TryGetConn(pool.WithKey("other"))
	require.ErrorIs(t, err, pool.ErrExhausted)
	for _, c := range []*pool.Conn{one, again, third} {
		require.Equal(t, pid(one), pid(c))
		defer c.Release()
	}
}

// psycopg2 counts 1, 2, 3 for those who name no key, so that a caller's own key
// 1 gets somebody else's connection. Here the lent ones are all different.
func keysNeverCollide(t *testing.T) {
	p, _ := threaded(t, 0, 9)
	type id int
	lent := map[uint32]any{}
	for _, key := range []any{nil, 1, nil, 2, id(1), int64(1), "1", struct{ n int }{1}, nil} {
		c := get(t, p, pool.WithKey(key))
		defer c.Release()
		require.NotContains(t, lent, pid(c), "key %v", key)
		lent[pid(c)] = key
	}
}

func keyThatCannotBeOne(t *testing.T) {
	p, a := threaded(t, 0, 1)
	for _, bad := range []any{[]int{1}, map[string]int{}, [1]any{[]int{1}}, math.NaN()} {
		_, err := p.GetConn(background(t), pool.WithKey(bad))
		var key *pool.KeyError
		require.ErrorAs(t, err, &key)
		_, err = p.TryGetConn(pool.WithKey(bad))
		require.ErrorAs(t, err, &key)
	}
	require.Zero(t, a.backends())
}

func waitersAreServedInOrder(t *testing.T) {
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
		awaitInLine(t, "waitersAreServedInOrder", i+1)
	}
	require.Equal(t, 10, pool.StatOf(p).Waiting)
	c.Release()
	for i := range 10 {
		require.Equal(t, i, <-order)
	}
}

// However many there are, a connection is one thread's at any moment.
func manyThreadsShareFew(t *testing.T) {
	p, a := threaded(t, 1, 3)
	const threads, rounds = 20, 10
	ends := make(chan error)
	for i := range threads {
		go func() {
			for range rounds {
				if err := useAlone(p, i); err != nil {
					ends <- err
					return
				}
			}
			ends <- nil
		}()
	}
	for range threads {
		require.NoError(t, <-ends)
	}
	require.EqualValues(t, threads*rounds, p.Stat().AcquireCount())
	require.LessOrEqual(t, a.backends(), 3)
}

// useAlone leaves its mark on a connection, and wants to find it there.
func useAlone(p *pool.Pool, mark int) error {
	ctx, cancel := context.WithTimeout(context.Background(), wide)
	defer cancel()
	c, err := p.GetConn(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	if _, err := c.Exec(ctx, "select set_config('my.mark', $1, false)", strconv.Itoa(mark)); err != nil {
		return err
	}
	var found string
	if err := c.QueryRow(ctx, "select current_setting('my.mark')").Scan(&found); err != nil {
		return err
	}
	if found != strconv.Itoa(mark) {
		return fmt.Errorf("thread %d met thread %s on its connection", mark, found)
	}
	return nil
}

// psycopg2 holds its lock while it connects, rolls back and closes. Here all three
// hang, and a connection goes from one borrower to the next all the same.
func hangingServerHoldsUpNobody(t *testing.T) {
	tap := &tap{turn: make(chan struct{}, 1)}
	p := wrapped(t, func(conn net.Conn) net.Conn { return tapped{conn.(*net.TCPConn), tap} })
	require.NoError(t, p.Resize(0, 4))
	good, dirty, spent := get(t, p), get(t, p), get(t, p)
	_, err := dirty.Begin(background(t))
	require.NoError(t, err)

	tap.shut()
	require.NoError(t, p.PutConn(dirty))
	tap.await(t, 1)
	require.NoError(t, p.PutConn(spent, pool.WithClose()))
	tap.await(t, 2)
	served := make(chan *pool.Conn)
	for range 2 { // one waits for the rollback, the other has a connection opened
		go func() {
			c, err := p.GetConn(background(t))
			if err != nil {
				c = nil
			}
			served <- c
		}()
	}
	tap.await(t, 3)
	want := pid(good)
	require.NoError(t, p.PutConn(good))
	c := <-served
	require.NotNil(t, c)
	require.Equal(t, want, pid(c))
	require.GreaterOrEqual(t, int(tap.held.Load()), 3, "all three still hang")
	require.False(t, tap.gaveUp.Load(), "somebody waited for them")
	tap.open()
	c.Release()
	c = <-served
	require.NotNil(t, c)
	c.Release()
	require.NoError(t, p.CloseAll(background(t)))
}

// A tap on the way to the server: while it is shut no word gets through.
type tap struct {
	turn   chan struct{} // a token inside: shut, or somebody is writing
	held   atomic.Int64  // writes that have not got through
	gaveUp atomic.Bool   // one of them for so long that the test has failed
}

func (t *tap) shut() { t.turn <- struct{}{} }
func (t *tap) open() { <-t.turn }

// await waits until n writes hang, or more: what hangs long is given up, and that
// too takes a word to the server.
func (t *tap) await(test *testing.T, n int64) {
	require.Eventually(test, func() bool { return t.held.Load() >= n }, wide, time.Millisecond)
}

type tapped struct {
	*net.TCPConn
	tap *tap
}

func (c tapped) Write(b []byte) (int, error) {
	c.tap.held.Add(1)
	defer c.tap.held.Add(-1)
	select {
	case c.tap.turn <- struct{}{}:
	case <-time.After(wide): // a pool that writes before it answers would hang for ever
		c.tap.gaveUp.Store(true)
		return 0, os.ErrDeadlineExceeded
	}
	defer func() { <-c.tap.turn }()
	return c.TCPConn.Write(b)
}

// NoWait is psycopg2's getconn: idle, else new, else an error at once. It waits for what no
// borrower has, and takes nothing from the gets that wait.
func noWaitDoesAsPsycopg2(t *testing.T) {
	p, a := threaded(t, 0, 2)
	one, two := get(t, p, pool.NoWait()), get(t, p, pool.NoWait())
	_, err := p.GetConn(background(t), pool.NoWait())
	var exhausted *pool.ExhaustedError
	require.ErrorAs(t, err, &exhausted)
	require.Equal(t, []int{2, 2}, []int{exhausted.Limit, exhausted.Leased})

	_, err = one.Begin(background(t))
	require.NoError(t, err)
	one.Release() // it is rolled back first
	one = get(t, p, pool.NoWait())
	require.EqualValues(t, 'I', one.Conn().PgConn().TxStatus())
	require.NoError(t, p.PutConn(one, pool.WithClose())) // its place is free once it is closed
	one = get(t, p, pool.NoWait(), pool.WithKey("k"))
	shares := get(t, p, pool.NoWait(), pool.WithKey("k"))
	_, err = p.GetConn(background(t), pool.NoWait(), pool.WithKey("other"))
	require.ErrorIs(t, err, pool.ErrExhausted)

	waits := make(chan *pool.Conn)
	go func() {
		c, err := p.GetConn(background(t))
		assert.NoError(t, err)
		waits <- c
	}()
	awaitInLine(t, "noWaitDoesAsPsycopg2", 1)
	_, err = p.GetConn(background(t), pool.NoWait())
	require.ErrorIs(t, err, pool.ErrExhausted)
	two.Release()
	two = <-waits
	shares.Release()
	one.Release()
	two.Release()
	require.Equal(t, 2, a.backends())

	require.NoError(t, p.Pause(background(t)))
	_, err = p.GetConn(background(t), pool.NoWait())
	require.ErrorIs(t, err, pool.ErrPaused)
	require.NoError(t, p.Resume())
	get(t, p, pool.NoWait()).Release()
}

// A get without NoWait goes on waiting for what is lent.
func noWaitAndAFailingConnect(t *testing.T) {
	fails := make(chan error, 1)
	a := newAdmin(t)
	p, err := pool.NewThreaded(background(t), 0, 2, a.url, pool.Configure(func(c *pool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			select {
			case err := <-fails:
				return err
			default:
				return nil
			}
		}
	}))
	require.NoError(t, err)
	c := get(t, p)
	broken := errors.New("no credentials")
	fails <- broken
	_, err = p.GetConn(background(t), pool.NoWait())
	require.ErrorIs(t, err, pool.ErrUnavailable)
	require.ErrorIs(t, err, broken)
	c.Release()
	get(t, p, pool.NoWait()).Release()
	require.NoError(t, p.CloseAll(background(t)))
}

// The sizes are those of the arguments; what is wrong with the rest is the constructor's
// error.
func configuredByOptions(t *testing.T) {
	a := newAdmin(t)
	events := make(chan pool.Event, 100)
	opts := []pool.Option{
		pool.Configure(func(c *pool.Config) {
			require.Equal(t, []int32{1, 2}, []int32{c.MinConns, c.MaxConns})
			c.MinConns, c.MaxConns = 5, 50
			c.OnEvent = func(e pool.Event) { events <- e }
		}),
		pool.Configure(func(c *pool.Config) {
			c.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
				_, err := c.Exec(ctx, "set application_name = 'configured'")
				return err
			}
		}),
	}
	p, err := pool.NewThreaded(background(t), 1, 2, a.url, opts...)
	require.NoError(t, err)
	s, err := pool.NewSimple(background(t), 1, 2, a.url, opts...)
	require.NoError(t, err)
	require.EqualValues(t, 2, p.Stat().MaxConns())
	require.EqualValues(t, 2, s.Stat().MaxConns())
	require.EqualValues(t, 1, s.Stat().IdleConns())
	for _, of := range []pool.ConnectionPool{p, s} {
		c := get(t, of)
		var name string
		require.NoError(t, c.QueryRow(background(t), "show application_name").Scan(&name))
		require.Equal(t, "configured", name)
		require.NoError(t, of.PutConn(c))
		require.NoError(t, of.CloseAll(background(t)))
	}
	require.Equal(t, pool.EventOpened, (<-events).Kind)

	var bad *pool.ConfigError
	_, err = pool.NewThreaded(background(t), 0, 1, a.url, pool.Configure(func(c *pool.Config) { c.MaxLeaseTime = -1 }))
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "MaxLeaseTime", bad.Field)
	_, err = pool.NewSimple(background(t), 0, 1, a.url, pool.Configure(func(c *pool.Config) { c.ConnConfig = nil }))
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "ConnConfig", bad.Field)
	require.Zero(t, a.backends())
}
