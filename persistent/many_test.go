package persistent_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	seed     = flag.Uint64("many.seed", 0, "seed of TestMany's dice; 0: a new one")
	duration = flag.Duration("many.duration", 0, "how long TestMany goes on; 0: two rounds")
)

// A thousand identities on ten connections, each of several goroutines whose contexts
// end at any moment. What it sees to:
//
//   - an identity never has two connections, and a connection never two identities:
//     whoever has the turn to use one claims both, and OnBind does;
//   - references and connections are conserved: nothing is lent at the end, what was
//     opened is open or closed, and the pool lends all it has.
//
// Try a seed again with -many.seed, and for longer with -many.duration (and -timeout).
func TestMany(t *testing.T) {
	t.Parallel()
	const identities, limit = 1000, 10
	m := &many{t: t, seed: *seed, until: time.Now().Add(*duration)}
	if m.seed == 0 {
		m.seed = rand.Uint64()
	}
	t.Logf("seed %d", m.seed)
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConns = limit
		c.BeforeClose = func(c *pgx.Conn) { m.unbind(c) }
	}, persistent.WithProfile(persistent.Profile{
		OnBind: m.bind,
		OnUnbind: func(ctx context.Context, _ any, c *pgx.Conn) error {
			m.unbind(c)
			_, err := c.Exec(ctx, "reset my.id")
			return err
		},
	}))
	m.pool = p
	var all sync.WaitGroup
	for id := range identities {
		for g := range 2 + id%2 {
			all.Go(func() { m.live(id, g) })
		}
	}
	all.Wait()

	awaitQuiet(t, p)
	s := p.Pool().Stat().Actor()
	t.Logf("%d gets: %d used, %d busy, %d ended; %d connections opened, %d killed",
		m.gets.Load(), m.used.Load(), m.busy.Load(), m.ended.Load(), s.Opened, s.Revoked)
	require.Equal(t, s.Idle, s.Open)
	require.LessOrEqual(t, s.Open, limit)
	require.EqualValues(t, s.Open, s.Opened-s.Closed-s.Revoked, "none is lost")
	a.await(s.Open)
	m.killed.Range(func(backend, id any) bool {
		s.Revoked--
		left := a.count("select count(*) from pg_stat_activity where pid = $1", backend)
		return assert.Zero(t, left, "identity %v had two", id)
	})
	require.GreaterOrEqual(t, int64(s.Revoked), int64(0), "an identity had two connections that were not killed")
	seen := map[uint32]bool{}
	for id := range limit {
		ctx := as(t, id)
		c := get(t, p, ctx)
		defer c.Release()
		require.Equal(t, fmt.Sprint(id), ask[string](t, c, ctx, "select current_setting('my.id')"))
		seen[pid(t, c, ctx)] = true
	}
	require.Len(t, seen, limit)
	for _, n := range []*atomic.Int64{&m.used, &m.busy, &m.ended} {
		require.Positive(t, n.Load(), "the dice were too kind")
	}
}

type many struct {
	t     *testing.T
	seed  uint64
	until time.Time // when nobody begins another round
	pool  *persistent.Pool

	bound  sync.Map // identity to backend, from OnBind to OnUnbind or the end
	owner  sync.Map // backend to identity, so too
	using  sync.Map // identity to backend, in a turn
	usedBy sync.Map // backend to identity, in a turn
	killed sync.Map // backend to identity, for those that were bound when the identity got another

	gets, used, busy, ended atomic.Int64
}

func (m *many) bind(ctx context.Context, id any, c *pgx.Conn) error {
	backend := c.PgConn().PID()
	if old, taken := m.owner.Swap(backend, id); taken {
		assert.Fail(m.t, "a connection of two identities", "%v and %v", old, id)
	}
	if old, taken := m.bound.Swap(id, backend); taken {
		m.owner.Delete(old) // one that was killed under its user tells nobody
		m.killed.Store(old, id)
	}
	_, err := c.Exec(ctx, "select set_config('my.id', $1, false)", fmt.Sprint(id))
	return err
}

func (m *many) unbind(c *pgx.Conn) {
	if id, ok := m.owner.LoadAndDelete(c.PgConn().PID()); ok {
		m.bound.Delete(id)
	}
}

// live is the life of one goroutine of an identity.
func (m *many) live(id, goroutine int) {
	dice := rand.New(rand.NewPCG(m.seed, uint64(id*10+goroutine)))
	for round := 0; round < 2 || time.Now().Before(m.until) && !m.t.Failed(); round++ {
		ctx, cancel := context.WithCancel(persistent.WithIdentity(context.Background(), id))
		release := func() {}
		if dice.IntN(4) == 0 {
			ctx, release = m.pool.Hold(ctx)
			if dice.IntN(2) == 0 { // at any moment, or after its context
				time.AfterFunc(time.Duration(dice.Int64N(int64(10*time.Millisecond))), release)
			}
		}
		m.gets.Add(1)
		m.once(ctx, cancel, id, dice)
		cancel()
		release()
		if round > 0 { // or one whose goroutines never all rest would never let go
			time.Sleep(time.Duration(dice.Int64N(int64(50 * time.Millisecond))))
		}
	}
}

func (m *many) once(ctx context.Context, cancel func(), id int, dice *rand.Rand) {
	endsWithin := func(most time.Duration) { time.AfterFunc(time.Duration(dice.Int64N(int64(most))), cancel) }
	if dice.IntN(4) == 0 {
		endsWithin(50 * time.Millisecond) // while it waits
	}
	if dice.IntN(4) == 0 {
		m.verb(ctx, id, m.pool, dice)
		return
	}
	c, err := m.pool.GetConn(ctx)
	if err != nil {
		if _, dead := err.(*pool.RevokedError); !dead { // another of the identity's stayed too long
			assert.ErrorIs(m.t, err, context.Canceled)
			m.ended.Add(1)
		}
		return
	}
	if dice.IntN(4) == 0 {
		endsWithin(3 * time.Millisecond) // while it has it
	}
	for range 1 + dice.IntN(3) {
		m.verb(ctx, id, c, dice)
	}
	switch dice.IntN(4) {
	case 0: // left to the end of its context
	case 1:
		m.back(m.pool.Put(ctx)) // its own, or gone with its context
	default:
		m.back(m.pool.PutConn(c))
	}
}

// back checks the error of a put: another goroutine of the identity may have stayed too
// long, and lost the connection for both.
func (m *many) back(err error) {
	if _, dead := err.(*pool.RevokedError); !dead {
		assert.NoError(m.t, err)
	}
}

func (m *many) verb(ctx context.Context, id int, d db, dice *rand.Rand) {
	var err error
	switch n := dice.IntN(500); {
	case n == 0:
		d.QueryRow(ctx, "select 1") // left to the grace after the end of its context
	case n < 100:
		_, err = d.Exec(ctx, "select pg_sleep(0.001)")
	case n < 200:
		err = pgx.BeginFunc(ctx, d, func(tx pgx.Tx) error { return m.claim(ctx, id, tx) })
	case n < 250:
		_, err = d.Begin(ctx) // left to the end of its context
	default:
		err = m.claim(ctx, id, d)
	}
	if err != nil && ctx.Err() != nil {
		m.ended.Add(1)
	}
}

// claim has the turn, from the query to the end of its rows: nobody else may have
// this connection, or another one of this identity's.
func (m *many) claim(ctx context.Context, id int, d db) error {
	rows, err := d.Query(ctx, "select pg_backend_pid(), current_setting('my.id')")
	if err != nil {
		if _, busy := err.(*pool.BusyError); busy {
			m.busy.Add(1)
		}
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return rows.Err()
	}
	var backend uint32
	var mark string
	if err := rows.Scan(&backend, &mark); err != nil {
		return err
	}
	assert.Equal(m.t, fmt.Sprint(id), mark, "a connection of another identity")
	other, taken := m.usedBy.LoadOrStore(backend, id)
	assert.False(m.t, taken, "backend %d is used by %d and %v", backend, id, other)
	other, taken = m.using.LoadOrStore(id, backend)
	assert.False(m.t, taken, "identity %d uses %d and %v", id, backend, other)
	m.used.Add(1)
	m.using.Delete(id)
	m.usedBy.Delete(backend)
	return nil
}
