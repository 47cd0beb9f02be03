package pool

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// isParent reports whether the process that listens at the other end of a unix socket is
// the parent of process pid, as the postmaster is of a backend.
func isParent(conn net.Conn, pid uint32) bool {
	rc := rawSocket(conn)
	if rc == nil {
		return false
	}
	var peer *syscall.Ucred
	var got error
	if err := rc.Control(func(fd uintptr) {
		peer, got = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil || got != nil || peer.Pid == 0 {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // after the program's name: state, parent
	fields := strings.Fields(rest)
	return len(fields) > 1 && fields[1] == strconv.Itoa(int(peer.Pid))
}
