package pooltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// An installer installs PostgreSQL with apt-get.
type installer struct {
	aptGet   string // the program; also what processes that install at the same time take turns on
	folder   string // where postgresql-common looks for settings of new clusters
	announce io.Writer
}

const installLimit = 10 * time.Minute

// install makes find succeed, or explains why it cannot.
func install(ctx context.Context, find func(context.Context) (string, error)) (string, error) {
	aptGet, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", fmt.Errorf("%w; AllowInstall works on Debian and Ubuntu, as root", ErrNotInstalled)
	}
	i := installer{aptGet, "/etc/postgresql-common/createcluster.d", os.Stderr}
	return i.install(ctx, find)
}

func (i installer) install(ctx context.Context, find func(context.Context) (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	unlock, err := lock(ctx, i.aptGet)
	if err != nil {
		return "", fmt.Errorf("%w; waiting for another process to install it: %w", ErrNotInstalled, err)
	}
	defer unlock()
	if folder, err := find(ctx); err == nil {
		return folder, nil // it was installed while we waited
	}
	fmt.Fprintln(i.announce, "pooltest: no PostgreSQL found, installing it: apt-get install postgresql")
	if err := i.run(ctx); err != nil {
		return "", fmt.Errorf("%w; installing it failed: %w", ErrNotInstalled, err)
	}
	return find(ctx)
}

// run installs the package while a setting keeps Debian from making and starting a cluster, which would take port 5432.
func (i installer) run(ctx context.Context) error {
	if err := os.MkdirAll(i.folder, 0o755); err != nil {
		return err
	}
	setting := filepath.Join(i.folder, "pgactor-pooltest.conf")
	if err := os.WriteFile(setting, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return err
	}
	defer os.Remove(setting)
	// Without fresh lists the installation may still work, and if not, that error says more.
	update := i.apt(ctx, "update")
	if err := i.apt(ctx, "install", "-y", "--no-install-recommends", "postgresql"); err != nil {
		return errors.Join(err, update)
	}
	return nil
}

func (i installer) apt(ctx context.Context, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, i.aptGet, append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // dpkg can finish the package it is at
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		tail := out.Bytes()
		return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, tail[max(0, len(tail)-2048):])
	}
	return nil
}

// lock takes turns with other processes on a file that is there anyway, so that no lock file is left behind. It blocks until
// it has the lock or ctx ends.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return file.Close, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		}
	}
}
