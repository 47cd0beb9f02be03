package pool

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A PostgreSQL server ends the connection of a cancel request after it has signalled the
// backend. What lies between may end it earlier, as some poolers do, and a proxy that only
// passes bytes on cannot be told from one that does. So that end proves something only if
// nothing lies between.
//
// If something does, the statement must have been cancelled. Before PostgreSQL 18 even that
// is not all: the server signals the backend twice, by kill(pid) and kill(-pid), and its
// process may lose the processor in between. The second signal then hits what runs next.

// A route is what is known of the way from a connection to its backend.
type route uint8

const (
	unexplored route = iota
	direct           // the backend is at the other end of the socket
	indirect         // something else is, or nobody can say
)

// direct reports whether the backend is at the other end of the socket. It asks the server
// once, after a statement has ended and before pgx knows.
func (c *canceller) direct(until time.Time) bool {
	if c.route == unexplored && c.conn.TxStatus() != aborted { // it would not answer
		c.route = indirect
		if c.leadsToBackend(until) {
			c.route = direct
		}
	}
	return c.route == direct
}

// leadsToBackend asks the backend who it is, and who its client is.
func (c *canceller) leadsToBackend(until time.Time) bool {
	row, ok := c.ask("select pg_catalog.pg_backend_pid(), pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.inet_client_port()", until)
	c.broken = !ok
	return ok && len(row) == 3 && string(row[0]) == strconv.Itoa(int(c.conn.PID())) && c.isClient(row[1], row[2])
}

// isClient reports whether host and port, as the backend sees them, are those of this end
// of the socket. Of a unix socket the backend sees neither.
func (c *canceller) isClient(host, port []byte) bool {
	raw := rawConn(c.conn)
	switch here := raw.LocalAddr().(type) {
	case *net.TCPAddr:
		addr, err := netip.ParseAddr(string(host))
		if err != nil || string(port) != strconv.Itoa(here.Port) {
			return false
		}
		return addr.Unmap() == here.AddrPort().Addr().Unmap().WithZone("")
	case *net.UnixAddr:
		return host == nil && isParent(raw, c.conn.PID())
	default:
		return false
	}
}

// signalsOnce reports whether the server signals a backend once for a cancel request.
func (c *canceller) signalsOnce() bool {
	major, _, _ := strings.Cut(c.conn.ParameterStatus("server_version"), ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 18
}

// settle waits while the second signal of a cancel request may be on its way to the
// backend, which is idle and ignores it. Both come within microseconds, unless the server's
// process loses the processor, and how long that may be is only seen from how long all the
// rest took.
func (c *canceller) settle(took time.Duration) {
	<-time.After(min(max(4*took, 10*time.Millisecond), cancelGrace))
}

// ask has the server run a query of ours that returns a row at most. It reports false if
// the connection does not go on.
func (c *canceller) ask(sql string, until time.Time) (row [][]byte, ok bool) {
	_ = c.conn.Conn().SetDeadline(until)
	frontend := c.conn.Frontend()
	frontend.SendQuery(&pgproto3.Query{String: sql})
	if err := frontend.Flush(); err != nil {
		return nil, false
	}
	var others []byte
	for {
		message, err := frontend.Receive()
		if err != nil {
			return nil, false
		}
		switch m := message.(type) {
		case *pgproto3.ReadyForQuery:
			c.unread = others
			return row, m.TxStatus == c.conn.TxStatus()
		case *pgproto3.DataRow:
			row = nil
			for _, v := range m.Values {
				if v != nil {
					v = append([]byte{}, v...)
				}
				row = append(row, v)
			}
		case *pgproto3.RowDescription, *pgproto3.CommandComplete, *pgproto3.ErrorResponse:
		default: // a notification, for instance: it is pgx's
			if others, err = message.Encode(others); err != nil {
				return nil, false
			}
		}
	}
}
