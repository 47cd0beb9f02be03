//go:build unix

package pooltest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func startStandby(t *testing.T, primary *Server, opts ...Option) *Server {
	t.Helper()
	s, err := primary.Standby(t.Context(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestFailover(t *testing.T) {
	ctx := t.Context()
	primary := start(t, WithScram(`it's \ a:secret`), WithTLS(), WithSetting("work_mem", "1MB"),
		WithSetting("wal_keep_size", "2MB"))
	conn := connect(t, primary.ConnString())
	run(t, conn, "CREATE TABLE kept AS SELECT 1 AS n")
	assert.ErrorIs(t, primary.Promote(ctx), ErrNotStandby)
	assert.ErrorIs(t, primary.CatchUp(ctx), ErrNotStandby)

	standby := startStandby(t, primary, WithSetting("work_mem", "2MB"))
	assert.NotEqual(t, primary.ConnString(), standby.ConnString())
	assert.Equal(t, "2MB", ask[string](t, connect(t, primary.ConnString()), "SHOW wal_keep_size"), "as it was set")
	reader := connect(t, standby.ConnString())
	assert.Equal(t, 1, ask[int](t, reader, "SELECT n FROM kept"))
	assert.Equal(t, "2MB", ask[string](t, reader, "SHOW work_mem"))
	_, err := reader.Exec(ctx, "DELETE FROM kept")
	assert.Equal(t, "25006", sqlState(err))
	_, err = standby.Standby(ctx)
	require.ErrorContains(t, err, "standby of a standby")

	run(t, conn, "UPDATE kept SET n = 2")
	require.NoError(t, standby.CatchUp(ctx))
	assert.Equal(t, 2, ask[int](t, reader, "SELECT n FROM kept"))

	p := primary.Proxy(t)
	require.NoError(t, primary.Crash(ctx))
	assert.ErrorIs(t, standby.CatchUp(ctx), ErrStopped)
	require.NoError(t, standby.Promote(ctx))
	assert.ErrorIs(t, standby.Promote(ctx), ErrNotStandby)
	run(t, reader, "UPDATE kept SET n = 3")
	require.NoError(t, p.Retarget(standby.ConnString()))
	run(t, connect(t, p.ConnString()), "UPDATE kept SET n = 4") // by the old name and password

	require.NoError(t, standby.Restart(ctx))
	run(t, connect(t, standby.ConnString()), "UPDATE kept SET n = 5")
	again := startStandby(t, standby)
	assert.Equal(t, 5, ask[int](t, connect(t, again.ConnString()), "SELECT n FROM kept"))
	assert.Equal(t, "2MB", ask[string](t, connect(t, again.ConnString()), "SHOW work_mem"))
}

// One primary for all that does it no harm.
func TestStandby(t *testing.T) {
	primary := start(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *Server)
	}{
		{"was away", standbyThatWasAway},
		{"accepts nothing yet", coldStandby},
		{"a promotion that gives up", promotionThatGivesUp},
		{"is given up", standbyThatIsGivenUp},
		{"is refused", standbyThatIsRefused}, // the last: it closes the primary
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, primary) })
	}
}

// A standby that has been away gets what it has missed, also if that is more than the primary usually keeps.
func standbyThatWasAway(t *testing.T, primary *Server) {
	standby := startStandby(t, primary)
	conn := connect(t, primary.ConnString())
	require.NoError(t, standby.Stop(t.Context()))
	for range 10 {
		run(t, conn, "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1 << 20))")
		run(t, conn, "CHECKPOINT")
	}
	run(t, conn, "CREATE TABLE late ()")
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, primary.Restart(t.Context()))
	require.NoError(t, standby.Restart(t.Context()))
	require.NoError(t, standby.CatchUp(t.Context()))
	assert.Zero(t, ask[int](t, connect(t, standby.ConnString()), "SELECT count(*) FROM late"))
}

// Without hot_standby it is a server that is starting up for as long as a test likes.
func coldStandby(t *testing.T, primary *Server) {
	standby := startStandby(t, primary, WithSetting("hot_standby", "off"))
	assert.Equal(t, "57P03", sqlState(refused(t, standby.ConnString())))
	require.NoError(t, standby.Restart(t.Context()))
	assert.Equal(t, "57P03", sqlState(refused(t, standby.ConnString())))
	require.NoError(t, standby.Promote(t.Context()))
	run(t, connect(t, standby.ConnString()), "CREATE TABLE t ()")
}

func promotionThatGivesUp(t *testing.T, primary *Server) {
	standby := startStandby(t, primary)
	p := standby.engine.(*cluster).running
	suspend(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	require.ErrorIs(t, standby.Promote(ctx), context.DeadlineExceeded)
	resume(t, p)
	require.NoError(t, standby.Promote(t.Context()))
	run(t, connect(t, standby.ConnString()), "CREATE TABLE t ()")
}

func standbyThatIsRefused(t *testing.T, s *Server) {
	for _, option := range []Option{WithScram("x"), WithTLS(), WithSetting("port", "1")} {
		_, err := s.Standby(t.Context(), option)
		var refused *OptionError
		require.ErrorAs(t, err, &refused)
	}
	t.Run("no program", func(t *testing.T) {
		c := s.engine.(*cluster)
		defer func(folder string) { c.binaries = folder }(c.binaries)
		c.binaries = t.TempDir()
		_, err := s.Standby(t.Context())
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, "a standby needs pg_basebackup")
	})
	t.Run("a setting that the server does not know", func(t *testing.T) {
		_, err := s.Standby(t.Context(), WithSetting("work_memory", "1"))
		var failed *ProgramError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "postgres", failed.Program)
	})
	t.Run("a primary that serves no standby", func(t *testing.T) {
		run(t, connect(t, s.ConnString()), "ALTER SYSTEM SET max_wal_senders = 0")
		require.NoError(t, s.Restart(t.Context()))
		_, err := s.Standby(t.Context())
		var failed *ProgramError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "pg_basebackup", failed.Program)
		assert.Contains(t, failed.Log, "max_wal_senders")
	})
	require.NoError(t, s.Stop(t.Context()))
	_, err := s.Standby(t.Context())
	require.ErrorIs(t, err, ErrStopped)
	require.NoError(t, s.Close())
	_, err = s.Standby(t.Context())
	require.ErrorIs(t, err, ErrClosed)
	assert.ErrorIs(t, s.Promote(t.Context()), ErrClosed)

	external := newServer(nil)
	_, err = external.Standby(t.Context())
	assert.ErrorIs(t, err, ErrExternal)
	assert.ErrorIs(t, external.Promote(t.Context()), ErrExternal)
	assert.ErrorIs(t, external.CatchUp(t.Context()), ErrExternal)
	assert.ErrorIs(t, external.Drain(t.Context()), ErrExternal)
}

// A context that ends in the middle leaves nothing, and does not wait for the primary. Nor does one that ends a little late.
func standbyThatIsGivenUp(t *testing.T, primary *Server) {
	base := filepath.Dir(primary.engine.(*cluster).folder)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		standby, err := primary.Standby(ctx)
		if err == nil {
			err = errors.Join(standby.Close(), context.Canceled)
		}
		failed <- err
	}()
	awaitBaseBackup(t, base)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	entries, err := os.ReadDir(base)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "the primary's")
	connect(t, primary.ConnString())
}

// awaitBaseBackup waits until pg_basebackup has begun to write files.
func awaitBaseBackup(t *testing.T, base string) {
	t.Helper()
	require.Eventually(t, func() bool {
		found, _ := filepath.Glob(base + "/*/data/base")
		return len(found) == 2
	}, wide, time.Millisecond)
}

func TestNothingIsLeftOfAStandby(t *testing.T) {
	t.Run("while it is made", func(t *testing.T) {
		c := startChild(t, "standby")
		awaitBaseBackup(t, c.folder)
		c.kill(t, 1, syscall.SIGKILL)
	})
	t.Run("while it runs", func(t *testing.T) {
		c := startChild(t, "standby")
		require.Contains(t, c.line(t), "postgres://")
		running, err := filepath.Glob(c.folder + "/*/data/postmaster.pid")
		require.NoError(t, err)
		require.Len(t, running, 2)
		c.kill(t, 1, syscall.SIGKILL)
	})
}

func TestDrain(t *testing.T) {
	s := start(t)
	conn := connect(t, s.ConnString())
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	require.ErrorIs(t, s.Drain(ctx), context.DeadlineExceeded)
	assert.Equal(t, "57P03", sqlState(refused(t, s.ConnString())))
	require.NoError(t, conn.Ping(t.Context()))

	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, <-drained)
	require.NoError(t, s.Drain(t.Context()), "stopped already")
	require.NoError(t, s.Restart(t.Context()))

	connect(t, s.ConnString())
	ctx, cancel = context.WithTimeout(t.Context(), short)
	defer cancel()
	require.ErrorIs(t, s.Drain(ctx), context.DeadlineExceeded)
	require.NoError(t, s.Stop(t.Context()), "in spite of the session")
}
