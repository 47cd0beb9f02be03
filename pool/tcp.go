package pool

import (
	"math"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// What libpq's parameters say about sockets, and what holds without them: a peer that is
// gone is found in 50 seconds, if nothing is being sent, and a router that forgets silent
// connections hears something every 20.

// tcpSettings are how the pool's own dials set their sockets.
type tcpSettings struct {
	off                          bool
	idle, interval, count, limit int // seconds, seconds, probes, milliseconds; 0: the system's
}

// defaultTCP has no limit for what the peer does not acknowledge: Linux counts a peer that
// is there and takes nothing, such as a server in a long statement during a large batch.
var defaultTCP = tcpSettings{idle: 20, interval: 10, count: 3}

// parseTCP takes the settings out of the parameters of a connection string.
func parseTCP(params map[string]string) (t tcpSettings, what string, err error) {
	t = defaultTCP
	on := 1
	for _, p := range []struct {
		name  string
		field *int
	}{
		{"keepalives", &on},
		{"keepalives_idle", &t.idle},
		{"keepalives_interval", &t.interval},
		{"keepalives_count", &t.count},
		{"tcp_user_timeout", &t.limit},
	} {
		value, ok := params[p.name]
		if !ok {
			continue
		}
		delete(params, p.name)
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return t, "cannot parse " + p.name, &ConfigError{Field: p.name, Value: plainly(value), Reason: "is not a whole number that fits"}
		}
		if what, err := tooSmall(setting{field: p.name, value: n, show: plainly(value)}); err != nil {
			return t, what, err
		}
		*p.field = int(n)
	}
	t.off = on == 0
	return t, "", nil
}

// dial returns a function that dials with the settings, and gives up after a time, if that
// is not 0.
func (t tcpSettings) dial(timeout time.Duration) pgconn.DialFunc {
	d := &net.Dialer{Timeout: timeout, Control: t.control()}
	if t.off {
		d.KeepAlive = -1
		return d.DialContext
	}
	systems := func(n int) int { // to package net, 0 is a default of its own
		if n == 0 {
			return -1
		}
		return n
	}
	d.KeepAliveConfig = net.KeepAliveConfig{
		Enable:   true,
		Idle:     time.Duration(min(systems(t.idle), math.MaxInt16)) * time.Second, // the most that Linux takes
		Interval: time.Duration(min(systems(t.interval), math.MaxInt16)) * time.Second,
		Count:    min(systems(t.count), math.MaxInt8),
	}
	return d.DialContext
}
