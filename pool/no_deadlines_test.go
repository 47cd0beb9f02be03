package pool_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// A connect over a net.Conn without deadlines, to a server that says nothing, ends when its
// time is over.
func TestConnectWithoutDeadlines(t *testing.T) {
	inBubble(t, func(c *pool.Config) {
		c.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			ours, silent := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, silent) }()
			return endlessConn{ours, nil}, nil
		}
	}, func(b *bubble) {
		began := time.Now()
		_, err := b.GetConn(b.ctx)
		require.ErrorIs(b, err, pool.ErrUnavailable)
		require.Less(b, time.Since(began), 3*time.Minute)
	})
}
