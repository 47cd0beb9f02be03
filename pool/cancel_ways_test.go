package pool_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCancelWays cancels over everything that a cancel request goes over: no
// connection is lost, and no later statement is hit.
func TestCancelWays(t *testing.T) {
	secure, err := pooltest.Start(background(t), pooltest.AllowInstall(), pooltest.WithTLS())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, secure.Close()) })
	plain, err := pooltest.Start(background(t), pooltest.AllowInstall())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	for name, connString := range map[string]string{
		"tcp":  plain.ConnString(),
		"unix": plain.SocketConnString(),
		"tls":  secure.ConnString(),
	} {
		t.Run(name, func(t *testing.T) {
			cancelAndGoOn(t, connString, true)
		})
	}
	for _, mode := range []string{"session", "transaction"} {
		t.Run("PgBouncer, "+mode+" pooling", func(t *testing.T) {
			cancelAndGoOn(t, bouncer(t, plain.ConnString(), mode)+"&default_query_exec_mode=exec", false)
		})
	}
}

// cancelAndGoOn cancels statements at different moments of theirs; the next one
// must not notice, and no connection is lost unless the cancel took longer than the
// grace. Behind a pooler a connection may also be lost if the statement was not cancelled:
// the request may still come.
func cancelAndGoOn(t *testing.T, connString string, direct bool) {
	p, err := pool.NewThreaded(background(t), 1, 1, connString)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.CloseAll(background(t))) }()
	var cancelled, overdue, lost int
	for i := range 200 {
		ctx, cancel := context.WithTimeout(background(t), time.Duration(i%20)*250*time.Microsecond)
		_, err := p.Exec(ctx, "select pg_sleep(0.003)")
		switch {
		case past(ctx) >= cancelGrace:
			overdue++
		case !direct && code(err) != "57014":
			lost++
		}
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancelled++
		}
		_, err = p.Exec(background(t), "select 1")
		require.NoError(t, err, "statement %d", i)
	}
	assert.Positive(t, cancelled)
	assert.LessOrEqual(t, int(p.Stat().NewConnsCount()), 1+overdue+lost)
}

// bouncer runs a PgBouncer before a server, and returns the connection string of
// what it has there.
func bouncer(t *testing.T, connString, mode string) string {
	program := "/usr/sbin/pgbouncer" // where Debian has it, which is not in everybody's PATH
	if found, err := exec.LookPath("pgbouncer"); err == nil {
		program = found
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("needs PgBouncer: apt-get install pgbouncer")
	}
	u, err := url.Parse(connString)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())

	folder := t.TempDir()
	settings := filepath.Join(folder, "pgbouncer.ini")
	users := filepath.Join(folder, "users.txt")
	name := strings.TrimPrefix(u.Path, "/")
	password, _ := u.User.Password()
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", u.User.Username(), password), 0o600))
	require.NoError(t, os.WriteFile(settings, fmt.Appendf(nil, `[databases]
%s = host=%s port=%s dbname=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = plain
auth_file = %s
pool_mode = %s
ignore_startup_parameters = extra_float_digits
`, name, u.Hostname(), u.Port(), name, port, users, mode), 0o644))
	args := []string{settings}
	if os.Geteuid() == 0 { // which it refuses to run as
		args = append(args, "--user", "postgres")
		for dir := folder; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			require.NoError(t, os.Chmod(dir, 0o755))
		}
	}
	cmd := exec.Command(program, args...)
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := make(chan string)
	go func() {
		all, _ := io.ReadAll(log)
		said <- string(all)
	}()
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		all := <-said
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(all)
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, wide, 5*time.Millisecond)
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", u.User, addr, name)
}
