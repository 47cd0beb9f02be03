package pooltest

import (
	"net"
	"syscall"
)

const canDropSYN = true

var errNoDropSYN error

// setBacklog changes the length of the queue of connections that wait to be accepted, of a socket that listens already. Linux
// drops the SYNs that come while the queue is full.
func setBacklog(l *net.TCPListener, n int) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), n) }); err != nil {
		return err
	}
	return failed
}
