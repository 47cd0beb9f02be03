package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
)

// A Keying says how the gets of a keyed view of a pool come by their keys, and what
// is done to a connection that is bound to one; see [Pool.Keyed]. Package
// persistent is built on it.
type Keying struct {
	// Key finds the key of a get in its context. Its error is the get's. It is
	// called in the borrower's goroutine. Required.
	Key func(ctx context.Context) (any, error)

	// OnBind is called when a connection is bound to a key, before anybody gets it:
	// in a goroutine of the pool's, with the values of the context of the first who
	// waits for it. It has 5 seconds (or PingTimeout, if that is longer), and must not
	// get a connection under the same key, which would wait for itself. An error
	// goes to all who wait for the key then; so does a connection that is left
	// closed, busy or in a transaction. Default: none.
	OnBind func(ctx context.Context, key any, c *pgx.Conn) error

	// OnUnbind is called when the last holder has put the connection, once an open
	// transaction is rolled back, and undoes what OnBind and the holders did. If it
	// fails, or is not given although OnBind is, the session is reset. It is called in
	// a goroutine of the pool's and has, with the reset, 5 seconds; after that, or a
	// panic, the connection is closed. It is not called for a connection that is
	// closed instead of kept. Default: none.
	OnUnbind func(ctx context.Context, key any, c *pgx.Conn) error
}

// Keyed returns a view of the pool whose gets, but for AcquireAllIdle's, are all under
// the key that k finds in their contexts (TryGetConn has none). The leases end with their contexts: one that is not in use goes
// back at once, a statement that is running, or whose results are open, is
// cancelled first, and a connection that is still used after 500 ms is closed under
// its user. To put such a lease later is no error. Everything else is the pool's:
// its connections, limits and statistics. The error is a [*ConfigError].
//
// To reset a session is to drop its prepared statements, DISCARD ALL, and
// AfterConnect; if that fails the connection is closed.
func (p *Pool) Keyed(k Keying) (*Pool, error) {
	if k.Key == nil {
		return nil, &ConfigError{Field: "Key", Value: nil, Reason: "is required"}
	}
	view := *p
	view.keying, view.base = &k, p.whole()
	return &view, nil
}

// whole is the pool that a view is one of.
func (p *Pool) whole() *Pool {
	if p.base != nil {
		return p.base
	}
	return p
}

// PutKey puts the newest lease of a key, but for those of the pool's own verbs: of those got with ctx, or with a context
// that ends with it, if there are any, else of all. On a keyed view it is the key
// in ctx, and key must be nil. If ctx has ended only the former count, and that there
// are none is no error: they have gone back. It does not wait. Errors: ErrNotLeased
// if the key has no lease, [*KeyError], ErrClosed.
func (p *Pool) PutKey(ctx context.Context, key any, opts ...PutOption) error {
	r := actor.Request{Key: key}
	if p.keying != nil {
		if err := p.keying.fill(ctx, &r); err != nil {
			return err
		}
	}
	return p.desk.PutKey(ctx, r.Key, gather(opts, PutOption.applyPut).close)
}

// A boundKey is the key of a keyed view's get: views do not share connections.
type boundKey struct {
	keying *Keying
	key    any
}

// String is what errors show.
func (k boundKey) String() string { return fmt.Sprint(k.key) }

// shownKey is what users see of a key: of one that stands for something else, such as
// package persistent's, that.
func shownKey(key any) any {
	if k, ok := key.(boundKey); ok {
		key = k.key
	}
	if k, ok := key.(interface{ Identity() any }); ok {
		return k.Identity()
	}
	return key
}

// fill makes a request a keyed one.
func (k *Keying) fill(ctx context.Context, r *actor.Request) error {
	if r.Key != nil {
		return &KeyError{Key: r.Key, Reason: "the key is the one in the context"}
	}
	key, err := k.Key(ctx)
	if err != nil {
		return err
	}
	r.Key, r.Tied, r.Bind = boundKey{k, key}, true, k.OnBind != nil || k.OnUnbind != nil
	return nil
}

// bind calls OnBind.
func (p *Pool) bind(ctx context.Context, key any, s *session) error {
	k := key.(boundKey) // only fill asks for it
	s.bound = &k
	hook := k.keying.OnBind
	if hook == nil {
		return nil
	}
	if err := hook(ctx, k.key, s.conn); err != nil {
		return err
	}
	if s.state() != actor.Keep {
		return errUnfitBound
	}
	return nil
}

var errUnfitBound = errors.New("OnBind left the connection closed, busy or in a transaction")

// unbind calls OnUnbind, or resets the session.
func (s *session) unbind(ctx context.Context) error {
	k := s.bound
	s.bound = nil
	if hook := k.keying.OnUnbind; hook != nil {
		if hook(ctx, k.key, s.conn) == nil && s.state() == actor.Keep {
			forgetNotifications(s.conn)
			return nil
		}
		if s.state() == actor.Clean {
			if err := s.rollback(ctx); err != nil {
				return err
			}
		}
	}
	return s.reset(ctx)
}
