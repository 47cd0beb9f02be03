//go:build unix

package pooltest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain makes this binary, where childMode is set, the program that the watchdog tests end in various ways.
func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		child(mode)
	}
	os.Exit(m.Run())
}

const childMode = "POOLTEST_CHILD"

// child starts a server, says so in a line, and then ends as mode says; it never closes the server.
func child(mode string) {
	s, err := Start(context.Background(), func(cfg *config) error {
		if mode == "sleep before the server starts" { // it needs a port after initdb
			cfg.pickPort = func() (int, error) {
				fmt.Println("initdb is done")
				time.Sleep(time.Hour)
				return 0, nil
			}
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if mode == "standby" {
		if _, err := s.Standby(context.Background()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println(s.ConnString())
	switch mode {
	case "exit":
		os.Exit(0)
	case "panic": // as at the end of a test's time
		panic("pooltest: test")
	default:
		time.Sleep(time.Hour)
	}
}

// start starts a server for one test, and checks that closing it leaves nothing behind.
func start(t *testing.T, opts ...Option) *Server {
	t.Helper()
	base := shortTempDir(t)
	t.Setenv("TMPDIR", base)
	s, err := Start(t.Context(), append([]Option{AllowInstall()}, opts...)...)
	require.NoError(t, err)
	data := dataIn(base)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		requireNothingLeft(t, base)
		assert.Empty(t, memoryOf(data))
		goleak.VerifyNone(t)
	})
	return s
}

// shortTempDir is like t.TempDir, but short enough for a socket and open to the account that the server runs as.
func shortTempDir(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "pooltest")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(folder, 0o755))
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func connect(t *testing.T, connString string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), connString)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func ask[T any](t *testing.T, conn *pgx.Conn, query string, args ...any) (value T) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), query, args...).Scan(&value))
	return value
}

func run(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), statement)
	require.NoError(t, err)
}

// refused returns the error of a connection that must not come about.
func refused(t *testing.T, connString string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), connString)
	if err == nil {
		conn.Close(context.Background())
	}
	require.Error(t, err)
	return err
}

// A lockedBuffer takes what the server logs while the test reads it.
type lockedBuffer struct {
	token chan struct{}
	buf   bytes.Buffer
}

func newLockedBuffer() *lockedBuffer { return &lockedBuffer{token: make(chan struct{}, 1)} }

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.token <- struct{}{}
	defer func() { <-b.token }()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.token <- struct{}{}
	defer func() { <-b.token }()
	return b.buf.String()
}
