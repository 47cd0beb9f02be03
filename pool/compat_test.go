package pool_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// Config shows what Compat implies, and the configuration that it was given is left alone.
// What a user set for ShouldPing stays.
func TestCompatShowsWhatItImplies(t *testing.T) {
	config := serverless(t)
	config.Compat = pool.CompatPgxpool
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	require.Nil(t, config.ShouldPing)
	require.Equal(t, pool.CancelQuery, config.CancelPolicy)
	c := p.Config()
	require.Equal(t, pool.CloseConn, c.CancelPolicy)
	require.Equal(t, pool.CloseDirty, c.DirtyPolicy)
	require.False(t, c.ShouldPing(t.Context(), pool.ShouldPingParams{IdleDuration: time.Second}))
	require.True(t, c.ShouldPing(t.Context(), pool.ShouldPingParams{IdleDuration: time.Second + 1}))
	require.Equal(t, "pgxpool", c.Compat.String())
}

// ShouldPing is asked about a connection just opened, but not twice by one get.
func TestCompatAsksShouldPingOnce(t *testing.T) {
	config, err := pool.ParseConfig(newAdmin(t).url)
	require.NoError(t, err)
	config.Compat, config.MaxConns = pool.CompatPgxpool, 1
	asked := make(chan time.Duration, 10)
	config.ShouldPing = func(_ context.Context, params pool.ShouldPingParams) bool {
		asked <- params.IdleDuration
		return true
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	defer p.Close()
	for n := range 3 {
		get(t, p).Release()
		require.Len(t, asked, n+1)
	}
}
