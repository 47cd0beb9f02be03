package pooltest

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// A door is where connections come in.
type door struct {
	turn     sync.Mutex // who changes the door holds it
	shut     bool       // for good
	listener *net.TCPListener
	ended    chan struct{} // closed when the accept loop has ended; nil while there is none
	plug     []net.Conn    // what fills the listener's queue, so that SYNs are dropped
}

// Accept makes new connections come through again, after Refuse, AcceptOnly, AcceptsThenCloses or DropSYN. A client whose SYN was dropped sends
// another one in its own time: the first after a second, usually. An error is the operating system's, should something else have
// taken the port; then connections are still refused, and Accept may be tried again.
func (p *Proxy) Accept() error { return p.change(func() error { return p.open(false, false) }) }

// AcceptOnly makes new connections be accepted, and nothing else: what the client sends is read and thrown away, and nobody
// answers. These connections stay so until an end is put to them. Error: as for Accept.
func (p *Proxy) AcceptOnly() error { return p.change(func() error { return p.open(true, false) }) }

// AcceptsThenCloses makes the proxy a pooler in one respect: it ends the client's side of a new connection as soon as a cancel
// request has come over it, not when the server ends its own. The request goes on to the server, later by what Delay says. All
// else passes as after Accept; so does a cancel request under TLS, which the proxy cannot read. Error: as for Accept.
func (p *Proxy) AcceptsThenCloses() error {
	return p.change(func() error { return p.open(false, true) })
}

// Refuse makes new connections be refused (ECONNREFUSED), as when no server runs: the proxy stops to listen. Connections there
// stay. Error: [net.ErrClosed] only.
func (p *Proxy) Refuse() error {
	return p.change(func() error {
		p.close()
		return nil
	})
}

// DropSYN makes new connections get no answer at all, as from a machine that is gone: dialing takes until the client gives up.
// Connections there stay. It blocks for some tenths of a second.
//
// This is the listener's queue kept full, and takes a Linux whose net.ipv4.tcp_abort_on_overflow is 0, as it usually is. On
// other systems nothing changes and the error is [errors.ErrUnsupported].
func (p *Proxy) DropSYN() error { return p.change(p.block) }

// change calls how, in turn.
func (p *Proxy) change(how func() error) error {
	p.door.turn.Lock()
	defer p.door.turn.Unlock()
	if p.door.shut {
		return net.ErrClosed
	}
	return how()
}

func (p *Proxy) open(mute, hasty bool) error {
	if err := p.door.listen(p.addr); err != nil {
		return err
	}
	p.mu.Lock()
	p.mute, p.hasty = mute, hasty
	p.mu.Unlock()
	return p.attend()
}

func (d *door) listen(addr string) error {
	if d.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	d.listener = l.(*net.TCPListener)
	return nil
}

// close stops to listen.
func (p *Proxy) close() {
	d := &p.door
	if d.listener == nil {
		return
	}
	d.listener.Close()
	d.await()
	d.listener = nil
	d.unplug()
}

func (p *Proxy) shutForGood() {
	p.door.turn.Lock()
	defer p.door.turn.Unlock()
	p.close()
	p.door.shut = true
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// await waits for the end of the accept loop, which is near.
func (d *door) await() {
	if d.ended != nil {
		<-d.ended
		d.ended = nil
	}
}

// attend sees to it that the accept loop runs, also after block.
func (p *Proxy) attend() error {
	d := &p.door
	if d.ended != nil {
		return nil
	}
	plug := make(map[string]bool) // addresses of connections that are waiting to be accepted, and are none
	for _, conn := range d.plug {
		plug[conn.LocalAddr().String()] = true
	}
	if len(plug) > 0 {
		d.unplug()
		if err := setBacklog(d.listener, usualBacklog); err != nil {
			return err
		}
	}
	if err := d.listener.SetDeadline(time.Time{}); err != nil {
		return err
	}
	l, ended := d.listener, make(chan struct{})
	d.ended = ended
	go func() {
		defer close(ended)
		p.acceptAll(l, plug)
	}()
	return nil
}

func (p *Proxy) acceptAll(l *net.TCPListener, plug map[string]bool) {
	for {
		conn, err := l.AcceptTCP()
		switch {
		case err == nil && plug[conn.RemoteAddr().String()]:
			delete(plug, conn.RemoteAddr().String())
			conn.Close()
		case err == nil:
			p.admit(conn)
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			time.Sleep(5 * time.Millisecond) // out of files, for instance
		}
	}
}

// block stops the accept loop and fills the queue of connections that wait for it.
func (p *Proxy) block() error {
	d := &p.door
	if len(d.plug) > 0 {
		return nil
	}
	if !canDropSYN {
		return errNoDropSYN
	}
	if err := d.listen(p.addr); err != nil {
		return err
	}
	d.listener.SetDeadline(time.Unix(1, 0))
	d.await()
	err := setBacklog(d.listener, 0)
	if err == nil {
		err = d.fill(p.addr)
	}
	if err != nil {
		return errors.Join(err, p.attend())
	}
	return nil
}

const (
	usualBacklog = 4096 // the system lowers it to its limit
	smallQueue   = 16   // more than fits in a queue of length 0
	fillLimit    = 200 * time.Millisecond
)

var errQueueIsLong = errors.New("pooltest: DropSYN: the system keeps accepting connections")

// fill dials until nobody answers. On the loopback interface an answer comes at once or not at all.
func (d *door) fill(addr string) error {
	for range smallQueue {
		conn, err := net.DialTimeout("tcp", addr, fillLimit)
		var timeout net.Error
		switch {
		case err == nil:
			d.plug = append(d.plug, conn)
		case errors.As(err, &timeout) && timeout.Timeout():
			return nil
		default:
			return err
		}
	}
	return errQueueIsLong
}

func (d *door) unplug() {
	for _, conn := range d.plug {
		conn.Close()
	}
	d.plug = nil
}
