package pool_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// wide bounds what must happen at all, on however busy a machine.
const wide = 30 * time.Second

// background is a context for calls that the test expects to return.
func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), wide)
	t.Cleanup(cancel)
	return ctx
}

// threaded makes a pool on a database of its own, and closes it at the end
// unless the test has.
func threaded(t *testing.T, minconn, maxconn int) (*pool.Pool, *admin) {
	a := newAdmin(t)
	p, err := pool.NewThreaded(background(t), minconn, maxconn, a.url)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := p.CloseAll(background(t)); err != nil {
			require.ErrorIs(t, err, pool.ErrClosed)
		}
		a.await(0)
	})
	return p, a
}

// an admin looks at a database from a connection outside the pool's.
type admin struct {
	t    *testing.T
	url  string
	conn *pgx.Conn
}

func newAdmin(t *testing.T) *admin {
	a := &admin{t: t, url: server.Database(t)}
	conn, err := pgx.Connect(background(t), a.url)
	require.NoError(t, err)
	a.conn = conn
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return a
}

// backends counts the server's processes for other connections.
func (a *admin) backends() (n int) {
	err := a.conn.QueryRow(background(a.t), `select count(*) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`).Scan(&n)
	require.NoError(a.t, err)
	return n
}

// await waits until there are n backends.
func (a *admin) await(n int) {
	require.Eventually(a.t, func() bool { return a.backends() == n }, wide, 2*time.Millisecond,
		"%d backends, want %d", a.backends(), n)
}

// terminate ends a backend, and waits until it is gone.
func (a *admin) terminate(pid uint32) {
	_, err := a.conn.Exec(background(a.t), "select pg_terminate_backend($1)", pid)
	require.NoError(a.t, err)
	require.Eventually(a.t, func() bool {
		var n int
		require.NoError(a.t, a.conn.QueryRow(background(a.t), "select count(*) from pg_stat_activity where pid = $1", pid).Scan(&n))
		return n == 0
	}, wide, 2*time.Millisecond)
}

func get(t *testing.T, p pool.ConnectionPool, opts ...pool.GetOption) *pool.Conn {
	c, err := p.GetConn(background(t), opts...)
	require.NoError(t, err)
	return c
}

func pid(c *pool.Conn) uint32 { return c.Conn().PgConn().PID() }

// awaitEnd waits for the end of a pool whose CloseAll has returned: the supervisor
// outlives that by a moment, or until its last helper has come back.
func awaitEnd(t *testing.T, p *pool.Pool) {
	require.Eventually(t, func() bool { return errors.Is(p.Resume(), pool.ErrClosed) }, wide, time.Millisecond)
}

// awaitWaiting waits until n gets wait.
func awaitWaiting(t *testing.T, p *pool.Pool, n int) {
	require.Eventually(t, func() bool { return pool.StatOf(p).Waiting == n }, wide, time.Millisecond)
}

// awaitInLine waits until n gets of goroutines that the named function has started
// have their places in line. A get counts as waiting a moment before that, in which the
// next one may overtake it.
func awaitInLine(t *testing.T, starter string, n int) {
	require.Eventually(t, func() bool { return inLine(starter) == n }, wide, time.Millisecond)
}

// inLine returns how many goroutines that the named function has started are blocked in
// the pool's line.
func inLine(starter string) (n int) {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	for g := range strings.SplitSeq(string(all), "\n\n") {
		head, frames, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "[select") && strings.Contains(frames, ".Await(") && strings.Contains(frames, starter) {
			n++
		}
	}
	return n
}
