package persistent_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// An identity's leases name who took them, outside this module's packages; and one
// whose context puts it is no leak.
func TestTrackLeases(t *testing.T) {
	config, err := pool.ParseConfig(server.Database(t))
	require.NoError(t, err)
	config.MaxConns, config.TrackLeases, config.MaxLeaseTime = 1, true, time.Minute
	p, err := persistent.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(pool.WithLabel(persistent.WithIdentity(t.Context(), 7), "request 7"))
	_, err = p.GetConn(ctx) // dropped
	require.NoError(t, err)
	rows, err := p.Query(ctx, "select 1")
	require.NoError(t, err)
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	leases := p.Pool().Leases()
	require.Len(t, leases, 1)
	l := leases[0]
	require.Contains(t, l.Holder, "github.com/pgactor/pgactor/persistent_test.TestTrackLeases track_test.go:")
	require.Equal(t, "request 7", l.Label)
	require.Len(t, l.Others, 1)
	require.Contains(t, l.Others[0].Holder, "persistent_test.TestTrackLeases track_test.go:")
	require.Equal(t, "rows of a query are open", l.Doing)
	require.False(t, l.Leaked)
	rows.Close()
	require.Len(t, p.Pool().Leases()[0].Others, 0)
	cancel()
	require.Eventually(t, func() bool { return len(p.Pool().Leases()) == 0 }, 10*time.Second, time.Millisecond)
	require.Zero(t, p.Pool().Stat().LeakedCount())
	require.NoError(t, p.CloseAll(t.Context()))
}

// The holder is the code that calls InTx, or pgx.BeginFunc, and not these.
func TestTrackLeasesOfTransactions(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.TrackLeases = 1, true })
	const here = "persistent_test.TestTrackLeasesOfTransactions track_test.go:"
	require.NoError(t, p.InTx(as(t, "me"), pgx.TxOptions{}, func(context.Context) error {
		require.Contains(t, p.Pool().Leases()[0].Holder, here)
		return nil
	}))
	require.NoError(t, pgx.BeginFunc(as(t, "me"), p, func(pgx.Tx) error {
		require.Contains(t, p.Pool().Leases()[0].Holder, here)
		return nil
	}))
	awaitQuiet(t, p)
	require.NoError(t, pgx.BeginFunc(background(t), p.Pool(), func(pgx.Tx) error {
		require.Contains(t, p.Pool().Leases()[0].Holder, here)
		return nil
	}))
}
