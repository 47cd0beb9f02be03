//go:build unix && !aix

package pool

import (
	"net"
	"syscall"
)

// newPeeker prepares to look at conn. The closure and its buffer are made once,
// so that a look allocates nothing. Nil if conn is no socket.
func newPeeker(conn net.Conn) peeker {
	rc := rawSocket(conn)
	if rc == nil {
		return nil
	}
	var (
		buf [1]byte
		n   int
		got error
	)
	recv := func(fd uintptr) {
		n, _, got = syscall.Recvfrom(int(fd), buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}
	return func() sight {
		// Not rc.Read: that waits for other readers, and after a slow write pgx
		// leaves one behind that reads until the server's next word.
		if err := rc.Control(recv); err != nil {
			return gone
		}
		switch {
		case got == syscall.EAGAIN || got == syscall.EWOULDBLOCK:
			return quiet
		case got == nil && n > 0:
			return readable
		default:
			return gone
		}
	}
}
