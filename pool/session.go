package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/pgactor/pgactor/actor"
)

// A session is what the supervisor lends: a connection, and what the pool must
// know about it. It belongs to the holder of its lease; of a shared one, to the holder
// that has the turn.
type session struct {
	pool *Pool
	conn *pgx.Conn
	die  context.CancelFunc // ends whatever was dialed for this session
	raw  net.Conn           // the socket below TLS
	peek peeker             // nil where the socket cannot be looked at
	rest time.Time          // when it was last put, if that will be asked for

	cancels *canceller

	trust    chan struct{} // closed when the connection is in doubt
	alarmed  bool          // its failure may be others' too
	readOnly bool          // the server has refused a write
	ended    bool          // the connection was found closed before
	deaf     bool          // a ping got no answer
	fault    error         // why it has to be closed, if that is known

	bound     *binding // what a Keying has changed it for
	txs       txStack  // open on a plain connection
	sharedTxs []openTx // open on a shared one, the outermost first

	conns []Conn     // made in a batch, not yet used
	made  int        // how many were made the last time
	rows  []poolRows // likewise, always as many; and row
	row   []poolRow

	pinged bool // ShouldPing has had it pinged for the get under way
}

// open connects, and returns a session that is fit for a borrower. It runs in a helper of
// the supervisor's.
func (p *Pool) open(ctx context.Context) (*session, error) {
	c := p.config
	cc := c.ConnConfig.Copy()
	if c.BeforeConnect != nil {
		if err := p.beforeConnect(ctx, cc); err != nil {
			return nil, hookError{err}
		}
	}
	life, die := context.WithCancel(context.Background())
	opened := false
	defer func() {
		if !opened { // an error, or a hook of pgx's that panicked
			die()
		}
	}()
	route := p.route(ctx, life, cc)
	cc.DialFunc = mortal(life, cc.DialFunc)
	if hook := cc.AfterConnect; hook != nil {
		cc.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
			if err := hook(ctx, conn); err != nil {
				return hookError{err}
			}
			return nil
		}
	}
	s := &session{pool: p, die: die}
	cc.OnPgError = s.hear(cc.OnPgError)
	connected := make(chan struct{})
	s.watch(&cc.Config, c.CancelPolicy, connected)
	late := context.AfterFunc(ctx, die) // what is dialed may have no deadlines
	conn, err := pgx.ConnectConfig(context.WithValue(ctx, ownDial{}, life), cc)
	close(connected)
	if !late() && err == nil {
		err = ctx.Err()
		_ = conn.Close(ctx)
	}
	if err != nil {
		return nil, err
	}
	opened = true
	p.learn(route)
	s.setConn(conn)
	return s, s.afterConnect(ctx)
}

// beforeConnect runs the hook, which has its own time.
func (p *Pool) beforeConnect(ctx context.Context, cc *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	return p.config.BeforeConnect(ctx, cc)
}

// afterConnect runs the hook. It closes the session unless that comes out fit for a
// borrower.
func (s *session) afterConnect(ctx context.Context) error {
	hook := s.pool.config.AfterConnect
	if hook == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	fit := false
	defer func() {
		if !fit { // also after a panic or Goexit
			ctx, cancel := context.WithTimeout(ctx, grace)
			defer cancel()
			_ = s.close(ctx)
		}
	}()
	if err := hook(ctx, s.conn); err != nil {
		return hookError{err}
	}
	switch {
	case s.conn.IsClosed():
		return errUnfitAfterConnect // the server may have closed it
	case s.state() != actor.Keep:
		return hookError{errUnfitAfterConnect}
	}
	fit = true
	return nil
}

var errUnfitAfterConnect = errors.New("AfterConnect left the connection closed, busy or in a transaction")

// setConn attaches conn to s.
func (s *session) setConn(conn *pgx.Conn) {
	raw := rawConn(conn.PgConn())
	s.conn, s.raw, s.peek, s.rest = conn, raw, newPeeker(raw), time.Now()
	s.trust = s.pool.trusted()
}

// rawConn returns the socket below TLS, whose own Close can block for seconds.
func rawConn(pc *pgconn.PgConn) net.Conn {
	raw := pc.Conn()
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	return raw
}

// close runs the BeforeClose hook, and closes the session. Whatever the hook does, the
// socket is closed at the end of ctx.
func (p *Pool) close(ctx context.Context, s *session) error {
	if hook := p.config.BeforeClose; hook != nil {
		defer s.hangUp()
		stop := context.AfterFunc(ctx, s.hangUp)
		hook(s.conn)
		stop()
	}
	return s.close(ctx)
}

// close tells the server, and waits until that has closed its end: until then PostgreSQL
// counts the connection against max_connections. At the end of ctx the socket is closed
// in any case.
func (s *session) close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.hangUp)
	defer stop()
	pc := s.conn.PgConn()
	if s.conn.IsClosed() {
		return s.awaitCleanup(ctx)
	}
	if pc.IsBusy() {
		// The backend would go on with its statement before it reads on. An
		// error means that it could not be told: it will notice by itself.
		_ = pc.CancelRequest(ctx)
	}
	pc.Frontend().Send(&pgproto3.Terminate{})
	if err := pc.Frontend().Flush(); err == nil {
		_, _ = io.Copy(io.Discard, s.raw)
	}
	// pgx would send a Terminate of its own, and under TLS wait for that.
	s.hangUp()
	_ = s.conn.Close(ctx)
	return ctx.Err()
}

// awaitCleanup waits for pgx, which closes the connection in the background: it cancels
// the statement first, which can take 15 seconds. At the end of ctx the socket is closed.
func (s *session) awaitCleanup(ctx context.Context) error {
	select {
	case <-s.conn.PgConn().CleanupDone():
		s.hangUp()
		return nil
	case <-ctx.Done():
		s.hangUp()
		return ctx.Err()
	}
}

// hangUp closes the socket, and that of a cancel request under way. It may be
// called at any moment from any goroutine.
func (s *session) hangUp() {
	_ = s.raw.Close()
	s.die()
}

// grace is how long the pool waits for the server to notice the end of a session that was
// killed, or never lent.
const grace = 200 * time.Millisecond

// kill closes the socket, also while it is in use, and has the server cancel the
// statement, which would go on without its client. It may be called at any moment from
// any goroutine.
func (s *session) kill() {
	_ = s.raw.Close()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = s.conn.PgConn().CancelRequest(ctx) // best effort: the server may be gone
	s.die()
}
