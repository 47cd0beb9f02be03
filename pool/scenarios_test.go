package pool_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
)

// What a pool that is trusted survives: 42 scenarios, a test each. They run
// against a real server, or a real proxy before it, except where only virtual time
// can show what happens:
//
//	go test -race ./pool ./actor -run TestScenario -v
//
// scenarios_server_test.go has the server's bad days, scenarios_network_test.go the
// network's, scenarios_context_test.go contexts that end, scenarios_holder_test.go
// what holders do, scenarios_hooks_test.go what users' hooks do,
// scenarios_closing_test.go the end, scenarios_load_test.go crowds. 18, 36 and 41 are
// package actor's: they are a matter of nanoseconds, or of a whole year.

// own starts a server that the test may stop, and ends it with the test.
func own(t *testing.T, opts ...pooltest.Option) *pooltest.Server {
	s, err := pooltest.Start(background(t), append(opts, pooltest.AllowInstall())...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// made makes a pool, and closes it at the end unless the test has.
func made(t *testing.T, connString string, change func(c *pool.Config)) *pool.Pool {
	config, err := pool.ParseConfig(connString)
	require.NoError(t, err)
	if change != nil {
		change(config)
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := p.CloseAll(background(t)); err != nil {
			require.ErrorIs(t, err, pool.ErrClosed)
		}
	})
	return p
}

// patient is a configuration that waits for its server.
func patient(limit int32) func(c *pool.Config) {
	return func(c *pool.Config) { c.MaxConns, c.OutagePolicy = limit, pool.WaitForServer }
}

// An asked is a get in a goroutine of its own.
type asked chan answer

type answer struct {
	c   *pool.Conn
	err error
}

// ask asks for a connection, and does not wait for the answer.
func ask(ctx context.Context, p *pool.Pool) asked {
	a := make(asked, 1)
	go func() {
		c, err := p.GetConn(ctx)
		a <- answer{c, err}
	}()
	return a
}

// served is the connection that was asked for.
func (a asked) served(t *testing.T) *pool.Conn {
	t.Helper()
	got := <-a
	require.NoError(t, got.err)
	return got.c
}

// code is the server's code for an error, and empty if it is not the server's.
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// proxied is what the proxy knows as c.
func proxied(t *testing.T, proxy *pooltest.Proxy, c *pool.Conn) *pooltest.ProxyConn {
	pc := proxy.ConnOf(c.Conn().PgConn().Conn())
	require.NotNil(t, pc)
	return pc
}

// Workers run short statements, one after another, until they are stopped.
type workers struct {
	stop   chan struct{}
	all    sync.WaitGroup
	served []atomic.Int64 // statements, by worker
	errs   []error
	turn   chan struct{} // cap 1: who has put a token in writes errs
}

func work(n int, p *pool.Pool) *workers {
	w := &workers{stop: make(chan struct{}), served: make([]atomic.Int64, n), turn: make(chan struct{}, 1)}
	for i := range n {
		w.all.Go(func() { w.work(i, p) })
	}
	return w
}

func (w *workers) work(i int, p *pool.Pool) {
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), wide)
		_, err := p.Exec(ctx, "select pg_sleep(0.001)")
		cancel()
		if err == nil {
			w.served[i].Add(1)
			continue
		}
		w.turn <- struct{}{}
		w.errs = append(w.errs, err)
		<-w.turn
	}
}

// awaitEach waits until each of them has been served n more times.
func (w *workers) awaitEach(t *testing.T, n int64) {
	before := make([]int64, len(w.served))
	for i := range before {
		before[i] = w.served[i].Load()
	}
	require.Eventually(t, func() bool {
		for i := range before {
			if w.served[i].Load() < before[i]+n {
				return false
			}
		}
		return true
	}, wide, time.Millisecond, "somebody is not served")
}

// end stops them, and returns their errors.
func (w *workers) end() []error {
	close(w.stop)
	w.all.Wait()
	return w.errs
}

// queue has n gets wait, in order, and each do what f does with its answer.
func queue(ctx context.Context, t *testing.T, p *pool.Pool, n int, f func(i int, c *pool.Conn, err error)) *sync.WaitGroup {
	all := new(sync.WaitGroup)
	for i := range n {
		all.Go(func() {
			c, err := p.GetConn(ctx)
			f(i, c, err)
		})
		awaitExactly(t, p, i+1)
	}
	return all
}

// awaitExactly waits as awaitWaiting does, but not for a tick: it is for thousands.
func awaitExactly(t *testing.T, p *pool.Pool, n int) {
	for began := time.Now(); pool.StatOf(p).Waiting != n; runtime.Gosched() {
		require.Less(t, time.Since(began), wide, "%d wait, want %d", pool.StatOf(p).Waiting, n)
	}
}

// pings counts those that go over connections made with its dial.
type pings struct{ n atomic.Int64 }

type pingedConn struct {
	*net.TCPConn // so that it can be looked at
	pings        *pings
}

func (c *pings) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return pingedConn{conn.(*net.TCPConn), c}, nil
}

func (c pingedConn) Write(b []byte) (int, error) { return c.pings.write(c.TCPConn, b) }

func (c *pings) write(conn net.Conn, b []byte) (int, error) {
	if string(b) == "Q\x00\x00\x00\x0c-- ping\x00" {
		c.n.Add(1)
	}
	return conn.Write(b)
}
