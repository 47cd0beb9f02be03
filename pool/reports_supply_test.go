package pool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What has to do with the supply of connections: how many are open, when one is made, and
// where.
var reportsOfSupply = []report{
	{"15.11 TryGetConn after a NOTIFY", ": everything idle listens, 30 calls", tryGetAfterNotify, nil},
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
