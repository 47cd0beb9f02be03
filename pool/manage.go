package pool

import "context"

// What an operator does to a pool at work.

// WaitReady blocks until MinConns and MinIdleConns connections are open, or until ctx ends:
// then the error is a [*WaitError] that wraps the last failure to connect. While the server
// cannot be reached it goes on trying, under either OutagePolicy, and OnEvent is told why
// (EventNotReady). A failure that time does not heal (see Config.IsPermanent), such as a
// wrong password, is ErrUnavailable at once if it comes after the call. The other error is
// ErrClosed.
func (p *Pool) WaitReady(ctx context.Context) error { return timed(p.desk.WaitReady(ctx)) }

// Check pings every connection that is idle now, one after the other, so that borrowers
// find the others meanwhile. Those that do not answer within PingTimeout (5 seconds without)
// are closed, and replaced up to MinConns and MinIdleConns. It blocks until all that are
// still idle have been pinged, or until ctx ends: then the error is a [*WaitError], and the
// pings go on. In a pause it waits for Resume. The other error is ErrClosed.
func (p *Pool) Check(ctx context.Context) error { return timed(p.desk.CheckIdle(ctx)) }

// Resize sets MinConns and MaxConns anew, and returns at once. Growing serves
// those who wait. Shrinking closes what is idle and too many now, and what is put
// until there are no more than maxconn; nobody loses a connection. The error is a
// [*ConfigError] for sizes that cannot be (see [NewThreaded]; and minconn must
// not be more than MaxIdleConns), and then nothing is changed, or ErrClosed. As
// long as maxconn is less than MinIdleConns, no more than maxconn are kept idle.
func (p *Pool) Resize(minconn, maxconn int) error {
	if err := checkSizes("minconn", int64(minconn), "maxconn", int64(maxconn)); err != nil {
		return err
	}
	if most := p.config.MaxIdleConns; most != 0 && minconn > int(max(most, 0)) {
		return &ConfigError{Field: "minconn", Value: minconn, Reason: "must not be greater than MaxIdleConns"}
	}
	return p.desk.Resize(minconn, maxconn)
}

// Pause stops lending, and blocks until every connection is back; while it waits,
// holders of a key still share the connection bound to it. A get then waits until
// [Pool.Resume], and one that does not wait gets ErrPaused. Idle connections stay
// open, and none is opened: a server can be restarted, or switched over, with no
// error for anybody. If ctx ends before everything is back the error is a
// [*WaitError], and the pause has had no effect unless another is in force. Other
// errors: ErrResumed if Resume came first, ErrClosed.
func (p *Pool) Pause(ctx context.Context) error { return timed(p.desk.Pause(ctx)) }

// Resume ends a pause: those who wait are served. Without a pause it does
// nothing. It returns at once; the only error is ErrClosed.
func (p *Pool) Resume() error { return p.desk.Resume() }

// Reset makes every connection old: idle ones are closed now, lent ones when
// they are put, those being opened when they arrive. A get that begins after
// Reset returned never yields an old one, except under a key that is bound
// already. Of several hosts the first in the connection string is tried first again. It
// returns at once, and does nothing to a closed pool.
func (p *Pool) Reset() {
	p.forget()
	_ = p.desk.Reset()
}

// Leases lists the connections that are lent: for how long, under what key, and
// with Config.TrackLeases by whom. It returns at once.
func (p *Pool) Leases() []LeaseInfo { return p.desk.Leases() }
