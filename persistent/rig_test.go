package persistent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// wide bounds what must happen at all, on however busy a machine.
const wide = 30 * time.Second

// tick is how often a test looks at what it waits for.
const tick = time.Millisecond

var errHook = errors.New("the hook says no")

// background is a context for calls that the test expects to return.
func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), wide)
	t.Cleanup(cancel)
	return ctx
}

// as is the background of one identity.
func as[K comparable](t *testing.T, id K) context.Context {
	return persistent.WithIdentity(background(t), id)
}

// persisting makes a pool of at most maxconn connections.
// At the end everything must be back: then it is closed.
func persisting(t *testing.T, maxconn int32, opts ...persistent.Option) (*persistent.Pool, *admin) {
	return configured(t, func(c *pool.Config) { c.MaxConns = maxconn }, opts...)
}

func configured(t *testing.T, change func(c *pool.Config), opts ...persistent.Option) (*persistent.Pool, *admin) {
	a := newAdmin(t)
	p, err := persistent.NewWithConfig(background(t), a.config(change), opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if p.Pool().Resume() == nil && !t.Failed() { // else it is closed already
			awaitQuiet(t, p)
		}
		if err := p.CloseAll(background(t)); err != nil && !t.Failed() {
			require.ErrorIs(t, err, pool.ErrClosed)
		}
		a.await(0)
	})
	return p, a
}

// awaitQuiet waits until every reference and every connection is back.
func awaitQuiet(t *testing.T, p *persistent.Pool) {
	require.Eventually(t, func() bool {
		st := p.Pool().Stat()
		s := st.Actor()
		return s.Leased+s.Mending+s.Closing+s.Waiting == 0 && st.BoundKeys() == 0
	}, wide, tick, "not everything came back")
	require.Empty(t, p.Pool().Leases())
}

// awaitHolders waits until the one connection that is lent has n references.
func awaitHolders(t *testing.T, p *persistent.Pool, n int) {
	require.Eventually(t, func() bool {
		leases := p.Pool().Leases()
		return len(leases) == 1 && leases[0].Holders == n
	}, wide, tick)
}

func awaitWaiting(t *testing.T, p *persistent.Pool, n int32) {
	require.Eventually(t, func() bool { return p.Pool().Stat().WaitingAcquires() == n }, wide, tick)
}

// An admin looks at a test's part of the database from a connection outside the
// pool's. A database for each test would take most of the time.
type admin struct {
	t    *testing.T
	name string // of the test's schema and of its application
	conn *pgx.Conn
}

var tests atomic.Int64

func newAdmin(t *testing.T) *admin {
	a := &admin{t: t, name: fmt.Sprintf("persistent_%d_%d", os.Getpid(), tests.Add(1))}
	config, err := pgx.ParseConfig(server.ConnString())
	require.NoError(t, err)
	config.RuntimeParams["search_path"] = a.name
	a.conn, err = pgx.ConnectConfig(background(t), config)
	require.NoError(t, err)
	a.exec("create schema " + a.name)
	t.Cleanup(func() {
		a.exec("set client_min_messages = warning; drop schema " + a.name + " cascade")
		require.NoError(t, a.conn.Close(context.Background()))
	})
	return a
}

// config is for pools that work in the test's part of the database.
func (a *admin) config(change func(c *pool.Config)) *pool.Config {
	c, err := pool.ParseConfig(server.ConnString())
	require.NoError(a.t, err)
	c.ConnConfig.RuntimeParams["search_path"] = a.name
	c.ConnConfig.RuntimeParams["application_name"] = a.name
	change(c)
	return c
}

// exec runs statements that must succeed.
func (a *admin) exec(sql string, args ...any) {
	_, err := a.conn.Exec(background(a.t), sql, args...)
	require.NoError(a.t, err)
}

// count is the one number that a query finds.
func (a *admin) count(sql string, args ...any) (n int) {
	require.NoError(a.t, a.conn.QueryRow(background(a.t), sql, args...).Scan(&n))
	return n
}

const backends = " from pg_stat_activity where application_name = $1"

// await waits until the test's pools have n backends.
func (a *admin) await(n int) { a.awaitCount(n, "select count(*)"+backends, a.name) }

// awaitSleep waits until n of them run pg_sleep.
func (a *admin) awaitSleep(n int) {
	a.awaitCount(n, "select count(*)"+backends+" and wait_event = 'PgSleep'", a.name)
}

// backend is the pid of the one there is.
func (a *admin) backend() uint32 { return uint32(a.count("select pid"+backends, a.name)) }

// awaitDeath waits until a backend is gone.
func (a *admin) awaitDeath(pid uint32) {
	a.awaitCount(0, "select count(*) from pg_stat_activity where pid = $1", pid)
}

func (a *admin) awaitCount(n int, sql string, args ...any) {
	require.Eventually(a.t, func() bool { return a.count(sql, args...) == n }, wide, tick, "want %d: %s", n, sql)
}

func get(t *testing.T, p pool.ConnectionPool, ctx context.Context) *pool.Conn {
	c, err := p.GetConn(ctx)
	require.NoError(t, err)
	return c
}

// A db is whatever statements can be sent to: a pool, a connection, a transaction.
type db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
	Begin(ctx context.Context) (pgx.Tx, error)
}

var _, _, _ db = (*persistent.Pool)(nil), (*pool.Conn)(nil), pgx.Tx(nil)

// exec runs statements that must succeed.
func exec(t *testing.T, d db, ctx context.Context, sql string, args ...any) {
	_, err := d.Exec(ctx, sql, args...)
	require.NoError(t, err, sql)
}

// ask is the one value that a query finds.
func ask[T any](t *testing.T, d db, ctx context.Context, sql string, args ...any) (v T) {
	require.NoError(t, d.QueryRow(ctx, sql, args...).Scan(&v), sql)
	return v
}

// pid asks the server: Conn.Conn would make it an exposed connection.
func pid(t *testing.T, d db, ctx context.Context) uint32 {
	return ask[uint32](t, d, ctx, "select pg_backend_pid()")
}

func begin(t *testing.T, d db, ctx context.Context) pgx.Tx {
	tx, err := d.Begin(ctx)
	require.NoError(t, err)
	return tx
}

// eachVerb tries every verb of a pool and gives f the error, under the verb's name.
// What succeeds is ended.
func eachVerb(ctx context.Context, d db, f func(name string, err error)) {
	_, err := d.Exec(ctx, "select 1")
	f("Exec", err)
	rows, err := d.Query(ctx, "select 1")
	rows.Close()
	f("Query", err)
	var one int
	f("QueryRow", d.QueryRow(ctx, "select 1").Scan(&one))
	var b pgx.Batch
	b.Queue("select 1")
	f("SendBatch", d.SendBatch(ctx, &b).Close())
	_, err = d.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"i"}, pgx.CopyFromRows([][]any{{1}}))
	f("CopyFrom", err)
	tx, err := d.Begin(ctx)
	if err == nil {
		err = tx.Rollback(ctx)
	}
	f("Begin", err)
	if p, ok := d.(interface {
		BeginTx(context.Context, pgx.TxOptions) (pgx.Tx, error)
		Ping(context.Context) error
	}); ok {
		tx, err := p.BeginTx(ctx, pgx.TxOptions{})
		if err == nil {
			err = tx.Rollback(ctx)
		}
		f("BeginTx", err)
		f("Ping", p.Ping(ctx))
	}
}
