package pool_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// TrackLeases on a real server.

// deadlock has two borrowers who both want a second connection.
func TestDeadlockErrorNamesTheHolders(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.TrackLeases = 2, true })
	errs := make(chan error, 2)
	both := make(chan struct{}, 2)
	for _, label := range []string{"orders", "invoices"} {
		go func() {
			ctx := pool.WithLabel(context.Background(), label)
			first, err := p.GetConn(ctx)
			if err != nil {
				errs <- err
				return
			}
			defer first.Release()
			both <- struct{}{}
			for len(both) < 2 {
				time.Sleep(time.Millisecond)
			}
			ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			second, err := p.GetConn(ctx)
			if err == nil { // the other has given up
				second.Release()
			}
			errs <- err
		}()
	}
	var failed error
	for range 2 {
		failed = errors.Join(failed, <-errs)
	}
	require.ErrorIs(t, failed, context.DeadlineExceeded)
	require.ErrorIs(t, failed, pool.ErrExhausted)
	for _, want := range []string{"2 of 2 in use", "TestDeadlockErrorNamesTheHolders.func", "track_test.go:", "(orders)", "(invoices)"} {
		require.ErrorContains(t, failed, want)
	}
	var w *pool.WaitError
	require.ErrorAs(t, failed, &w)
	require.NotEmpty(t, w.Leases)
	require.Equal(t, w.Leases[0].AtLeast, w.Oldest)
}

func TestLeasesOfVerbsNameTheirCaller(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.TrackLeases = 1, true })
	holder := func() string {
		leases := p.Leases()
		require.Len(t, leases, 1)
		return leases[0].Holder
	}
	const me = "github.com/pgactor/pgactor/pool_test.TestLeasesOfVerbsNameTheirCaller"
	ctx := background(t)
	c := get(t, p)
	require.Contains(t, holder(), "pool_test.get rig_test.go:")
	c.Release()
	rows, err := p.Query(ctx, "select 1")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(holder(), me+" track_test.go:"), holder())
	rows.Close()
	row := p.QueryRow(ctx, "select 1")
	require.Contains(t, holder(), me)
	var n int
	require.NoError(t, row.Scan(&n))
	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	require.Contains(t, holder(), me)
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, p.AcquireFunc(ctx, func(*pool.Conn) error {
		require.Contains(t, holder(), me)
		return nil
	}))
	keyed := get(t, p, pool.WithKey("k"))
	leaveOpen, err := keyed.Query(ctx, "select 1")
	require.NoError(t, err)
	require.Equal(t, "rows of a query are open", p.Leases()[0].Doing)
	leaveOpen.Close()
	require.Empty(t, p.Leases()[0].Doing)
	keyed.Release()
	require.Empty(t, p.Leases())
}

func TestSimpleExhaustedNamesTheHolder(t *testing.T) {
	s, err := pool.NewSimple(background(t), 0, 1, newAdmin(t).url+" pool_track_leases=true")
	if err != nil { // a URL
		s, err = pool.NewSimple(background(t), 0, 1, withParam(newAdmin(t).url, "pool_track_leases=true"))
	}
	require.NoError(t, err)
	c := get(t, s)
	_, err = s.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrExhausted)
	var e *pool.ExhaustedError
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, "1 of 1 in use")
	require.ErrorContains(t, err, "pool_test.get rig_test.go:")
	var left *pool.CloseError
	require.ErrorAs(t, s.CloseAll(background(t)), &left)
	require.ErrorContains(t, left, "pool_test.get rig_test.go:")
	require.ErrorIs(t, s.PutConn(c), pool.ErrRevoked)
}

func withParam(url, param string) string {
	if strings.Contains(url, "?") {
		return url + "&" + param
	}
	return url + "?" + param
}

// What is dropped without its end is found, whatever holds the connection.
func TestLeaks(t *testing.T) {
	drops := map[string]func(ctx context.Context, p *pool.Pool) error{
		"GetConn": func(ctx context.Context, p *pool.Pool) error { _, err := p.GetConn(ctx); return err },
		"keyed":   func(ctx context.Context, p *pool.Pool) error { _, err := p.GetConn(ctx, pool.WithKey("k")); return err },
		"the bare connection is kept": func(ctx context.Context, p *pool.Pool) error {
			c, err := p.GetConn(ctx)
			if err == nil {
				kept = c.Conn()
			}
			return err
		},
		"QueryRow": func(ctx context.Context, p *pool.Pool) error { p.QueryRow(ctx, "select 1"); return nil },
		"Query":    func(ctx context.Context, p *pool.Pool) error { _, err := p.Query(ctx, "select 1"); return err },
		"rows half read": func(ctx context.Context, p *pool.Pool) error {
			rows, err := p.Query(ctx, "select generate_series(1, 10)")
			if err == nil {
				rows.Next()
			}
			return err
		},
		"SendBatch": func(ctx context.Context, p *pool.Pool) error {
			var b pgx.Batch
			b.Queue("select 1")
			p.SendBatch(ctx, &b)
			return nil
		},
		"Begin": func(ctx context.Context, p *pool.Pool) error { _, err := p.Begin(ctx); return err },
		"Begin on a Conn, with a savepoint": func(ctx context.Context, p *pool.Pool) error {
			c, err := p.GetConn(ctx)
			if err != nil {
				return err
			}
			tx, err := c.Begin(ctx)
			if err != nil {
				return err
			}
			_, err = tx.Begin(ctx)
			return err
		},
		"Begin under a key": func(ctx context.Context, p *pool.Pool) error {
			c, err := p.GetConn(ctx, pool.WithKey("k"))
			if err != nil {
				return err
			}
			_, err = c.Begin(ctx)
			return err
		},
		"rows of a Conn under a key": func(ctx context.Context, p *pool.Pool) error {
			c, err := p.GetConn(ctx, pool.WithKey("k"))
			if err != nil {
				return err
			}
			_, err = c.Query(ctx, "select 1")
			return err
		},
	}
	for name, drop := range drops {
		t.Run(name, func(t *testing.T) {
			leaks := make(chan pool.Event, 10)
			p, _ := configured(t, func(c *pool.Config) {
				c.MaxConns, c.TrackLeases = 1, true
				c.OnEvent = func(e pool.Event) {
					if e.Kind == pool.EventLeaked {
						leaks <- e
					}
				}
			})
			require.NoError(t, drop(background(t), p))
			require.Eventually(t, func() bool { runtime.GC(); return len(leaks) > 0 }, wide, time.Millisecond)
			e := <-leaks
			require.True(t, e.Lease.Leaked)
			require.Contains(t, e.Lease.Holder, "pool_test.TestLeaks.func")
			require.EqualValues(t, 1, p.Stat().LeakedCount())
			require.Len(t, p.Leases(), 1, "its place is not free")
			require.Error(t, p.CloseAll(ended()))
			kept = nil
		})
	}
}

var kept *pgx.Conn

// What is ended is no leak, however often.
func TestNoLeaks(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.TrackLeases = 2, true })
	ctx := background(t)
	for range 100 {
		var n int
		require.NoError(t, p.QueryRow(ctx, "select 1").Scan(&n))
		rows, err := p.Query(ctx, "select 1")
		require.NoError(t, err)
		for rows.Next() {
		}
		tx, err := p.Begin(ctx)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(ctx))
		get(t, p).Release()
		get(t, p, pool.WithKey(1)).Release()
		var b pgx.Batch
		b.Queue("select 1")
		require.NoError(t, p.SendBatch(ctx, &b).Close())
	}
	for range 10 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	require.Zero(t, p.Stat().LeakedCount())
}
