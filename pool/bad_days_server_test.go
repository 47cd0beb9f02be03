package pool_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Bad days: of servers, and of networks.

func serverRefuses(t *testing.T) (o outcome) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	var dials [2]int64
	for i, r := range rivals(t, circumstances{connString: "postgres://u@" + addr + "/d?sslmode=disable", most: 10}) {
		ctx, cancel := context.WithTimeout(background(t), time.Second)
		crowd(50, func(int) {
			for ctx.Err() == nil {
				_, _, err := r.get(ctx)
				require.Error(t, err)
			}
		})
		cancel()
		dials[i] = r.dials.Load()
		o[i] = fmt.Sprintf("%d dials", dials[i])
	}
	assert.LessOrEqual(t, dials[us], int64(50))
	assert.Greater(t, dials[them], dials[us])
	return o
}

func terminatedAtRest(t *testing.T) (o outcome) {
	var failed [2]int
	a := newAdmin(t)
	for i, r := range rivals(t, circumstances{connString: a.url, most: 4}) {
		r.opened(t, 4)
		_, err := a.conn.Exec(background(t), `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()`)
		require.NoError(t, err)
		a.await(0)
		for range 1000 {
			if _, err := r.exec(background(t), "select 1"); err != nil {
				failed[i]++
			}
		}
		o[i] = fmt.Sprintf("%d failed", failed[i])
		r.close()
	}
	assert.Zero(t, failed[us])
	assert.Positive(t, failed[them])
	return o
}

func restartsUnderLoad(t *testing.T) (o outcome) {
	s := own(t)
	var failed [2]int64
	for i, r := range rivals(t, circumstances{connString: s.ConnString(), most: 10, ours: patient(10)}) {
		var errs, served, first atomic.Int64
		var up atomic.Pointer[time.Time]
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			crowd(20, func(int) {
				for !closed(stop) {
					if _, err := r.exec(background(t), "select pg_sleep(0.002)"); err != nil {
						errs.Add(1)
						continue
					}
					served.Add(1)
					if at := up.Load(); at != nil {
						first.CompareAndSwap(0, int64(time.Since(*at)))
					}
				}
			})
		}()
		require.Eventually(t, func() bool { return served.Load() > 100 }, wide, time.Millisecond)
		require.NoError(t, s.Crash(background(t)))
		require.NoError(t, s.Restart(background(t)))
		now := time.Now()
		up.Store(&now)
		require.Eventually(t, func() bool { return first.Load() > 0 }, wide, time.Millisecond)
		close(stop)
		<-stopped
		failed[i] = errs.Load()
		o[i] = fmt.Sprintf("%d errors; first success %v after the server accepts", failed[i], shown(time.Duration(first.Load())))
		r.close()
	}
	assert.LessOrEqual(t, failed[us], int64(10), "those that were in flight")
	assert.Greater(t, failed[them], failed[us])
	return o
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// blackHoled has the one connection get lost on the way while it runs a statement with a
// deadline, and measures when its place is free.
func blackHoled(t *testing.T) (o outcome) {
	proxy := server.Proxy(t)
	var free [2]time.Duration
	for i, r := range rivals(t, circumstances{connString: proxy.Via(server.Database(t)), most: 1}) {
		r.opened(t, 1)
		conns := proxy.Conns()
		conns[len(conns)-1].BlackHole(pooltest.BothWays)
		ctx, cancel := context.WithTimeout(background(t), 200*time.Millisecond)
		_, err := r.exec(ctx, "select 1")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		_, put, err := r.get(background(t))
		require.NoError(t, err)
		free[i] = past(ctx)
		o[i] = fmt.Sprintf("place free %v after the deadline", shown(free[i]))
		cancel()
		put()
		r.close()
	}
	assert.Less(t, free[us], 10*time.Second)
	assert.Greater(t, free[them], free[us])
	return o
}

func burstAtSlowDials(t *testing.T) (o outcome) {
	var opened [2]int64
	for i, r := range rivals(t, circumstances{connString: server.Database(t), most: 50, dial: 150 * time.Millisecond}) {
		r.opened(t, 1)
		crowd(50, func(int) {
			_, put, err := r.get(background(t))
			require.NoError(t, err)
			time.Sleep(2 * time.Millisecond)
			put()
		})
		opened[i] = r.opens()
		o[i] = fmt.Sprintf("%d connections opened, %d still being opened", opened[i], r.dials.Load()-opened[i])
		r.close()
	}
	assert.LessOrEqual(t, opened[us], int64(10))
	assert.Greater(t, opened[them], opened[us])
	return o
}
