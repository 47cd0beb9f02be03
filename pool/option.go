package pool

// A GetOption chooses what GetConn lends; see [WithKey].
type GetOption interface{ applyGet(*getOptions) }

// A PutOption says how PutConn takes a connection back; see [WithKey] and
// [WithClose].
type PutOption interface{ applyPut(*putOptions) }

type getOptions struct{ key any }

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
