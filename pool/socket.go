package pool

import (
	"net"
	"syscall"
)

// rawSocket returns the socket of conn, or of the connection that conn wraps and returns
// from a method NetConn, as that of package crypto/tls does. It returns nil if there is
// none.
func rawSocket(conn net.Conn) syscall.RawConn {
	for conn != nil {
		if sc, ok := conn.(syscall.Conn); ok {
			if rc, err := sc.SyscallConn(); err == nil {
				return rc
			}
			return nil
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = wrapper.NetConn()
	}
	return nil
}
