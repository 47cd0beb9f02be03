package pool_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rules are actor's, and tested there in virtual time. These tests see that
// the pool passes its settings on, and that they do on a server what they say.

func TestMinConnsAreKept(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MinConns, c.MaxConns = 2, 3 })
	require.NoError(t, p.WaitReady(background(t)))
	a.await(2)
	require.NoError(t, p.PutConn(get(t, p), pool.WithClose()))
	require.NoError(t, p.WaitReady(background(t)))
	a.await(2)
}

func TestMinIdleConns(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MinIdleConns, c.MaxConns = 1, 3 })
	for n := range 3 {
		a.await(n + 1)
		require.Eventually(t, func() bool { return p.Stat().IdleConns() == 1 }, wide, time.Millisecond)
		c := get(t, p)
		defer c.Release()
	}
	require.EqualValues(t, 3, p.Stat().AcquiredConns())
}

func TestMaxIdleConns(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MaxIdleConns, c.MaxConns = 1, 3 })
	var held []*pool.Conn
	for range 3 {
		held = append(held, get(t, p))
	}
	a.await(3)
	for _, c := range held {
		c.Release()
	}
	a.await(1)
}

func TestKeepNone(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MaxIdleConns, c.MaxConns = pool.KeepNone, 1 })
	c := get(t, p)
	backend := pid(c)
	next := make(chan uint32)
	go func() {
		c, err := p.GetConn(background(t))
		assert.NoError(t, err)
		next <- pid(c)
		c.Release()
	}()
	awaitWaiting(t, p, 1)
	c.Release()
	require.Equal(t, backend, <-next, "handed on")
	a.await(0)
	c = get(t, p)
	require.NotEqual(t, backend, pid(c))
	c.Release()
	a.await(0)
	var bad *pool.ConfigError
	require.ErrorAs(t, p.Resize(1, 2), &bad)
	require.Equal(t, "minconn", bad.Field)
	require.NoError(t, p.Resize(0, 2))
	for _, change := range []func(*pool.Config){
		func(c *pool.Config) { c.MinConns = 1 },
		func(c *pool.Config) { c.MinIdleConns = 1 },
		func(c *pool.Config) { c.MaxIdleConns = pool.KeepNone - 1 },
	} {
		config := p.Config()
		change(config)
		_, err := pool.NewWithConfig(background(t), config)
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "MaxIdleConns", bad.Field)
	}
}

// The configuration that a pool tells is one that a pool can be made of.
func TestConfigAfterResize(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.MinIdleConns, c.MaxIdleConns = 5, 5, 5 })
	require.NoError(t, p.Resize(0, 3))
	q, err := pool.NewWithConfig(background(t), p.Config())
	require.NoError(t, err)
	q.Close()
}

// WaitReady goes on trying, and fails at once where trying does not help. A failure from
// before the call is not its error.
func TestWaitReadyInAnOutage(t *testing.T) {
	noRoute := errors.New("no route")
	var down atomic.Bool
	down.Store(true)
	lasts := make(chan pool.Event, 10)
	a := newAdmin(t)
	config, err := pool.ParseConfig(a.url)
	require.NoError(t, err)
	config.MinConns, config.BackoffMin, config.BackoffMax = 1, time.Millisecond, 2*time.Millisecond
	config.ReconnectTimeout = 2 * time.Millisecond
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if down.Load() {
			return nil, noRoute
		}
		return dial(ctx, network, address)
	}
	config.OnEvent = func(e pool.Event) {
		if e.Kind == pool.EventOutageLasts {
			lasts <- e
		}
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	wait := func(ctx context.Context) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- p.WaitReady(ctx) }()
		return ended
	}
	ended := wait(background(t))
	e := <-lasts
	require.ErrorIs(t, e.Err, noRoute)
	require.GreaterOrEqual(t, e.Lasted, config.ReconnectTimeout)
	down.Store(false)
	require.NoError(t, <-ended)

	down.Store(true)
	require.NoError(t, p.Resize(2, 2))
	ctx, cancel := context.WithCancel(background(t))
	ended = wait(ctx)
	<-lasts
	cancel()
	err = <-ended
	var vain *pool.WaitError
	require.ErrorAs(t, err, &vain)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, noRoute)
	down.Store(false)
	require.NoError(t, p.WaitReady(background(t)))
}

// Check finds those that have died at rest, and those that answer no ping, and keeps the
// minimum.
func TestCheck(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MinConns, c.MaxConns = 3, 3 })
	require.NoError(t, p.WaitReady(background(t)))
	require.NoError(t, p.Check(background(t)))
	require.EqualValues(t, 3, p.Stat().NewConnsCount())
	lent := get(t, p)
	other := get(t, p)
	dies := pid(other)
	other.Release()
	a.terminate(dies)
	require.NoError(t, p.Check(background(t)))
	require.NoError(t, p.WaitReady(background(t)))
	require.GreaterOrEqual(t, p.Stat().NewConnsCount(), int64(4))
	require.NoError(t, lent.Ping(background(t)), "it was lent")
	lent.Release()

	require.NoError(t, p.Pause(background(t)))
	ctx, cancel := context.WithCancel(background(t))
	ended := make(chan error)
	go func() { ended <- p.Check(ctx) }()
	cancel()
	err := <-ended
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, p.Resume())
	require.NoError(t, p.CloseAll(background(t)))
	require.ErrorIs(t, p.Check(background(t)), pool.ErrClosed)
}

func TestMaxConnLifetime(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConnLifetime, c.MaxConnLifetimeJitter = time.Millisecond, time.Millisecond
	})
	get(t, p).Release()
	a.await(0)
	require.EqualValues(t, 1, p.Stat().MaxLifetimeDestroyCount())
}

// A jitter below a second has each of eight, opened together, end at a moment of its
// own.
func TestMaxConnLifetimeJitter(t *testing.T) {
	const n, lifetime, jitter = 8, time.Hour, 900 * time.Millisecond
	ends := map[time.Duration]bool{}
	closed := make(chan time.Duration, n)
	var began time.Time
	inBubble(t, func(c *pool.Config) {
		began = time.Now()
		c.MaxConns, c.MaxConnLifetime, c.MaxConnLifetimeJitter, c.MaxConnIdleTime = n, lifetime, jitter, 0
		c.BeforeClose = func(*pgx.Conn) { closed <- time.Since(began) }
	}, func(b *bubble) {
		var held []*pool.Conn
		for range n {
			held = append(held, b.get())
		}
		for _, c := range held {
			c.Release()
		}
		require.Zero(b, time.Since(began))
		time.Sleep(lifetime + jitter)
		synctest.Wait()
		for range n {
			end := <-closed
			require.GreaterOrEqual(b, end, lifetime)
			ends[end] = true
		}
	})
	require.Len(t, ends, n)
}

// A client who comes again and again while connections are checked finds one each time:
// none is opened for him.
func TestChecksHideNobody(t *testing.T) {
	var seen pings
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns, c.KeepAlive, c.HealthCheckPeriod = 10, true, time.Millisecond
		c.ConnConfig.DialFunc = seen.dial
	})
	rest(t, p, 2)
	for began := time.Now(); seen.n.Load() < 20; {
		require.Less(t, time.Since(began), wide, "nothing is checked")
		_, err := p.Exec(background(t), "select pg_sleep(0.002)")
		require.NoError(t, err)
	}
	require.EqualValues(t, 2, p.Stat().NewConnsCount())
}

func TestMaxConnIdleTime(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConns, c.MinConns = 3, 1
		c.MaxConnIdleTime, c.HealthCheckPeriod = 10*time.Millisecond, time.Millisecond
	})
	one, two := get(t, p), get(t, p)
	one.Release()
	two.Release()
	a.await(1)
	require.EqualValues(t, 1, p.Stat().MaxIdleDestroyCount())
}

func TestKeepAlive(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.KeepAlive, c.HealthCheckPeriod = true, time.Millisecond })
	get(t, p).Release()
	// A ping is a statement without text.
	require.Eventually(t, func() bool {
		var last string
		err := a.conn.QueryRow(background(t), `select query from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`).Scan(&last)
		return err == nil && last == "-- ping"
	}, wide, time.Millisecond)
}

func TestAcquireTimeout(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.AcquireTimeout = 1, time.Millisecond })
	require.NoError(t, connects(p))
	var c *pool.Conn
	require.Eventually(t, func() (ok bool) { // a connect may take longer
		var err error
		c, err = p.GetConn(background(t))
		return err == nil
	}, wide, time.Millisecond)
	defer c.Release()
	_, err := p.Acquire(context.Background())
	require.ErrorIs(t, err, pool.ErrAcquireTimeout)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, pool.ErrExhausted)
	require.Positive(t, p.Stat().CanceledAcquireCount())
}

// connects opens a connection, however long that takes.
func connects(p *pool.Pool) error {
	if err := p.Resize(1, 1); err != nil {
		return err
	}
	return p.WaitReady(context.Background())
}

func TestMaxWaiting(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.MaxWaiting = 1, 1 })
	c := get(t, p)
	ctx, cancel := context.WithCancel(background(t))
	waited := make(chan error)
	go func() {
		_, err := p.Acquire(ctx)
		waited <- err
	}()
	require.Eventually(t, func() bool { return p.Stat().WaitingAcquires() == 1 }, wide, time.Millisecond)
	_, err := p.Acquire(background(t))
	require.ErrorIs(t, err, pool.ErrTooManyWaiting)
	var crowd *pool.TooManyWaitingError
	require.ErrorAs(t, err, &crowd)
	require.Equal(t, []int{1, 1, 1}, []int{crowd.Limit, crowd.Leased, crowd.Waiting})
	cancel()
	require.ErrorIs(t, <-waited, context.Canceled)
	c.Release()
}

func TestResize(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MaxConns = 1 })
	one := get(t, p)
	served := make(chan *pool.Conn)
	go func() {
		c, err := p.Acquire(context.Background())
		if err != nil {
			panic(err)
		}
		served <- c
	}()
	require.NoError(t, p.Resize(1, 2))
	two := <-served
	require.EqualValues(t, 2, p.Stat().MaxConns())
	require.EqualValues(t, 1, p.Stat().MinConns())
	require.EqualValues(t, 1, p.Config().MinConns)
	require.EqualValues(t, 2, p.Config().MaxConns)
	require.NoError(t, p.Resize(0, 1))
	a.await(2)
	one.Release()
	a.await(1)
	two.Release()
	a.await(1)
}

func TestPauseEndsWithItsContext(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns = 2 })
	c := get(t, p)
	defer c.Release()
	ctx, cancel := context.WithTimeout(background(t), time.Millisecond)
	defer cancel()
	var w *pool.WaitError
	require.ErrorAs(t, p.Pause(ctx), &w)
	require.Equal(t, 1, w.Leased)
	get(t, p).Release()
}
