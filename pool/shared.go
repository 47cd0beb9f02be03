package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor/keyed"
)

// A shared lease is a hold on a connection that is shared under a key. Each use of the
// connection is a turn of the hold's: there is one at a time, and meanwhile every other
// use of the connection is ErrBusy. The statement's context ends with the hold's, too.
//
// The holders of a connection share its transaction: see shared_tx.go.
type shared struct {
	pool *Pool
	conn Conn // the borrower's handle
	hold *keyed.Hold[*session]
	stop context.CancelFunc // of the context of the use under way; nil if that is the caller's own
}

// newShared makes the handle of a hold.
func (p *Pool) newShared(hold *keyed.Hold[*session]) *Conn {
	l := &shared{pool: p, hold: hold}
	l.conn = Conn{l}
	return &l.conn
}

// hold returns the hold that the handle of a shared connection stands for.
func (c *Conn) hold() *keyed.Hold[*session] { return c.lease.(*shared).hold }

func (l *shared) lender() *Pool { return l.pool }

func (l *shared) session() *session { return l.hold.Value() }

func (l *shared) expose() *session { return l.hold.Expose() }

func (l *shared) put(o putOptions) error {
	switch {
	case o.key != nil && o.key != l.hold.Key():
		return ErrWrongKey
	case o.close:
		return l.hold.Discard()
	default:
		return l.hold.Put()
	}
}

func (l *shared) take() (*session, error) { return l.hold.Take() }

// begin takes the turn.
func (l *shared) begin(ctx context.Context) (*session, context.Context, error) {
	s, err := l.hold.Begin(aStatement)
	if err != nil {
		return nil, nil, timed(err)
	}
	begun := false
	defer l.endUnless(&begun)
	ctx, l.stop = untilEnd(ctx, l.hold.Context())
	s.foundClosed()
	if err := s.dropAbandoned(ctx); err != nil {
		return nil, nil, s.explain(ctx, l, err)
	}
	if err := l.hold.ScopeErr(); err != nil { // the transaction was left to the pool after Begin had looked
		return nil, nil, err
	}
	begun = true
	return s, ctx, nil
}

func (l *shared) lasts(doing string) { l.hold.SetDoing(doing) }

func (l *shared) revoked() error { return l.hold.Revoked() }

// lost returns nil: a connection that is put during its use goes back after that.
func (l *shared) lost() error { return nil }

// end gives the turn back.
func (l *shared) end() {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
	l.hold.End()
}

func (l *shared) endUnless(begun *bool) {
	if !*begun {
		l.end()
	}
}

// untilEnd returns ctx, ended with that of a hold too if that is another one. The
// function, if not nil, releases it.
func untilEnd(ctx, hold context.Context) (context.Context, context.CancelFunc) {
	if hold == nil || hold.Done() == ctx.Done() {
		return ctx, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(hold, func() { cancel(context.Cause(hold)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

func (l *shared) beginTx(ctx context.Context, s *session, opts pgx.TxOptions) (pgx.Tx, error) {
	top := s.innermost()
	switch {
	case top == nil && s.conn.PgConn().TxStatus() != idle:
		return nil, errOpenTransaction
	case top == nil:
		return s.conn.BeginTx(ctx, opts)
	case opts != pgx.TxOptions{}:
		return nil, &ConfigError{Field: "TxOptions", Value: opts, Reason: "a transaction is open: a savepoint in it takes no options"}
	default:
		return top.Begin(ctx)
	}
}

func (l *shared) sendBatch(ctx context.Context, s *session, b *pgx.Batch) pgx.BatchResults {
	top := s.innermost()
	switch {
	case top != nil:
		return top.SendBatch(ctx, b)
	case begins(b) && s.conn.PgConn().TxStatus() != idle:
		return pgx.FailedBatchResults(b, errOpenTransaction)
	default:
		return s.conn.SendBatch(ctx, b)
	}
}

// begins reports whether a batch begins a transaction, which only pgx knows.
func begins(b *pgx.Batch) bool { return pgx.FailedBatchResults(b, nil).Tx() != nil }
