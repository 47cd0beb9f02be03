package keyed

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 20 to 23: for whom a resource is bound, holds made of holds, what is shown of keys,
// and scopes.

// refusedToOthers checks that "k" is refused to all tenants but one, whose refusal would
// tell of no other.
func (b *bed) refusedToOthers(tenant any) {
	b.Helper()
	for _, other := range []any{"evil", nil, 7, fmt.Sprint(tenant, " ")} {
		for _, r := range []Request[*thing]{{Key: "k", Tenant: other}, {Key: "k", Tenant: other, Patience: Try}} {
			err := b.get(b.Context(), r).fails()
			assert.ErrorIs(b, err, ErrOtherTenant)
			assert.Equal(b, &TenantError{Key: "k"}, err)
			assert.EqualError(b, err, "key k: in use for another tenant")
		}
		assert.Equal(b, &TenantError{Key: "k"}, b.table.PutFor(b.Context(), "k", other, true))
	}
}

func TestRule20OneTenantAtATime(t *testing.T) {
	inBed(t, 3, Config[*thing]{}, func(b *bed) {
		acme := Request[*thing]{Key: "k", Tenant: "acme"}
		b.pool.script <- func(context.Context) error { time.Sleep(time.Minute); return nil }
		x := b.get(b.Context(), acme)
		x.waits()
		b.refusedToOthers("acme") // while it is fetched
		y := b.get(b.Context(), acme)
		time.Sleep(time.Minute)
		b.put(y.hold())
		b.refusedToOthers("acme") // while it is bound
		assert.EqualValues(b, 1, b.id(x.hold()), "the refusals changed nothing")
		assert.Equal(b, 1, b.refs(x.hold()))
		b.reports()
		require.NoError(b, b.table.PutFor(b.Context(), "k", "acme", false))
		assert.Len(b, b.reports(), 1)

		z := b.get(b.Context(), Request[*thing]{Key: "k", Tenant: "evil"}).hold() // its turn
		assert.Equal(b, actor.ErrNotLeased, b.table.PutFor(b.Context(), "j", "acme", false))
		b.put(z)
		assert.Equal(b, actor.ErrNotLeased, b.table.PutFor(b.Context(), "k", "acme", false))
		ended, end := b.cancellable()
		end()
		assert.NoError(b, b.table.PutFor(ended, "k", "acme", false))
	})
}

// A tenant that is refused fetches as soon as the entry serves nobody, though its
// resource is still in use.
func TestAnEndedEntryIsNoTenants(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		x := b.get(b.Context(), Request[*thing]{Key: "k", Tenant: "acme"}).hold()
		b.begin(x, "reading")
		require.NoError(b, x.Put())
		assert.Equal(b, actor.ErrNotLeased, b.table.PutFor(b.Context(), "k", "evil", false))
		y := b.get(b.Context(), Request[*thing]{Key: "k", Tenant: "evil"}).hold()
		assert.EqualValues(b, 2, b.id(y))
		x.End()
		b.put(y)
	})
}

// The next get takes over for the tenant that it is for: there is no other in the entry.
func TestATenantsFetchIsTakenOverByItsOwn(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		other := b.key("j").hold()
		ctx, end := b.cancellable()
		first := b.get(ctx, Request[*thing]{Key: "k", Tenant: "acme"})
		second := b.get(b.Context(), Request[*thing]{Key: "k", Tenant: "acme"})
		end()
		first.lost()
		b.refusedToOthers("acme")
		b.put(other)
		b.put(second.hold())
	})
}

func TestTenantsThatCannotBe(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		for reason, tenant := range map[string]any{"not comparable": []int{1}, "not equal to itself": math.NaN()} {
			for _, err := range []error{
				b.get(b.Context(), Request[*thing]{Key: "k", Tenant: tenant}).fails(),
				b.table.PutFor(b.Context(), "k", tenant, false),
			} {
				var bad *actor.KeyError
				require.ErrorAs(b, err, &bad)
				assert.EqualError(b, err, fmt.Sprintf("tenant: invalid key of type %T: %s", tenant, reason))
			}
		}
		b.did()
	})
}

func TestRule21AHoldCanBeShared(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("k").hold()
		ctx, end := b.cancellable()
		_, err := x.Share(ctx, Request[*thing]{Tenant: "evil"})
		assert.Equal(b, &TenantError{Key: "k"}, err)
		y, err := x.Share(ctx, Request[*thing]{Key: "of no account", Tied: true, Own: true})
		require.NoError(b, err)
		assert.Same(b, x.Value(), y.Value())
		assert.Equal(b, "k", y.Key())
		assert.Equal(b, ctx, y.Context())
		assert.Equal(b, 2, b.refs(x))
		assert.EqualValues(b, 2, b.table.Stat().Holds)
		b.begin(y, "reading")
		b.busy(x, "reading")
		y.End()
		require.NoError(b, b.table.Put(b.Context(), "k", false), "x, the older: y is its holder's own")
		b.dead(x)
		_, err = x.Share(b.Context(), Request[*thing]{})
		assert.Equal(b, actor.ErrNotLeased, err)
		b.did()
		assert.Equal(b, []int64{1}, b.reports())
		end()
		b.did("put 1")
		assert.Equal(b, []int64{1}, b.reports(), "each of them is reported")
		_, err = y.Share(b.Context(), Request[*thing]{})
		assert.ErrorIs(b, err, errGone)
		b.expired(y)
		b.did()
	})
}

// Share refuses where a get of the key would be refused, and holds nothing.
func TestShareRefuses(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		x := b.key("k").hold()
		ended, end := b.cancellable()
		end()
		_, err := x.Share(ended, Request[*thing]{})
		assert.Equal(b, context.Canceled, err)
		b.pool.revoke(1, actor.ReasonHeld)
		_, err = x.Share(b.Context(), Request[*thing]{})
		b.revokedIs(err)
		assert.Equal(b, 1, b.refs(x))
		b.putDead(x)
		y := b.key("k").hold()
		close(b.pool.closing)
		_, err = y.Share(b.Context(), Request[*thing]{})
		assert.Equal(b, actor.ErrClosed, err)
		assert.Equal(b, 1, b.refs(y))
		b.put(y)
	})
}

// A key that its owner changes all the time: the race detector sees who else looks.
func TestRule22AKeyIsShownByShowKey(t *testing.T) {
	type session struct{ values map[string]string }
	for name, show := range map[string]func(key any) any{"given": func(any) any { return "a session" }, "default": nil} {
		t.Run(name, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{ShowKey: show}, func(b *bed) {
				key := &session{map[string]string{"token": "secret"}}
				want := any("a session")
				if show == nil {
					want = actor.ShownKey(key)
					assert.Regexp(b, `^\*keyed\.session #[0-9a-f]{6}$`, want)
				}
				stop := make(chan struct{})
				go func() {
					for !isClosed(stop) {
						key.values["token"] = "secret"
						time.Sleep(time.Nanosecond)
					}
				}()
				x := b.get(b.Context(), Request[*thing]{Key: key}).hold()
				y := b.get(b.Context(), Request[*thing]{Key: key}).hold()
				b.begin(x, "reading")
				_, busy := y.Begin("reading too")
				assert.Equal(b, &actor.BusyError{Key: want, Doing: "reading"}, busy)
				_, busy = y.Take()
				assert.Equal(b, &actor.BusyError{Key: want, Doing: "reading"}, busy)
				_, other := b.table.Get(b.Context(), Request[*thing]{Key: key, Tenant: "evil"})
				assert.Equal(b, &TenantError{want}, other)
				leases := []actor.LeaseInfo{{ID: 1}}
				b.table.Complete(leases)
				assert.Equal(b, want, leases[0].Key)
				for _, text := range []string{busy.Error(), other.Error(), leases[0].String(), fmt.Sprintf("%+v", leases)} {
					assert.Contains(b, text, fmt.Sprint("key ", want))
					assert.NotContains(b, text, "secret")
				}
				x.End()
				b.put(x)
				b.put(y)
				close(stop)
				time.Sleep(time.Millisecond)
				synctest.Wait()
			})
		})
	}
}

func TestRule23AScopeEndsTheUses(t *testing.T) {
	for what, end := range map[string]func(over, also, outer chan struct{}){
		"its end":                   func(over, _, _ chan struct{}) { close(over) },
		"what ends it too":          func(_, also, _ chan struct{}) { close(also) },
		"the end of the one around": func(_, _, outer chan struct{}) { close(outer) },
	} {
		t.Run(what, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				over, also, outer := make(chan struct{}), make(chan struct{}), make(chan struct{})
				scope := &Scope{Over: over, Also: also, Outer: &Scope{Over: outer, Err: errNotNow}, Err: errNotNow}
				x := b.key("k").hold()
				y := b.get(b.Context(), Request[*thing]{Key: "k", Scope: scope}).hold()
				z, err := x.Share(b.Context(), Request[*thing]{Scope: scope})
				require.NoError(b, err)
				b.begin(y, "reading")
				end(over, also, outer)
				b.busy(x, "reading") // it goes on
				y.End()
				for _, h := range []*Hold[*thing]{y, z} {
					_, err = h.Begin("reading")
					assert.Equal(b, errNotNow, err)
					_, err = h.Take()
					assert.Equal(b, errNotNow, err)
					assert.Nil(b, h.Expose())
					assert.False(b, h.Ended())
					b.put(h)
					b.dead(h)
				}
				b.begin(x, "reading")
				x.End()
				b.put(x)
			})
		})
	}
}
