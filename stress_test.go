// Package pgactor_test is the stress test of the whole: a pool on a real
// PostgreSQL, under everything that borrowers and servers do to pools.
//
//	go test -race . -run TestStress -v
//	go test -race . -run TestStress -v -stress.seed 42 -stress.ops 100000
package pgactor_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
