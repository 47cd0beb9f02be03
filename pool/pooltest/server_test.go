//go:build unix

package pooltest

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestServerIsReady(t *testing.T) {
	s := start(t)
	assert.False(t, s.External())
	assert.Empty(t, s.CertificateFile())
	goleak.VerifyNone(t) // while it runs

	for _, connString := range []string{s.ConnString(), s.SocketConnString()} {
		conn := connect(t, connString)
		assert.Equal(t, "postgres", ask[string](t, conn, "SELECT current_database()"))
		assert.Equal(t, "on", ask[string](t, conn, "SHOW is_superuser"))
		assert.Equal(t, "UTF8", ask[string](t, conn, "SHOW server_encoding"))
		assert.Equal(t, "UTC", ask[string](t, conn, "SHOW timezone"))
		assert.Less(t, ask[int](t, conn, "SELECT current_setting('port')::int"), 32768)
	}
}

func TestStopAndRestart(t *testing.T) {
	s := start(t)
	ctx, address := t.Context(), s.ConnString()
	conn := connect(t, address)
	run(t, conn, "CREATE TABLE kept AS SELECT 1 AS n")

	require.NoError(t, s.Stop(ctx))
	require.NoError(t, s.Stop(ctx), "stopped already")
	_, err := conn.Exec(ctx, "SELECT 1")
	assert.Equal(t, "57P01", sqlState(err))
	refused(t, address)
	refused(t, s.SocketConnString())

	require.NoError(t, s.Restart(ctx))
	assert.Equal(t, address, s.ConnString())
	conn = connect(t, address)
	assert.Equal(t, 1, ask[int](t, conn, "SELECT n FROM kept"))

	began := ask[time.Time](t, conn, "SELECT pg_postmaster_start_time()")
	require.NoError(t, s.Restart(ctx), "while it runs")
	assert.Greater(t, ask[time.Time](t, connect(t, address), "SELECT pg_postmaster_start_time()"), began)
}

func TestCrashKeepsWhatWasCommitted(t *testing.T) {
	log := newLockedBuffer()
	s := start(t, WithLog(log))
	conn := connect(t, s.ConnString())
	run(t, conn, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
	require.NoError(t, s.Crash(t.Context()))
	_, err := conn.Exec(t.Context(), "SELECT 1")
	require.Error(t, err)
	require.NoError(t, s.Restart(t.Context()))
	assert.Equal(t, 1000, ask[int](t, connect(t, s.ConnString()), "SELECT count(*) FROM kept"))
	assert.Contains(t, log.String(), "was not properly shut down")
}

func TestRestartWhenThePortIsTaken(t *testing.T) {
	s := start(t)
	require.NoError(t, s.Stop(t.Context()))
	squatter, err := net.Listen("tcp", address(s.engine.(*cluster).port))
	require.NoError(t, err)
	var failed *ProgramError
	require.ErrorAs(t, s.Restart(t.Context()), &failed)
	assert.Equal(t, "postgres", failed.Program)
	assert.Contains(t, failed.Error(), "could not bind")
	require.NoError(t, squatter.Close())
	require.NoError(t, s.Restart(t.Context()))
}

func TestStartTriesAnotherPort(t *testing.T) {
	squatter, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer squatter.Close()
	picks := 0
	s := start(t, func(cfg *config) error {
		cfg.pickPort = func() (int, error) {
			if picks++; picks < 3 {
				return squatter.Addr().(*net.TCPAddr).Port, nil
			}
			return freePort()
		}
		return nil
	})
	assert.Equal(t, 3, picks)
	connect(t, s.ConnString())
}

func TestClose(t *testing.T) {
	s := start(t)
	conn := connect(t, s.ConnString())
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "again")
	require.Error(t, conn.Ping(t.Context()))
	assert.ErrorIs(t, s.Stop(t.Context()), ErrClosed)
	assert.ErrorIs(t, s.Crash(t.Context()), ErrClosed)
	assert.ErrorIs(t, s.Restart(t.Context()), ErrClosed)
	_, _, err := s.CreateDatabase(t.Context())
	assert.ErrorIs(t, err, ErrClosed)
}

func TestContexts(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	t.Run("start, ended", func(t *testing.T) {
		_, err := Start(ended)
		assert.ErrorIs(t, err, context.Canceled)
	})
	t.Run("start, ends during initdb", func(t *testing.T) {
		base := shortTempDir(t)
		t.Setenv("TMPDIR", base)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := Start(ctx, AllowInstall())
			failed <- err
		}()
		awaitInitdb(t, base)
		data := dataIn(base)
		cancel()
		assert.ErrorIs(t, <-failed, context.Canceled)
		requireNothingLeft(t, base)
		assert.Empty(t, memoryOf(data))
		goleak.VerifyNone(t)
	})
	t.Run("stop", func(t *testing.T) {
		s := start(t)
		assert.ErrorIs(t, s.Stop(ended), context.Canceled)

		require.NoError(t, s.take(t.Context())) // as by another Stop
		waiting, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, s.Stop(waiting), context.DeadlineExceeded)
		s.pass()
		connect(t, s.ConnString())
	})
}

// awaitInitdb waits until the PostgreSQL that initdb has started is at work, which takes it some tenths of a second.
func awaitInitdb(t *testing.T, base string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if found, _ := filepath.Glob(base + "/*/data/global/pg_control"); len(found) > 0 {
			return
		}
	}
	require.Fail(t, "no initdb")
}

// A Stop that gives up leaves the shutdown going; the next one waits for it.
func TestStopThatGivesUp(t *testing.T) {
	s := start(t)
	c := s.engine.(*cluster)
	suspend(t, c.running) // it cannot react to the signal
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Stop(ctx), context.DeadlineExceeded)
	resume(t, c.running)
	require.NoError(t, s.Stop(t.Context()))
	refused(t, s.ConnString())
}

func TestSideBySide(t *testing.T) {
	base := shortTempDir(t)
	t.Setenv("TMPDIR", base)
	const n = 3
	results := make(chan error, n)
	for range n {
		go func() { results <- startAndClose() }()
	}
	for range n {
		assert.NoError(t, <-results)
	}
	requireNothingLeft(t, base)
	goleak.VerifyNone(t)
}

func startAndClose() error {
	ctx := context.Background()
	s, err := Start(ctx, AllowInstall())
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.ConnString())
	if err == nil {
		err = conn.Close(ctx)
	}
	return errors.Join(err, s.Close())
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
