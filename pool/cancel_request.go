package pool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A cancelRequest is one under way, in a goroutine of its own.
type cancelRequest struct {
	unsent chan struct{} // of one, with a token inside: the goroutine that takes it sends the request, or withdraws it
	told   chan bool     // of one: whether the other end has ended the connection of the request
	stop   context.CancelFunc

	ended bool // the request's goroutine has seen that end
}

// requestKey is the key of a context that a cancel request dials with. Its value is the
// *cancelRequest.
type requestKey struct{}

// startRequest sends a cancel request for what conn does, and waits for the end of the
// request's connection, until a deadline.
func startRequest(conn *pgconn.PgConn, until time.Time) *cancelRequest {
	r := &cancelRequest{unsent: make(chan struct{}, 1), told: make(chan bool, 1)}
	r.unsent <- struct{}{}
	ctx, cancel := context.WithDeadline(context.WithValue(context.Background(), requestKey{}, r), until)
	r.stop = cancel
	go func() {
		defer cancel()
		err := conn.CancelRequest(ctx)
		r.told <- err == nil && r.ended
	}()
	return r
}

// withdraw reports whether the request was not sent; then it never will be.
func (r *cancelRequest) withdraw() bool {
	select {
	case <-r.unsent:
		r.stop()
		return true
	default:
		return false
	}
}

// sent reports whether the request was sent, or withdrawn.
func (r *cancelRequest) sent() bool { return len(r.unsent) == 0 }

// A cancelConn is the connection of a cancel request.
type cancelConn struct {
	net.Conn
	stop    func()         // lets go of the session and the context
	request *cancelRequest // nil: nobody wants to know how it ends
	sent    bool
}

var errWithdrawn = errors.New("the statement has ended: its cancel request was not sent")

// Write sends nothing that may be the request once that was withdrawn.
func (c *cancelConn) Write(b []byte) (int, error) {
	if c.request != nil && !c.sent && mayCancel(b) {
		select {
		case <-c.request.unsent:
			c.sent = true
		default:
			return 0, errWithdrawn
		}
	}
	return c.Conn.Write(b)
}

// sslRequest is what comes before a TLS handshake.
var sslRequest = binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 80877103)

// mayCancel reports whether b may hold a cancel request: it is neither an SSLRequest nor
// the beginning of a flight of a TLS handshake.
func mayCancel(b []byte) bool {
	const changeCipherSpec, alert, handshake = 20, 21, 22
	return !bytes.Equal(b, sslRequest) && (len(b) == 0 || b[0] < changeCipherSpec || b[0] > handshake)
}

// Read notices the other end's end of the connection.
func (c *cancelConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.request != nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		c.request.ended = true
	}
	return n, err
}

// Close waits until the other end has closed the connection, unless Read has seen that
// already: under TLS pgx stops reading at the server's close_notify. It blocks until the
// context of the request ends at the latest.
func (c *cancelConn) Close() error {
	if c.request != nil && c.sent && !c.request.ended {
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
	}
	c.stop()
	return c.Conn.Close()
}
