package pool_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// optionsOf returns the socket options of a connection, by name.
func optionsOf(t *testing.T, conn net.Conn) map[string]int {
	rc, err := conn.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	found := map[string]int{}
	require.NoError(t, rc.Control(func(fd uintptr) {
		for name, option := range map[string][2]int{
			"keepalives":          {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
			"keepalives_idle":     {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
			"keepalives_interval": {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
			"keepalives_count":    {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
			"tcp_user_timeout":    {syscall.IPPROTO_TCP, 18},
		} {
			n, err := syscall.GetsockoptInt(int(fd), option[0], option[1])
			require.NoError(t, err, name)
			found[name] = n
		}
	}))
	return found
}

// TestSocketOptions: libpq's parameters reach the sockets, and the server is not told.
func TestSocketOptions(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for params, want := range map[string]map[string]int{
		"":             {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 0},
		"keepalives=0": {"keepalives": 0, "tcp_user_timeout": 0},
		"keepalives=1 keepalives_idle=7 keepalives_interval=8 keepalives_count=9 tcp_user_timeout=12345": {
			"keepalives": 1, "keepalives_idle": 7, "keepalives_interval": 8, "keepalives_count": 9, "tcp_user_timeout": 12345},
		"keepalives_count=2147483647 keepalives_idle=2147483647 connect_timeout=5": {
			"keepalives": 1, "keepalives_idle": 32767, "keepalives_count": 127},
	} {
		config, err := pool.ParseConfig("host=h user=u " + params)
		require.NoError(t, err)
		require.Empty(t, config.ConnConfig.RuntimeParams)
		conn, err := config.ConnConfig.DialFunc(background(t), "tcp", l.Addr().String())
		require.NoError(t, err)
		got := optionsOf(t, conn)
		for name, n := range want {
			require.Equal(t, n, got[name], "%s with %q", name, params)
		}
		require.NoError(t, conn.Close())
	}
	for _, bad := range []string{"keepalives=yes", "keepalives_idle=-1", "keepalives_interval=1s", "keepalives_count=99999999999", "tcp_user_timeout="} {
		_, err := pool.ParseConfig("host=h user=u " + bad + " sslmode=disable")
		var e *pool.ConfigError
		require.ErrorAs(t, err, &e, bad)
	}
}

// foundAfter returns when the system gives up a peer that is gone.
func foundAfter(t *testing.T, dial pgconn.DialFunc) time.Duration {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := dial(background(t), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	o := optionsOf(t, conn)
	return time.Duration(o["keepalives_idle"]+o["keepalives_count"]*o["keepalives_interval"]) * time.Second
}
