package persistent_test

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIdentity(t *testing.T) {
	_, ok := persistent.Identity(context.Background())
	require.False(t, ok)
	outer := persistent.WithIdentity(context.Background(), 7)
	inner := persistent.WithIdentity(context.WithValue(outer, wide, "between"), "seven")
	for ctx, want := range map[context.Context]any{outer: 7, inner: "seven"} {
		id, ok := persistent.Identity(ctx)
		require.True(t, ok)
		require.Equal(t, want, id)
	}
	id, ok := persistent.Identity(persistent.WithIdentity[any](context.Background(), nil))
	require.True(t, ok)
	require.Nil(t, id)
}

func TestNoIdentity(t *testing.T) {
	p, a := persisting(t, 1)
	ctx := background(t)
	_, err := p.GetConn(ctx)
	require.ErrorIs(t, err, persistent.ErrNoIdentity)
	require.ErrorIs(t, p.Put(ctx), persistent.ErrNoIdentity)
	eachVerb(ctx, p, func(verb string, err error) { require.ErrorIs(t, err, persistent.ErrNoIdentity, verb) })
	a.await(0)
}

// An interface as K takes anything. What cannot be a key is an error at its use.
func TestIdentityThatCannotBeOne(t *testing.T) {
	p, a := persisting(t, 1)
	type deep struct{ inside any }
	for reason, ids := range map[string][]any{
		"not comparable": {
			[]int{1}, map[string]int{}, func() {}, [1]any{[]int{1}}, deep{[]int{1}}, deep{deep{[]int{1}}},
		},
		"not equal to itself": {math.NaN(), deep{math.NaN()}},
	} {
		for _, id := range ids {
			ctx := as(t, id)
			check := func(verb string, err error) {
				var key *pool.KeyError
				require.ErrorAs(t, err, &key, verb)
				require.Equal(t, reason, key.Reason, verb)
				require.ErrorContains(t, err, fmt.Sprintf("key of type %T: %s", id, reason), verb)
			}
			_, err := p.GetConn(ctx)
			check("GetConn", err)
			check("Put", p.Put(ctx))
			eachVerb(ctx, p, check)
		}
	}
	_, err := p.GetConn(as(t, math.NaN()))
	var key *pool.KeyError
	require.ErrorAs(t, err, &key, "a type that is comparable")
	a.await(0)
}

// Identities are the same if their types and values are, wherever they come from.
func TestIdentitiesNeverCollide(t *testing.T) {
	p, _ := persisting(t, 20)
	type id int
	type pair struct {
		a any
		b int
	}
	one, other := new(int), new(int)
	contexts := map[string]func(t *testing.T) context.Context{
		"int":           func(t *testing.T) context.Context { return as(t, 1) },
		"int64":         func(t *testing.T) context.Context { return as(t, int64(1)) },
		"id":            func(t *testing.T) context.Context { return as(t, id(1)) },
		"string":        func(t *testing.T) context.Context { return as(t, "1") },
		"any(int)":      func(t *testing.T) context.Context { return as[any](t, 1) },
		"any(int64)":    func(t *testing.T) context.Context { return as[any](t, int64(1)) },
		"any(nil)":      func(t *testing.T) context.Context { return as[any](t, nil) },
		"error(nil)":    func(t *testing.T) context.Context { return as[error](t, nil) },
		"pair":          func(t *testing.T) context.Context { return as(t, pair{1, 1}) },
		"pair of int64": func(t *testing.T) context.Context { return as(t, pair{int64(1), 1}) },
		"array":         func(t *testing.T) context.Context { return as(t, [1]int{1}) },
		"pointer":       func(t *testing.T) context.Context { return as(t, one) },
		"other pointer": func(t *testing.T) context.Context { return as(t, other) },
		"nothing":       func(t *testing.T) context.Context { return as(t, struct{}{}) },
		"empty string":  func(t *testing.T) context.Context { return as(t, "") },
		"inner of two":  func(t *testing.T) context.Context { return persistent.WithIdentity(as(t, 1), 2) },
	}
	bound := map[uint32]string{}
	for name, ctx := range contexts {
		ctx := ctx(t)
		c := get(t, p, ctx)
		defer c.Release()
		backend := pid(t, c, ctx)
		require.Empty(t, bound[backend], name)
		bound[backend] = name
	}
	for name, ctx := range contexts { // made once more, they are equal
		require.Equal(t, name, bound[pid(t, p, ctx(t))])
	}
}

// However many ask at once while it is being opened, they get the one connection.
func TestOneConnectionForAll(t *testing.T) {
	const crowd = 50
	var dials atomic.Int32
	goOn := make(chan struct{})
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConns = crowd
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			dials.Add(1)
			<-goOn
			return nil
		}
	})
	ctx := as(t, "me")
	conns := make(chan *pool.Conn)
	for range crowd {
		go func() {
			c, err := p.GetConn(ctx)
			assert.NoError(t, err)
			conns <- c
		}()
	}
	awaitWaiting(t, p, crowd)
	close(goOn)
	seen := map[uint32]bool{}
	var all []*pool.Conn
	for range crowd {
		c := <-conns
		seen[pid(t, c, ctx)] = true
		all = append(all, c)
	}
	require.Len(t, seen, 1)
	require.EqualValues(t, 1, dials.Load())
	require.Equal(t, crowd, p.Pool().Leases()[0].Holders)
	for i, c := range all {
		require.NoError(t, c.Ping(ctx), "after %d puts", i)
		require.NoError(t, p.PutConn(c))
	}
	a.await(1)
}

// The same crowd where it matters: the verbs, whose references come and go.
func TestOneConnectionForAllVerbs(t *testing.T) {
	const crowd, rounds = 20, 20
	p, a := persisting(t, 4)
	ctx := as(t, "me")
	c := get(t, p, ctx)
	mine := pid(t, c, ctx)
	ends := make(chan error)
	for range crowd {
		go func() {
			var err error
			for range rounds {
				var backend uint32
				switch e := p.QueryRow(ctx, "select pg_backend_pid()").Scan(&backend); {
				case e == nil:
					assert.Equal(t, mine, backend)
				default:
					err = e
				}
			}
			ends <- err
		}()
	}
	for range crowd {
		if err := <-ends; err != nil {
			require.ErrorIs(t, err, persistent.ErrIdentityBusy)
		}
	}
	require.Equal(t, 1, p.Pool().Leases()[0].Holders)
	require.NoError(t, p.PutConn(c))
	a.await(1)
}
