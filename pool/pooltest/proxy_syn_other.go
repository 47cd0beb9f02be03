//go:build !linux

package pooltest

import (
	"errors"
	"fmt"
	"net"
)

const canDropSYN = false

var errNoDropSYN = fmt.Errorf("pooltest: DropSYN needs Linux: %w", errors.ErrUnsupported)

func setBacklog(*net.TCPListener, int) error { return errNoDropSYN }
