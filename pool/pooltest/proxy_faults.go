package pooltest

import (
	"math/rand/v2"
	"time"
)

// A Direction says which way a fault acts. It is one of ToServer, ToClient and BothWays; for any other value nothing happens.
type Direction int

// The directions.
const (
	ToServer Direction = 1 << toServer // from the client to the server
	ToClient Direction = 1 << toClient // from the server to the client
	BothWays           = ToServer | ToClient
)

// The indexes of what there is one of for each direction.
const (
	toServer = iota
	toClient
)

func (d Direction) has(way int) bool { return d&(1<<way) != 0 }

// String returns the name of the constant.
func (d Direction) String() string {
	switch d {
	case ToServer:
		return "ToServer"
	case ToClient:
		return "ToClient"
	case BothWays:
		return "BothWays"
	default:
		return "no direction"
	}
}

// Delay makes all that travels that way, on all connections there and to come, arrive later by d; also the ends of
// connections. What is under way when the delay changes follows the new one. Zero or less is no delay.
func (p *Proxy) Delay(way Direction, d time.Duration) { p.each(way, delayBy(Uniform(d, d))) }

// DelayFunc is like Delay, but f says, for each piece that arrives, by how much. Nothing overtakes what was sent before it. The
// dice are for f alone while it runs; f is called by several goroutines at once. A nil f is no delay. See [Uniform] and
// [Proxy.Seed].
func (p *Proxy) DelayFunc(way Direction, f func(dice *rand.Rand) time.Duration) {
	p.each(way, delayBy(f))
}

// Throttle limits how fast data travels that way, on each of all connections there and to come, in bytes per second. The proxy
// takes up to a megabyte more than it has passed on, and the system's buffers hold some more; then the sender has to wait. Zero
// or less is no limit.
func (p *Proxy) Throttle(way Direction, bytesPerSecond int) { p.each(way, throttleTo(bytesPerSecond)) }

// BlackHole makes nothing arrive that way, on all connections there and to come, while nothing is closed: what is sent is held
// back, including the ends of connections, until Lift or Heal, and then goes on. What was sent before the call may still
// arrive. A new connection is accepted even so, but the server hears of it only once something may travel there; for a client
// that is not even accepted see DropSYN.
func (p *Proxy) BlackHole(way Direction) { p.each(way, hole(true)) }

// Lift ends BlackHole that way, on all connections there and to come.
func (p *Proxy) Lift(way Direction) { p.each(way, hole(false)) }

// Heal ends Delay, DelayFunc, Throttle and BlackHole on all connections there and to come, and lets new ones in, as Accept does;
// what was held back goes on. What has ended, or was met by AcceptOnly, stays so, and so does Retarget. Error: as for Accept.
func (p *Proxy) Heal() error {
	p.each(BothWays, noFault)
	return p.Accept()
}

// Reset ends the connections there with an RST that way: who sent or waits there gets ECONNRESET or EPIPE. With a single
// direction the other side is not told: its connection stays open, what it sends gets lost, and nothing comes any more. What is
// under way is lost.
func (p *Proxy) Reset(way Direction) {
	for _, c := range p.Conns() {
		c.Reset(way)
	}
}

// HangUp ends the connections there with a FIN that way, as when a program closes its connection or exits: who waits there gets
// an end of stream. With a single direction that is half-open: the other side is not told, its connection stays open, what it
// sends gets lost, and nothing comes any more. So HangUp(ToServer) ends the sessions at the server and lets the clients believe
// that they are still there, and HangUp(ToClient) is the reverse. What is under way is lost.
func (p *Proxy) HangUp(way Direction) {
	for _, c := range p.Conns() {
		c.HangUp(way)
	}
}

// each changes the links of the connections there and to come.
func (p *Proxy) each(way Direction, f func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.links {
		if way.has(i) {
			f(&p.links[i])
		}
	}
	for _, c := range p.conns {
		c.each(way, f)
	}
}

// Delay is [Proxy.Delay] for this connection alone, until one of them is called again.
func (c *ProxyConn) Delay(way Direction, d time.Duration) { c.each(way, delayBy(Uniform(d, d))) }

// DelayFunc is [Proxy.DelayFunc] for this connection alone.
func (c *ProxyConn) DelayFunc(way Direction, f func(dice *rand.Rand) time.Duration) {
	c.each(way, delayBy(f))
}

// Throttle is [Proxy.Throttle] for this connection alone.
func (c *ProxyConn) Throttle(way Direction, bytesPerSecond int) {
	c.each(way, throttleTo(bytesPerSecond))
}

// BlackHole is [Proxy.BlackHole] for this connection alone.
func (c *ProxyConn) BlackHole(way Direction) { c.each(way, hole(true)) }

// Lift is [Proxy.Lift] for this connection alone.
func (c *ProxyConn) Lift(way Direction) { c.each(way, hole(false)) }

// Heal ends Delay, DelayFunc, Throttle and BlackHole on this connection; what was held back goes on.
func (c *ProxyConn) Heal() { c.each(BothWays, noFault) }

func (c *ProxyConn) each(way Direction, f func(*link)) {
	for i, l := range c.lanes {
		if way.has(i) {
			l.change(func(t *terms) { f(&t.link) })
		}
	}
}
