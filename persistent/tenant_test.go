package persistent_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errNoTenant = errors.New("the context carries no tenant")

// setsTenant sets a connection up for the tenant of a context.
var setsTenant = persistent.Profile{
	Tenant: func(ctx context.Context) (any, error) {
		name, ok := ctx.Value(tenant{}).(string)
		if !ok {
			return nil, errNoTenant
		}
		return name, nil
	},
	OnBind: func(ctx context.Context, who any, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "select set_config('app.tenant', $1, false)", who)
		return err
	},
	OnUnbind: func(ctx context.Context, who any, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "reset app.tenant")
		return err
	},
}

// of is the context of a tenant's request with an identity.
func of(t *testing.T, name, id string) context.Context {
	return context.WithValue(as(t, id), tenant{}, name)
}

const whose = "select coalesce(current_setting('app.tenant', true), '')"

// A request of another tenant that comes by the same identity, such as an X-Request-Id, is
// refused whatever it tries, and changes nothing.
func TestATenantIsRefusedAnothersConnection(t *testing.T) {
	p, a := persisting(t, 2, persistent.WithProfile(setsTenant))
	a.exec("create table n (i int); create table copied (i int)")
	acme, evil := of(t, "acme", "id-1"), of(t, "evil", "id-1")
	tx := begin(t, p, acme)
	exec(t, p, acme, "insert into n values (1)")
	refused := func(verb string, err error) {
		require.ErrorIs(t, err, persistent.ErrOtherTenant, verb)
		var other *pool.TenantError
		require.ErrorAs(t, err, &other, verb)
		require.EqualError(t, err, "key id-1: in use for another tenant", verb)
	}
	eachVerb(evil, p, refused)
	_, err := p.GetConn(evil)
	refused("GetConn", err)
	refused("Put", p.Put(evil))
	held, release := p.Hold(evil)
	eachVerb(held, p, refused)
	release()
	require.Equal(t, 1, p.Pool().Leases()[0].Holders)
	require.Equal(t, "acme", ask[string](t, p, acme, whose))
	require.NoError(t, tx.Commit(acme))
	require.Equal(t, 1, a.count("select sum(i) from n"))
	awaitQuiet(t, p)
	require.Equal(t, "evil", ask[string](t, p, evil, whose), "its turn, on a connection that is its own")
	require.Equal(t, "acme", ask[string](t, p, acme, whose))
	require.Empty(t, ask[string](t, p.Pool(), background(t), whose))
}

// So it is while the connection is being opened, or OnBind is under way.
func TestATenantIsRefusedWhatIsFetchedForAnother(t *testing.T) {
	binding, goOn := make(chan struct{}), make(chan struct{})
	slow := setsTenant
	slow.OnBind = func(ctx context.Context, who any, c *pgx.Conn) error {
		binding <- struct{}{}
		<-goOn
		return setsTenant.OnBind(ctx, who, c)
	}
	p, _ := persisting(t, 2, persistent.WithProfile(slow))
	got := make(chan string)
	go func() {
		var name string
		assert.NoError(t, p.QueryRow(of(t, "acme", "id-1"), whose).Scan(&name))
		got <- name
	}()
	<-binding
	_, err := p.Exec(of(t, "evil", "id-1"), "select 1")
	require.ErrorIs(t, err, persistent.ErrOtherTenant)
	close(goOn)
	require.Equal(t, "acme", <-got)
}

func TestTenantThatCannotBe(t *testing.T) {
	p, a := persisting(t, 1, persistent.WithProfile(setsTenant))
	eachVerb(as(t, "me"), p, func(verb string, err error) { require.ErrorIs(t, err, errNoTenant, verb) })
	require.ErrorIs(t, p.Put(as(t, "me")), errNoTenant)
	for reason, bad := range map[string]any{"not comparable": []int{1}, "not equal to itself": math.NaN()} {
		q, err := persistent.Over(p.Pool(), persistent.WithProfile(persistent.Profile{
			Tenant: func(context.Context) (any, error) { return bad, nil },
		}))
		require.NoError(t, err)
		check := func(verb string, err error) {
			var key *pool.KeyError
			require.ErrorAs(t, err, &key, verb)
			require.EqualError(t, err, fmt.Sprintf("tenant: invalid key of type %T: %s", bad, reason), verb)
		}
		eachVerb(as(t, "me"), q, check)
		check("Put", q.Put(as(t, "me")))
	}
	a.await(0)
}

// A panic of Tenant's is the borrower's, and costs nothing.
func TestTenantThatPanics(t *testing.T) {
	p, a := persisting(t, 1, persistent.WithProfile(persistent.Profile{
		Tenant: func(context.Context) (any, error) { panic("in Tenant") },
	}))
	require.PanicsWithValue(t, "in Tenant", func() { _, _ = p.Exec(as(t, "me"), "select 1") })
	a.await(0)
}

// The hooks are told the tenant, or, without a Tenant function, the identity.
func TestHooksAreToldTheTenant(t *testing.T) {
	told := make(chan any, 2)
	tell := func(_ context.Context, who any, _ *pgx.Conn) error { told <- who; return nil }
	p, _ := persisting(t, 1, persistent.WithProfile(persistent.Profile{
		Tenant: func(context.Context) (any, error) { return 7, nil }, OnBind: tell, OnUnbind: tell,
	}))
	require.NoError(t, p.Ping(as(t, "me")))
	require.Equal(t, []any{7, 7}, []any{<-told, <-told})
}

// Tenants that all come by a few identities, from many goroutines: whatever is served has
// its own tenant's setting.
func TestTenantsNeverMix(t *testing.T) {
	p, _ := persisting(t, 3, persistent.WithProfile(setsTenant))
	var served, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			name := fmt.Sprint("tenant ", i%4)
			for round := range 40 {
				ctx := of(t, name, fmt.Sprint("id-", (i+round)%2))
				if round%2 == 0 {
					var release func()
					ctx, release = p.Hold(ctx)
					defer release()
				}
				var got string
				err := p.QueryRow(ctx, whose).Scan(&got)
				switch {
				case err == nil:
					served.Add(1)
					assert.Equal(t, name, got)
				case errors.Is(err, persistent.ErrOtherTenant):
					refused.Add(1)
				default:
					assert.ErrorIs(t, err, persistent.ErrIdentityBusy)
				}
			}
		})
	}
	all.Wait()
	awaitQuiet(t, p)
	require.Positive(t, served.Load())
	require.Positive(t, refused.Load())
}
