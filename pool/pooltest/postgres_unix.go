//go:build unix

package pooltest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How often to look while waiting for the server to be ready.
const lookAgain = 5 * time.Millisecond

// startOnFreePort starts the server for the first time.
func (c *cluster) startOnFreePort(ctx context.Context) (err error) {
	for range portTries {
		if c.port, err = c.cfg.pickPort(); err != nil {
			return err
		}
		var failed *ProgramError
		if err = c.start(ctx); !errors.As(err, &failed) || !strings.Contains(failed.Log, "could not bind") {
			return err
		}
	}
	return err
}

func (c *cluster) start(ctx context.Context) error {
	// Nothing of ours runs, so a lock file that is still there is stale; the number in it may be another process's by now.
	os.Remove(c.path("data/postmaster.pid"))
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errStartLimit)
	defer cancel()
	p, err := c.launch("postgres", "-D", c.path("data"), "-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(c.port),
		"-c", `unix_socket_directories="`+c.path("socket")+`"`)
	if err != nil {
		return err
	}
	for !c.ready(p) {
		look, cancel := context.WithTimeout(ctx, lookAgain)
		err := p.wait(look)
		cancel()
		if err == nil {
			return c.failed(p, errors.New(p.cmd.ProcessState.String()))
		}
		if ctx.Err() != nil {
			p.end()
			return c.failed(p, context.Cause(ctx))
		}
	}
	c.running = p
	return nil
}

// ready looks where pg_ctl looks: a line of the lock file says so. Asking by connecting could reach another server that took
// the port, and would leave a session behind for some milliseconds.
func (c *cluster) ready(p *process) bool {
	content, err := os.ReadFile(c.path("data/postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) < 8 || lines[0] != strconv.Itoa(p.cmd.Process.Pid) {
		return false
	}
	state := strings.TrimSpace(lines[7])
	return state == "ready" || state == "standby"
}

// stop, crash and drain use PostgreSQL's fast, immediate and smart mode.
func (c *cluster) stop(ctx context.Context) error  { return c.shutDown(ctx, syscall.SIGINT) }
func (c *cluster) crash(ctx context.Context) error { return c.shutDown(ctx, syscall.SIGQUIT) }
func (c *cluster) drain(ctx context.Context) error { return c.shutDown(ctx, syscall.SIGTERM) }

func (c *cluster) shutDown(ctx context.Context, sig syscall.Signal) error {
	if c.stopped() {
		return nil
	}
	c.running.signal(sig)
	if err := c.running.wait(ctx); err != nil {
		return fmt.Errorf("pooltest: the server has not stopped yet: %w", err)
	}
	c.running = nil
	return nil
}

func (c *cluster) stopped() bool { return c.running == nil }
