package pooltest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const (
	lowestPort  = 10240
	highestPort = 32767 // clients are given ports from 32768 (Linux) or 49152 (macOS, BSD) on
	portTries   = 10    // a port that was free may be taken the next moment
)

// freePort returns a port of the loopback interface that was free a moment ago.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		var l net.Listener
		if l, err = net.Listen("tcp", address(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("pooltest: no free port: %w", err)
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
