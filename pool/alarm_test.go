package pool_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pinged counts the backends whose last statement was a ping.
func (a *admin) pinged() (n int) {
	require.NoError(a.t, a.conn.QueryRow(background(a.t), `select count(*) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid() and query = '-- ping'`).Scan(&n))
	return n
}

// rest has n connections open and idle, after a statement.
func rest(t *testing.T, p *pool.Pool, n int) {
	var held []*pool.Conn
	for range n {
		c := get(t, p)
		_, err := c.Exec(background(t), "select 1")
		require.NoError(t, err)
		held = append(held, c)
	}
	for _, c := range held {
		require.NoError(t, p.PutConn(c))
	}
}

// fail has the server end a connection while it runs a statement.
func (a *admin) fail(c *pool.Conn) error {
	failed := make(chan error)
	pid := pid(c)
	go func() {
		_, err := c.Exec(context.Background(), sleeps)
		failed <- err
	}()
	a.awaitStatement(pid)
	a.terminate(pid)
	return <-failed
}

// TestAlarmOfHelpers: a rollback, or a hook, that finds the server's goodbye has the
// others looked at too, without anybody asking for them.
func TestAlarmOfHelpers(t *testing.T) {
	for name, dirty := range map[string]bool{"rollback": true, "ResetSession": false} {
		p, a := configured(t, func(c *pool.Config) {
			c.MaxConns = 3
			c.ResetSession = func(ctx context.Context, c *pgx.Conn) error { return c.Ping(ctx) }
		})
		rest(t, p, 3)
		c := get(t, p)
		if dirty {
			_, err := c.Begin(background(t))
			require.NoError(t, err)
		}
		_, err := a.conn.Exec(background(t), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`)
		require.NoError(t, err)
		a.await(0)
		c.Release()
		require.Eventually(t, func() bool { return p.Stat().TotalConns() == 0 }, wide, time.Millisecond, name)
	}
}

// TestHostsThatAreNotUp: what the first of two hosts says of itself, on the way to the
// second, is no alarm about connections to that.
func TestHostsThatAreNotUp(t *testing.T) {
	down, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, down.Close()) })
	go func() {
		for {
			conn, err := down.Accept()
			if err != nil {
				return
			}
			b := pgproto3.NewBackend(conn, conn)
			_, _ = b.ReceiveStartupMessage()
			b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P03", Message: "starting up"})
			_ = b.Flush()
			_ = conn.Close()
		}
	}()
	var pings atomic.Int64
	p, _ := configured(t, func(c *pool.Config) {
		cc := c.ConnConfig
		cc.Fallbacks = []*pgconn.FallbackConfig{{Host: cc.Host, Port: cc.Port, TLSConfig: cc.TLSConfig}}
		cc.Host, cc.Port = "127.0.0.1", uint16(down.Addr().(*net.TCPAddr).Port)
		dial := cc.DialFunc
		cc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return pingCounter{conn, &pings}, err
		}
		c.MaxConns = 2
	})
	rest(t, p, 2)
	c := get(t, p)
	require.NoError(t, c.Conn().Close(background(t)))
	c.Release()
	require.Eventually(t, func() bool { s := p.Stat(); return s.TotalConns() == 1 && s.ClosingConns() == 0 }, wide, time.Millisecond)
	require.NoError(t, p.CloseAll(background(t)))
	assert.Zero(t, pings.Load())
}

type pingCounter struct {
	net.Conn
	pings *atomic.Int64
}

func (c pingCounter) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("-- ping")) {
		c.pings.Add(1)
	}
	return c.Conn.Write(b)
}

func (c pingCounter) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

func (a *admin) awaitStatement(pid uint32) {
	require.Eventually(a.t, func() bool {
		var n int
		require.NoError(a.t, a.conn.QueryRow(background(a.t),
			"select count(*) from pg_stat_activity where pid = $1 and state = 'active'", pid).Scan(&n))
		return n == 1
	}, wide, 2*time.Millisecond)
}

// refusesWrites has a session do so from now on, and its client see it.
func refusesWrites(t *testing.T, c *pool.Conn) {
	_, err := c.Exec(background(t), "set default_transaction_read_only = on")
	require.NoError(t, err)
	_, err = c.Exec(background(t), "create table t ()")
	require.ErrorContains(t, err, "25006")
}

// TestReadOnlyRetiresAGeneration: a connection that no longer takes writes, though
// the configuration asks for that, takes all that are as old with it.
func TestReadOnlyRetiresAGeneration(t *testing.T) {
	for attrs, retired := range map[string]bool{"read-write": true, "any": false} {
		a := newAdmin(t)
		config, err := pool.ParseConfig(a.url + "&target_session_attrs=" + attrs)
		require.NoError(t, err)
		config.MaxConns = 3
		p, err := pool.NewWithConfig(background(t), config)
		require.NoError(t, err)
		rest(t, p, 2)
		c := get(t, p)
		refusesWrites(t, c)
		require.NoError(t, p.PutConn(c))
		require.Eventually(t, func() bool { return p.Stat().AcquiredConns() == 0 && p.Stat().ClosingConns() == 0 }, wide, time.Millisecond)
		if retired {
			a.await(0)
		} else {
			a.await(2)
		}
		require.NoError(t, p.CloseAll(background(t)))
	}
}

// TestReadOnlyAndBroken: a connection that is asked, and does not answer, says nothing
// of the others.
func TestReadOnlyAndBroken(t *testing.T) {
	a := newAdmin(t)
	config, err := pool.ParseConfig(a.url + "&target_session_attrs=read-write")
	require.NoError(t, err)
	closed := make(chan pool.Reason, 10)
	config.OnEvent = func(e pool.Event) {
		if e.Kind == pool.EventClosed {
			closed <- e.Reason
		}
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	rest(t, p, 2)
	c := get(t, p)
	refusesWrites(t, c)
	a.terminate(pid(c))
	c.Release()
	require.Equal(t, pool.ReasonUnfit, <-closed)
	require.NoError(t, p.Ping(background(t)))
	require.EqualValues(t, 2, p.Stat().NewConnsCount(), "the other goes on")
}

// TestReadOnlyTransaction: one that was begun as such is no failover.
func TestReadOnlyTransaction(t *testing.T) {
	a := newAdmin(t)
	config, err := pool.ParseConfig(a.url + "&target_session_attrs=read-write")
	require.NoError(t, err)
	config.MaxConns = 1
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	before := backend(t, p)
	tx, err := p.BeginTx(background(t), pgx.TxOptions{AccessMode: pgx.ReadOnly})
	require.NoError(t, err)
	_, err = tx.Exec(background(t), "create table t ()")
	require.ErrorContains(t, err, "25006")
	require.NoError(t, tx.Rollback(background(t)))
	assert.Equal(t, before, backend(t, p))
}

// TestResetSession: nothing of a session reaches the next borrower.
func TestResetSession(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.ResetSession = 1, pool.DiscardAll })
	ctx := background(t)
	c := get(t, p)
	before := pid(c)
	for _, statement := range []string{
		"set search_path = nowhere", "create temp table secret (n int)", "listen news", "select pg_advisory_lock(1)",
		"prepare mine as select 1", "begin", "insert into secret values (1)",
	} {
		_, err := c.Exec(ctx, statement)
		require.NoError(t, err, statement)
	}
	_, err := a.conn.Exec(ctx, "notify news")
	require.NoError(t, err)
	require.NoError(t, p.PutConn(c))

	c = get(t, p)
	require.Equal(t, before, pid(c))
	var path string
	var locks, prepared, temporary int
	require.NoError(t, c.QueryRow(ctx, `select current_setting('search_path'),
		(select count(*) from pg_locks where locktype = 'advisory'),
		(select count(*) from pg_prepared_statements where name = 'mine'),
		(select count(*) from pg_class where relname = 'secret')`).Scan(&path, &locks, &prepared, &temporary))
	assert.NotEqual(t, "nowhere", path)
	assert.Zero(t, locks+prepared+temporary)
	quiet, cancel := context.WithCancel(ctx)
	cancel()
	n, _ := c.Conn().WaitForNotification(quiet)
	assert.Nil(t, n)
	require.NoError(t, p.PutConn(c))

	failing, _ := configured(t, func(c *pool.Config) {
		c.MaxConns = 1
		c.ResetSession = func(ctx context.Context, c *pgx.Conn) error { _, err := c.Exec(ctx, "begin"); return err }
	})
	first := backend(t, failing)
	assert.NotEqual(t, first, backend(t, failing), "left in a transaction")
}
