//go:build unix

package pooltest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServerProxy(t *testing.T) {
	s := start(t, WithScram("se:cret"), WithTLS())
	t.Run("all that the server demands", func(t *testing.T) {
		p := s.Proxy(t)
		for _, connString := range []string{p.ConnString(), p.Via(s.Database(t))} {
			conn := connect(t, connString)
			assert.True(t, ask[bool](t, conn, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
			port := ask[int](t, conn, "SELECT client_port FROM pg_stat_activity WHERE pid = pg_backend_pid()")
			require.NotNil(t, p.ConnOfBackend(port))
			assert.Same(t, p.ConnOfBackend(port), p.ConnOf(conn.PgConn().Conn()))
		}
		assert.Equal(t, 2, p.Stat().Accepted)
	})
	t.Run("before a socket", func(t *testing.T) {
		p, err := NewProxy(s.SocketConnString())
		require.NoError(t, err)
		t.Cleanup(p.Close)
		conn := connect(t, p.ConnString())
		assert.True(t, ask[bool](t, conn, "SELECT client_addr IS NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()"))
		assert.Zero(t, p.ConnOf(conn.PgConn().Conn()).BackendPort())
		p.Reset(BothWays)
		require.Error(t, conn.Ping(t.Context()))
	})
	t.Run("the session has ended, the client does not know", func(t *testing.T) {
		p := s.Proxy(t)
		conn, admin := connect(t, p.ConnString()), connect(t, s.ConnString())
		pid := conn.PgConn().PID()
		p.HangUp(ToServer)
		require.Eventually(t, func() bool {
			return ask[int](t, admin, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid) == 0
		}, wide, time.Millisecond)
		requireTimeout(t, conn)
	})
	t.Run("the client's connection has ended, the session goes on", func(t *testing.T) {
		p := s.Proxy(t)
		conn, admin := connect(t, p.ConnString()), connect(t, s.ConnString())
		pid := conn.PgConn().PID()
		p.HangUp(ToClient)
		require.Error(t, conn.Ping(t.Context()))
		assert.Equal(t, "idle", ask[string](t, admin, "SELECT state FROM pg_stat_activity WHERE pid = $1", pid))
	})
	t.Run("black hole", func(t *testing.T) {
		p := s.Proxy(t)
		conn := connect(t, p.ConnString())
		p.BlackHole(ToClient)
		answer := make(chan error, 1)
		go func() { answer <- conn.Ping(t.Context()) }()
		awaitIdleSince(t, connect(t, s.ConnString()), conn.PgConn().PID(), "-- ping") // so the question has arrived
		assert.Empty(t, answer)
		require.NoError(t, p.Heal())
		require.NoError(t, <-answer)
	})
	t.Run("restart", func(t *testing.T) {
		p := s.Proxy(t)
		conn := connect(t, p.ConnString())
		require.NoError(t, s.Crash(t.Context()))
		require.Error(t, conn.Ping(t.Context()))
		refused(t, p.ConnString())
		require.NoError(t, s.Restart(t.Context()))
		connect(t, p.ConnString())
	})
}

// awaitIdleSince waits until a session is done with a query.
func awaitIdleSince(t *testing.T, admin *pgx.Conn, pid uint32, query string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return ask[bool](t, admin, "SELECT state = 'idle' AND query = $2 FROM pg_stat_activity WHERE pid = $1", pid, query)
	}, wide, time.Millisecond)
}

// requireTimeout checks that a query gets no answer and that the connection does not look broken.
func requireTimeout(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	err := conn.Ping(ctx)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), err)
}

func TestServerProxyIsFatal(t *testing.T) {
	s := newServer(nil)
	s.tcp = "nonsense"
	tb := &recorder{}
	assert.Nil(t, s.Proxy(tb))
	assert.Len(t, tb.args, 1)
}
