//go:build !linux

package pool

import "syscall"

// control returns nil: tcp_user_timeout has no effect here.
func (t tcpSettings) control() func(network, address string, conn syscall.RawConn) error { return nil }
