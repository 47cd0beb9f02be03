//go:build unix

package pooltest

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

//go:embed watchdog.sh
var watchdogScript string

// A watchdog is the shell script that outlives this process. It owns the cluster's folder: it makes it, and it alone removes
// it, at close as after a crash, so that the way out of a crash is the one that every test takes.
type watchdog struct {
	folder string
	cmd    *exec.Cmd
	pipe   *os.File // the only write end there is; like all of Go's files it is closed on exec, so no child inherits it
}

// startWatchdog starts it and returns once it has made the folder.
func startWatchdog(folder string) (*watchdog, error) {
	input, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer input.Close()
	answer, output, err := os.Pipe()
	if err != nil {
		pipe.Close()
		return nil, err
	}
	defer answer.Close()
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "pooltest-watchdog", folder)
	cmd.Dir = "/" // so that it holds on to no folder of ours
	cmd.Env = []string{"PATH=/usr/bin:/bin:" + os.Getenv("PATH")}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's signals do not reach it
	err = cmd.Start()
	output.Close()
	if err != nil {
		pipe.Close()
		return nil, err
	}
	if line, _ := bufio.NewReader(answer).ReadString('\n'); line != "ready\n" {
		pipe.Close()
		return nil, errors.Join(fmt.Errorf("pooltest: no folder for the server: %s", strings.TrimSpace(line)), cmd.Wait())
	}
	return &watchdog{folder, cmd, pipe}, nil
}

// guard says which process runs in the folder now, the leader of its process group; 0 is none.
func (w *watchdog) guard(leader int) error {
	_, err := fmt.Fprintln(w.pipe, leader)
	return err
}

// close lets the watchdog do its work and waits for the end of it, at most some twenty seconds. Should it have been killed, nothing
// runs in the folder any more, since those who close us have seen to that, and only the folder is left to remove.
func (w *watchdog) close() error {
	w.pipe.Close()
	if w.cmd.Wait() == nil {
		return nil
	}
	return os.RemoveAll(w.folder)
}
