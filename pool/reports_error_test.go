package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// Reports about errors, events and logs: what they say, and what errors.Is finds in them.
var reportsOfErrors = []report{
	{"8.1 deadlines", "nine ways to run into one: `errors.Is(err, context.DeadlineExceeded) && pgconn.Timeout(err)`", ofOurs(deadlines), ofTheirs(deadlines)},
	{"8.2 cancels", "the same with a cancel: `errors.Is(err, context.Canceled)`", ofOurs(cancels), ofTheirs(cancels)},
	{"14.1 reset undoes AfterConnect", "what AfterConnect has set, for the second borrower, after DISCARD ALL", afterDiscardAll, afterDiscardAllTheirs},
	{"15.1 connects that hang", "a get that waits in vain meanwhile", connectsHang, connectsHangTheirs},
	{"15.2 closed pool", "`errors.Is(err, puddle.ErrClosedPool)`, which job queues stop on", ofOurs(isClosedPool), ofTheirs(isClosedPool)},
	{"15.3 enums", "printed with %v", printedEnums, nil},
	{"15.4 passwords", fmt.Sprintf("shown by errors of %d forms of connection strings", len(secretive)), passwordsShown, passwordsShownTheirs},
	{"17.1 ended before", "eight verbs with a context that has ended: `err == context.Canceled`",
		ofOurs(endedBefore), ofTheirs(endedBefore)},
	{"17.2 closed pool", "a query on a closed pool", ofOurs(closedPool), ofTheirs(closedPool)},
	{"17.3 aborted transaction", "the statement after a cancelled one in a transaction", ofOurs(abortedTx), ofTheirs(abortedTx)},
	{"18.1 revoked by MaxLeaseTime", "a statement that runs longer", revokedByMaxLeaseTime, nil},
	{"18.2 revoked by CloseAll", "a statement that is still running when CloseAll's context ends", revokedByCloseAll, nil},
	{"18.3 holder", "who holds a transaction begun by `pgx.BeginFunc`, with TrackLeases", holderOfBeginFunc, nil},
	{"18.4 outage in the log", "lines at Info of an outage of five failed connects", logOfAnOutage, nil},
	{"18.5 57P01 in the log", "a connection put after the server has ended it", logOfAnEnd, nil},
	{"18.6 last event", "closed pools that had told their last event when CloseAll returned", lastEvents, nil},
	{"18.7 acquire timeout", "a get that waited for AcquireTimeout, no context having ended; and what a slog.TextHandler makes of the error",
		acquireTimeout, nil},
	{"16.4 bad returns", "lines at Info of connections put in a transaction, in a failed one, with rows half read, under COPY, and dead",
		badReturns, nil},
	{"18.8 half-read rows", "the line at Info of a connection put with rows half read", logOfHalfReadRows, nil},
}

// An either is a pool, ours or pgxpool's.
type either interface {
	migrated
	Ping(ctx context.Context) error
	Close()
}

// isOurs reports whether p is held to what is right.
func isOurs(p either) bool { _, ours := p.(*pool.Pool); return ours }

// ofOurs plays with a pool of ours on a database of its own.
func ofOurs(play func(t *testing.T, p either) string) func(t *testing.T) string {
	return func(t *testing.T) string {
		p, err := pool.New(background(t), server.Database(t))
		require.NoError(t, err)
		t.Cleanup(p.Close)
		return play(t, p)
	}
}

// ofTheirs plays with pgxpool.
func ofTheirs(play func(t *testing.T, p either) string) func(t *testing.T) string {
	return func(t *testing.T) string {
		p, err := pgxpool.New(background(t), server.Database(t))
		require.NoError(t, err)
		t.Cleanup(p.Close)
		return play(t, p)
	}
}

// verbErrors are the errors of all verbs with ctx.
func verbErrors(ctx context.Context, p either) map[string]error {
	_, exec := p.Exec(ctx, "select 1")
	rows, query := p.Query(ctx, "select 1")
	rows.Close()
	b := &pgx.Batch{}
	b.Queue("select 1")
	_, begin := p.Begin(ctx)
	_, copied := p.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"i"}, pgx.CopyFromRows(nil))
	return map[string]error{
		"Exec": exec, "Query": query, "Rows.Err": rows.Err(), "QueryRow": p.QueryRow(ctx, "select 1").Scan(new(int)),
		"SendBatch": p.SendBatch(ctx, b).Close(), "Begin": begin, "CopyFrom": copied, "Ping": p.Ping(ctx),
	}
}

func endedBefore(t *testing.T, p either) string {
	require.NoError(t, p.Ping(background(t)), "a connection is idle")
	bare, all := 0, verbErrors(ended(), p)
	for verb, err := range all {
		if err == context.Canceled {
			bare++
		} else if isOurs(p) {
			require.Equal(t, context.Canceled, err, verb)
		}
	}
	return fmt.Sprintf("%d of %d", bare, len(all))
}

func closedPool(t *testing.T, p either) string {
	p.Close()
	for verb, err := range verbErrors(background(t), p) {
		require.EqualError(t, err, "closed pool", verb)
	}
	return "`closed pool`"
}

func abortedTx(t *testing.T, p either) string {
	ctx := background(t)
	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err = tx.Exec(short, sleeps)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = tx.Exec(ctx, "select 1")
	require.Error(t, err)
	if isOurs(p) {
		require.Equal(t, "25P02", code(err))
		require.NoError(t, tx.Rollback(ctx))
		require.EqualValues(t, 1, p.(*pool.Pool).Stat().NewConnsCount())
		require.NoError(t, p.Ping(ctx))
		require.EqualValues(t, 1, p.(*pool.Pool).Stat().NewConnsCount(), "it is kept")
	} else {
		_ = tx.Rollback(ctx)
	}
	return fmt.Sprintf("`%v`", err)
}

func revokedByMaxLeaseTime(t *testing.T) string {
	p, _ := configured(t, func(c *pool.Config) { c.MaxLeaseTime = 100 * time.Millisecond })
	ctx := background(t)
	c := get(t, p)
	_, err := c.Exec(ctx, sleeps)
	isRevokedHeld := func(err error) {
		var revoked *pool.RevokedError
		require.ErrorAs(t, err, &revoked)
		require.Equal(t, pool.ReasonHeld, revoked.Reason)
		require.EqualError(t, err, "connection revoked: held longer than MaxLeaseTime (100ms)")
		require.ErrorIs(t, err, pool.ErrRevoked)
		require.NotErrorIs(t, err, pool.ErrClosed)
	}
	isRevokedHeld(err)
	_, next := c.Exec(ctx, "select 1")
	isRevokedHeld(next)
	isRevokedHeld(c.QueryRow(ctx, "select 1").Scan(new(int)))
	isRevokedHeld(p.PutConn(c))

	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, sleeps)
	isRevokedHeld(err)
	isRevokedHeld(tx.Commit(ctx))

	shared := get(t, p, pool.WithKey("k"))
	_, err = shared.Exec(ctx, sleeps)
	isRevokedHeld(err)
	isRevokedHeld(p.PutConn(shared))
	return fmt.Sprintf("`%v`", err)
}

func revokedByCloseAll(t *testing.T) string {
	p, a := configured(t, func(*pool.Config) {})
	failed := make(chan error)
	go func() {
		_, err := p.Exec(context.Background(), sleeps)
		failed <- err
	}()
	a.awaitRunning(sleeps)
	var closed *pool.CloseError
	require.ErrorAs(t, p.CloseAll(ended()), &closed)
	err := <-failed
	var revoked *pool.RevokedError
	require.ErrorAs(t, err, &revoked)
	require.Equal(t, pool.ReasonClosing, revoked.Reason)
	require.ErrorIs(t, err, pool.ErrClosed)
	require.EqualError(t, err, "connection revoked: pool closing")
	return fmt.Sprintf("`%v`, ErrClosed", err)
}

func holderOfBeginFunc(t *testing.T) (seen string) {
	p, _ := configured(t, func(c *pool.Config) { c.TrackLeases = true })
	ctx := background(t)
	for _, begin := range []func(func(pgx.Tx) error) error{
		func(f func(pgx.Tx) error) error { return pgx.BeginFunc(ctx, p, f) },
		func(f func(pgx.Tx) error) error { return pgx.BeginTxFunc(ctx, p, pgx.TxOptions{}, f) },
	} {
		require.NoError(t, begin(func(pgx.Tx) error {
			leases := p.Leases()
			require.Len(t, leases, 1)
			require.Contains(t, leases[0].Holder, "pool_test.holderOfBeginFunc")
			seen, _, _ = strings.Cut(leases[0].Holder, " ")
			return nil
		}))
	}
	return "`" + seen + "`"
}

// logging has a pool log to the buffer, at Info. It may be read after CloseAll.
func logging(b *bytes.Buffer) func(pool.Event) {
	return pool.LogEvents(slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
}

func logOfAnOutage(t *testing.T) string {
	var b bytes.Buffer
	down := atomic.Int64{}
	down.Store(5)
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns, c.OutagePolicy, c.OnEvent = 1, pool.WaitForServer, logging(&b)
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			if down.Add(-1) >= 0 {
				return nil, errors.New("no server")
			}
			return dial(ctx, network, address)
		}
	})
	get(t, p).Release()
	require.NoError(t, p.CloseAll(background(t)))
	lines := strings.Split(b.String(), "\n")
	require.Regexp(t, `^level=WARN msg="pool: open failed" error=".*no server" n=1$`, lines[0])
	require.Regexp(t, `^level=ERROR msg="pool: outage began" error=".*no server"$`, lines[1])
	require.Regexp(t, `^level=INFO msg="pool: outage ended" n=5 lasted=[\d.]+m?s$`, lines[2])
	require.Equal(t, `level=INFO msg="pool: closing"`, lines[3])
	return regexp.MustCompile(`lasted=.*`).ReplaceAllString(fmt.Sprintf("3: the first failure, the outage, `%s`", lines[2]), "lasted=…`")
}

func logOfAnEnd(t *testing.T) string {
	var b bytes.Buffer
	p, a := configured(t, func(c *pool.Config) { c.OnEvent = logging(&b) })
	c := get(t, p)
	a.terminate(pid(c))
	_, err := c.Exec(background(t), "select 1")
	require.Error(t, err)
	c.Release()
	rested := get(t, p)
	was := pid(rested)
	rested.Release()
	a.terminate(was)
	get(t, p).Release() // looks first
	require.NoError(t, p.CloseAll(background(t)))
	const word = `error="FATAL: terminating connection due to administrator command (SQLSTATE 57P01)"`
	var lines []string
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "pool: closed") { // two in a second begin an outage, too
			lines = append(lines, line)
		}
	}
	require.Equal(t, `level=INFO msg="pool: closed" conn=1 reason=discarded `+word+"\n", lines[0])
	require.Equal(t, `level=INFO msg="pool: closed" conn=2 reason=unfit `+word+"\n", lines[1])
	return "`" + strings.TrimSpace(lines[0]) + "`"
}

func lastEvents(t *testing.T) string {
	const pools = 20
	told := 0
	for range pools {
		var last atomic.Bool
		config := serverless(t)
		config.OnEvent = func(e pool.Event) {
			time.Sleep(time.Millisecond) // a log to a disk
			if e.Kind == pool.EventEnded {
				last.Store(true)
			}
		}
		p, err := pool.NewWithConfig(background(t), config)
		require.NoError(t, err)
		require.NoError(t, p.CloseAll(background(t)))
		if last.Load() {
			told++
		}
	}
	require.Greater(t, told, pools/2, "all, but on a machine that stalls for 250 ms")
	return fmt.Sprintf("%d of %d", told, pools)
}

func acquireTimeout(t *testing.T) string {
	p, _ := configured(t, func(c *pool.Config) { c.MinConns, c.MaxConns, c.AcquireTimeout = 1, 1, 50*time.Millisecond })
	require.NoError(t, p.WaitReady(background(t)))
	c := get(t, p)
	defer c.Release()
	_, err := p.GetConn(background(t))
	require.Regexp(t, `^get timed out after [\d.]+m?s: pool exhausted \(1 of 1 in use, 0 others waiting\)$`, err.Error())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, pool.ErrAcquireTimeout)
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "error", err)
	require.Contains(t, b.String(), ` error.msg="get timed out after `)
	require.Contains(t, b.String(), " error.limit=1 error.leased=1 ")
	return "`" + regexp.MustCompile(`[\d.]+m?s`).ReplaceAllString(err.Error(), "…") + "`, `error.limit=1 error.leased=1 …`"
}

func logOfHalfReadRows(t *testing.T) string {
	var b bytes.Buffer
	p, _ := configured(t, func(c *pool.Config) { c.OnEvent = logging(&b) })
	c := get(t, p)
	rows, err := c.Query(background(t), "select generate_series(1, 100000)")
	require.NoError(t, err)
	require.True(t, rows.Next())
	c.Release()
	require.NoError(t, p.CloseAll(background(t)))
	const line = `level=INFO msg="pool: closed" conn=1 reason=discarded error="put with rows half read, or a batch or COPY under way`
	require.Contains(t, b.String(), line) // and that the server was slow to end it, if it was
	return "`" + line + "\"`"
}

// awaitRunning waits until a backend runs a statement.
func (a *admin) awaitRunning(sql string) {
	require.Eventually(a.t, func() bool {
		var n int
		require.NoError(a.t, a.conn.QueryRow(background(a.t), `select count(*) from pg_stat_activity
			where datname = current_database() and state = 'active' and query = $1`, sql).Scan(&n))
		return n == 1
	}, wide, 2*time.Millisecond)
}

// connectsHang has a get wait for connects that do not come to an end.
func connectsHang(t *testing.T) string {
	dialing := make(chan struct{}, 10)
	config, err := pool.ParseConfig("host=h user=u pool_max_conns=2 pool_acquire_timeout=100ms")
	require.NoError(t, err)
	config.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error {
		dialing <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	_, err = p.GetConn(background(t))
	require.Regexp(t, `^get timed out after [\d.]+m?s: no resource available `+
		`\(0 of 2 in use, 1 being opened for up to [\d.]+m?s, 0 others waiting\)$`, err.Error())
	<-dialing
	return "`" + regexp.MustCompile(`[\d.]+m?s`).ReplaceAllString(err.Error(), "…") + "`"
}

func connectsHangTheirs(t *testing.T) string {
	config, err := pgxpool.ParseConfig("host=h user=u pool_max_conns=2")
	require.NoError(t, err)
	config.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error {
		<-ctx.Done()
		return ctx.Err()
	}
	p, err := pgxpool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(background(t), 100*time.Millisecond)
	defer cancel()
	_, err = p.Acquire(ctx)
	require.Error(t, err)
	p.Close()
	return fmt.Sprintf("`%v`", err)
}

func isClosedPool(t *testing.T, p either) string {
	closed, err := pgxpool.New(background(t), server.Database(t))
	require.NoError(t, err)
	closed.Close()
	_, theirs := closed.Acquire(background(t)) // puddle.ErrClosedPool
	p.Close()
	for verb, err := range verbErrors(background(t), p) {
		require.ErrorIs(t, err, theirs, verb)
	}
	return "true"
}

func printedEnums(t *testing.T) string {
	enums := []any{
		pool.FailFast, pool.WaitForServer, pool.CancelQuery, pool.CloseConn, pool.Rollback, pool.CloseDirty,
		pool.EventOpened, pool.EventEnded, pool.ReasonNone, pool.ReasonUsed,
	}
	require.Equal(t, "[fail_fast wait_for_server cancel_query close_conn rollback close_dirty opened ended no reason used after the end of its lease]",
		fmt.Sprint(enums))
	return "words"
}

func passwordsShown(t *testing.T) string {
	for _, connString := range secretive {
		hidesSecret(t, connString)
	}
	return "0"
}

func passwordsShownTheirs(t *testing.T) string {
	shown := 0
	for _, connString := range secretive {
		p, err := pgxpool.New(background(t), connString)
		if err == nil {
			p.Close()
			continue
		}
		if text := err.Error(); strings.Contains(text, secretA) || strings.Contains(text, secretB) {
			shown++
		}
	}
	return fmt.Sprintf("%d, by errors of ParseConfig", shown)
}

// runInto are the errors of ways to run into the end of the context that soon returns.
func runInto(t *testing.T, p either, soon func() context.Context) map[string]error {
	ctx := background(t)
	ready := func() context.Context { // a connection is idle
		require.NoError(t, p.Ping(ctx))
		return soon()
	}
	errs := map[string]error{}
	_, errs["Exec"] = p.Exec(ready(), sleeps)
	rows, _ := p.Query(ready(), sleeps)
	for rows.Next() {
	}
	errs["Query"] = rows.Err()
	errs["QueryRow"] = p.QueryRow(ready(), sleeps).Scan(new(any))
	b := &pgx.Batch{}
	b.Queue(sleeps)
	errs["SendBatch"] = p.SendBatch(ready(), b).Close()
	_, errs["CopyFrom"] = p.CopyFrom(ready(), pgx.Identifier{"sleepy"}, []string{"i"}, pgx.CopyFromRows([][]any{{1}}))

	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	_, errs["Tx.Exec"] = tx.Exec(soon(), sleeps)
	_ = tx.Rollback(ctx)
	tx, err = p.Begin(ctx)
	require.NoError(t, err)
	over := soon()
	<-over.Done()
	errs["Commit"] = tx.Commit(over)

	tx, err = p.Begin(ctx)
	require.NoError(t, err)
	errs["get"] = p.Ping(soon())
	nested, err := tx.Begin(ctx)
	require.NoError(t, err)
	_, errs["savepoint"] = nested.Exec(soon(), sleeps)
	_ = tx.Rollback(ctx)
	return errs
}

// sleepy makes a table into which a COPY takes 20 s.
func sleepy(t *testing.T, p either) {
	_, err := p.Exec(background(t), `create table sleepy (i int);
		create function sleep() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return new; end $$;
		create trigger sleeps before insert on sleepy for each row execute function sleep()`)
	require.NoError(t, err)
}

func deadlines(t *testing.T, p either) string {
	sleepy(t, p)
	p = ofOne(t, p)
	errs := runInto(t, p, func() context.Context {
		ctx, cancel := context.WithTimeout(background(t), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	})
	found := 0
	for way, err := range errs {
		if errors.Is(err, context.DeadlineExceeded) && pgconn.Timeout(err) {
			found++
		} else if isOurs(p) && err == context.DeadlineExceeded {
			found++ // the machine has stalled, and it had ended before
		} else if isOurs(p) {
			t.Errorf("%s: %v", way, err)
		}
		if isOurs(p) {
			require.False(t, pgconn.SafeToRetry(err), "%s: it may have been done", way)
		}
	}
	return fmt.Sprintf("%d of %d", found, len(errs))
}

func cancels(t *testing.T, p either) string {
	sleepy(t, p)
	p = ofOne(t, p)
	errs := runInto(t, p, func() context.Context {
		ctx, cancel := context.WithCancel(background(t))
		time.AfterFunc(50*time.Millisecond, cancel)
		return ctx
	})
	found := 0
	for way, err := range errs {
		if errors.Is(err, context.Canceled) {
			found++
		} else if isOurs(p) {
			t.Errorf("%s: %v", way, err)
		}
		if isOurs(p) {
			require.False(t, pgconn.Timeout(err), way)
		}
	}
	return fmt.Sprintf("%d of %d", found, len(errs))
}

// ofOne makes a pool of one connection with the configuration of p.
func ofOne(t *testing.T, p either) either {
	ctx := background(t)
	switch p := p.(type) {
	case *pool.Pool:
		config := p.Config()
		config.MaxConns = 1
		q, err := pool.NewWithConfig(ctx, config)
		require.NoError(t, err)
		t.Cleanup(q.Close)
		require.NoError(t, q.Ping(ctx))
		return q
	case *pgxpool.Pool:
		config := p.Config()
		config.MaxConns = 1
		q, err := pgxpool.NewWithConfig(ctx, config)
		require.NoError(t, err)
		t.Cleanup(q.Close)
		require.NoError(t, q.Ping(ctx))
		return q
	default:
		panic(p)
	}
}

const setUp = "set my.region = 'eu'"

// configures is an AfterConnect.
func configures(ctx context.Context, c *pgx.Conn) error { _, err := c.Exec(ctx, setUp); return err }

// region asks for what configures has set.
func region(t *testing.T, on interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (region string) {
	require.NoError(t, on.QueryRow(background(t), "select current_setting('my.region', true)").Scan(&region))
	return region
}

func afterDiscardAll(t *testing.T) string {
	for name, reset := range map[string]func(ctx context.Context, c *pgx.Conn) error{
		"DiscardAll": pool.DiscardAll,
		"their own":  func(ctx context.Context, c *pgx.Conn) error { _, err := c.Exec(ctx, "reset all"); return err },
	} {
		p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.AfterConnect, c.ResetSession = 1, configures, reset })
		for range 3 {
			c := get(t, p)
			require.Equal(t, "eu", region(t, c), name)
			_, err := c.Exec(background(t), "set my.region = 'elsewhere'")
			require.NoError(t, err)
			c.Release()
		}
		require.EqualValues(t, 1, p.Stat().NewConnsCount())
		a.await(1)
	}

	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.AfterConnect = 1, configures })
	view, err := p.Keyed(pool.Keying{
		Key:      func(context.Context) (any, error) { return "k", nil },
		OnUnbind: func(ctx context.Context, _ any, c *pgx.Conn) error { return pool.DiscardAll(ctx, c) },
	})
	require.NoError(t, err)
	for range 2 {
		require.Equal(t, "eu", region(t, view), "OnUnbind")
	}
	require.EqualValues(t, 1, p.Stat().NewConnsCount())
	return "there"
}

func afterDiscardAllTheirs(t *testing.T) string {
	config, err := pgxpool.ParseConfig(server.Database(t))
	require.NoError(t, err)
	config.MaxConns, config.AfterConnect = 1, configures
	released := make(chan bool, 10)
	config.AfterRelease = func(c *pgx.Conn) bool {
		err := pool.DiscardAll(context.Background(), c)
		released <- true
		return err == nil
	}
	p, err := pgxpool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	require.Equal(t, "eu", region(t, p))
	<-released
	var second *string
	require.NoError(t, p.QueryRow(background(t), "select nullif(current_setting('my.region', true), '')").Scan(&second))
	if second == nil {
		return "gone, with DISCARD ALL in AfterRelease"
	}
	return "there"
}

// badReturns puts a connection in each state that psycopg warns of.
func badReturns(t *testing.T) string {
	var b bytes.Buffer
	p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.OnEvent = 1, logging(&b) })
	ctx := background(t)
	for _, leave := range []func(c *pool.Conn){
		func(c *pool.Conn) {
			_, err := c.Begin(ctx)
			require.NoError(t, err)
		},
		func(c *pool.Conn) {
			_, err := c.Exec(ctx, "begin")
			require.NoError(t, err)
			_, err = c.Exec(ctx, "select 1/0")
			require.Error(t, err)
		},
		func(c *pool.Conn) {
			rows, err := c.Query(ctx, "select generate_series(1, 100000)")
			require.NoError(t, err)
			require.True(t, rows.Next())
		},
		func(c *pool.Conn) {
			pc := c.Conn().PgConn()
			pc.Frontend().SendQuery(&pgproto3.Query{String: "copy (select 1) to stdout"})
			require.NoError(t, pc.Frontend().Flush())
			pc.Exec(ctx, "select 1") // busy, with the answer to the COPY before its own
		},
		func(c *pool.Conn) {
			a.terminate(pid(c))
			_, err := c.Exec(ctx, "select 1")
			require.Error(t, err)
		},
	} {
		c := get(t, p)
		leave(c)
		c.Release()
	}
	get(t, p).Release()
	require.NoError(t, p.CloseAll(ctx))
	var seen []string
	for line := range strings.Lines(b.String()) {
		if state := regexp.MustCompile(`error="?(.*?)"?$`).FindStringSubmatch(strings.TrimSpace(line)); state != nil {
			seen = append(seen, strings.TrimSuffix(state[1], "; "+context.DeadlineExceeded.Error())) // of the close
		}
	}
	const unread = "put with rows half read, or a batch or COPY under way"
	require.Equal(t, []string{
		"put in a transaction", "put in a failed transaction", unread, unread,
		"FATAL: terminating connection due to administrator command (SQLSTATE 57P01)",
	}, seen)
	return strings.Join(seen, "; ")
}
