//go:build unix

package pooltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireNothingLeft checks that folder is empty and that no process works in it.
func requireNothingLeft(t *testing.T, folder string) {
	t.Helper()
	requireNoFiles(t, folder)
	assert.Empty(t, processesIn(t, folder))
	assert.Empty(t, zombies())
}

func requireNoFiles(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// eventuallyNothingLeft is requireNothingLeft, but for when others clean up in their own time.
func eventuallyNothingLeft(t *testing.T, folder string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		if len(entries) == 0 && len(processesIn(t, folder)) == 0 {
			return
		}
	}
	requireNothingLeft(t, folder)
}

// processesIn lists the processes that have folder in their command line, or work in it; where there is no /proc, only the former.
func processesIn(t *testing.T, folder string) (found []string) {
	t.Helper()
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		command, _ := os.ReadFile(process + "/cmdline")
		cwd, _ := os.Readlink(process + "/cwd")
		line := strings.ReplaceAll(string(command), "\x00", " ")
		if strings.HasPrefix(cwd, folder+"/") || strings.Contains(line, folder+"/") {
			found = append(found, filepath.Base(process)+" "+line)
		}
	}
	if processes == nil {
		out, err := exec.Command("ps", "-axww", "-o", "pid=,command=").Output()
		require.NoError(t, err)
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, folder+"/") {
				found = append(found, strings.TrimSpace(line))
			}
		}
	}
	return found
}

// zombies lists the children of this process that have ended and were not waited for; where there is no /proc it finds none.
func zombies() (found []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		content, _ := os.ReadFile(stat)
		_, fields, _ := strings.Cut(string(content), ") ")
		if strings.HasPrefix(fields, fmt.Sprintf("Z %d ", os.Getpid())) {
			found = append(found, string(content))
		}
	}
	return found
}

// dataIn returns the inode of the data folder of the server whose folder is in base, or zero while there is none.
func dataIn(base string) uint64 {
	paths, _ := filepath.Glob(base + "/*/data")
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			return info.Sys().(*syscall.Stat_t).Ino
		}
	}
	return 0
}

// memoryOf lists the System V shared memory to which no process is attached and whose key is that inode, as PostgreSQL has it: each
// one, also those that initdb runs, has a piece, and leaves it when it is killed. Where there is no such list it finds none.
func memoryOf(data uint64) (found []string) {
	list, _ := os.ReadFile("/proc/sysvipc/shm")
	for line := range strings.Lines(string(list)) {
		fields := strings.Fields(line) // key shmid perms size cpid lpid nattch
		if len(fields) > 6 && fields[0] == strconv.Itoa(int(int32(data))) && fields[6] == "0" {
			found = append(found, line)
		}
	}
	return found
}
