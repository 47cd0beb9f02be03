package pool_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBadDays plays what happens to pools, with this one and with pgxpool, and
// prints what each makes of it:
//
//	go test ./pool -run TestBadDays -v
func TestBadDays(t *testing.T) {
	t.Run("server refuses", serverRefuses)
	t.Run("queries time out", queriesTimeOut)
	t.Run("backends are terminated while idle", terminatedAtRest)
	t.Run("server restarts under load", restartsUnderLoad)
	t.Run("a connection is black-holed", blackHoled)
	t.Run("close while somebody waits", closeWithWaiters)
	t.Run("every holder waits for another", everyHolderWaits)
	t.Run("burst at slow dials", burstAtSlowDials)
}

// A rival is either pool, as far as both can be asked the same.
type rival struct {
	name  string
	get   func(ctx context.Context) (conn querier, put func(), err error)
	exec  func(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	opens func() int64
	close func()
	dials *atomic.Int64
}

type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// circumstances are what a day asks of both pools.
type circumstances struct {
	connString string
	most       int32
	dial       time.Duration // how long a dial takes longer
	ours       func(*pool.Config)
}

// rivals makes both, pgxpool first.
func rivals(t *testing.T, s circumstances) []rival { return []rival{theirs(t, s), ours(t, s)} }

// counted counts dials, and has them take longer.
func (s circumstances) counted(cc *pgx.ConnConfig) *atomic.Int64 {
	dials := new(atomic.Int64)
	dial := cc.DialFunc
	cc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		if s.dial > 0 {
			time.Sleep(s.dial)
		}
		return dial(ctx, network, addr)
	}
	return dials
}

func theirs(t *testing.T, s circumstances) rival {
	config, err := pgxpool.ParseConfig(s.connString)
	require.NoError(t, err)
	config.MaxConns = s.most
	dials := s.counted(config.ConnConfig)
	p, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	closed := sync.OnceFunc(p.Close)
	t.Cleanup(closed)
	return rival{"pgxpool", func(ctx context.Context) (querier, func(), error) {
		c, err := p.Acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		return c, c.Release, nil
	}, p.Exec, func() int64 { return p.Stat().NewConnsCount() }, closed, dials}
}

func ours(t *testing.T, s circumstances) rival {
	config, err := pool.ParseConfig(s.connString)
	require.NoError(t, err)
	config.MaxConns = s.most
	if s.ours != nil {
		s.ours(config)
	}
	dials := s.counted(config.ConnConfig)
	p, err := pool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return rival{"pgactor", func(ctx context.Context) (querier, func(), error) {
		c, err := p.Acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		return c, c.Release, nil
	}, p.Exec, func() int64 { return p.Stat().NewConnsCount() }, p.Close, dials}
}

// crowd runs n goroutines and waits for them.
func crowd(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func serverRefuses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	dials := map[string]int64{}
	for _, r := range rivals(t, circumstances{connString: "postgres://u@" + addr + "/d?sslmode=disable", most: 10}) {
		ctx, cancel := context.WithTimeout(background(t), time.Second)
		crowd(50, func(int) {
			for ctx.Err() == nil {
				_, _, err := r.get(ctx)
				require.Error(t, err)
			}
		})
		cancel()
		dials[r.name] = r.dials.Load()
		t.Logf("%s: %d dials in 1 s", r.name, dials[r.name])
	}
	assert.LessOrEqual(t, dials["pgactor"], int64(50))
	assert.Greater(t, dials["pgxpool"], dials["pgactor"])
}

func queriesTimeOut(t *testing.T) {
	opened := map[string]int64{}
	for _, r := range rivals(t, circumstances{connString: server.Database(t), most: 4}) {
		crowd(4, func(int) {
			for range 50 {
				ctx, cancel := context.WithTimeout(background(t), 30*time.Millisecond)
				_, err := r.exec(ctx, "select pg_sleep(1)")
				cancel()
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			}
		})
		opened[r.name] = r.opens()
		t.Logf("%s: %d connections opened for 200 queries by 4", r.name, opened[r.name])
		r.close()
	}
	// Every dial that is too slow for a busy machine costs one.
	assert.Less(t, opened["pgactor"], opened["pgxpool"]/2)
}

func terminatedAtRest(t *testing.T) {
	failed := map[string]int{}
	a := newAdmin(t)
	for _, r := range rivals(t, circumstances{connString: a.url, most: 4}) {
		var puts []func()
		for range 4 {
			_, put, err := r.get(background(t))
			require.NoError(t, err)
			puts = append(puts, put)
		}
		for _, put := range puts {
			put()
		}
		_, err := a.conn.Exec(background(t), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`)
		require.NoError(t, err)
		a.await(0)
		for range 1000 {
			if _, err := r.exec(background(t), "select 1"); err != nil {
				failed[r.name]++
			}
		}
		t.Logf("%s: %d of 1000 queries failed", r.name, failed[r.name])
		r.close()
	}
	assert.Zero(t, failed["pgactor"])
	assert.Positive(t, failed["pgxpool"])
}

func restartsUnderLoad(t *testing.T) {
	s, err := pooltest.Start(background(t), pooltest.AllowInstall())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	failed := map[string]int64{}
	for _, r := range rivals(t, circumstances{connString: s.ConnString(), most: 10, ours: func(c *pool.Config) { c.OutagePolicy = pool.WaitForServer }}) {
		var errs, served, firstAfter atomic.Int64
		var up atomic.Pointer[time.Time]
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			crowd(20, func(int) {
				for {
					select {
					case <-stop:
						return
					default:
					}
					_, err := r.exec(background(t), "select pg_sleep(0.002)")
					if err != nil {
						errs.Add(1)
						continue
					}
					served.Add(1)
					if at := up.Load(); at != nil {
						firstAfter.CompareAndSwap(0, int64(time.Since(*at)))
					}
				}
			})
		}()
		require.Eventually(t, func() bool { return served.Load() > 100 }, wide, time.Millisecond)
		require.NoError(t, s.Crash(background(t)))
		require.NoError(t, s.Restart(background(t)))
		now := time.Now()
		up.Store(&now)
		require.Eventually(t, func() bool { return firstAfter.Load() > 0 }, wide, time.Millisecond)
		close(stop)
		<-done
		failed[r.name] = errs.Load()
		t.Logf("%s: %d errors; first success %v after the server was up", r.name, errs.Load(), time.Duration(firstAfter.Load()).Round(time.Millisecond))
		r.close()
	}
	assert.LessOrEqual(t, failed["pgactor"], int64(10), "those that were in flight")
	assert.Greater(t, failed["pgxpool"], failed["pgactor"])
}

// blackHoled has the one connection get lost on the way while it runs a statement with a
// deadline, and measures when its place is free. pgxpool takes 15 s; here it is only
// watched for 2.
func blackHoled(t *testing.T) {
	proxy := server.Proxy(t)
	free := map[string]bool{}
	for _, r := range rivals(t, circumstances{connString: proxy.Via(server.Database(t)), most: 1}) {
		_, err := r.exec(background(t), "select 1")
		require.NoError(t, err)
		conns := proxy.Conns()
		lost := conns[len(conns)-1]
		lost.BlackHole(pooltest.BothWays)
		ctx, cancel := context.WithTimeout(background(t), 200*time.Millisecond)
		_, err = r.exec(ctx, "select 1")
		cancel()
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		deadline, _ := ctx.Deadline()
		patience := 10 * time.Second
		if r.name == "pgxpool" {
			patience = 2 * time.Second
		}
		ctx, cancel = context.WithTimeout(background(t), patience)
		_, put, err := r.get(ctx)
		cancel()
		if free[r.name] = err == nil; free[r.name] {
			t.Logf("%s: the place was free %v after the deadline", r.name, time.Since(deadline).Round(time.Millisecond))
			put()
		} else {
			t.Logf("%s: the place was not free %v after the deadline: %v", r.name, time.Since(deadline).Round(time.Millisecond), err)
		}
		lost.Heal() // or pgxpool's Close takes the rest of the 15 s
		r.close()
	}
	assert.True(t, free["pgactor"])
	assert.False(t, free["pgxpool"])
}

func closeWithWaiters(t *testing.T) {
	a := newAdmin(t)
	p, err := pool.NewThreaded(background(t), 1, 1, a.url)
	require.NoError(t, err)
	c := get(t, p)
	failed := make(chan error, 5)
	for range 5 {
		go func() {
			_, err := p.GetConn(background(t))
			failed <- err
		}()
	}
	awaitWaiting(t, p, 5)
	ctx, cancel := context.WithTimeout(background(t), 100*time.Millisecond)
	defer cancel()
	closed := make(chan error)
	began := time.Now()
	go func() { closed <- p.CloseAll(ctx) }()
	for range 5 {
		require.ErrorIs(t, <-failed, pool.ErrClosed)
	}
	waiters := time.Since(began)
	err = <-closed
	var e *pool.CloseError
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Leases, 1)
	t.Logf("pgactor: 5 waiters failed after %v; CloseAll with a deadline of 100 ms returned after %v: %v",
		waiters.Round(10*time.Microsecond), time.Since(began).Round(time.Millisecond), err)
	c.Release()
	awaitEnd(t, p)

	q, err := pgxpool.New(background(t), a.url+"&pool_max_conns=1")
	require.NoError(t, err)
	held, err := q.Acquire(background(t))
	require.NoError(t, err)
	still, waits := make(chan error, 5), make(chan struct{}, 100)
	for range 5 {
		go func() {
			_, err := q.Acquire(waitedFor{background(t), waits})
			still <- err
		}()
	}
	for range 5 {
		<-waits
	}
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		q.Close()
	}()
	select {
	case err := <-still:
		t.Logf("pgxpool: a waiter failed: %v", err) // it came after Close
	case <-closing:
		t.Error("pgxpool closed with a connection out")
	case <-time.After(300 * time.Millisecond): // long enough to show that nothing happens
		t.Log("pgxpool: after 300 ms nobody has been told, and Close waits for the holder")
	}
	held.Release()
	<-closing
}

// waitedFor tells when somebody begins to wait for its end. pgxpool has no number
// of those who wait.
type waitedFor struct {
	context.Context
	waits chan struct{}
}

func (c waitedFor) Done() <-chan struct{} {
	c.waits <- struct{}{}
	return c.Context.Done()
}

func everyHolderWaits(t *testing.T) {
	for _, r := range rivals(t, circumstances{connString: server.Database(t), most: 4}) {
		ctx, cancel := context.WithTimeout(background(t), 200*time.Millisecond)
		holding := make(chan struct{}, 4)
		all := make(chan struct{})
		var texts [4]error
		go func() {
			for range 4 {
				<-holding
			}
			close(all)
		}()
		crowd(4, func(i int) {
			_, put, err := r.get(background(t))
			require.NoError(t, err)
			holding <- struct{}{}
			<-all
			_, _, texts[i] = r.get(ctx)
			put()
		})
		cancel()
		told := 0
		for _, err := range texts {
			if err == nil {
				continue // the first to give up served it
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			var e *pool.WaitError
			if r.name == "pgactor" && errors.As(err, &e) {
				assert.Equal(t, 4, e.Limit)
				told++
			}
		}
		t.Logf("%s: %v", r.name, texts[0])
		if r.name == "pgactor" {
			assert.Positive(t, told)
		}
	}
}

func burstAtSlowDials(t *testing.T) {
	opened := map[string]int64{}
	for _, r := range rivals(t, circumstances{connString: server.Database(t), most: 50, dial: 150 * time.Millisecond}) {
		_, err := r.exec(background(t), "select 1") // one is there
		require.NoError(t, err)
		crowd(50, func(int) {
			_, put, err := r.get(background(t))
			require.NoError(t, err)
			time.Sleep(2 * time.Millisecond)
			put()
		})
		opened[r.name] = r.opens()
		t.Logf("%s: %d connections opened", r.name, opened[r.name])
		r.close()
	}
	assert.LessOrEqual(t, opened["pgactor"], int64(10))
}
