package pool_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// A rival is either pool, as far as both can be asked the same.
type rival struct {
	get   func(ctx context.Context) (conn querier, put func(), err error)
	exec  func(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	opens func() int64
	close func()
	dials *atomic.Int64
}

type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// circumstances are what a day asks of both pools.
type circumstances struct {
	connString string
	most       int32
	dial       time.Duration // how long a dial takes longer
	ours       func(*pool.Config)
}

// rivals makes both.
func rivals(t *testing.T, s circumstances) [2]rival {
	return [2]rival{them: theirs(t, s), us: ours(t, s)}
}

// counted counts dials, and has them take longer.
func (s circumstances) counted(cc *pgx.ConnConfig) *atomic.Int64 {
	dials := new(atomic.Int64)
	dial := cc.DialFunc
	cc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		if s.dial > 0 {
			time.Sleep(s.dial)
		}
		return dial(ctx, network, addr)
	}
	return dials
}

func theirs(t *testing.T, s circumstances) rival {
	config, err := pgxpool.ParseConfig(s.connString)
	require.NoError(t, err)
	config.MaxConns = s.most
	dials := s.counted(config.ConnConfig)
	p, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	closed := sync.OnceFunc(p.Close)
	t.Cleanup(closed)
	return rival{func(ctx context.Context) (querier, func(), error) {
		c, err := p.Acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		return c, c.Release, nil
	}, p.Exec, func() int64 { return p.Stat().NewConnsCount() }, closed, dials}
}

func ours(t *testing.T, s circumstances) rival {
	config, err := pool.ParseConfig(s.connString)
	require.NoError(t, err)
	config.MaxConns = s.most
	if s.ours != nil {
		s.ours(config)
	}
	dials := s.counted(config.ConnConfig)
	p, err := pool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return rival{func(ctx context.Context) (querier, func(), error) {
		c, err := p.Acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		return c, c.Release, nil
	}, p.Exec, func() int64 { return p.Stat().NewConnsCount() }, p.Close, dials}
}

// crowd runs n goroutines and waits for them.
func crowd(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// opened has n connections open and at rest.
func (r rival) opened(t *testing.T, n int) {
	var puts []func()
	for range n {
		_, put, err := r.get(background(t))
		require.NoError(t, err)
		puts = append(puts, put)
	}
	for _, put := range puts {
		put()
	}
}

// waitedFor tells when somebody begins to wait for its end. pgxpool has no number
// of those who wait.
type waitedFor struct {
	context.Context
	waits chan struct{}
}

func (c waitedFor) Done() <-chan struct{} {
	c.waits <- struct{}{}
	return c.Context.Done()
}
