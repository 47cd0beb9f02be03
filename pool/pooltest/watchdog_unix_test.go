//go:build unix

package pooltest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func suspend(t *testing.T, p *process) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
}

func resume(t *testing.T, p *process) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
}

// A childProcess is this test binary as a program that uses the package; see child.
type childProcess struct {
	cmd    *exec.Cmd
	folder string // where its server lives
	stdout *os.File
}

func startChild(t *testing.T, mode string) *childProcess {
	t.Helper()
	folder := shortTempDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"="+mode, "TMPDIR="+folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as the shell does for a command in a terminal
	stdout, output, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout = output
	require.NoError(t, cmd.Start())
	require.NoError(t, output.Close())
	require.NoError(t, stdout.SetReadDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		stdout.Close()
	})
	return &childProcess{cmd, folder, stdout}
}

// line waits for the child to say how far it has come.
func (c *childProcess) line(t *testing.T) string {
	t.Helper()
	line, err := bufio.NewReader(c.stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// kill sends a signal to the child, or to its group where to is -1, and then is like gone.
func (c *childProcess) kill(t *testing.T, to int, signal syscall.Signal) {
	t.Helper()
	data := dataIn(c.folder)
	require.NoError(t, syscall.Kill(to*c.cmd.Process.Pid, signal))
	c.gone(t)
	assert.Empty(t, memoryOf(data))
}

// gone waits until the child, its server and all that belonged to it are gone.
func (c *childProcess) gone(t *testing.T) {
	t.Helper()
	c.cmd.Wait()
	eventuallyNothingLeft(t, c.folder)
}

// openLog opens the server's log, so that it can be read after it has been removed.
func (c *childProcess) openLog(t *testing.T) *os.File {
	t.Helper()
	paths, err := filepath.Glob(c.folder + "/*/log")
	require.NoError(t, err)
	require.Len(t, paths, 1)
	file, err := os.Open(paths[0])
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	return file
}

func content(t *testing.T, file *os.File) string {
	t.Helper()
	content, err := io.ReadAll(file)
	require.NoError(t, err)
	return string(content)
}

func TestNothingIsLeftAfterASignal(t *testing.T) {
	for _, test := range []struct {
		name, mode string
		to         int // -1: the process group, as a terminal does
		signal     syscall.Signal
	}{
		{"SIGKILL", "sleep", 1, syscall.SIGKILL},
		{"SIGKILL of the whole group", "sleep", -1, syscall.SIGKILL},
		{"interrupt", "sleep", -1, syscall.SIGINT},
		{"hangup", "sleep", -1, syscall.SIGHUP},
		{"SIGKILL between initdb and postgres", "sleep before the server starts", 1, syscall.SIGKILL},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := startChild(t, test.mode)
			c.line(t)
			require.NotEmpty(t, processesIn(t, c.folder))
			log := c.openLog(t)
			c.kill(t, test.to, test.signal)
			if test.mode == "sleep" {
				// It was ended, rather than that it died for want of its files.
				assert.Contains(t, content(t, log), "received immediate shutdown request")
			}
		})
	}
}

func TestNothingIsLeftAfterAnExit(t *testing.T) {
	for _, mode := range []string{"exit", "panic"} {
		t.Run(mode, func(t *testing.T) {
			c := startChild(t, mode)
			c.line(t)
			c.gone(t)
		})
	}
}

// At whatever moment of the start the process is killed: while there is only the folder, during initdb, while the server starts.
func TestNothingIsLeftAfterSIGKILLDuringStart(t *testing.T) {
	for delay := 5 * time.Millisecond; delay < 2*time.Second; delay += delay / 2 {
		c := startChild(t, "sleep")
		time.Sleep(delay)
		c.kill(t, 1, syscall.SIGKILL)
	}
}

func TestNothingIsLeftAfterSIGKILLDuringInitdb(t *testing.T) {
	c := startChild(t, "sleep")
	awaitInitdb(t, c.folder)
	c.kill(t, 1, syscall.SIGKILL)
}

// "go test" waits until everyone who holds the test binary's output has closed it; so neither the watchdog nor the server may.
// While the watchdog is suspended both are there, and yet the output ends with the process.
func TestOutputIsNotInherited(t *testing.T) {
	c := startChild(t, "sleep")
	c.line(t)
	watchdog := 0
	for _, line := range processesIn(t, c.folder) {
		if strings.Contains(line, "pooltest-watchdog") {
			_, err := fmt.Sscan(line, &watchdog)
			require.NoError(t, err)
		}
	}
	require.NotZero(t, watchdog)
	require.NoError(t, syscall.Kill(watchdog, syscall.SIGSTOP))
	t.Cleanup(func() { syscall.Kill(watchdog, syscall.SIGCONT) })
	require.NoError(t, syscall.Kill(c.cmd.Process.Pid, syscall.SIGKILL))
	require.NoError(t, c.stdout.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := io.Copy(io.Discard, c.stdout)
	require.NoError(t, err)
	assert.Greater(t, len(processesIn(t, c.folder)), 1)
	require.NoError(t, syscall.Kill(watchdog, syscall.SIGCONT))
	c.gone(t)
}

// Whatever it guards, it ends: here something that does not care about its files. What it guards no more it leaves alone.
func TestWatchdogEndsWhatItGuards(t *testing.T) {
	base := shortTempDir(t)
	w, err := startWatchdog(filepath.Join(base, "guarded"))
	require.NoError(t, err)
	released, guarded := startSleep(t, nil), startSleep(t, nil)
	require.NoError(t, w.guard(released.Process.Pid))
	require.NoError(t, w.guard(0))
	require.NoError(t, w.guard(guarded.Process.Pid))
	require.NoError(t, w.close())
	requireNoFiles(t, base)
	assert.ErrorContains(t, guarded.Wait(), "signal")
	assert.NoError(t, released.Process.Signal(syscall.Signal(0)))
}

func startSleep(t *testing.T, as *account) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: as.credential()}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// Its lock file stays behind, and the process number in it may have become another process's.
func TestRestartAfterTheServerDied(t *testing.T) {
	s := start(t)
	conn := connect(t, s.ConnString())
	c := s.engine.(*cluster)
	require.NoError(t, c.running.cmd.Process.Kill())
	require.Eventually(t, func() bool { return conn.Ping(t.Context()) != nil }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, s.Stop(t.Context()))
	lock, err := os.ReadFile(c.path("data/postmaster.pid"))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(lock), "\n")
	other := startSleep(t, c.account)
	require.NoError(t, c.write("data/postmaster.pid", fmt.Sprintf("%d\n%s", other.Process.Pid, rest)))
	require.NoError(t, s.Restart(t.Context()))
	assert.Equal(t, 1, ask[int](t, connect(t, s.ConnString()), "SELECT 1"))
}

func TestCloseWithoutWatchdog(t *testing.T) {
	s := start(t)
	c := s.engine.(*cluster)
	require.NoError(t, c.watch.cmd.Process.Kill())
	require.NoError(t, s.Stop(t.Context()))
	require.Eventually(t, func() bool { return c.watch.guard(0) != nil }, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, s.Restart(t.Context()), syscall.EPIPE, "nothing is started unwatched")
	require.NoError(t, s.Close())
}

func TestWatchdogNeedsItsFolder(t *testing.T) {
	folder := shortTempDir(t)
	_, err := startWatchdog(folder)
	assert.ErrorContains(t, err, "exists")
	assert.DirExists(t, folder, "not its own, so not its to remove")
}

func TestProgramsGetNothingSecret(t *testing.T) {
	t.Setenv("TOKEN", "secret")
	t.Setenv("PGPASSWORD", "secret")
	env := strings.Join(programEnv(), "\n")
	assert.NotContains(t, env, "secret")
	assert.Contains(t, env, "PATH=")
}

// A program whose starter dies before the watchdog knows of it does not run.
func TestGate(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "witness")
	for _, test := range []struct {
		input string
		runs  bool
	}{{"", false}, {"\n", true}} {
		cmd := exec.Command("/bin/sh", "-c", gateScript, "touch", "touch", witness)
		cmd.Stdin = strings.NewReader(test.input)
		assert.Equal(t, test.runs, cmd.Run() == nil)
		_, err := os.Stat(witness)
		assert.Equal(t, test.runs, err == nil)
	}
}
