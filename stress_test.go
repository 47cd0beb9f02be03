// Package pgactor_test is the stress test of the whole: pools on a real PostgreSQL,
// under everything that borrowers, operators, networks and servers do to pools. Each
// test is a mode:
//
//	TestStress     ordinary load: cancels, forgotten transactions, half-read rows, terminated backends
//	TestChaos      a network and a server that fail in every way, and fail over to a standby
//	TestManyPools  a pool per tenant, opened and closed at any time
//	TestKeyed      identities of package persistent, beside borrowers that have none
//	TestStorm      Pause, Resume, Resize, Reset, Stat and the like while borrowers work
//
// The ordinary run is short. Longer ones:
//
//	go test -race . -v -stress.long 10
//	go test -race . -run TestStress -v -stress.ops 100000
//	go test -race . -run TestChaos -v -timeout 15m -stress.chaos 10m
//
// What happens is decided by dice, and each test prints the command with their seed. That
// has everybody throw the same again; who comes first is still up to the machine.
//
// What is asserted is named by the numbers that the invariants of a pool have:
//
//	 1  there are never more connections than the limit; after a shrink and all puts no more than that
//	 2  a connection has one owner, and nothing of his transaction or session is left for the next
//	 5  who waits is served in the order of arrival
//	 6  every get is answered, once and in time
//	 8  a get begun after Reset returned gets no older connection
//	 9  a get begun after Pause returned gets nothing before Resume; what is idle survives
//	10  after CloseAll nothing is left: no connection, no socket, no backend, no goroutine
//	11  Stat answers while all borrowers and a helper are stuck
//	12  a key has as many holders as there are references, and cancels lose neither
package pgactor_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var (
	seed    = flag.Uint64("stress.seed", 0, "seed of all dice; 0: a new one")
	ops     = flag.Int("stress.ops", 1200, "operations of TestStress in all")
	lasting = flag.Duration("stress.chaos", 20*time.Second, "how long TestChaos makes faults")
	long    = flag.Int("stress.long", 1, "how many times as long the others last")
)

const wide = 30 * time.Second // for what must happen at all

// What the modes share: a run.

// A run is one test: its seed, its server, and a pool of its own that nobody harms.
type run struct {
	t      *testing.T
	ctx    context.Context
	seed   uint64
	server *pooltest.Server
	url    string
	admin  *pool.Pool

	stop    chan struct{} // closed by halt
	halt    func()
	working sync.WaitGroup // whoever goes on until then

	limits sync.Map // of the pools, by the name of their sessions
	ending sync.Map // backends that end, or may: the server may list them for a while
}

// begin makes a run. At its end no goroutine of its is left (invariant 10). Settings are for a server
// of its own.
func begin(t *testing.T, flags string, settings ...pooltest.Option) *run {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { // the last
		var err error
		for began := time.Now(); time.Since(began) < wide && !t.Failed(); {
			if err = goleak.Find(before); err == nil { // which takes its time
				return
			}
		}
		assert.NoError(t, err, "invariant 10")
	})
	r := &run{t: t, seed: *seed, stop: make(chan struct{})}
	r.halt = sync.OnceFunc(func() {
		close(r.stop)
		r.working.Wait()
	})
	if r.seed == 0 {
		r.seed = rand.Uint64()
	}
	t.Logf("go test -race . -run '^%s$' -v -stress.seed %d %s", t.Name(), r.seed, flags)
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(context.Background(), *lasting+time.Duration(*long)*5*time.Minute)
	t.Cleanup(cancel)

	start := pooltest.Open
	if len(settings) > 0 {
		start = pooltest.Start
	}
	server, err := start(r.ctx, append(settings, pooltest.AllowInstall())...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	if len(settings) > 0 {
		r.attend(server, server.ConnString())
	} else {
		r.attend(server, server.Database(t))
	}
	t.Cleanup(func() { require.NoError(t, r.admin.CloseAll(context.Background())) })
	t.Cleanup(func() {
		if t.Failed() {
			cancel()
		}
		r.halt()
	})
	return r
}

// attend has the run's own pool at a server.
func (r *run) attend(server *pooltest.Server, url string) {
	if r.admin != nil {
		require.NoError(r.t, r.admin.CloseAll(r.ctx))
	}
	var err error
	r.server, r.url = server, url
	r.admin, err = pool.NewThreaded(r.ctx, 0, 2, url)
	require.NoError(r.t, err)
}

func (r *run) do(sql string, args ...any) {
	_, err := r.admin.Exec(r.ctx, sql, args...)
	assert.NoError(r.t, err, sql)
}

// ask asks the server, past all faults.
func ask[T any](r *run, sql string, args ...any) []T {
	rows, _ := r.admin.Query(r.ctx, sql, args...) // the rows of an error carry it
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	assert.NoError(r.t, err, sql)
	return values
}

// dice are those of one of many.
func (r *run) dice(of int) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(of))) }

// Whose dice are whose: borrowers count from 0.
const (
	operator = 1000
	stranger = 2000
)

// each calls f in n goroutines, which have dice of their own, and waits for them.
func (r *run) each(n int, f func(i int, dice *rand.Rand)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i, r.dice(i)) })
	}
	all.Wait()
}

// keepOn has n goroutines, which have dice of their own, call f again and again until halt.
func (r *run) keepOn(first, n int, f func(i int, dice *rand.Rand)) {
	for i := range n {
		r.working.Go(func() {
			for dice := r.dice(first + i); !ended(r.stop); {
				f(i, dice)
			}
		})
	}
}

// every calls f at this pace until halt.
func (r *run) every(pace time.Duration, f func()) {
	r.keepOn(0, 1, func(int, *rand.Rand) {
		f()
		select {
		case <-r.stop:
		case <-time.After(pace):
		}
	})
}

// await waits for what must happen, without which nothing can go on.
func (r *run) await(what string, happened func() bool) {
	for began := time.Now(); !happened(); <-time.After(time.Millisecond) { // the pace of asking
		if time.Since(began) > wide {
			require.Fail(r.t, "it does not happen: "+what)
		}
	}
}

// briefly waits for as long as the dice say, less than most: so long a fault lasts, or a rest.
func briefly(dice *rand.Rand, most time.Duration) { time.Sleep(upTo(dice, most)) }

func upTo(dice *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(dice.Int64N(int64(most)))
}

func ended(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// count asks the server for the backends of each pool: those that are not ending are never more than
// its limit. It returns how many pools have one.
func (r *run) count() int {
	type backend struct {
		Name string
		PID  int32
	}
	rows, _ := r.admin.Query(r.ctx, "select application_name, pid from pg_stat_activity where application_name like 'stressed%'")
	backends, err := pgx.CollectRows(rows, pgx.RowToStructByPos[backend])
	assert.NoError(r.t, err)
	live := map[string]int{}
	for _, b := range backends {
		if _, ends := r.ending.Load(b.PID); !ends {
			live[b.Name]++
		}
	}
	for name, n := range live {
		limit, _ := r.limits.Load(name)
		assert.LessOrEqual(r.t, n, limit, "invariant 1: backends of %s", name)
	}
	return len(live)
}

// What the modes share: a pool under test.

// A subject is a pool under test, and what there is to know about it.
type subject struct {
	*pool.Pool
	r    *run
	name string // of its sessions
	most int    // connections, whatever Resize says
	told chronicle

	owner   sync.Map     // *pgx.Conn to whoever has it
	out     atomic.Int64 // that are lent by get
	sockets atomic.Int64 // that are open

	asked, lent, refused atomic.Int64 // gets

	resetting, reset atomic.Int64 // calls of Reset that have begun, and that have returned
	pauses, paused   atomic.Int64 // pauses that have begun, and the number of the one in force, or 0
	slowest          atomic.Int64 // answer to a Stat
}

// pool makes a subject.
func (r *run) pool(name, connString string, most int, change func(*pool.Config)) *subject {
	s := &subject{r: r, name: "stressed " + name, most: most}
	s.told = chronicle{s: s, open: map[uint64]bool{}, ended: make(chan struct{})}
	r.limits.Store(s.name, most)
	config, err := pool.ParseConfig(connString)
	require.NoError(r.t, err)
	config.MaxConns = int32(most)
	config.ConnConfig.RuntimeParams["application_name"] = s.name
	config.ConnConfig.DialFunc = s.dial
	config.BeforeConnect = s.mark
	config.OnEvent = s.told.note
	if change != nil {
		change(config)
	}
	s.Pool, err = pool.NewWithConfig(r.ctx, config)
	require.NoError(r.t, err)
	return s
}

// dial counts the sockets.
func (s *subject) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.sockets.Add(1)
	return socket{conn, conn.(watchable), sync.OnceFunc(func() { s.sockets.Add(-1) })}, nil
}

type socket struct {
	net.Conn
	watchable
	closed func()
}

type watchable interface{ syscall.Conn } // by the pool, before it lends

func (c socket) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

const born = "stress.born"

// mark has a connection know how many resets had begun when it was dialed, or some more.
func (s *subject) mark(_ context.Context, c *pgx.ConnConfig) error {
	c.RuntimeParams[born] = fmt.Sprint(s.resetting.Load())
	return nil
}

// A lease is what a subject lends to one borrower.
type lease struct {
	*pool.Conn
	of   *subject
	mine *pgx.Conn // nil if it is revoked already
}

// get asks for a connection. A key must be a new one: while rows are open the key stays bound after a
// put, for a while.
func (s *subject) get(ctx context.Context, who any, opts ...pool.GetOption) (*lease, error) {
	paused, reset := s.paused.Load(), s.reset.Load()
	s.asked.Add(1)
	c, err := s.GetConn(ctx, opts...)
	if deadline, ok := ctx.Deadline(); ok {
		assert.Less(s.r.t, time.Since(deadline), wide, "invariant 6: in time")
	}
	assert.NotEqual(s.r.t, c == nil, err == nil, "invariant 6: a connection or an error")
	if err != nil {
		s.refused.Add(1)
		return nil, err
	}
	s.lent.Add(1)
	return s.check(c, who, paused, reset), nil
}

// check looks at a connection that was asked for when so much had happened.
func (s *subject) check(c *pool.Conn, who any, paused, reset int64) *lease {
	t, l := s.r.t, &lease{c, s, c.Conn()}
	assert.False(t, paused > 0 && paused == s.paused.Load(), "invariant 9: lent in a pause")
	if n := s.out.Add(1); n > int64(s.most) {
		assert.LessOrEqual(t, n, int64(s.most)+s.Stat().RevokedCount(), "invariant 1: lent at the same time")
	}
	if l.mine == nil {
		return l
	}
	var old int64
	fmt.Sscan(l.mine.Config().RuntimeParams[born], &old)
	assert.GreaterOrEqual(t, old, reset, "invariant 8: it is older than a Reset")
	other, taken := s.owner.LoadOrStore(l.mine, who)
	assert.False(t, taken, "invariant 2: it has two owners, %v and %v", who, other)
	assert.EqualValues(t, 'I', l.mine.PgConn().TxStatus(), "invariant 2: a transaction is open")
	return l
}

// put gives it back, twice.
func (l *lease) put(opts ...pool.PutOption) {
	l.of.owner.Delete(l.mine)
	l.of.out.Add(-1)
	if err := l.of.PutConn(l.Conn, opts...); err != nil {
		assert.ErrorIs(l.of.r.t, err, pool.ErrRevoked)
	}
	assert.Error(l.of.r.t, l.of.PutConn(l.Conn), "it is put already")
}

// hold has n connections at the same time; nil if one does not come before ctx ends, or does not work.
func (s *subject) hold(ctx context.Context, n int) []*lease {
	leases := make([]*lease, n)
	var all sync.WaitGroup
	for i := range leases {
		all.Go(func() {
			l, err := s.get(ctx, "one of several")
			if err != nil {
				return
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second) // a connection may be dead, and not know
			defer cancel()
			if leases[i] = l; l.Ping(ctx) != nil {
				leases[i] = nil
				l.put()
			}
		})
	}
	all.Wait()
	if slices.Contains(leases, nil) {
		putAll(leases)
		return nil
	}
	return leases
}

// allIdle has those that are idle.
func (s *subject) allIdle() (leases []*lease) {
	paused, reset := s.paused.Load(), s.reset.Load()
	for _, c := range s.AcquireAllIdle(s.r.ctx) {
		leases = append(leases, s.check(c, "all idle", paused, reset))
	}
	return leases
}

func putAll(leases []*lease) {
	for _, l := range leases {
		if l != nil {
			l.put()
		}
	}
}

// db is what a pool, a connection and a transaction can do.
type db interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const whose = "select coalesce(current_setting('stress.mine', true), '')"

// claim sees that a session is bound to an identity, or to none. Who shares the connection has the
// turn from the query to the end of its rows: then nobody else may have it. It returns the connection,
// and an error if that or ctx has ended.
func (s *subject) claim(ctx context.Context, d db, who any, identity string) (*pgx.Conn, error) {
	rows, err := d.Query(ctx, whose)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var mine string
	conn := rows.Conn()
	if conn == nil || !rows.Next() {
		return nil, rows.Err()
	}
	if err := rows.Scan(&mine); err != nil {
		return nil, err
	}
	assert.Equal(s.r.t, identity, mine, "invariant 2: the session of another")
	other, taken := s.owner.LoadOrStore(conn, who)
	if !taken {
		s.owner.Delete(conn)
	}
	assert.True(s.r.t, !taken || other == who, "invariant 2: it has two owners, %v and %v", who, other)
	rows.Close()
	return conn, rows.Err()
}

// bindTo makes a session an identity's.
func bindTo(ctx context.Context, id any, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "select set_config('stress.mine', $1, false)", fmt.Sprint(id))
	return err
}

// pause says whether the pool is paused: everything was back before ctx ended. Only one may pause it
// at a time.
func (s *subject) pause(ctx context.Context) bool {
	n := s.pauses.Add(1)
	if err := s.Pause(ctx); err != nil {
		assert.ErrorIs(s.r.t, err, ctx.Err())
		return false
	}
	s.paused.Store(n)
	return true
}

func (s *subject) resume() {
	s.paused.Store(0)
	assert.NoError(s.r.t, s.Resume())
}

func (s *subject) makeOld() {
	s.resetting.Add(1)
	s.Reset()
	s.reset.Add(1)
}

// look asks how things stand.
func (s *subject) look() actor.Stat {
	began := time.Now()
	st := s.Stat().Actor()
	took := int64(time.Since(began))
	for was := s.slowest.Load(); was < took && !s.slowest.CompareAndSwap(was, took); {
		was = s.slowest.Load()
	}
	assert.Less(s.r.t, took, int64(wide/3), "invariant 11: Stat answers")
	assert.LessOrEqual(s.r.t, st.Open+st.Closing+st.Dialing, s.most, "invariant 1")
	return st
}

// watch looks until halt.
func (s *subject) watch() { s.r.every(5*time.Millisecond, func() { s.look() }) }

// inOrder has everything lent and some wait, of whom a few give up: the others are served in the
// order in which they came (invariant 5).
func (s *subject) inOrder(dice *rand.Rand) {
	leases := s.hold(s.r.ctx, s.most)
	require.NotNil(s.r.t, leases)
	served, gone := make(chan int), make(chan int)
	var want, got []int
	var giveUp []context.CancelFunc
	for i := range 20 {
		ctx, cancel := context.WithCancel(s.r.ctx)
		defer cancel()
		go func() {
			l, err := s.get(ctx, i)
			if err != nil {
				gone <- i
				return
			}
			served <- i
			l.put()
		}()
		s.r.await("it has its place in line", func() bool { return inLine("inOrder") == i+1 })
		if dice.IntN(4) == 0 {
			giveUp = append(giveUp, cancel)
		} else {
			want = append(want, i)
		}
	}
	for _, cancel := range giveUp {
		cancel()
		<-gone
	}
	leases[0].put()
	for range want {
		got = append(got, <-served)
	}
	assert.Equal(s.r.t, want, got, "invariant 5")
	putAll(leases[1:])
}

// inLine returns how many goroutines that the named function has started are blocked in the
// pool's line. A get counts as waiting a moment before that, in which the next one may
// overtake it.
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

// end ends the pool by two calls at the same time while a connection is lent: its borrower has all
// the time, or none and puts it late. Nothing is left (invariant 10).
func (s *subject) end(inTime bool) {
	t, r := s.r.t, s.r
	c, err := s.GetConn(r.ctx)
	if !assert.NoError(t, err) {
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	if !inTime {
		cancel()
	}
	ends := make(chan error, 2)
	for range 2 {
		go func() { ends <- s.CloseAll(ctx) }()
	}
	if inTime {
		r.await("it closes", func() bool {
			idle, err := s.TryGetConn()
			idle.Release()
			return errors.Is(err, pool.ErrClosed)
		})
		assert.NoError(t, s.PutConn(c))
	}
	one, other := <-ends, <-ends
	var left *pool.CloseError // names the lease, and a Close that a busy machine does not end in its grace
	if errors.As(errors.Join(one, other), &left) {
		assert.Equal(t, inTime, len(left.Leases) == 0, "%v", left)
	} else {
		assert.True(t, inTime && (one == nil || other == nil), "%v, %v", one, other)
	}
	if !inTime {
		assert.ErrorIs(t, s.PutConn(c), pool.ErrRevoked, "a late put")
	}
	assert.ErrorIs(t, s.CloseAll(r.ctx), pool.ErrClosed)
	_, err = s.GetConn(r.ctx)
	assert.ErrorIs(t, err, pool.ErrClosed)

	r.await("the last event", func() bool { return ended(s.told.ended) })
	st := s.look()
	assert.Zero(t, st.Open+st.Closing+st.Dialing+st.Waiting+int(s.Stat().BoundKeys()), "invariant 10: %+v", st)
	assert.Equal(t, st.Opened, st.Closed+st.Revoked, "invariant 10: opens = closes")
	s.told.check(st)
	assert.Equal(t, s.asked.Load(), s.lent.Load()+s.refused.Load(), "invariant 6")
	r.await("no socket is left", func() bool { return s.sockets.Load() == 0 })
}

// backends are the sessions that the server has of the pool.
func (s *subject) backends() []int32 {
	return ask[int32](s.r, "select pid from pg_stat_activity where application_name = $1", s.name)
}

func (s *subject) awaitNoBackend() {
	s.r.await("no backend is left (invariant 10)", func() bool { return len(s.backends()) == 0 })
}

// A chronicle is what OnEvent is told. It sees that this can have happened in that order.
type chronicle struct {
	s              *subject
	open           map[uint64]bool
	paused, outage bool
	ended          chan struct{} // closed with the last event; until then all is the reporter's

	opened, closed, revoked uint64
	dropped                 int
}

func (c *chronicle) note(e pool.Event) {
	sound := func(is bool) { assert.True(c.s.r.t, is || c.dropped > 0, "it cannot be that now: %v", e) }
	switch e.Kind {
	case pool.EventOpened:
		sound(!c.open[e.ID])
		c.open[e.ID] = true
		sound(e.N <= c.s.most && e.N <= len(c.open)) // some are closing
		c.opened++
	case pool.EventClosed:
		sound(c.open[e.ID] && e.Reason != pool.ReasonNone)
		delete(c.open, e.ID)
		c.closed++
	case pool.EventRevoked:
		sound(c.open[e.ID] && e.Lease != nil)
		delete(c.open, e.ID)
		c.revoked++
	case pool.EventCleaned:
		sound(c.open[e.ID])
	case pool.EventPaused, pool.EventResumed:
		sound(c.paused == (e.Kind == pool.EventResumed))
		c.paused = !c.paused
	case pool.EventOutageBegan, pool.EventOutageEnded:
		sound(c.outage == (e.Kind == pool.EventOutageEnded))
		c.outage = !c.outage
	case pool.EventDropped:
		c.dropped += e.N
	case pool.EventEnded:
		sound(len(c.open) == 0)
		close(c.ended)
	}
}

// check compares what was told with what the pool has counted.
func (c *chronicle) check(st actor.Stat) {
	assert.Zero(c.s.r.t, st.EventPanics, "%v", st.EventPanic)
	assert.Zero(c.s.r.t, st.Leaked)
	if c.dropped > 0 {
		c.s.r.t.Logf("%s: %d events dropped", c.s.name, c.dropped)
		return
	}
	assert.Equal(c.s.r.t, []uint64{st.Opened, st.Closed, st.Revoked}, []uint64{c.opened, c.closed, c.revoked}, "opened, closed, revoked")
}

// What the modes share: transactions.

// A ledger knows what borrowers were told of the rows that they inserted.
type ledger struct {
	turn sync.Mutex
	fate map[int64]fate
}

type fate int

const (
	begun   fate = iota // no commit was asked for: it must not be there
	doubted             // one was, and failed: it may be there
	told                // it has succeeded: it must be there
)

func (r *run) ledger() *ledger {
	r.do("create table trades (id bigint primary key)")
	return &ledger{fate: map[int64]fate{}}
}

func (l *ledger) note(f fate, ids ...int64) {
	l.turn.Lock()
	defer l.turn.Unlock()
	for _, id := range ids {
		l.fate[id] = f
	}
}

// trade inserts a row, in a transaction in which more is done. It returns what will have happened
// once all around it is committed. One that is forgotten within another is committed with that.
func (l *ledger) trade(ctx context.Context, d db, within bool, dice *rand.Rand, more func(pgx.Tx) ([]int64, error)) ([]int64, error) {
	id := dice.Int64()
	l.note(begun, id)
	tx, err := d.Begin(ctx)
	if err != nil {
		return nil, err
	}
	var nested []int64
	if _, err = tx.Exec(ctx, "insert into trades values ($1)", id); err == nil {
		nested, err = more(tx)
	}
	if err != nil || dice.IntN(8) == 0 {
		if within || dice.IntN(4) > 0 { // else it is forgotten
			_ = tx.Rollback(ctx)
		}
		return nil, err
	}
	l.note(doubted, id)
	if err := tx.Commit(ctx); err != nil {
		return nil, err
	}
	return append(nested, id), nil
}

// noted takes what trade returns, if nothing is around it.
func (l *ledger) noted(ids []int64, err error) error {
	l.note(told, ids...)
	return err
}

// check compares the ledger with the table: forgotten transactions were not committed by the next
// borrower (invariant 2), and what was committed is there.
func (l *ledger) check(r *run) {
	there := map[int64]bool{}
	for _, id := range ask[int64](r, "select id from trades") {
		there[id] = true
	}
	n := map[fate]int{}
	for id, f := range l.fate {
		n[f]++
		assert.False(r.t, f == told && !there[id], "a trade is lost")
		assert.False(r.t, f == begun && there[id], "invariant 2: a forgotten transaction was committed")
		delete(there, id)
	}
	assert.Empty(r.t, there)
	r.t.Logf("trades: %d committed, %d in doubt, %d not made", n[told], n[doubted], n[begun])
	assert.Positive(r.t, n[told])
}

// Ordinary load.

// TestStress lets many borrowers do their worst, and has the server count their backends
// (invariants 1, 2, 6). What is left then serves in order (5), and ends (10).
func TestStress(t *testing.T) {
	r := begin(t, fmt.Sprintf("-stress.ops %d", *ops))
	s := &stress{ledger: r.ledger()}
	s.subject = r.pool("by load", r.url, 6, func(c *pool.Config) {
		c.MinConns = 1
		c.OutagePolicy = pool.WaitForServer // a terminated backend may be noticed by a connect
	})
	const borrowers = 48
	s.watch()
	r.every(10*time.Millisecond, func() { r.count() })
	r.each(borrowers, func(i int, dice *rand.Rand) {
		for range *ops / borrowers {
			s.once(i, dice)
		}
	})
	r.halt()
	s.inOrder(r.dice(operator))
	s.end(true)
	s.awaitNoBackend()
	s.ledger.check(r)
	t.Logf("%d gets: %d leases, %d cancelled; %d backends terminated", s.asked.Load(), s.lent.Load(), s.refused.Load(), s.terminated.Load())
	assert.Positive(t, s.refused.Load())
	assert.Positive(t, s.terminated.Load())
}

type stress struct {
	*subject
	ledger     *ledger
	terminated atomic.Int64
}

// once gets a connection, uses and maltreats it, and gives it back.
func (s *stress) once(me int, dice *rand.Rand) {
	ctx, cancel := context.WithCancel(s.r.ctx)
	defer cancel()
	if dice.IntN(4) == 0 {
		defer time.AfterFunc(upTo(dice, 30*time.Millisecond), cancel).Stop()
	}
	var get []pool.GetOption
	if dice.IntN(10) == 0 {
		get = append(get, pool.WithKey(dice.Uint64()))
	}
	l, err := s.get(ctx, me, get...)
	if err != nil {
		assert.ErrorIs(s.r.t, err, context.Canceled)
		return
	}
	_, _ = s.claim(ctx, l, me, "")
	s.use(ctx, l, dice)
	var put []pool.PutOption
	if dice.IntN(20) == 0 {
		put = append(put, pool.WithClose())
	}
	if pc := l.mine.PgConn(); len(put) > 0 || pc.IsClosed() || pc.IsBusy() {
		s.r.ending.Store(int32(pc.PID()), true)
	}
	l.put(put...)
}

// use does one of the things that borrowers do. Statements may fail, because the context ends or a
// backend is terminated; what counts is what is left.
func (s *stress) use(ctx context.Context, l *lease, dice *rand.Rand) {
	switch dice.IntN(7) {
	case 0, 1, 2: // a transaction, sometimes forgotten, or failed
		_ = s.ledger.noted(s.ledger.trade(ctx, l, false, dice, func(tx pgx.Tx) ([]int64, error) {
			statement := "set local stress.mine = 'mine'"
			if dice.IntN(4) == 0 {
				statement = "select 1/0"
			}
			_, err := tx.Exec(ctx, statement)
			return nil, err
		}))
	case 3: // rows half read
		if rows, err := l.Query(ctx, "select * from generate_series(1, 10000)"); err == nil {
			rows.Next()
		}
	case 4: // a statement longer than some contexts
		_, _ = l.Exec(ctx, "select pg_sleep(0.002)")
	case 5: // the server ends a connection, perhaps a resting one
		if pids := s.backends(); len(pids) > 0 {
			pid := pids[dice.IntN(len(pids))]
			s.r.ending.Store(pid, true)
			s.terminated.Add(1)
			s.r.do("select pg_terminate_backend($1)", pid)
		}
	default:
		_, _ = l.Exec(ctx, "select 1")
	}
}

// Chaos.

// TestChaos has a network and a server that fail in every way that dice find, operators who do as
// they like, and borrowers of several pools, with and without keys, who go on. Whatever happens: money
// moves between accounts or does not, also across a failover; connections have one owner (invariant 2)
// and are never too many (1); every get is answered in time (6); 8, 9 and 11 hold. Once the faults stop
// every pool is soon back to full service, and at its end nothing is left (10).
func TestChaos(t *testing.T) {
	c := newChaos(t)
	c.stuck(c.pops[0])
	c.keepOn(0, 24, c.borrow)
	for _, p := range c.pops {
		p.watch()
	}
	c.faults(c.dice(operator))
	c.healNetwork()
	for _, p := range c.pops {
		assert.NoError(t, p.Resize(0, p.most))
	}
	c.recovers()
	c.halt()

	for i, p := range c.pops {
		st := p.look()
		t.Logf("%s: %d gets, %d refused; %d opened, %d connects failed, %d revoked; slowest Stat %v", p.name, p.asked.Load(), p.refused.Load(),
			st.Opened, st.DialsFailed, st.Revoked, time.Duration(p.slowest.Load()).Round(time.Millisecond))
		p.end(i%2 == 0)
	}
	c.proxy.Reset(pooltest.BothWays) // what it has cut on one side only, the server does not know
	for _, p := range c.pops {
		p.awaitNoBackend()
	}
	t.Logf("%d faults, %d failovers; %d borrowers failed", c.made, c.failovers, c.failed.Load())
	assert.Equal(t, []int64{0}, ask[int64](c.run, "select sum(sum) from accounts"), "money has come or gone")
	c.ledger.check(c.run)
	assert.Positive(t, c.failed.Load())
}

const accounts = 16

type chaos struct {
	*run
	proxy  *pooltest.Proxy
	pops   []*population
	ledger *ledger

	made, failovers int
	failed          atomic.Int64
}

// A population are the borrowers of one pool, which has settings of its own.
type population struct {
	*subject
	keyed  *persistent.Pool
	traded atomic.Int64
}

func newChaos(t *testing.T) *chaos {
	c := &chaos{run: begin(t, fmt.Sprintf("-stress.chaos %v", *lasting), pooltest.WithSetting("max_connections", "200"))}
	c.proxy = c.server.Proxy(t)
	c.proxy.Seed(c.seed)
	c.ledger = c.run.ledger()
	c.do("create table accounts (id int primary key, sum int)")
	c.do("insert into accounts select i, 0 from generate_series(1, $1) i", accounts)
	dice := c.dice(operator + 1)
	c.populate("patient", func() bool { return false })
	c.populate("strict", func() bool { return true })
	c.populate("drawn", func() bool { return dice.IntN(2) == 0 })
	return c
}

// populate makes a pool with those settings that are drawn.
func (c *chaos) populate(name string, draw func() bool) {
	drawn := ""
	s := c.pool(name, c.proxy.ConnString()+"&target_session_attrs=read-write", 4, func(g *pool.Config) {
		g.OutagePolicy = pool.WaitForServer
		g.ConnConfig.ConnectTimeout = time.Second
		for _, name := range []string{"idle_in_transaction_session_timeout", "lock_timeout"} { // sessions that have lost their client keep locks
			g.ConnConfig.RuntimeParams[name] = "500ms"
		}
		for _, setting := range []struct {
			name string
			set  func()
		}{
			{"FailFast", func() { g.OutagePolicy = pool.FailFast }},
			{"CloseConn", func() { g.CancelPolicy = pool.CloseConn }},
			{"CloseDirty", func() { g.DirtyPolicy = pool.CloseDirty }},
			{"TrackLeases", func() { g.TrackLeases = true }},
			{"MaxLeaseTime", func() { g.MaxLeaseTime = time.Second }},
			{"ResetSession", func() { g.ResetSession = pool.DiscardAll }},
			{"MaxConnLifetime", func() { g.MaxConnLifetime, g.MaxConnLifetimeJitter = 2*time.Second, 2*time.Second }},
			{"KeepAlive", func() { g.KeepAlive, g.HealthCheckPeriod = true, 200*time.Millisecond }},
			{"MaxWaiting", func() { g.MaxWaiting = 12 }},
			{"MinConns", func() { g.MinConns = 1 }},
		} {
			if draw() {
				setting.set()
				drawn += " " + setting.name
			}
		}
	})
	k, err := persistent.Over(s.Pool, persistent.WithProfile(persistent.Profile{OnBind: bindTo}))
	require.NoError(c.t, err)
	c.pops = append(c.pops, &population{subject: s, keyed: k})
	c.t.Logf("%s:%s", s.name, drawn)
}

// stuck has all who use a pool stuck in the network, and a helper too. The pool still says how things
// stand (invariant 11), and once the network is back everybody goes on.
func (c *chaos) stuck(p *population) {
	leases := p.hold(c.ctx, p.most)
	require.NotNil(c.t, leases)
	_, err := leases[0].Exec(c.ctx, "begin")
	require.NoError(c.t, err)
	c.proxy.BlackHole(pooltest.BothWays)
	leases[0].put() // a helper is to roll back
	var all sync.WaitGroup
	for _, l := range leases[1:] {
		all.Go(func() {
			assert.NoError(c.t, l.Ping(c.ctx))
			l.put()
		})
	}
	all.Go(func() {
		if l, err := p.get(c.ctx, "waits"); assert.NoError(c.t, err) {
			l.put()
		}
	})
	c.await("all are stuck", func() bool {
		st := p.look()
		return st.Leased == p.most-1 && st.Mending == 1 && st.Waiting == 1
	})
	assert.Len(c.t, p.Leases(), p.most-1, "invariant 11")
	c.healNetwork()
	all.Wait()
}

// borrow is one get of one borrower, and what he does with it.
func (c *chaos) borrow(me int, dice *rand.Rand) {
	p := c.pops[dice.IntN(len(c.pops))]
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Millisecond+upTo(dice, 300*time.Millisecond))
	defer cancel()
	var err error
	switch dice.IntN(4) {
	case 0:
		err = c.share(ctx, p, me, dice)
	case 1:
		err = c.keep(ctx, p, me, dice, pool.WithKey(dice.Uint64()))
	default:
		err = c.keep(ctx, p, me, dice)
	}
	if err != nil {
		c.failed.Add(1)
		briefly(dice, 10*time.Millisecond) // or those who fail fast do nothing else
	}
}

// keep has a connection for one borrower.
func (c *chaos) keep(ctx context.Context, p *population, me int, dice *rand.Rand, opts ...pool.GetOption) error {
	l, err := p.get(ctx, me, opts...)
	if err != nil {
		return err
	}
	defer l.put()
	if _, err := p.claim(ctx, l, me, ""); err != nil {
		return err
	}
	if dice.IntN(4) > 0 {
		return c.move(ctx, p, l, dice)
	}
	rows, err := l.Query(ctx, "select * from generate_series(1, 1000)")
	if err != nil {
		return err
	}
	rows.Next()
	if dice.IntN(2) == 0 { // else they are half read
		rows.Close()
	}
	return rows.Err()
}

// share has an identity's connection, by a handle of its own and by the pool.
func (c *chaos) share(ctx context.Context, p *population, me int, dice *rand.Rand) error {
	ctx = persistent.WithIdentity(ctx, me)
	conn, err := p.keyed.GetConn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err := p.keyed.PutConn(conn); err != nil {
			assert.ErrorIs(c.t, err, pool.ErrRevoked)
		}
	}()
	if _, err := p.claim(ctx, conn, me, fmt.Sprint(me)); err != nil {
		return err
	}
	return c.move(ctx, p, p.keyed, dice)
}

// move moves money, in two steps, at times with a savepoint between them.
func (c *chaos) move(ctx context.Context, p *population, d db, dice *rand.Rand) error {
	from, to := dice.IntN(accounts)+1, dice.IntN(accounts)+1
	err := c.ledger.noted(c.ledger.trade(ctx, d, false, dice, func(tx pgx.Tx) (nested []int64, err error) {
		if _, err := tx.Exec(ctx, "update accounts set sum = sum - 1 where id = $1", min(from, to)); err != nil {
			return nil, err
		}
		if dice.IntN(3) == 0 {
			nested, err = c.ledger.trade(ctx, tx, true, dice, func(pgx.Tx) ([]int64, error) { return nil, nil })
			if err != nil {
				return nil, err
			}
		}
		_, err = tx.Exec(ctx, "update accounts set sum = sum + 1 where id = $1", max(from, to))
		return nested, err
	}))
	if err == nil {
		p.traded.Add(1)
	}
	return err
}

// faults makes them, one after the other, and at half time a failover in any case.
func (c *chaos) faults(dice *rand.Rand) {
	for began := time.Now(); time.Since(began) < *lasting; c.made++ {
		if c.failovers == 0 && time.Since(began) > *lasting/2 {
			c.failOver(dice)
		}
		c.fault(dice)
		briefly(dice, 400*time.Millisecond)
		if dice.IntN(3) > 0 {
			c.healNetwork()
			briefly(dice, 300*time.Millisecond)
		}
	}
}

func (c *chaos) fault(dice *rand.Rand) {
	way := []pooltest.Direction{pooltest.ToServer, pooltest.ToClient, pooltest.BothWays}[dice.IntN(3)]
	p := c.pops[dice.IntN(len(c.pops))]
	switch dice.IntN(18) {
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
		if err := c.proxy.DropSYN(); err != nil {
			assert.ErrorIs(c.t, err, errors.ErrUnsupported)
		}
	case 9, 10:
		c.do("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'stressed%'")
	case 11:
		switch dice.IntN(12) {
		case 0, 1, 2:
			assert.NoError(c.t, c.server.Crash(c.ctx))
			assert.NoError(c.t, c.server.Restart(c.ctx))
		case 3:
			c.failOver(dice)
		}
	case 12:
		p.makeOld()
	case 13, 14: // one whose connections do not come back in time is not paused
		ctx, cancel := context.WithTimeout(c.ctx, upTo(dice, 600*time.Millisecond))
		defer cancel()
		if p.pause(ctx) {
			briefly(dice, 300*time.Millisecond)
			p.resume()
		}
	case 15, 16:
		most := 1 + dice.IntN(p.most)
		assert.NoError(c.t, p.Resize(dice.IntN(most+1), most))
	case 17:
		putAll(p.allIdle())
	}
}

func (c *chaos) healNetwork() { assert.NoError(c.t, c.proxy.Heal()) }

// failOver promotes a standby, and has the name of the server lead there. Nothing that was committed
// is lost: either the old primary is stopped, which waits until the standby that follows it has
// received everything, or it lives on, takes no more writes, and the standby catches up.
func (c *chaos) failOver(dice *rand.Rand) {
	next, err := c.server.Standby(c.ctx)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, next.Close()) })
	require.NoError(c.t, next.CatchUp(c.ctx)) // so it does follow
	if dice.IntN(2) == 0 {
		require.NoError(c.t, c.server.Stop(c.ctx))
	} else {
		c.fence()
		require.NoError(c.t, next.CatchUp(c.ctx))
	}
	require.NoError(c.t, next.Promote(c.ctx))
	require.NoError(c.t, c.proxy.Retarget(next.ConnString()))
	c.attend(next, next.ConnString())
	c.failovers++
}

// fence has the server take no more writes: the sessions that might not have heard of it are gone.
func (c *chaos) fence() {
	c.do("alter system set default_transaction_read_only = on")
	c.do("select pg_reload_conf()")
	c.await("new sessions are read-only", func() bool {
		conn, err := pgx.Connect(c.ctx, c.url)
		require.NoError(c.t, err)
		defer conn.Close(c.ctx)
		var is string
		require.NoError(c.t, conn.QueryRow(c.ctx, "show default_transaction_read_only").Scan(&is))
		return is == "on"
	})
	now := ask[time.Time](c.run, "select clock_timestamp()")[0]
	c.await("old sessions are gone", func() bool {
		return len(ask[bool](c.run, `select pg_terminate_backend(pid) from pg_stat_activity
			where backend_type = 'client backend' and pid <> pg_backend_pid() and backend_start < $1`, now)) == 0
	})
}

// recovers waits until each pool, beside its borrowers, has all connections there may be work at the
// same time and no connect fails, and until trades succeed.
func (c *chaos) recovers() {
	began := time.Now()
	var all sync.WaitGroup
	for _, p := range c.pops {
		traded := p.traded.Load()
		all.Go(func() {
			c.await("full service of "+p.name, func() bool {
				ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
				defer cancel()
				leases := p.hold(ctx, p.most)
				putAll(leases)
				st := p.look()
				if leases == nil && time.Since(began) > 2*time.Second {
					c.t.Logf("%s: not yet back after %v: %+v", p.name, time.Since(began).Round(time.Millisecond), st)
				}
				return leases != nil && st.Failures == 0
			})
			took := time.Since(began)
			c.t.Logf("%s: back to full service after %v", p.name, took.Round(time.Millisecond))
			assert.Less(c.t, took, 10*time.Second, "2 s, but for a busy machine, and for a rollback on a dead connection, which has 5")
			c.await("trades of "+p.name, func() bool { return p.traded.Load() > traded })
		})
	}
	all.Wait()
}

// Many pools.

// TestManyPools has a pool for each of many tenants at one server. They open, are used and close at
// any time, by the dice. None ever has more backends than its limit (invariant 1), each ends cleanly
// (10), and no statement fails.
func TestManyPools(t *testing.T) {
	r := begin(t, fmt.Sprintf("-stress.long %d", *long), pooltest.WithSetting("max_connections", "200"))
	var lives, gets, late atomic.Int64
	live := func(tenant string, dice *rand.Rand) {
		briefly(dice, 100*time.Millisecond)
		s := r.pool(tenant, r.url, 1+dice.IntN(3), nil)
		var all sync.WaitGroup
		for i := range 1 + dice.IntN(5) {
			dice := rand.New(rand.NewPCG(dice.Uint64(), 0))
			all.Go(func() {
				for range 1 + dice.IntN(10) {
					s.ping(i, dice)
				}
			})
		}
		all.Wait()
		s.look()
		s.end(dice.IntN(3) > 0)
		lives.Add(1)
		gets.Add(s.asked.Load())
		late.Add(s.refused.Load())
	}
	most := 0
	r.every(20*time.Millisecond, func() { most = max(most, r.count()) })
	r.each(50, func(i int, dice *rand.Rand) {
		for life := range 2 * *long {
			live(fmt.Sprint(i, ".", life), dice)
		}
	})
	r.halt()
	r.await("no backend is left (invariant 10)", func() bool { return r.count() == 0 })
	t.Logf("%d pools, %d gets, %d ran out of time; up to %d pools had a backend at the same time", lives.Load(), gets.Load(), late.Load(), most)
	assert.Greater(t, gets.Load(), late.Load())
}

// ping is one get, whose context is for the get alone: a statement that it ended might cost a backend,
// which the server lists for a while.
func (s *subject) ping(me int, dice *rand.Rand) {
	patience := wide
	if dice.IntN(4) == 0 {
		patience = upTo(dice, 20*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(s.r.ctx, patience)
	defer cancel()
	l, err := s.get(ctx, me)
	if err != nil {
		assert.ErrorIs(s.r.t, err, context.DeadlineExceeded)
		return
	}
	defer l.put()
	_, err = s.claim(s.r.ctx, l, me, "")
	assert.NoError(s.r.t, err)
}

// Keyed.

// TestKeyed has more identities than connections, some of several goroutines, beside borrowers without
// identity. An identity has one connection at a time and a connection one identity, and nothing of one
// is left for the next (invariant 2); there are as many holders as references, whatever contexts end
// (12), and none and no connection is lost in the end.
func TestKeyed(t *testing.T) {
	r := begin(t, fmt.Sprintf("-stress.long %d", *long))
	k := &keyed{ledger: r.ledger(), subject: r.pool("by key", r.url, 6, nil)}
	var err error
	k.ids, err = persistent.Over(k.Pool, persistent.WithProfile(persistent.Profile{OnBind: k.bind}))
	require.NoError(t, err)
	k.watch()
	r.keepOn(stranger, 6, k.ping)
	r.each(30, func(i int, dice *rand.Rand) {
		one := individual{id: i / 3 * 2, me: i} // of three goroutines one is an identity, and two are another
		if one.alone = i%3 == 0; !one.alone {
			one.id++
		}
		k.live(one, dice)
	})
	r.halt()

	r.await("all is back (invariant 12)", func() bool {
		st := k.look()
		return int(k.Stat().BoundKeys())+st.Leased+st.Mending+st.Waiting+st.Closing == 0
	})
	st := k.look()
	assert.Equal(t, st.Open, st.Idle, "%+v", st)
	leases := k.hold(r.ctx, k.most)
	require.NotNil(t, leases, "invariant 12: a connection is lost")
	putAll(leases)
	t.Logf("%d gets, %d ended; %d claims, %d busy; %d times references were counted; %d revoked; %d gets without identity",
		k.gets.Load(), k.gone.Load(), k.claims.Load(), k.busy.Load(), k.counted.Load(), st.Revoked, k.asked.Load())
	k.end(true)
	k.awaitNoBackend()
	k.ledger.check(r)
	for _, n := range []*atomic.Int64{&k.gone, &k.claims, &k.busy, &k.counted} {
		assert.Positive(t, n.Load(), "the dice were too kind")
	}
}

type keyed struct {
	*subject
	ids    *persistent.Pool
	ledger *ledger

	gets, gone, claims, busy, counted atomic.Int64
}

// An individual is a goroutine of an identity; it may be its only one.
type individual struct {
	id, me int
	alone  bool
}

// bind sees that the session is nobody's, and that the identity has no other: it takes a lock, which
// goes when the session is reset, or ends.
func (k *keyed) bind(ctx context.Context, id any, c *pgx.Conn) error {
	var mine string
	if err := c.QueryRow(ctx, whose).Scan(&mine); err != nil {
		return err
	}
	assert.Empty(k.r.t, mine, "invariant 2: a connection of two identities")
	for _, statement := range []string{"set lock_timeout = '3s'", fmt.Sprintf("select pg_advisory_lock(%d)", id)} {
		if _, err := c.Exec(ctx, statement); err != nil {
			assert.True(k.r.t, ctx.Err() != nil, "an identity has two connections: %v", err)
			return err
		}
	}
	return bindTo(ctx, id, c)
}

func (k *keyed) live(one individual, dice *rand.Rand) {
	for range 12 * *long {
		ctx, cancel := context.WithCancel(persistent.WithIdentity(k.r.ctx, one.id))
		if dice.IntN(3) == 0 {
			time.AfterFunc(upTo(dice, 30*time.Millisecond), cancel)
		}
		if one.alone && dice.IntN(3) == 0 {
			k.count(one.id, dice)
		} else {
			k.nest(ctx, one, dice, nil)
		}
		cancel()
	}
}

// nest gets the connection of an identity, as a function does that may be called by one that has it:
// it is the same one then.
func (k *keyed) nest(ctx context.Context, one individual, dice *rand.Rand, outer *pgx.Conn) {
	k.gets.Add(1)
	c, err := k.ids.GetConn(ctx)
	if err != nil {
		k.excuse(ctx, err)
		return
	}
	mine, err := k.claim(ctx, c, one, fmt.Sprint(one.id))
	k.excuse(ctx, err)
	if mine != nil {
		k.claims.Add(1)
		assert.True(k.r.t, outer == nil || outer == mine || ctx.Err() != nil, "an identity has two connections")
		switch n := dice.IntN(8); {
		case n < 3:
			k.nest(ctx, one, dice, mine)
		case n < 6 && one.alone: // what another goroutine has begun, this one would take part in
			k.excuse(ctx, k.ledger.noted(k.trade(ctx, one, dice, 0)))
		case n == 6:
			_, err := c.Exec(ctx, "select pg_sleep(0.002)")
			k.excuse(ctx, err)
		}
	}
	switch dice.IntN(4) {
	case 0: // left to the end of its context
	case 1:
		k.excuse(ctx, k.ids.Put(ctx))
	default:
		k.excuse(ctx, k.ids.PutConn(c))
	}
}

// trade trades in transactions that are one within the other.
func (k *keyed) trade(ctx context.Context, one individual, dice *rand.Rand, depth int) ([]int64, error) {
	return k.ledger.trade(ctx, k.ids, depth > 0, dice, func(pgx.Tx) ([]int64, error) {
		_, err := k.claim(ctx, k.ids, one, fmt.Sprint(one.id))
		if err != nil || depth == 3 || dice.IntN(2) == 0 {
			return nil, err
		}
		return k.trade(ctx, one, dice, depth+1)
	})
}

// excuse is for an error that a context, or somebody else of the same identity, accounts for.
func (k *keyed) excuse(ctx context.Context, err error) {
	switch {
	case err == nil:
	case errors.Is(err, pool.ErrBusy):
		k.busy.Add(1)
	case ctx.Err() != nil:
		k.gone.Add(1)
	case errors.Is(err, pool.ErrRevoked), errors.Is(err, pool.ErrRolledBack), errors.Is(err, pool.ErrNotLeased):
	default:
		assert.NoError(k.r.t, err)
	}
}

// count has several references, of which some end with their contexts, and counts the holders
// (invariant 12).
func (k *keyed) count(id int, dice *rand.Rand) {
	holders := func() (n int) {
		for _, l := range k.Leases() {
			if l.Key == id {
				n += l.Holders
			}
		}
		return n
	}
	// What it had before goes back with the end of its context.
	k.r.await("an identity has put all", func() bool { return holders() == 0 })
	n := 2 + dice.IntN(4)
	end := dice.IntN(n)
	var handles []*pool.Conn
	var cancels []context.CancelFunc
	for range n {
		ctx, cancel := context.WithCancel(persistent.WithIdentity(k.r.ctx, id))
		defer cancel()
		c, err := k.ids.GetConn(ctx)
		if !assert.NoError(k.r.t, err) {
			return
		}
		handles, cancels = append(handles, c), append(cancels, cancel)
	}
	assert.Equal(k.r.t, n, holders(), "invariant 12")
	for _, cancel := range cancels[:end] {
		cancel()
	}
	k.r.await("references end with their contexts (invariant 12)", func() bool { return holders() == n-end })
	for i, c := range handles {
		assert.NoError(k.r.t, k.ids.PutConn(c))
		assert.Equal(k.r.t, min(n-end, n-1-i), holders(), "invariant 12")
	}
	k.counted.Add(1)
}

// Storm.

// TestStorm has operators pause, resize and reset a pool and look into it while borrowers work, of
// whom none may notice: no statement fails. Nothing is lent in a pause (invariant 9) nor older than a
// reset (8), and shrinking works without traffic (1).
func TestStorm(t *testing.T) {
	r := begin(t, fmt.Sprintf("-stress.long %d", *long))
	s := &storm{r.pool("by operators", r.url, 6, nil)}
	r.keepOn(0, 16, func(_ int, dice *rand.Rand) { s.borrow(dice) })
	operate := []func(*rand.Rand){
		func(dice *rand.Rand) {
			most := 1 + dice.IntN(s.most)
			assert.NoError(t, s.Resize(dice.IntN(most+1), most))
		},
		func(*rand.Rand) { s.makeOld() },
		func(*rand.Rand) { s.look(); s.Leases() },
		func(*rand.Rand) { putAll(s.allIdle()) },
	}
	r.keepOn(operator, len(operate), func(i int, dice *rand.Rand) {
		s.goesOn(dice)
		operate[i](dice)
	})
	paused, rounds, dice := 0, 50**long, r.dice(operator-1)
	for range rounds {
		if s.goesOn(dice); s.calm(dice) {
			paused++
		}
	}
	r.halt()
	t.Logf("%d pauses, and %d that were given up; %d resets; %d gets, %d gave up; %d connections opened",
		paused, rounds-paused, s.reset.Load(), s.asked.Load(), s.refused.Load(), s.look().Opened)
	assert.Positive(t, paused)
	s.shrink()
	s.rest()
	s.inOrder(dice)
	s.end(true)
	s.awaitNoBackend()
	assert.Zero(t, s.told.revoked)
}

type storm struct{ *subject }

// goesOn waits until borrowers were served a few times, or halt: operators that leave no time for a
// connect leave nothing to see.
func (s *storm) goesOn(dice *rand.Rand) {
	lent, some := s.lent.Load(), dice.Int64N(50)
	s.r.await("work goes on", func() bool { return s.lent.Load() >= lent+some || ended(s.r.stop) })
}

// borrow is one get. Who has a key may ask once more, also while a pause waits for him.
func (s *storm) borrow(dice *rand.Rand) {
	ctx, cancel := context.WithTimeout(s.r.ctx, upTo(dice, 100*time.Millisecond))
	defer cancel()
	var get []pool.GetOption
	keyed := dice.IntN(4) == 0
	if keyed {
		get = append(get, pool.WithKey(dice.Uint64()))
	}
	l, err := s.get(ctx, "borrower", get...)
	if err != nil {
		assert.ErrorIs(s.r.t, err, context.DeadlineExceeded)
		return
	}
	defer l.put()
	if keyed {
		again, err := s.GetConn(s.r.ctx, get...)
		if assert.NoError(s.r.t, err) {
			assert.Same(s.r.t, l.mine, again.Conn(), "invariant 12")
			assert.NoError(s.r.t, s.PutConn(again))
		}
	}
	_, err = l.Exec(s.r.ctx, "select 1")
	assert.NoError(s.r.t, err, "an operator has taken a connection away")
}

// calm pauses the pool, if everything is back in time: then nothing is lent to anybody, and there are
// no more connections than the limit says, though nobody brings any.
func (s *storm) calm(dice *rand.Rand) bool {
	t, r := s.r.t, s.r
	ctx, cancel := context.WithTimeout(r.ctx, upTo(dice, 40*time.Millisecond))
	defer cancel()
	if !s.pause(ctx) {
		return false
	}
	defer s.resume()
	assert.Zero(t, s.look().Leased, "invariant 9")
	_, err := s.TryGetConn()
	assert.ErrorIs(t, err, pool.ErrPaused, "invariant 9")
	ctx, cancel = context.WithTimeout(r.ctx, 2*time.Millisecond)
	defer cancel()
	_, err = s.get(ctx, "impatient")
	assert.ErrorIs(t, err, context.DeadlineExceeded, "invariant 9")
	r.await("no more than the limit (invariant 1)", func() bool { st := s.look(); return st.Open <= st.Limit })
	assert.Zero(t, s.look().Leased, "invariant 9")
	return true
}

// shrink makes the pool smaller: by what is idle at once, by what is lent when it is put.
func (s *storm) shrink() {
	s.fill()
	assert.NoError(s.r.t, s.Resize(0, 2))
	s.r.await("it shrinks (invariant 1)", func() bool { return s.look().Open <= 2 })
	leases := s.hold(s.r.ctx, 2)
	require.NotNil(s.r.t, leases)
	assert.NoError(s.r.t, s.Resize(0, 1))
	putAll(leases)
	s.r.await("it shrinks with the puts (invariant 1)", func() bool { return s.look().Open <= 1 })
}

// fill has the pool have all connections there may be.
func (s *storm) fill() {
	assert.NoError(s.r.t, s.Resize(0, s.most))
	leases := s.hold(s.r.ctx, s.most)
	require.NotNil(s.r.t, leases)
	putAll(leases)
}

// rest pauses the pool: what is idle survives (invariant 9).
func (s *storm) rest() {
	s.fill()
	before := s.look()
	require.True(s.r.t, s.pause(s.r.ctx))
	assert.Equal(s.r.t, s.most, s.look().Idle, "invariant 9: idle connections survive")
	s.resume()
	s.fill()
	assert.Equal(s.r.t, before.Opened, s.look().Opened, "invariant 9: idle connections survive")
}
