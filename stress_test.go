// Package pgactor_test is the stress test of the whole: a pool on a real
// PostgreSQL, under everything that borrowers and servers do to pools.
//
//	go test -race . -run TestStress -v
//	go test -race . -run TestStress -v -stress.seed 42 -stress.ops 100000
//	go test -race . -run TestChaos -v -timeout 15m -stress.chaos 10m
package pgactor_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var (
	seed = flag.Uint64("stress.seed", 0, "seed of the borrowers' dice; 0: a new one")
	ops  = flag.Int("stress.ops", 6000, "operations in all")
	long = flag.Duration("stress.chaos", 20*time.Second, "how long TestChaos makes faults")
)

const (
	borrowers = 48
	limit     = 6
	wide      = 30 * time.Second // for what must happen at all
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestStress lets many borrowers do their worst. DESIGN's invariants that it
// asserts: never more backends than the limit (1), one owner per connection
// and no borrower's transaction left for the next (2), every get answered (6),
// all connections gone at the end (10).
func TestStress(t *testing.T) {
	s := newStress(t)
	t.Logf("seed %d: go test -race . -run TestStress -stress.seed %d -stress.ops %d", s.seed, s.seed, *ops)
	stop := make(chan struct{})
	watched := make(chan error)
	go func() { watched <- s.watch(stop) }()

	var all sync.WaitGroup
	for i := range borrowers {
		all.Go(func() { s.borrow(i, *ops/borrowers) })
	}
	all.Wait()
	close(stop)
	require.NoError(t, <-watched)
	require.NoError(t, s.pool.CloseAll(s.ctx))
	require.Equal(t, s.asked.Load(), s.lent.Load()+s.refused.Load(), "every get answered (invariant 6)")
	s.checkTable()
	require.Eventually(t, func() bool { return len(s.backends()) == 0 }, wide, 5*time.Millisecond, "connections left (invariant 10)")
	t.Logf("%d gets: %d leases, %d cancelled; %d commits; %d backends terminated",
		s.asked.Load(), s.lent.Load(), s.refused.Load(), s.committed.Load(), s.terminated.Load())
	assert.Positive(t, s.refused.Load())
	assert.Positive(t, s.committed.Load())
	assert.Positive(t, s.terminated.Load())
}

// stress is one run.
type stress struct {
	t     *testing.T
	ctx   context.Context
	seed  uint64
	pool  *pool.Pool
	admin *pool.Pool // a pool of its own, that nobody harms
	held  sync.Map   // backends of the connections that are lent
	ended sync.Map   // backends that end, or may: the server may list them for a while

	out, asked, lent, refused, committed, terminated atomic.Int64
}

func newStress(t *testing.T) *stress {
	server, err := pooltest.Open(context.Background(), pooltest.AllowInstall())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	url := server.Database(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)

	admin, err := pool.NewThreaded(ctx, 2, 2, url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.CloseAll(context.Background())) })
	s := &stress{t: t, ctx: ctx, seed: *seed, admin: admin}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	s.query(func(c *pool.Conn) error {
		_, err := c.Exec(ctx, "create table ledger (borrower int, committed bool)")
		return err
	})
	config, err := pool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = limit
	config.MinConns = 1
	config.ConnConfig.RuntimeParams["application_name"] = "stressed"
	// A terminated backend may be noticed by a connect: wait it out.
	config.OutagePolicy = pool.WaitForServer
	s.pool, err = pool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	return s
}

// query runs f on a connection of the admin's pool.
func (s *stress) query(f func(*pool.Conn) error) {
	c, err := s.admin.GetConn(s.ctx)
	if assert.NoError(s.t, err) {
		assert.NoError(s.t, f(c))
		c.Release()
	}
}

// backends lists the server processes of the pool.
func (s *stress) backends() map[uint32]bool {
	found := map[uint32]bool{}
	s.query(func(c *pool.Conn) error {
		rows, err := c.Query(s.ctx, "select pid from pg_stat_activity where application_name = 'stressed'")
		if err != nil {
			return err
		}
		var pid uint32
		_, err = pgx.ForEachRow(rows, []any{&pid}, func() error {
			found[pid] = true
			return nil
		})
		return err
	})
	return found
}

// watch asks the server for the pool's backends again and again: those that are
// not ending are never more than the limit.
func (s *stress) watch(stop chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(5 * time.Millisecond): // the pace of asking, not a wait for anything
		}
		live := 0
		for pid := range s.backends() {
			if _, ends := s.ended.Load(pid); !ends {
				live++
			}
		}
		if live > limit {
			return fmt.Errorf("invariant 1: %d backends, limit %d", live, limit)
		}
	}
}

// borrow is the life of one borrower.
func (s *stress) borrow(me, n int) {
	dice := rand.New(rand.NewPCG(s.seed, uint64(me)))
	for range n {
		s.once(me, dice)
	}
}

// once gets a connection, uses and maltreats it, and gives it back.
func (s *stress) once(me int, dice *rand.Rand) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	if dice.IntN(4) == 0 {
		timer := time.AfterFunc(time.Duration(dice.IntN(30_000))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	var get []pool.GetOption
	keyed := dice.IntN(10) == 0
	if keyed {
		get = append(get, pool.WithKey(me))
	}
	s.asked.Add(1)
	c, err := s.pool.GetConn(ctx, get...)
	if err != nil {
		s.refused.Add(1)
		assert.ErrorIs(s.t, err, context.Canceled)
		return
	}
	s.lent.Add(1)
	pid := c.Conn().PgConn().PID()
	_, taken := s.held.LoadOrStore(pid, me)
	assert.False(s.t, taken, "invariant 2: one owner")
	assert.LessOrEqual(s.t, s.out.Add(1), int64(limit), "invariant 1: lent at the same time")
	s.checkClean(ctx, c)
	s.use(ctx, me, c, dice)
	var put []pool.PutOption
	if dice.IntN(20) == 0 {
		put = append(put, pool.WithClose())
	}
	if pc := c.Conn().PgConn(); len(put) > 0 || pc.IsClosed() || pc.IsBusy() {
		s.ended.Store(pid, true)
	}
	s.out.Add(-1)
	s.held.Delete(pid)
	assert.NoError(s.t, s.pool.PutConn(c, put...))
	assert.ErrorIs(s.t, s.pool.PutConn(c), pool.ErrNotLeased)
}

// checkClean sees that nothing of another borrower's transaction is left.
func (s *stress) checkClean(ctx context.Context, c *pool.Conn) {
	assert.EqualValues(s.t, 'I', c.Conn().PgConn().TxStatus(), "invariant 2: no open transaction")
	var mine string
	if err := c.QueryRow(ctx, "select coalesce(current_setting('stress.mine', true), '')").Scan(&mine); err == nil {
		assert.Empty(s.t, mine, "invariant 2: a setting of another's transaction")
	}
}

// use does one of the things that borrowers do. Statements may fail, because
// the context ends or a backend is terminated; what counts is what is left.
func (s *stress) use(ctx context.Context, me int, c *pool.Conn, dice *rand.Rand) {
	switch dice.IntN(8) {
	case 0: // a transaction, forgotten
		if _, err := c.Begin(ctx); err == nil {
			_, _ = c.Exec(ctx, "set local stress.mine = 'yes'")
			_, _ = c.Exec(ctx, "insert into ledger values ($1, false)", me)
		}
	case 1: // a transaction, committed
		if tx, err := c.Begin(ctx); err == nil {
			_, err := tx.Exec(ctx, "insert into ledger values ($1, true)", me)
			if err == nil && tx.Commit(ctx) == nil {
				s.committed.Add(1)
			}
		}
	case 2: // a failed transaction, forgotten
		if tx, err := c.Begin(ctx); err == nil {
			_, _ = tx.Exec(ctx, "select 1/0")
		}
	case 3: // rows half read
		if rows, err := c.Query(ctx, "select * from generate_series(1, 10000)"); err == nil {
			rows.Next()
		}
	case 4: // a statement longer than some contexts
		_, _ = c.Exec(ctx, "select pg_sleep(0.002)")
	case 5: // the server ends a connection, perhaps a resting one
		s.terminate(dice)
	default:
		_, _ = c.Exec(ctx, "select 1")
	}
}

// terminate has the server end one of the pool's backends.
func (s *stress) terminate(dice *rand.Rand) {
	n := dice.IntN(limit)
	s.query(func(c *pool.Conn) error {
		var pid uint32
		err := c.QueryRow(s.ctx, `select pid from pg_stat_activity
			where application_name = 'stressed' offset $1 limit 1`, n).Scan(&pid)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		s.ended.Store(pid, true)
		s.terminated.Add(1)
		_, err = c.Exec(s.ctx, "select pg_terminate_backend($1)", pid)
		return err
	})
}

// checkTable sees that exactly what was committed is there. A commit whose
// answer was lost may be.
func (s *stress) checkTable() {
	s.query(func(c *pool.Conn) error {
		var committed, forgotten int64
		err := c.QueryRow(s.ctx, "select count(*) filter (where committed), count(*) filter (where not committed) from ledger").
			Scan(&committed, &forgotten)
		assert.GreaterOrEqual(s.t, committed, s.committed.Load())
		assert.Zero(s.t, forgotten, "invariant 2: a forgotten transaction was committed")
		return err
	})
}

// TestChaos has a network and a server that fail in every way that dice find, and
// borrowers who go on. Whatever happens: money moves between accounts or does not,
// nobody is handed what another has, there are never more connections than the limit,
// and every get is answered in time. Once the faults stop the pool is soon back to
// full service, and at its end nothing is left.
func TestChaos(t *testing.T) {
	c := newChaos(t)
	t.Logf("seed %d: go test -race . -run TestChaos -stress.seed %d -stress.chaos %v", c.seed, c.seed, *long)
	stop, watched := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for i := range borrowers / 2 {
		all.Go(func() { c.trade(stop, rand.New(rand.NewPCG(c.seed, uint64(i)))) })
	}
	go func() {
		defer close(watched)
		c.watch(stop)
	}()
	for dice, end := rand.New(rand.NewPCG(c.seed, math.MaxUint64)), time.Now().Add(*long); time.Now().Before(end); {
		c.fault(dice)
	}
	c.heal()
	t.Logf("back to full service after %v", c.recovers().Round(time.Millisecond))
	close(stop)
	all.Wait()
	<-watched
	c.balances()
	require.NoError(t, c.pool.CloseAll(c.ctx))
	st := c.pool.Stat().Actor()
	t.Logf("%d gets, %d trades, %d failures; %d connections opened, %d connects failed", c.asked.Load(), c.traded.Load(), c.failed.Load(), st.Opened, st.DialsFailed)
	assert.Positive(t, c.traded.Load())
	assert.Positive(t, c.failed.Load())
}

// chaos is one run.
type chaos struct {
	t      *testing.T
	ctx    context.Context
	seed   uint64
	server *pooltest.Server
	proxy  *pooltest.Proxy
	pool   *pool.Pool
	held   sync.Map // connections that are lent

	asked, traded, failed atomic.Int64
}

const accounts = 4

func newChaos(t *testing.T) *chaos {
	ctx, cancel := context.WithTimeout(context.Background(), *long+5*time.Minute)
	t.Cleanup(cancel)
	server, err := pooltest.Start(ctx, pooltest.AllowInstall())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	c := &chaos{t: t, ctx: ctx, seed: *seed, server: server, proxy: server.Proxy(t)}
	if c.seed == 0 {
		c.seed = rand.Uint64()
	}
	c.proxy.Seed(c.seed)
	config, err := pool.ParseConfig(c.proxy.ConnString())
	require.NoError(t, err)
	config.MaxConns, config.MinConns = limit, 1
	config.OutagePolicy = pool.WaitForServer
	config.ConnConfig.ConnectTimeout = time.Second
	c.pool, err = pool.NewWithConfig(ctx, config)
	require.NoError(t, err)
	c.directly("create table accounts (id int primary key, sum int)")
	c.directly("create table trades (id bigint primary key)")
	c.directly("insert into accounts select i, 0 from generate_series(1, $1) i", accounts)
	return c
}

// directly runs a statement past the proxy.
func (c *chaos) directly(sql string, args ...any) (value int64) {
	conn, err := pgx.Connect(c.ctx, c.server.ConnString())
	require.NoError(c.t, err)
	defer conn.Close(c.ctx)
	rows, _ := conn.Query(c.ctx, sql, args...)
	values, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(c.t, err)
	if len(values) > 0 {
		value = values[0]
	}
	return value
}

// trade is the life of one borrower.
func (c *chaos) trade(stop chan struct{}, dice *rand.Rand) {
	for !done(stop) {
		ctx, cancel := context.WithTimeout(c.ctx, time.Duration(10+dice.IntN(300))*time.Millisecond)
		if err := c.once(ctx, dice); err != nil {
			c.failed.Add(1)
		}
		cancel()
	}
}

func done(stop chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// once moves money, and what it is told was committed must be there at the end.
func (c *chaos) once(ctx context.Context, dice *rand.Rand) error {
	c.asked.Add(1)
	conn, err := c.pool.GetConn(ctx)
	deadline, _ := ctx.Deadline()
	assert.Less(c.t, time.Since(deadline), wide, "a get is answered in time")
	if err != nil {
		return err
	}
	defer func() { assert.NoError(c.t, c.pool.PutConn(conn)) }()
	mine := conn.Conn()
	_, taken := c.held.LoadOrStore(mine, true)
	assert.False(c.t, taken, "one owner")
	defer c.held.Delete(mine)
	assert.EqualValues(c.t, 'I', mine.PgConn().TxStatus(), "no open transaction")
	if dice.IntN(4) == 0 { // rows, perhaps half read
		rows, err := conn.Query(ctx, "select * from generate_series(1, 1000)")
		if err != nil {
			return err
		}
		rows.Next()
		if dice.IntN(2) == 0 {
			rows.Close()
		}
		return rows.Err()
	}
	id := dice.Int64()
	from, to := dice.IntN(accounts)+1, dice.IntN(accounts)+1
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "insert into trades values ($1)", id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "update accounts set sum = sum - 1 where id = $1", min(from, to)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "update accounts set sum = sum + 1 where id = $1", max(from, to))
		return err
	})
	if err == nil {
		c.traded.Add(1)
	}
	return err
}

// watch sees that there are never more connections than the limit.
func (c *chaos) watch(stop chan struct{}) {
	for !done(stop) {
		st := c.pool.Stat().Actor()
		assert.LessOrEqual(c.t, st.Open+st.Closing, limit)
		select {
		case <-stop:
		case <-time.After(5 * time.Millisecond): // the pace of asking, not a wait for anything
		}
	}
}

// fault makes one, for a while.
func (c *chaos) fault(dice *rand.Rand) {
	way := []pooltest.Direction{pooltest.ToServer, pooltest.ToClient, pooltest.BothWays}[dice.IntN(3)]
	switch dice.IntN(11) {
	case 0:
		c.proxy.DelayFunc(way, pooltest.Uniform(0, 50*time.Millisecond))
	case 1:
		c.proxy.Throttle(way, 2000)
	case 2, 3:
		c.proxy.BlackHole(way)
	case 4:
		c.proxy.Reset(way)
	case 5:
		c.proxy.HangUp(way)
	case 6:
		assert.NoError(c.t, c.proxy.Refuse())
	case 7:
		assert.NoError(c.t, c.proxy.AcceptOnly())
	case 8:
		c.directly("select count(pg_terminate_backend(pid)) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")
	case 9:
		if dice.IntN(4) == 0 {
			assert.NoError(c.t, c.server.Crash(c.ctx))
			assert.NoError(c.t, c.server.Restart(c.ctx))
		}
	case 10:
		c.pool.Reset()
	}
	time.Sleep(time.Duration(dice.IntN(400)) * time.Millisecond) // so long the fault lasts
	if dice.IntN(3) > 0 {
		c.heal()
	}
}

func (c *chaos) heal() { assert.NoError(c.t, c.proxy.Heal()) }

// recovers waits until all connections there may be work at the same time.
func (c *chaos) recovers() time.Duration {
	began := time.Now()
	require.Eventually(c.t, func() bool {
		st := c.pool.Stat().Actor()
		return c.serves() && st.Failures == 0
	}, wide, time.Millisecond)
	return time.Since(began)
}

// serves gets as many connections as there may be, beside the borrowers.
func (c *chaos) serves() bool {
	var conns []*pool.Conn
	defer func() {
		for _, conn := range conns {
			conn.Release()
		}
	}()
	for range limit {
		conn, err := c.pool.GetConn(c.ctx)
		if err != nil {
			return false
		}
		conns = append(conns, conn)
		if conn.Ping(c.ctx) != nil {
			return false
		}
	}
	return true
}

// balances sees that money has moved, and neither come nor gone. A commit whose answer
// was lost may be there.
func (c *chaos) balances() {
	assert.Zero(c.t, c.directly("select sum(sum) from accounts"))
	assert.GreaterOrEqual(c.t, c.directly("select count(*) from trades"), c.traded.Load())
}
