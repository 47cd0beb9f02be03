package persistent

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgactor/pgactor/pool"
)

// ErrNoIdentity is the answer to a call whose context carries no identity.
var ErrNoIdentity = errors.New("the context carries no identity")

// identified is the key of the identity in a context.
type identified struct{}

// An identity is what WithIdentity puts there.
type identity interface {
	key() (any, error)
	Identity() any
}

// of is an identity of type K. As a key it is never equal to one of another type,
// not even if K is an interface and the values are equal.
type of[K comparable] struct{ value K }

// Identity is what leases and errors of the pool show as the key.
func (i of[K]) Identity() any { return i.value }

// key compares the identity, which panics if it is an interface with a slice in it,
// for instance.
func (i of[K]) key() (key any, err error) {
	defer func() {
		if recover() != nil {
			key, err = nil, &pool.KeyError{Key: i.value, Reason: "not comparable"}
		}
	}()
	if i.value != i.value {
		return nil, &pool.KeyError{Key: i.value, Reason: "not equal to itself"}
	}
	return i, nil
}

// String is what errors show.
func (i of[K]) String() string { return fmt.Sprint(i.value) }

// WithIdentity marks a context: whoever gets a connection with it, or with one
// derived from it, gets that of id. An identity is one flow of control, such as a
// request: not a user or a tenant, who may have several at a time. A context derived
// by context.WithoutCancel, for work that goes on after the request, carries it too:
// give that work an identity of its own. Identities are equal if their values are and
// their types K are the same. An id that cannot be compared, such as an interface
// that holds a slice, or is not equal to itself, is a [*pool.KeyError] when it is
// used.
func WithIdentity[K comparable](ctx context.Context, id K) context.Context {
	return context.WithValue(ctx, identified{}, of[K]{id})
}

// Identity is the identity that a context carries, the innermost if there are
// several. False: there is none.
func Identity(ctx context.Context) (id any, ok bool) {
	i, ok := ctx.Value(identified{}).(identity)
	if !ok {
		return nil, false
	}
	return i.Identity(), true
}

// keyOf is the pool's key for the identity in a context.
func keyOf(ctx context.Context) (any, error) {
	i, ok := ctx.Value(identified{}).(identity)
	if !ok {
		return nil, ErrNoIdentity
	}
	return i.key()
}
