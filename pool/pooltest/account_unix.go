//go:build unix

package pooltest

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// An account is the user that the server runs as when this process is root, which PostgreSQL refuses to be. A nil account
// stands for this process's own user; its methods then do nothing.
type account struct{ uid, gid uint32 }

// serverAccount returns the first account of names that exists, or nil for our own user.
func serverAccount(names []string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range names {
		if a, err := lookUpAccount(name); err == nil {
			return a, nil
		}
	}
	return nil, fmt.Errorf("pooltest: PostgreSQL cannot run as root, and there is no user to run it as: %s", strings.Join(names, ", "))
}

func lookUpAccount(name string) (*account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &account{uint32(uid), uint32(gid)}, nil
}

func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// own gives a file or folder to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// mayPass reports whether the account may go through folder and all those above it.
func (a *account) mayPass(folder string) bool {
	if a == nil {
		return true
	}
	for {
		info, err := os.Stat(folder)
		if err != nil || !a.mayEnter(info) {
			return false
		}
		if parent := filepath.Dir(folder); parent != folder {
			folder = parent
			continue
		}
		return true
	}
}

func (a *account) mayEnter(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode(); {
	case !ok:
		return false
	case stat.Uid == a.uid:
		return mode&0o100 != 0
	case stat.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// A socket's path has room for about a hundred bytes, 103 on macOS; this is the longest that we append to the base folder.
const longestSocket = 103 - len("/pgactor-pooltest-0123456789abcdef/socket/.s.PGSQL.65535")

// baseFolder returns where the cluster's folder can be made: TMPDIR, unless the account cannot reach it (a TMPDIR is often its
// user's alone) or it is too long for a socket.
func baseFolder(a *account) (string, error) {
	candidates := []string{os.TempDir(), "/tmp", "/var/tmp"}
	for _, folder := range candidates {
		folder, err := filepath.Abs(folder)
		if err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(folder)
		if err == nil && len(real) <= longestSocket && a.mayPass(real) {
			return real, nil
		}
	}
	return "", fmt.Errorf("pooltest: no temporary folder for the server: each of %q is missing, closed to the server's user or too "+
		"long for a socket", slices.Compact(candidates))
}
