package pooltest

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
)

// A ProxyConn is one connection through a [Proxy]: a client's to the proxy and the proxy's to the server. Its methods may be
// used by any number of goroutines and, once it is over, have no effect.
type ProxyConn struct {
	proxy  *Proxy
	target endpoint
	mute   bool // there is to be no server
	hasty  bool // a cancel request ends the client's side
	lanes  [2]*lane
	ctx    context.Context // ends when the connection is killed
	cancel context.CancelFunc

	mu   sync.Mutex
	ends [2]stream    // the sockets: lane i carries to ends[i]; the server's is nil before it is dialed
	left func(stream) // how the server's side has been left, by Reset or HangUp; nil: it has not
}

// A stream is a *net.TCPConn or *net.UnixConn.
type stream interface {
	net.Conn
	CloseWrite() error
}

// newProxyConn is called with p.mu held.
func newProxyConn(p *Proxy, client *net.TCPConn) *ProxyConn {
	c := &ProxyConn{proxy: p, target: p.target, mute: p.mute, hasty: p.hasty}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.ends[toClient] = client
	for i := range c.lanes {
		c.lanes[i] = newLane(c.ctx, p.links[i], p.seed, 2*p.accepted+i, &p.passed[i])
	}
	return c
}

// ClientAddr returns the client's address, as the client's net.Conn.LocalAddr has it.
func (c *ProxyConn) ClientAddr() string { return c.end(toClient).RemoteAddr().String() }

// ServerAddr returns the address of the server, or the path of its socket, also while there is no connection to it yet.
func (c *ProxyConn) ServerAddr() string { return c.target.address }

// BackendPort returns the port from which the proxy has connected to the server, which is client_port in pg_stat_activity. It
// is 0 while there is no connection to the server, and with a unix socket.
func (c *ProxyConn) BackendPort() int {
	if server := c.end(toServer); server != nil {
		if addr, ok := server.LocalAddr().(*net.TCPAddr); ok {
			return addr.Port
		}
	}
	return 0
}

// Bytes returns how many bytes have been passed on that way; for BothWays, their sum.
func (c *ProxyConn) Bytes(way Direction) (n int64) {
	for i, l := range c.lanes {
		if way.has(i) {
			n += l.passed.Load()
		}
	}
	return n
}

// String names the addresses, for messages.
func (c *ProxyConn) String() string {
	return fmt.Sprintf("%s → %s (port %d)", c.ClientAddr(), c.ServerAddr(), c.BackendPort())
}

// Reset is [Proxy.Reset] for this connection alone.
func (c *ProxyConn) Reset(way Direction) { c.leave(way, reset) }

// HangUp is [Proxy.HangUp] for this connection alone.
func (c *ProxyConn) HangUp(way Direction) {
	c.leave(way, func(end stream) { end.CloseWrite() }) // and what comes is read on: a Close that leaves it would be a reset
}

// leave ends the sides that way goes to; from then on neither side hears of the other.
func (c *ProxyConn) leave(way Direction, end func(stream)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, socket := range c.ends {
		if !way.has(i) {
			continue
		}
		if i == toServer {
			c.left = end
		}
		c.lanes[toServer].lose()
		c.lanes[toClient].lose()
		if socket != nil {
			end(socket)
		}
	}
}

// reset closes a socket with an RST.
func reset(end stream) {
	if tcp, ok := end.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	end.Close()
}

// kill closes both sides at once.
func (c *ProxyConn) kill() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		if end != nil {
			end.Close()
		}
	}
}

func (c *ProxyConn) end(way int) stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends[way]
}

// serve is the connection's life.
func (c *ProxyConn) serve() {
	defer c.proxy.forget(c)
	defer c.kill()
	if c.mute {
		c.lanes[toServer].lose()
	} else if err := c.dial(); err != nil {
		reset(c.end(toClient))
		return
	}
	client, server := c.end(toClient), c.end(toServer)
	if c.hasty {
		c.lanes[toServer].first = c.hurry
	}
	var work sync.WaitGroup
	work.Go(func() { c.lanes[toServer].carry(client, server) })
	if server != nil {
		work.Go(func() { c.lanes[toClient].carry(server, client) })
	}
	work.Wait()
}

// dial connects to the server, once the way there is open; not where one side has been left before that.
func (c *ProxyConn) dial() error {
	if !c.lanes[toServer].await() {
		return nil
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(c.ctx, c.target.network, c.target.address)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return conn.Close()
	}
	c.ends[toServer] = conn.(stream)
	if c.left != nil { // while we dialed
		c.left(c.ends[toServer])
	}
	return nil
}

// hurry ends the client's side if the first data that came from there is a cancel request.
func (c *ProxyConn) hurry(data []byte) {
	const code = 80877102
	if len(data) >= 8 && binary.BigEndian.Uint32(data[4:]) == code {
		c.lanes[toClient].lose()
		c.end(toClient).CloseWrite()
	}
}
