package pooltest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A fakeApt is a folder with an apt-get that notes its arguments and the setting it found, and installs two empty programs.
type fakeApt struct{ folder string }

func newFakeApt(t *testing.T, fails string) fakeApt {
	t.Helper()
	a := fakeApt{t.TempDir()}
	script := `#!/bin/sh
cd ` + a.folder + `
echo "$@" $DEBIAN_FRONTEND $(cat conf/* 2>/dev/null) >>calls
case "$3" in ` + fails + `) echo "E: no luck" >&2; exit 100;; esac
[ "$3" = install ] || exit 0
sleep 0.3
mkdir bin && touch bin/initdb bin/postgres && chmod 755 bin/*
`
	require.NoError(t, os.WriteFile(filepath.Join(a.folder, "apt-get"), []byte(script), 0o755))
	return a
}

func (a fakeApt) find(ctx context.Context) (string, error) {
	return finder{path: filepath.Join(a.folder, "bin")}.find(ctx)
}

func (a fakeApt) installer(announce *bytes.Buffer) installer {
	return installer{filepath.Join(a.folder, "apt-get"), filepath.Join(a.folder, "conf"), announce}
}

func (a fakeApt) calls(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(a.folder, "calls"))
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

func TestInstallOnce(t *testing.T) {
	apt := newFakeApt(t, "nothing")
	announcements := make([]bytes.Buffer, 3)
	errs := make(chan error, len(announcements))
	for i := range announcements {
		go func() {
			_, err := apt.installer(&announcements[i]).install(context.Background(), apt.find)
			errs <- err
		}()
	}
	said := ""
	for range announcements {
		require.NoError(t, <-errs)
	}
	for i := range announcements {
		said += announcements[i].String()
	}
	assert.Equal(t, "pooltest: no PostgreSQL found, installing it: apt-get install postgresql\n", said)
	assert.Equal(t, []string{
		"-o DPkg::Lock::Timeout=300 update noninteractive create_main_cluster = false",
		"-o DPkg::Lock::Timeout=300 install -y --no-install-recommends postgresql noninteractive create_main_cluster = false",
	}, apt.calls(t))
	left, err := os.ReadDir(filepath.Join(apt.folder, "conf"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestInstallThatFails(t *testing.T) {
	for fails, want := range map[string]string{"update|install": "no luck", "install": "no luck", "update": ""} {
		apt := newFakeApt(t, fails)
		_, err := apt.installer(&bytes.Buffer{}).install(t.Context(), apt.find)
		if want == "" {
			assert.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, ErrNotInstalled)
		assert.ErrorContains(t, err, want)
	}
}

func TestInstallWaitsNoLongerThanItsContext(t *testing.T) {
	apt := newFakeApt(t, "nothing")
	unlock, err := lock(t.Context(), filepath.Join(apt.folder, "apt-get"))
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = apt.installer(&bytes.Buffer{}).install(ctx, apt.find)
	assert.ErrorIs(t, err, ErrNotInstalled)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}
