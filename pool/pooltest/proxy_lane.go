package pooltest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A lane carries a connection's data one way. One goroutine reads and another one writes, with a queue between them: a delay
// then is a delay only, and does not add up over the pieces that arrive meanwhile.
type lane struct {
	ctx    context.Context // of the connection
	dice   *rand.Rand      // the writer's
	passed atomic.Int64    // bytes
	total  *atomic.Int64   // the proxy's
	first  func([]byte)    // is shown the first data that comes, if not nil; set before there is any

	// The writer's too.
	under *terms    // that held last
	free  time.Time // when a throttled link is done with what it was given

	mu  sync.Mutex
	now *terms
}

// Terms are what holds for a lane until it is changed. They are not modified; others take their place.
type terms struct {
	link
	lost    bool          // all that comes is thrown away
	changed chan struct{} // closed when others have taken their place
}

// A piece is what one read has brought: data, an end (the last one), or both.
type piece struct {
	data    []byte
	end     error // EOF, a reset, or that it was us who closed the socket
	arrived time.Time

	under *terms    // for which due was drawn
	due   time.Time // when it may go on, as far as the delay is concerned
}

const (
	pieceSize = 32 << 10
	queueSize = 32 // pieces; so a megabyte is under way at most
)

func newLane(ctx context.Context, l link, seed uint64, nth int, total *atomic.Int64) *lane {
	return &lane{
		ctx:   ctx,
		dice:  rand.New(rand.NewPCG(seed, uint64(nth))),
		total: total,
		now:   &terms{link: l, changed: make(chan struct{})},
	}
}

// change makes other terms hold: those that f makes of a copy.
func (l *lane) change(f func(*terms)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.now
	l.now = &terms{before.link, before.lost, make(chan struct{})}
	f(l.now)
	close(before.changed)
}

func (l *lane) lose() { l.change(func(t *terms) { t.lost = true }) }

func (l *lane) terms() *terms {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// carry is the lane's work: what comes from src goes to dst. It returns when src has ended, and dst has been told, or when the
// connection has been killed.
func (l *lane) carry(src, dst stream) {
	var work sync.WaitGroup
	defer work.Wait()
	queue := make(chan *piece, queueSize)
	work.Go(func() { l.read(src, queue) })
	for p := range queue {
		l.write(dst, p)
		if p.end != nil {
			l.tell(dst, p)
		}
	}
}

// read ends when src does, or is closed; then it closes the queue.
func (l *lane) read(src stream, queue chan<- *piece) {
	defer close(queue)
	buf := make([]byte, pieceSize)
	for {
		n, err := src.Read(buf)
		if n > 0 && l.first != nil {
			l.first(buf[:n])
			l.first = nil
		}
		select {
		case queue <- &piece{data: bytes.Clone(buf[:n]), end: err, arrived: time.Now()}:
		case <-l.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// write writes p's data, each portion when its time has come. Where dst takes no more, all that comes is lost from then on; that
// dst is gone is for the other lane to find.
func (l *lane) write(dst stream, p *piece) {
	for len(p.data) > 0 {
		n, ok := l.pass(p)
		if !ok {
			return
		}
		l.count(n) // before it is done: who has got the data finds it counted
		written, err := dst.Write(p.data[:n])
		if err != nil {
			l.count(written - n)
			l.lose()
			return
		}
		p.data = p.data[n:]
	}
}

func (l *lane) count(n int) {
	l.passed.Add(int64(n))
	l.total.Add(int64(n))
}

// tell passes on src's end, when its time has come.
func (l *lane) tell(dst stream, p *piece) {
	switch _, ok := l.pass(p); {
	case !ok || errors.Is(p.end, net.ErrClosed):
	case errors.Is(p.end, io.EOF):
		dst.CloseWrite()
	default:
		reset(dst)
	}
}

// pass waits until p may go on, and returns how many bytes of it; or false where it is lost.
func (l *lane) pass(p *piece) (n int, ok bool) {
	for {
		t := l.terms()
		if t.lost || l.ctx.Err() != nil {
			return 0, false
		}
		if l.under != t {
			l.under, l.free = t, time.Now()
		}
		if p.under != t {
			p.under, p.due = t, p.arrived.Add(t.draw(l.dice))
		}
		n := t.portion(len(p.data))
		at := later(p.due, l.free).Add(t.duration(n))
		if t.hole {
			l.wait(t, eternity)
		} else if l.wait(t, time.Until(at)) {
			l.free = at
			return n, true
		}
	}
}

const eternity = 1<<63 - 1

// wait reports whether d has passed before t changed or the connection ended.
func (l *lane) wait(t *terms, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.changed:
		return false
	case <-l.ctx.Done():
		return false
	}
}

// await waits until something may travel, and reports whether it may; not where all is lost.
func (l *lane) await() bool {
	for {
		t := l.terms()
		if t.lost || l.ctx.Err() != nil {
			return false
		}
		if !t.hole {
			return true
		}
		l.wait(t, eternity)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
