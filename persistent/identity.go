package persistent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/pgactor/pgactor/pool"
)

// ErrNoIdentity is the answer to a call whose context carries no identity.
var ErrNoIdentity = errors.New("the context carries no identity")

// NewIdentity marks a context with an identity of its own, which no other context has but
// those derived from the one that it returns: in a middleware, or wherever a flow of
// control begins. Gets with these share one connection.
//
// A context derived by context.WithoutCancel, for work that goes on after the request,
// carries the identity too: give that work a new one.
func NewIdentity(ctx context.Context) context.Context {
	var id unique
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	return WithIdentity(ctx, id)
}

// A unique is an identity that NewIdentity makes: of 128 random bits no two are equal. Its
// type is one that nobody else can make.
type unique [16]byte

// String returns enough of the bits to find the identity in a log.
func (u unique) String() string { return fmt.Sprintf("%x", u[:6]) }

// WithIdentity marks a context with an identity of the caller's choice, for code that must
// find the connection of another flow of control, as psycopg2's key does; [NewIdentity] is
// for all others.
//
// All contexts with an equal identity share one connection, the transaction that is open
// on it, and what OnBind set up: a get of one of them while another one is under way joins
// it. So an identity must be one flow of control, such as a request, and not a user or a
// tenant, who may have several at a time; and it must never come from a client, such as
// the X-Request-Id of an HTTP request: a client that can choose the identity of another
// one would work on that one's connection, in its open transaction. [Profile].Tenant
// refuses that.
//
// Identities are equal if their values are and their types K are the same. An id that
// cannot be compared, such as an interface that holds a slice, or is not equal to itself,
// is a [*pool.KeyError] when it is used. What errors, logs and Leases show of an identity
// says [WithShownIdentity].
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

// Identity is what the pool takes the key for when it shows it.
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

// keyOf is the pool's key for the identity in a context.
func keyOf(ctx context.Context) (any, error) {
	i, ok := ctx.Value(identified{}).(identity)
	if !ok {
		return nil, ErrNoIdentity
	}
	return i.key()
}
