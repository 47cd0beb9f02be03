package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor/keyed"
)

// InTx calls f in a transaction, or in a savepoint if one is open for the key in ctx. It
// commits if f returns nil; if f returns an error, or panics, it rolls back. A savepoint
// takes no options: the error is a [*ConfigError] then.
//
// The context that f is given is the transaction's: whatever a get with it, or with one
// derived from it, leads to (a verb of k's, a handle, a transaction in it) runs in the
// transaction or, once f has returned or the transaction has ended, is pgx.ErrTxClosed. So
// code that outlives f never runs outside the transaction unawares, as it does with ctx
// itself. A statement that still runs when f has returned is waited for by nobody: the
// transaction is rolled back, and the error is ErrBusy.
func (k *Keyed) InTx(ctx context.Context, opts pgx.TxOptions, f func(ctx context.Context) error) error {
	return pgx.BeginTxFunc(ctx, k, opts, func(tx pgx.Tx) error {
		over := make(chan struct{})
		defer close(over) // before BeginTxFunc ends the transaction
		return f(inTx(ctx, tx.(*Tx), over))
	})
}

// errTxOver is the error of a use with the context of a transaction that has ended.
var errTxOver = fmt.Errorf("%w: that of the context has ended", pgx.ErrTxClosed)

// A scopeOfTx limits what is got with a context to a transaction.
type scopeOfTx struct {
	pool *Pool
	conn *Conn // the transaction's
	end  *keyed.Scope
}

// inTx returns ctx for what runs in tx until over is closed, or ctx has ended: that ends
// the transaction too.
func inTx(ctx context.Context, tx *Tx, over <-chan struct{}) context.Context {
	key := tx.conn.hold().Key()
	sc := scopeOf(ctx, key)
	end := &keyed.Scope{Over: over, Also: ctx.Done(), Err: errTxOver}
	if sc.tx != nil {
		end.Outer = sc.tx.end
	}
	sc.tx = &scopeOfTx{pool: tx.conn.lease.lender(), conn: tx.conn, end: end}
	return context.WithValue(ctx, key, &sc)
}

// share gets a hold on the connection of the transaction, whatever its key is bound to by
// now.
func (t *scopeOfTx) share(ctx context.Context, r keyed.Request[*session]) (*Conn, error) {
	r.Scope = t.end
	c, err := t.pool.again(ctx, t.conn, r)
	if errors.Is(err, ErrNotLeased) {
		return nil, errTxOver
	}
	return c, err
}
