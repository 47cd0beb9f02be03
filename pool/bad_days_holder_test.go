package pool_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Bad days: of those who hold connections, and of those who wait for them.

func closeWithWaiters(t *testing.T) outcome {
	url := server.Database(t)
	return outcome{them: theyCloseWithWaiters(t, url), us: weCloseWithWaiters(t, url)}
}

func weCloseWithWaiters(t *testing.T, url string) string {
	p := made(t, url, func(c *pool.Config) { c.MaxConns, c.TrackLeases = 1, true })
	c, err := p.GetConn(background(t))
	require.NoError(t, err)
	told := make(chan error, 5)
	for range 5 {
		go func() {
			_, err := p.GetConn(background(t))
			told <- err
		}()
	}
	awaitWaiting(t, p, 5)
	ctx, cancel := context.WithTimeout(background(t), 100*time.Millisecond)
	defer cancel()
	closed := make(chan error)
	began := time.Now()
	go func() { closed <- p.CloseAll(ctx) }()
	for range 5 {
		require.ErrorIs(t, <-told, pool.ErrClosed)
	}
	took := time.Since(began)
	err = <-closed
	var e *pool.CloseError
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Leases, 1)
	assert.Contains(t, e.Leases[0].Holder, "pool_test.weCloseWithWaiters")
	c.Release()
	awaitEnd(t, p)
	return fmt.Sprintf("all told after %v; CloseAll at its deadline: %s", shown(took), quoted(err))
}

func theyCloseWithWaiters(t *testing.T, url string) string {
	p, err := pgxpool.New(background(t), url+"&pool_max_conns=1")
	require.NoError(t, err)
	held, err := p.Acquire(background(t))
	require.NoError(t, err)
	told, waits := make(chan error, 5), make(chan struct{}, 100)
	for range 5 {
		go func() {
			_, err := p.Acquire(waitedFor{background(t), waits})
			told <- err
		}()
	}
	for range 5 {
		<-waits
	}
	closing := make(chan struct{})
	go func() {
		defer close(closing)
		p.Close()
	}()
	defer func() {
		held.Release()
		<-closing
	}()
	const long = 300 * time.Millisecond // to show that nothing happens
	select {
	case <-closing:
		t.Error("pgxpool closed with a connection out")
	case <-time.After(long):
	}
	return fmt.Sprintf("%d told after %v", len(told), long) // one that came after Close may have been
}

func everyHolderWaits(t *testing.T) (o outcome) {
	const n = 2
	for i, r := range rivals(t, circumstances{connString: server.Database(t), most: n, ours: func(c *pool.Config) { c.TrackLeases = true }}) {
		var hold, told sync.WaitGroup
		hold.Add(n)
		told.Add(n)
		var errs [n]error
		crowd(n, func(i int) {
			_, put, err := r.get(pool.WithLabel(background(t), fmt.Sprintf("worker %d", i)))
			require.NoError(t, err)
			hold.Done()
			hold.Wait()
			ctx, cancel := context.WithTimeout(background(t), 200*time.Millisecond)
			defer cancel()
			_, _, errs[i] = r.get(ctx)
			told.Done()
			told.Wait() // else the other has what comes back
			put()
		})
		require.ErrorIs(t, errs[0], context.DeadlineExceeded)
		o[i] = quoted(errs[0])
	}
	assert.Equal(t, "`context deadline exceeded`", o[them])
	for _, part := range []string{"2 of 2 in use", "waiting", "worker 0", "worker 1"} {
		assert.Contains(t, o[us], part)
	}
	return o
}

// quoted is an error's text without the paths of packages.
func quoted(err error) string {
	return "`" + strings.ReplaceAll(err.Error(), "github.com/pgactor/pgactor/", "") + "`"
}
