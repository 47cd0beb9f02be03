//go:build unix

package pooltest

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A process is initdb or postgres, from its start until it has been reaped.
type process struct {
	program string
	cmd     *exec.Cmd
	watch   *watchdog
	logFrom int64 // where its part of the log begins

	// alive is the read end of a pipe whose write end only the program and its children hold, so it ends when the last of them
	// has ended. This is how to wait for all of them, with a deadline, and without a goroutine that outlasts the wait.
	alive *os.File
}

// The gate: the shell becomes the program when a line comes in, and ends when none does. Before that line its process group is
// told to the watchdog, so there is no moment at which the program runs and, should we die, nobody knows of it.
const gateScript = `read -r line && exec "$@" </dev/null`

// launch starts a program of the cluster; its output goes to the cluster's log.
func (c *cluster) launch(program string, args ...string) (*process, error) {
	alive, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer life.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", gateScript, program, c.program(program)}, args...)...)
	cmd.Dir = c.folder
	cmd.Env = programEnv()
	cmd.Stdout, cmd.Stderr = c.log.output(), c.log.output()
	cmd.ExtraFiles = []*os.File{life}
	cmd.WaitDelay = time.Second // with WithLog, for a grandchild that survived and holds the log open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.account.credential()}
	p := &process{program, cmd, c.watch, c.log.size(), alive}
	gate, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		alive.Close()
		return nil, err
	}
	if err := p.pass(gate); err != nil {
		p.reap()
		return nil, err
	}
	return p, nil
}

// pass lets the program through its gate, once the watchdog knows of it.
func (p *process) pass(gate io.WriteCloser) error {
	defer gate.Close()
	if err := p.watch.guard(p.cmd.Process.Pid); err != nil {
		return err
	}
	_, err := io.WriteString(gate, "\n")
	return err
}

// programEnv is what the programs get of our environment: no PG… variables, which would change what they do, and nothing
// secret, since as root we hand it to another user.
func programEnv() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"} // C: messages in English
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// wait returns nil when the program and all its children have ended, or else ctx's error; then it may be called again.
// After nil, cmd.ProcessState says how the program ended.
func (p *process) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := p.alive.Read(make([]byte, 1))
		ended <- err
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		p.alive.SetReadDeadline(time.Unix(1, 0))
		err = <-ended
		p.alive.SetReadDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	p.reap()
	return nil
}

func (p *process) reap() {
	p.alive.Close()
	p.cmd.Wait()
	p.watch.guard(0) // should the watchdog be dead, its close will say so
}

// signal sends sig to the program itself. Its children it ends in order, so that no shared memory stays behind.
func (p *process) signal(sig syscall.Signal) { p.cmd.Process.Signal(sig) }

// end makes the program end, however unwilling: ten seconds after a SIGQUIT it is killed together with its process group. (The
// postmaster, whose children have groups of their own, kills them after five; initdb ends when its child has finished a step.)
func (p *process) end() {
	p.signal(syscall.SIGQUIT)
	if p.waitFor(10*time.Second) != nil {
		p.kill()
	}
}

// kill ends the process group at once, which may leave shared memory behind.
func (p *process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	if p.waitFor(10*time.Second) != nil {
		p.reap() // what is left is a grandchild that has left the group
	}
}

func (p *process) waitFor(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return p.wait(ctx)
}

// failed says what has become of p.
func (c *cluster) failed(p *process, err error) error {
	return &ProgramError{p.program, c.log.tail(p.logFrom), err}
}
