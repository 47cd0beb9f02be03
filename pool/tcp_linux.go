package pool

import (
	"strings"
	"syscall"
)

// tcpUserTimeout is a socket option that package syscall does not know everywhere.
const tcpUserTimeout = 18

// control returns a function that sets what package net has no name for.
func (t tcpSettings) control() func(network, address string, conn syscall.RawConn) error {
	if t.limit == 0 {
		return nil
	}
	return func(network, _ string, conn syscall.RawConn) error {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		return conn.Control(func(fd uintptr) { // as with keepalives, a failure is no reason not to connect
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, t.limit)
		})
	}
}
