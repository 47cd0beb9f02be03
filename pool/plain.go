package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
)

// A plain lease is that of a connection's only borrower.
type plain struct{ lease *actor.Lease[*session] }

// How many handles are made at once, as leases are.
const (
	fewestConns = 4
	mostConns   = 64
)

// newConn makes the handle of a plain lease.
func (p *Pool) newConn(l *actor.Lease[*session]) *Conn {
	if p.config.TrackLeases { // a batch would keep a leaked handle reachable
		return &Conn{plain{l}}
	}
	s := l.Value()
	if len(s.conns) == 0 {
		s.made = min(max(2*s.made, fewestConns), mostConns)
		s.conns = make([]Conn, s.made)
	}
	c := &s.conns[0]
	s.conns = s.conns[1:]
	c.lease = plain{l}
	return c
}

func (l plain) lender() *Pool {
	if s := l.session(); s != nil {
		return s.pool
	}
	return nil
}

func (l plain) session() *session { return l.lease.Value() }

func (l plain) expose() *session { return l.lease.Value() }

func (l plain) put(o putOptions) error {
	if o.key != nil {
		return ErrWrongKey
	}
	l.tell()
	if o.close {
		return l.lease.Discard()
	}
	return l.lease.Put()
}

// tell tells the tracers that the lease ends. If one of them panics, the connection is put.
func (l plain) tell() {
	s := l.session()
	if s == nil || len(s.pool.tracers.release) == 0 {
		return
	}
	told := false
	defer func() {
		if !told {
			_ = l.lease.Put()
		}
	}()
	s.pool.tellRelease(s.conn)
	told = true
}

func (l plain) take() (*session, error) {
	l.tell()
	return l.lease.Take()
}

func (l plain) begin(ctx context.Context) (*session, context.Context, error) {
	s := l.session()
	if s == nil {
		return nil, nil, ErrNotLeased
	}
	s.foundClosed()
	if err := s.settle(ctx); err != nil {
		return nil, nil, s.explain(ctx, l, err)
	}
	return s, ctx, nil
}

func (l plain) lasts(string) {} // there is nobody to tell

func (l plain) revoked() error { return l.lease.Revoked() }

func (l plain) lost() error {
	if l.session() == nil {
		return ErrNotLeased
	}
	return nil
}

func (l plain) end() {}

func (l plain) beginTx(ctx context.Context, s *session, opts pgx.TxOptions) (pgx.Tx, error) {
	return s.conn.BeginTx(ctx, opts)
}

func (l plain) sendBatch(ctx context.Context, s *session, b *pgx.Batch) pgx.BatchResults {
	return s.conn.SendBatch(ctx, b)
}
