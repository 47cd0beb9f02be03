package pool_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// Reports about what programs and tests of a migrant meet: handles that have ended, tracers,
// leak detectors, the server of the tests, and keys.
var reportsOfMigrants = []report{
	{"15.4 rest", "requests of 64 KiB, of 63, that are still reachable when the connection is idle, the last handle kept",
		func(t *testing.T) string { return restingUs(t, keptByRest) }, func(t *testing.T) string { return restingThem(t, keptByRest) }},
	{"15.13 rows after their end", "names of their columns, while the next borrower reads `theirs`; then Scan",
		func(t *testing.T) string { return restingUs(t, readAfterEnd) }, func(t *testing.T) string { return restingThem(t, readAfterEnd) }},
	{"15.16 tracers", "connections in use by a tracer's count, after AcquireAllIdle and after Hijack, while none is", tracedUs, tracedThem},
	{"15.19 pooltest's password", "another user of the machine connects", strangersConnect, nil},
	{"15.19 DATABASE_URL", "with `pool_max_conns`", opensAPoolsURL, nil},
	{"15.20 goleak", "goroutines of an open pool, but for those of the documented line", leaksUs, leaksThem},
	{"15.20 pool_compat=pgxpool", "connections opened for a statement whose context ends, and for a put in a transaction",
		compatUs, func(t *testing.T) string { return restingThem(t, costOfHabits) }},
	{"16.3 a key's next holder", "after a put with rows half read: its statement, and its put", afterUnreadRows, nil},
	{"16.5 sizes after Resize", "MinConns of `Stat` and `Config`, MaxConns likewise, after `Resize(2, 3)`", sizesAfterResize, nil},
}

// A migrated pool is what both pools, and what they lend, offer to a program.
type migrated interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
	Begin(ctx context.Context) (pgx.Tx, error)
}

// restingUs plays with a pool of one connection, restingThem with pgxpool's.
func restingUs(t *testing.T, play func(t *testing.T, p migrated) string) string {
	return play(t, single(t))
}

func restingThem(t *testing.T, play func(t *testing.T, p migrated) string) string {
	return play(t, migrantsPool(t, nil))
}

// migrantsPool makes a pool of pgxpool's with one connection.
func migrantsPool(t *testing.T, tracer pgx.QueryTracer) *pgxpool.Pool {
	config, err := pgxpool.ParseConfig(newAdmin(t).url)
	require.NoError(t, err)
	config.MaxConns, config.ConnConfig.Tracer = 1, tracer
	p, err := pgxpool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// keptByRest says how many of the requests that a pool has served it still keeps.
func keptByRest(t *testing.T, p migrated) string {
	const requests = 63
	var alive atomic.Int64
	var last pgx.Rows
	for range requests {
		b := make([]byte, 64<<10)
		alive.Add(1)
		runtime.AddCleanup(&b[0], func(alive *atomic.Int64) { alive.Add(-1) }, &alive)
		ctx := context.WithValue(background(t), mark{}, b)
		require.NoError(t, p.QueryRow(ctx, "select length($1::bytea)", b).Scan(new(int)))
		rows, err := p.Query(ctx, "select length($1::bytea)", b)
		require.NoError(t, err)
		for rows.Next() {
		}
		require.NoError(t, rows.Err())
		last = rows
	}
	_, err := p.Exec(background(t), "select 1") // pgx itself keeps the last statement
	require.NoError(t, err)
	var left int64
	for range 20 { // a finalizer's goroutine may need a moment
		runtime.GC()
		if left = alive.Load(); left == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, ours := p.(*pool.Pool); ours {
		require.Eventually(t, func() bool { runtime.GC(); return alive.Load() == 0 }, wide, time.Millisecond)
	}
	runtime.KeepAlive(last)
	return fmt.Sprintf("%d", left)
}

// readAfterEnd uses rows that have ended while the connection is the next borrower's.
func readAfterEnd(t *testing.T, p migrated) string {
	mine, err := p.Query(background(t), "select 1 as mine")
	require.NoError(t, err)
	mine.Close()
	theirs, err := p.Query(background(t), "select 2 as theirs")
	require.NoError(t, err)
	require.True(t, theirs.Next())
	var names []string
	for _, f := range mine.FieldDescriptions() {
		names = append(names, f.Name)
	}
	err = mine.Scan(new(int))
	theirs.Close()
	require.NoError(t, theirs.Err())
	if _, ours := p.(*pool.Pool); ours {
		require.Empty(t, names)
		require.ErrorIs(t, err, pool.ErrNotLeased)
	}
	return fmt.Sprintf("%q, %v", names, err)
}

// useEachVerb has each of a pool's verbs take and give back a connection, and returns
// how many it has taken.
func useEachVerb(t *testing.T, p migrated) int {
	ctx := background(t)
	_, err := p.Exec(ctx, "create temporary table copied (i int)")
	require.NoError(t, err)
	rows, err := p.Query(ctx, "select 1")
	require.NoError(t, err)
	rows.Close()
	require.NoError(t, p.QueryRow(ctx, "select 1").Scan(new(int)))
	var b pgx.Batch
	b.Queue("select 1")
	require.NoError(t, p.SendBatch(ctx, &b).Close())
	_, err = p.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"i"}, pgx.CopyFromRows([][]any{{1}}))
	require.NoError(t, err)
	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	return 6
}

// inUse counts what a tracer was told.
func inUse(said []string) (taken, givenBack int) {
	for _, s := range said {
		switch {
		case s == "end with a connection":
			taken++
		case strings.HasPrefix(s, "release"):
			givenBack++
		}
	}
	return taken, givenBack
}

func tracedUs(t *testing.T) string {
	said := make(chan string, 100)
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.ConnConfig.Tracer = 1, ourTracer{said: said} })
	balanced := func(what string, want int) {
		taken, givenBack := inUse(drained(said))
		require.Equal(t, want, taken, what)
		require.Equal(t, want, givenBack, what)
	}
	balanced("verbs", useEachVerb(t, p))
	for _, c := range p.AcquireAllIdle(background(t)) {
		c.Release()
	}
	balanced("AcquireAllIdle", 1)
	require.NoError(t, get(t, p).Hijack().Close(background(t)))
	balanced("Hijack", 1)
	require.NoError(t, p.PutConn(get(t, p, pool.WithKey("k")), pool.WithClose()))
	balanced("a key", 1)
	return "0, 0"
}

func tracedThem(t *testing.T) string {
	said := make(chan string, 100)
	p := migrantsPool(t, pgxpoolsTracer{said})
	useEachVerb(t, p)
	drained(said)
	for _, c := range p.AcquireAllIdle(background(t)) {
		c.Release()
	}
	taken, givenBack := inUse(drained(said))
	c, err := p.Acquire(background(t))
	require.NoError(t, err)
	require.NoError(t, c.Hijack().Close(background(t)))
	after, back := inUse(drained(said))
	return fmt.Sprintf("%d, %d", taken-givenBack, after-back)
}

// pgxpoolsTracer is told of pgxpool's acquires and releases.
type pgxpoolsTracer struct{ said chan string }

func (pgxpoolsTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (pgxpoolsTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (pgxpoolsTracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return ctx
}

func (p pgxpoolsTracer) TraceAcquireEnd(_ context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	p.said <- end(true, data.Conn, data.Err)
}

func (p pgxpoolsTracer) TraceRelease(_ *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	p.said <- "release " + alive(data.Conn)
}

// strangersConnect connects to the server of the tests without its password.
func strangersConnect(t *testing.T) string {
	s := server
	if s.External() {
		private, err := pooltest.Start(background(t), pooltest.AllowInstall())
		require.NoError(t, err)
		defer private.Close()
		s = private
	}
	config, err := pgx.ParseConfig(s.ConnString())
	require.NoError(t, err)
	config.Password = ""
	_, err = pgx.ConnectConfig(background(t), config)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "28P01", refused.Code)
	return refused.Message
}

// opensAPoolsURL opens the server of a DATABASE_URL that is meant for a pool.
func opensAPoolsURL(t *testing.T) string {
	t.Setenv("DATABASE_URL", withParameter(t, newAdmin(t).url, "pool_max_conns", "5"))
	s, err := pooltest.Open(background(t))
	require.NoError(t, err)
	conn, err := pgx.Connect(background(t), s.Database(t))
	require.NoError(t, err)
	require.NoError(t, conn.Close(background(t)))
	return "opened"
}

// documentedLine is what the package's documentation tells to give to goleak.
var documentedLine = regexp.MustCompile(`goleak\.IgnoreAnyFunction\("([^"]+)"\)`)

func leaksUs(t *testing.T) string {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	line := documentedLine.FindSubmatch(text)
	require.NotNil(t, line, "doc.go has no such line")
	hooked, goOn := make(chan struct{}), make(chan struct{})
	others := goleak.IgnoreCurrent() // other tests' connections may still be ending
	p, _ := configured(t, func(c *pool.Config) {
		c.MinConns, c.MaxConns, c.OnEvent = 1, 2, func(pool.Event) {}
		c.AfterRelease = func(*pgx.Conn) bool { close(hooked); <-goOn; return true }
	})
	defer close(goOn)
	require.NoError(t, p.WaitReady(background(t)))
	get(t, p).Release()
	<-hooked // in a goroutine of the pool's
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	name := string(line[1])
	require.GreaterOrEqual(t, strings.Count(string(stacks), "\n"+name+"("), 3, "the supervisor, its reporter and the hook's: %s", stacks)
	require.NoError(t, goleak.Find(others, goleak.IgnoreAnyFunction(name)))
	return "none"
}

func leaksThem(t *testing.T) string {
	others := goleak.IgnoreCurrent()
	defer migrantsPool(t, nil).Close()
	err := goleak.Find(others, goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
	if err == nil {
		return "none"
	}
	return "some"
}

// costOfHabits says how many connections each of two habits costs.
func costOfHabits(t *testing.T, p migrated) string {
	ctx := background(t)
	counted := p.(interface{ Ping(context.Context) error })
	require.NoError(t, counted.Ping(ctx))
	before := openedBy(p)
	soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err := p.Exec(soon, "select pg_sleep(60)")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, counted.Ping(ctx))
	cancelled := openedBy(p)
	_, err = p.Exec(ctx, "begin")
	require.NoError(t, err)
	require.NoError(t, counted.Ping(ctx))
	return fmt.Sprintf("%d, %d", cancelled-before, openedBy(p)-cancelled)
}

func openedBy(p migrated) int64 {
	switch p := p.(type) {
	case *pool.Pool:
		return p.Stat().NewConnsCount()
	case *pgxpool.Pool:
		return p.Stat().NewConnsCount()
	default:
		return 0
	}
}

func compatUs(t *testing.T) string {
	p, err := pool.New(background(t), withParameter(t, withParameter(t, newAdmin(t).url, "pool_max_conns", "1"), "pool_compat", "pgxpool"))
	require.NoError(t, err)
	t.Cleanup(p.Close)
	seen := costOfHabits(t, p)
	require.Equal(t, "1, 1", seen)
	return seen
}

func afterUnreadRows(t *testing.T) string {
	p, _ := threaded(t, 0, 2)
	first := get(t, p, pool.WithKey("k"))
	_, err := first.Query(background(t), "select generate_series(1, 10)")
	require.NoError(t, err)
	require.NoError(t, p.PutConn(first))
	next := get(t, p, pool.WithKey("k"))
	_, err = next.Exec(background(t), "select 1")
	require.NoError(t, err)
	require.NoError(t, p.PutConn(next))
	require.Zero(t, p.Stat().RevokedCount())
	return "both succeed"
}

func sizesAfterResize(t *testing.T) string {
	p, _ := threaded(t, 0, 1)
	require.NoError(t, p.Resize(2, 3))
	s, c := p.Stat(), p.Config()
	seen := fmt.Sprintf("%d, %d; %d, %d", s.MinConns(), c.MinConns, s.MaxConns(), c.MaxConns)
	require.Equal(t, "2, 2; 3, 3", seen)
	return seen
}
