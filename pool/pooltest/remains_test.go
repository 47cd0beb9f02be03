//go:build unix

package pooltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// leftMemory lists the shared memory that nobody uses and that was not there before. Others may come and go meanwhile.
func leftMemory(before []string) (left []string) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = slices.DeleteFunc(orphanedMemory(), func(id string) bool { return slices.Contains(before, id) })
		if len(left) == 0 {
			break
		}
	}
	return left
}

// orphanedMemory lists the System V shared memory to which no process is attached; each PostgreSQL, also those that initdb
// runs, has a piece, and leaves it when it is killed. Where there is no such list it is empty.
func orphanedMemory() (ids []string) {
	list, _ := os.ReadFile("/proc/sysvipc/shm")
	for line := range strings.Lines(string(list)) {
		if fields := strings.Fields(line); len(fields) > 6 && fields[6] == "0" { // key shmid perms size cpid lpid nattch
			ids = append(ids, fields[1])
		}
	}
	return ids
}
