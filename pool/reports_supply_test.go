package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What has to do with the supply of connections: how many are open, when one is made, and
// where.
var reportsOfSupply = []report{
	{"15.11 TryGetConn after a NOTIFY", ": everything idle listens, 30 calls", tryGetAfterNotify, nil},

	{"15.3 the first of two hosts is silent", ", no `connect_timeout`", silentFirstHost, silentFirstHostThere},
	{"15.9 waiting for what cannot heal", ", `WaitForServer`", waitsInVain, waitsInVainThere},
	{"15.10 a minimum whose backends die at rest", ": 2 are kept, a health check every 100 ms, nobody asks", minimumDiesAtRest, minimumDiesAtRestThere},
	{"15.12 a duration without its unit", ": `MaxConnLifetime = 60`", withoutUnit, withoutUnitThere},
	{"15.12 a minimum that does not last", ": 4 are kept, each lives for 50 ms, 10 s", minimumThatDoesNotLast, nil},
	{"15.12 sessions that end at once", ": 8 clients, 4 connections, 2 s", endingAtOnce, endingAtOnceThere},
	{"16.2 a check that refuses everything", ": 8 clients, 4 connections, 2 s", refusingCheck, refusingCheckThere},
}

// A notification that waits on the socket of an idle connection is no reason to say that
// every connection is lent.
func tryGetAfterNotify(t *testing.T) string {
	const calls = 30
	for _, limit := range []int32{1, 4} {
		a := newAdmin(t)
		p := made(t, a.url, func(c *pool.Config) { c.MaxConns = limit })
		var all []*pool.Conn
		for range limit {
			c := get(t, p)
			_, err := c.Exec(background(t), "listen news")
			require.NoError(t, err)
			all = append(all, c)
		}
		for _, c := range all {
			c.Release()
		}
		failed := 0
		for range calls {
			_, err := a.conn.Exec(background(t), "notify news")
			require.NoError(t, err)
			<-time.After(2 * time.Millisecond) // the rest after which a connection is looked at
			c, err := p.TryGetConn()
			if err != nil {
				failed++
				continue
			}
			c.Release()
		}
		require.Zero(t, failed, "TryGetConn failed with everything idle, %d connections", limit)
		_, err := a.conn.Exec(background(t), "notify news")
		require.NoError(t, err)
		<-time.After(2 * time.Millisecond)
		idle := p.AcquireAllIdle(background(t))
		assert.Len(t, idle, int(limit), "AcquireAllIdle")
		for _, c := range idle {
			c.Release()
		}
	}
	return fmt.Sprintf("%d connections", calls)
}

const healthCheck = 100 * time.Millisecond

// endAll ends all backends of other connections, once there are n.
func (a *admin) endAll(n int) {
	a.await(n)
	_, err := a.conn.Exec(background(a.t), `select pg_terminate_backend(pid, 10000) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`)
	require.NoError(a.t, err)
}

// A minimum is kept though nobody asks for a connection.
func minimumDiesAtRest(t *testing.T) string {
	for what, least := range map[string]func(*pool.Config){
		"MinConns":     func(c *pool.Config) { c.MinConns = 2 },
		"MinIdleConns": func(c *pool.Config) { c.MinIdleConns = 2 },
	} {
		a := newAdmin(t)
		p := made(t, a.url, func(c *pool.Config) {
			c.HealthCheckPeriod, c.MaxConnIdleTime = healthCheck, 0
			least(c)
		})
		a.endAll(2)
		a.await(2)
		require.Eventually(t, func() bool { return p.Stat().IdleConns() == 2 && p.Stat().TotalConns() == 2 }, wide, time.Millisecond, what)
		require.EqualValues(t, 4, p.Stat().NewConnsCount(), what)
	}
	return "2 others within a period"
}

func minimumDiesAtRestThere(t *testing.T) string {
	a := newAdmin(t)
	config, err := pgxpool.ParseConfig(a.url)
	require.NoError(t, err)
	config.MinConns, config.HealthCheckPeriod = 2, healthCheck
	p, err := pgxpool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	a.endAll(2)
	<-time.After(5 * healthCheck)
	return fmt.Sprintf("5 periods later %d idle, the server has %d", p.Stat().IdleConns(), a.backends())
}

// A duration that can only be a number whose unit was forgotten is refused, with its name.
func withoutUnit(t *testing.T) string {
	said := ""
	for field, forget := range map[string]func(c *pool.Config){
		"MaxConnLifetime":           func(c *pool.Config) { c.MaxConnLifetime = 60 },
		"MaxConnLifetimeJitter":     func(c *pool.Config) { c.MaxConnLifetimeJitter = 60 },
		"MaxConnIdleTime":           func(c *pool.Config) { c.MaxConnIdleTime = 1800 },
		"HealthCheckPeriod":         func(c *pool.Config) { c.HealthCheckPeriod = 60 },
		"PingTimeout":               func(c *pool.Config) { c.PingTimeout = 5 },
		"AcquireTimeout":            func(c *pool.Config) { c.AcquireTimeout = 10 },
		"MaxLeaseTime":              func(c *pool.Config) { c.MaxLeaseTime = 86400 },
		"ConnConfig.ConnectTimeout": func(c *pool.Config) { c.ConnConfig.ConnectTimeout = 10 },
	} {
		config := serverless(t)
		forget(config)
		_, err := pool.NewWithConfig(background(t), config)
		var e *pool.ConfigError
		require.ErrorAs(t, err, &e)
		require.Equal(t, field, e.Field)
		require.Contains(t, e.Reason, "unit")
		if field == "MaxConnLifetime" {
			said = err.Error()
		}
	}
	_, err := pool.ParseConfig("host=h pool_max_conn_lifetime=60ns")
	var e *pool.ConfigError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "pool_max_conn_lifetime", e.Field)
	return said
}

func withoutUnitThere(t *testing.T) string {
	config, err := pgxpool.ParseConfig(server.Database(t))
	require.NoError(t, err)
	config.MaxConnLifetime = 60
	p, err := pgxpool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	p.Close()
	return "accepted"
}

// A minimum whose connections live for less than a second is filled once a second.
func minimumThatDoesNotLast(t *testing.T) string {
	const kept, seconds = 4, 10
	opened := int64(0)
	inBubble(t, func(c *pool.Config) {
		c.MaxConns, c.MinConns, c.MaxConnLifetime = kept, kept, 50*time.Millisecond
	}, func(b *bubble) {
		time.Sleep(seconds * time.Second)
		opened = b.Stat().NewConnsCount()
		require.LessOrEqual(b, opened, int64(kept*(seconds+1)))
		require.GreaterOrEqual(b, opened, int64(kept*(seconds-1)), "it is filled all the same")
	})
	return fmt.Sprintf("%d connects", opened)
}

// A storm is 8 clients before a server that takes 5 ms to connect to, for 2 s of virtual
// time. The pool has 4 connections, and the server ends a session at its first statement.
type storm struct{ connects int64 }

const (
	stormLimit = 4
	stormLasts = 2 * time.Second
	// fewConnects is more than the backoff of 200 ms at most allows, and far less than what
	// the server could be made to do.
	fewConnects = 100
)

func dialStorm(context.Context, string, string) (net.Conn, error) {
	time.Sleep(5 * time.Millisecond)
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		b := pgproto3.NewBackend(theirs, theirs)
		if _, err := b.ReceiveStartupMessage(); err != nil {
			return
		}
		b.Send(&pgproto3.AuthenticationOk{})
		b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: make([]byte, 4)})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if b.Flush() == nil {
			_, _ = b.Receive()
		}
	}()
	return ours, nil
}

func addressStorm(c *pgx.ConnConfig) {
	c.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil }
	c.DialFunc = dialStorm
}

// lasts has the clients use connections.
func (s *storm) lasts(ctx context.Context, use func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, stormLasts)
	defer cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				use(ctx)
				time.Sleep(time.Millisecond) // as a client that does something else too
			}
		})
	}
	all.Wait()
}

// stormHere has the storm before a pool of this package, and returns the last failure.
func stormHere(t *testing.T, change func(*pool.Config), use func(ctx context.Context, p *pool.Pool)) (seen string, last error) {
	var s storm
	inBubble(t, func(c *pool.Config) {
		c.MaxConns = stormLimit
		addressStorm(c.ConnConfig)
		if change != nil {
			change(c)
		}
	}, func(b *bubble) {
		s.lasts(b.ctx, func(ctx context.Context) { use(ctx, b.Pool) })
		s.connects, last = b.Stat().NewConnsCount(), pool.StatOf(b.Pool).LastError
	})
	require.Less(t, s.connects, int64(fewConnects))
	return s.seen(), last
}

// stormThere is stormHere for pgxpool.
func stormThere(t *testing.T, change func(*pgxpool.Config), use func(ctx context.Context, p *pgxpool.Pool)) string {
	var s storm
	synctest.Test(t, func(t *testing.T) {
		config, err := pgxpool.ParseConfig("host=in.a.bubble port=1 user=u database=d sslmode=disable")
		require.NoError(t, err)
		config.MaxConns = stormLimit
		addressStorm(config.ConnConfig)
		if change != nil {
			change(config)
		}
		p, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		defer p.Close()
		s.lasts(t.Context(), func(ctx context.Context) { use(ctx, p) })
		s.connects = p.Stat().NewConnsCount()
	})
	return s.seen()
}

func (s *storm) seen() string { return fmt.Sprintf("%d connects", s.connects) }

// A server that ends every session at its first statement, as a pooler with a mistake in
// its settings does, is asked for another one after a backoff.
func endingAtOnce(t *testing.T) string {
	seen, last := stormHere(t, nil, func(ctx context.Context, p *pool.Pool) {
		_, err := p.Exec(ctx, "select 1", pgx.QueryExecModeSimpleProtocol)
		assert.Error(t, err)
	})
	require.ErrorContains(t, last, "after it was opened: broken")
	return seen
}

func endingAtOnceThere(t *testing.T) string {
	return stormThere(t, nil, func(ctx context.Context, p *pgxpool.Pool) {
		_, _ = p.Exec(ctx, "select 1", pgx.QueryExecModeSimpleProtocol)
	})
}

func refuse(context.Context, *pgx.Conn) (bool, error) { return false, nil }

// A check that refuses all that it sees, as "must be writable" does in a failover, is no
// reason to connect as fast as the server can.
func refusingCheck(t *testing.T) string {
	var unavailable atomic.Int64
	seen, last := stormHere(t, func(c *pool.Config) { c.PrepareConn = refuse }, func(ctx context.Context, p *pool.Pool) {
		_, err := p.GetConn(ctx)
		assert.Error(t, err)
		if errors.Is(err, pool.ErrUnavailable) && ctx.Err() == nil {
			unavailable.Add(1)
		}
	})
	require.ErrorContains(t, last, "after it was opened: refused by Prepare")
	require.Positive(t, unavailable.Load(), "gets give up")
	return seen
}

func refusingCheckThere(t *testing.T) string {
	return stormThere(t, func(c *pgxpool.Config) { c.PrepareConn = refuse }, func(ctx context.Context, p *pgxpool.Pool) {
		if c, err := p.Acquire(ctx); err == nil {
			c.Release()
		}
	})
}

// A fleet has a silent host and one that works, in virtual time. Addresses are 192.0.2.1
// and so on; the lookup has all of a name.
type fleet struct {
	names  map[string][]string
	silent map[string]bool // addresses with their ports
	tried  []string        // since the last look
}

// dial leaves the client of a silent address standing.
func (f *fleet) dial(_ context.Context, _, address string) (net.Conn, error) {
	f.tried = append(f.tried, address)
	ours, theirs := net.Pipe()
	if f.silent[address] {
		return ours, nil
	}
	go func() {
		defer theirs.Close()
		serve(pgproto3.NewBackend(theirs, theirs))
	}()
	return ours, nil
}

func (f *fleet) at(c *pgx.ConnConfig) {
	c.DialFunc = f.dial
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return f.names[host], nil }
}

// look returns the addresses that were tried since the last look.
func (f *fleet) look() []string {
	defer func() { f.tried = nil }()
	return f.tried
}

func twoHosts() *fleet {
	return &fleet{
		names:  map[string][]string{"a": {"192.0.2.1"}, "b": {"192.0.2.2"}},
		silent: map[string]bool{"192.0.2.1:1": true},
	}
}

const (
	twoHostsAt = "host=a,b port=1,2 user=u database=d sslmode=disable"
	hostA      = "192.0.2.1:1"
	hostB      = "192.0.2.2:2"
)

// Every host has its own time, and the next connect begins where the last succeeded.
func silentFirstHost(t *testing.T) string {
	var first, second time.Duration
	inFleet(t, twoHosts(), twoHostsAt, func(f *fleet, connect func() time.Duration, p *pool.Pool) {
		first = connect()
		require.Equal(t, []string{hostA, hostB}, f.look())
		require.Equal(t, 2*time.Minute, first)
		second = connect()
		require.Equal(t, []string{hostB}, f.look())
		require.Zero(t, second)

		f.silent = map[string]bool{hostB: true}
		connect()
		require.Equal(t, []string{hostB, hostA}, f.look(), "the other is tried too")
		connect()
		require.Equal(t, []string{hostA}, f.look(), "and remembered")

		f.silent = nil
		p.Reset()
		connect()
		require.Equal(t, []string{hostA}, f.look(), "the order of the connection string")
	})
	inFleet(t, twoHosts(), twoHostsAt+" connect_timeout=3", func(f *fleet, connect func() time.Duration, _ *pool.Pool) {
		require.Equal(t, 3*time.Second, connect())
	})
	manyAddresses := &fleet{
		names:  map[string][]string{"a": {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}, "b": {"192.0.2.5"}},
		silent: map[string]bool{"192.0.2.1:1": true, "192.0.2.2:1": true, "192.0.2.3:1": true, "192.0.2.4:1": true},
	}
	inFleet(t, manyAddresses, twoHostsAt+" connect_timeout=120", func(f *fleet, connect func() time.Duration, _ *pool.Pool) {
		require.Equal(t, 2*time.Minute, connect(), "one host leaves the other its time")
	})
	sixHosts := &fleet{
		names:  map[string][]string{"a": {"192.0.2.1"}},
		silent: map[string]bool{"192.0.2.1:1": true, "192.0.2.1:2": true, "192.0.2.1:3": true, "192.0.2.1:4": true, "192.0.2.1:5": true},
	}
	inFleet(t, sixHosts, "host=a,a,a,a,a,a port=1,2,3,4,5,6 user=u database=d sslmode=disable", func(f *fleet, connect func() time.Duration, _ *pool.Pool) {
		require.Equal(t, 10*time.Minute, connect(), "hosts times timeout")
		require.Zero(t, connect())
	})
	threeAddresses := &fleet{
		names:  map[string][]string{"a": {"192.0.2.1", "192.0.2.2", "192.0.2.3"}},
		silent: map[string]bool{"192.0.2.1:1": true},
	}
	inFleet(t, threeAddresses, "host=a port=1 user=u database=d sslmode=disable", func(f *fleet, connect func() time.Duration, _ *pool.Pool) {
		require.Equal(t, 40*time.Second, connect(), "the addresses of a host share its time")
		require.Zero(t, connect())
		f.look()
		f.names["a"] = []string{"192.0.2.1", "192.0.2.3", "192.0.2.2"}
		connect()
		require.Equal(t, []string{"192.0.2.3:1"}, f.look(), "those that are not known to be bad, in the order of the lookup")
	})
	return fmt.Sprintf("connected after %v, the next after %v", first, second)
}

// inFleet has a pool before a fleet. connect returns how long a new connection took; it is
// closed at once.
func inFleet(t *testing.T, f *fleet, connString string, play func(f *fleet, connect func() time.Duration, p *pool.Pool)) {
	synctest.Test(t, func(t *testing.T) {
		config, err := pool.ParseConfig(connString)
		require.NoError(t, err)
		config.MaxConns = 1 // or a get has another connect begun after a second
		f.at(config.ConnConfig)
		p, err := pool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		defer p.Close()
		play(f, func() time.Duration {
			began := time.Now()
			c, err := p.GetConn(t.Context())
			require.NoError(t, err)
			took := time.Since(began)
			require.NoError(t, p.PutConn(c, pool.WithClose()))
			synctest.Wait()
			return took
		}, p)
	})
}

func silentFirstHostThere(t *testing.T) (seen string) {
	f := twoHosts()
	synctest.Test(t, func(t *testing.T) {
		config, err := pgxpool.ParseConfig(twoHostsAt)
		require.NoError(t, err)
		f.at(config.ConnConfig)
		p, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		defer p.Close()
		var took [2]time.Duration
		for i := range took {
			began := time.Now()
			c, err := p.Acquire(t.Context())
			require.NoError(t, err)
			took[i] = time.Since(began)
			require.NoError(t, c.Conn().Close(t.Context()))
			c.Release()
		}
		seen = fmt.Sprintf("connected after %v, the next after %v", took[0], took[1])
	})
	return seen
}
