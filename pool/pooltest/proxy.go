package pooltest

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// A Proxy is a TCP proxy on the loopback interface, before a server, that makes the network misbehave while a test runs:
//
//	proxy := server.Proxy(t)
//	conn, err := pgx.Connect(ctx, proxy.ConnString())
//	// …
//	proxy.BlackHole(pooltest.BothWays) // from here on nothing arrives and nothing fails
//	// …
//	err = proxy.Heal()
//
// There are faults of what travels (Delay, DelayFunc, Throttle, BlackHole), of how connections end (Reset, HangUp) and of how
// new ones are met (Refuse, AcceptOnly, AcceptsThenCloses, DropSYN, Retarget). The first two kinds hit all connections if called on the Proxy, or
// one if called on a [ProxyConn] of its. Faults can be combined.
//
// It passes on bytes, whatever they mean, and the ends of connections: an end of stream (FIN) as an end of stream, a reset as
// a reset, in order with the bytes before them. Where the server cannot be reached, the client's connection is accepted and
// then reset.
//
// All methods may be used by any number of goroutines. None blocks for long, except where it says so. Those that return an
// error return [net.ErrClosed] after Close; the others then do nothing.
type Proxy struct {
	addr string
	base string // the connection string that NewProxy was given
	door door

	mu       sync.Mutex
	target   endpoint
	seed     uint64
	links    [2]link // of connections to come
	mute     bool    // connections to come get no server
	hasty    bool    // connections to come are closed once they have sent a cancel request
	closed   bool
	accepted int
	conns    []*ProxyConn // in the order they came in
	work     sync.WaitGroup

	passed [2]atomic.Int64
}

// NewProxy makes a proxy before a server and starts it. The target is a connection string that pgx accepts, of which the first
// host counts, by TCP or unix socket; or a plain address, host:port. It is not dialed before a client comes. The proxy listens
// on 127.0.0.1, on a free port below 32768 that it keeps for life: while it refuses connections nothing takes it by accident.
//
// Close it when done. In a test, [Server.Proxy] does that. An error says that target makes no sense, or is the operating
// system's.
func NewProxy(target string) (*Proxy, error) {
	to, err := parseTarget(target)
	if err != nil {
		return nil, err
	}
	p := &Proxy{base: to.connString, target: to}
	for range portTries {
		var port int
		if port, err = freePort(); err != nil {
			return nil, err
		}
		p.addr = address(port)
		if err = p.Accept(); err == nil {
			return p, nil
		}
	}
	return nil, err
}

// Proxy makes a proxy before the server, for one test; it is closed when the test has ended. See [NewProxy], which does it
// without a test. A failure is fatal to the test.
func (s *Server) Proxy(tb TB) *Proxy {
	tb.Helper()
	p, err := NewProxy(s.ConnString())
	if err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	tb.Cleanup(p.Close)
	return p
}

// Addr returns the address that the proxy listens on, such as "127.0.0.1:12345". It stays the same for life.
func (p *Proxy) Addr() string { return p.addr }

// ConnString returns the connection string that NewProxy was given, or that of the [Server], with the proxy's address in it.
func (p *Proxy) ConnString() string { return p.Via(p.base) }

// Via returns connString, a URL or a list of key=value, with the proxy's address instead of its hosts and ports; all else
// stays. So proxy.Via(server.Database(t)) is a database of a test's own through the proxy. A certificate is then verified for
// 127.0.0.1; that of [WithTLS] is valid for it.
func (p *Proxy) Via(connString string) string { return withAddress(connString, p.addr) }

// Retarget makes connections to come go to another server, as after a failover or when a name resolves elsewhere: for instance
// to the ConnString of a standby. Those there stay where they are. The target is as for [NewProxy], and so is the error.
func (p *Proxy) Retarget(target string) error {
	to, err := parseTarget(target)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	p.target = to
	return nil
}

// Seed seeds the dice of connections to come. The dice of a connection depend on the seed, on how many came before it and on
// the direction, on nothing else; without Seed the seed is 0.
func (p *Proxy) Seed(seed uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seed = seed
}

// A ProxyStat is what a [Proxy] has counted.
type ProxyStat struct {
	Accepted int   // connections accepted, ever; what was refused, or its SYN dropped, the proxy does not see
	Open     int   // connections that are not over yet: the length of Conns
	ToServer int64 // bytes passed on to the server, ever
	ToClient int64 // bytes passed on to clients, ever
}

// Stat returns the counters.
func (p *Proxy) Stat() ProxyStat {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ProxyStat{p.accepted, len(p.conns), p.passed[toServer].Load(), p.passed[toClient].Load()}
}

// Conns returns the connections that are there, in the order they came in. A connection is there from shortly after the client
// has dialed it, at the latest when the server has accepted it, until both its sides have ended, which is shortly after both
// have closed it, or a Reset both ways.
func (p *Proxy) Conns() []*ProxyConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.conns)
}

// ConnOf returns the connection that has conn at its client's end, or nil; for a pgx connection that is
// proxy.ConnOf(conn.PgConn().Conn()).
func (p *Proxy) ConnOf(conn net.Conn) *ProxyConn {
	return p.find(func(c *ProxyConn) bool { return c.ClientAddr() == conn.LocalAddr().String() })
}

// ConnOfBackend returns the connection whose session has this client_port in pg_stat_activity, or nil.
func (p *Proxy) ConnOfBackend(clientPort int) *ProxyConn {
	return p.find(func(c *ProxyConn) bool { return c.BackendPort() == clientPort })
}

func (p *Proxy) find(is func(*ProxyConn) bool) *ProxyConn {
	conns := p.Conns()
	if i := slices.IndexFunc(conns, is); i >= 0 {
		return conns[i]
	}
	return nil
}

// Close closes all connections, at both sides, and refuses new ones. It returns when all of the proxy's goroutines have ended,
// which takes milliseconds. A second Close does nothing.
func (p *Proxy) Close() {
	p.shutForGood()
	for _, c := range p.Conns() {
		c.kill()
	}
	p.work.Wait()
}

// String names the addresses, for messages.
func (p *Proxy) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("proxy %s → %s", p.addr, p.target.address)
}

// admit takes in a new connection.
func (p *Proxy) admit(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		client.Close()
		return
	}
	c := newProxyConn(p, client) // with the links as they are: what changes them later finds it in conns
	p.accepted++
	p.conns = append(p.conns, c)
	p.work.Go(c.serve)
}

// forget is the end of c.
func (p *Proxy) forget(c *ProxyConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.conns, c); i >= 0 {
		p.conns = slices.Delete(p.conns, i, i+1)
	}
}
