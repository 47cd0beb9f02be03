package pool

import (
	"context"
	"net"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgx dials for a session more than once: to cancel a statement it needs
// another connection, and a goroutine of its own may wait on it for 15 seconds.
// Nobody but the DialFunc could end that one with the session. But the DialFunc is
// in the configuration that the connection shows to everybody, and whoever
// connects with that must not depend on the session.

// ownDial marks the context of a session's own connect. Its value is the
// session's life.
type ownDial struct{}

// mortal has the connections that dial makes for a session end with its life.
func mortal(life context.Context, dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		cancels := dialsToCancel()
		if !cancels && ctx.Value(ownDial{}) != life {
			return dial(ctx, network, addr)
		}
		dialing, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		conn, err := dial(dialing, network, addr)
		if err != nil {
			return nil, err
		}
		hangUp := func() { _ = conn.Close() }
		stop := context.AfterFunc(life, hangUp)
		if !cancels {
			return conn, nil
		}
		request, _ := ctx.Value(requestKey{}).(*cancelRequest)
		late := context.AfterFunc(ctx, hangUp) // pgx no longer looks at ctx when it closes
		forget := func() {                     // there is one for each statement cancelled: they are not to pile up
			stop()
			late()
		}
		return &cancelConn{Conn: conn, stop: forget, request: request}, nil
	}
}

// dialsToCancel reports whether pgx dials for a cancel request: it calls DialFunc
// from there, and nothing else tells. If pgx is rewritten, a session's goroutine
// can outlive it by those 15 seconds; TestCloseAllEndsCancelRequests shows it.
func dialsToCancel() bool { return calledFrom("pgconn.(*PgConn).CancelRequest") }

// calledFrom reports whether a function is among the callers.
func calledFrom(function string) bool {
	var callers [16]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, function) {
			return true
		}
		if !more {
			return false
		}
	}
}
