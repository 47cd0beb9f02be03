package pool

import "github.com/pgactor/pgactor/actor/keyed"

// An Option changes how [NewThreaded] or [NewSimple] makes a pool; see [Configure].
type Option interface{ applyTo(*Config) }

type configure func(*Config)

func (f configure) applyTo(c *Config) { f(c) }

// Configure has f change the configuration that the connection string gives, before the
// pool is made: hooks, tracers, events, and all else in [Config]. MinConns and MaxConns are
// those of the constructor's arguments, whatever f sets. Invalid settings are the
// constructor's [*ConfigError].
func Configure(f func(*Config)) Option { return configure(f) }

// A GetOption says what GetConn lends, and what it waits for; see [WithKey] and [NoWait].
type GetOption interface{ applyGet(*getOptions) }

// A PutOption says how PutConn takes a connection back; see [WithKey] and
// [WithClose].
type PutOption interface{ applyPut(*putOptions) }

type getOptions struct {
	key      any
	patience keyed.Patience
}

type putOptions struct {
	key   any
	close bool
}

// A KeyOption is what [WithKey] returns: an option of get and put alike.
type KeyOption struct{ key any }

// WithKey names the borrower, as psycopg2's key argument does. All who get with
// an equal key share one connection, until the last of them has put it; they
// must not use it at the same time. If it is closed under them, because of
// MaxLeaseTime, or because somebody's rows were still open 500 ms after he had put it,
// a get with the key is ErrRevoked until all who shared it have put it, or for
// MaxLeaseTime if there is one: code that they call must not go on elsewhere, outside
// their transaction. Any comparable value may be a key, and keys
// of different types are never equal. A nil key is no key. PutConn needs no
// key; if one is given, it must be the connection's.
func WithKey(key any) KeyOption { return KeyOption{key} }

func (o KeyOption) applyGet(g *getOptions) { g.key = o.key }
func (o KeyOption) applyPut(p *putOptions) { p.key = o.key }

type noWaitOption struct{}

// NoWait has GetConn do what psycopg2's getconn does: it lends an idle connection, or opens
// one, and does not wait for another borrower's put. If maxconn are lent, or promised to
// gets that wait, the error is ErrExhausted, an [*ExhaustedError] that says how things
// stand; in a pause it is ErrPaused. Of a get with a key that another get fetches, which may wait
// for a borrower, it is ErrExhausted alone. The get waits for a connect, and for a connection that
// is rolled back or closed, until its context ends. If the connect fails the error is
// ErrUnavailable; under WaitForServer it goes on waiting. A [Simple] pool's gets are all so.
func NoWait() GetOption { return noWaitOption{} }

func (noWaitOption) applyGet(g *getOptions) { g.patience = keyed.NoWait }

type closeOption struct{}

// WithClose has PutConn close the connection instead of keeping it, as
// psycopg2's close=True does. One that is shared under a key is closed when the
// last holder puts it.
func WithClose() PutOption { return closeOption{} }

func (closeOption) applyPut(p *putOptions) { p.close = true }

// gather applies options. Without any it costs nothing.
func gather[O, S any](opts []O, apply func(O, *S)) (set S) {
	if len(opts) == 0 {
		return set
	}
	return gatherAll(opts, apply)
}

func gatherAll[O, S any](opts []O, apply func(O, *S)) (set S) {
	for _, opt := range opts {
		apply(opt, &set)
	}
	return set
}
