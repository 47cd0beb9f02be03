package persistent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

const secret = "Bearer 0123456789"

// newRequest is a request with a secret in it.
func newRequest(t *testing.T) *http.Request {
	r, err := http.NewRequest("GET", "http://example.com/", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", secret)
	return r
}

// changeAllTheTime changes r, as its handler may, until the test ends. The race detector
// sees who else looks.
func changeAllTheTime(t *testing.T, r *http.Request) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			r.Header.Set(fmt.Sprint("X-", i%100), secret)
			r.Header.Del(fmt.Sprint("X-", (i+50)%100))
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

// everyText collects what the pool says of an identity that has a connection: every error,
// description, event and line of the log in which it is named.
func everyText(t *testing.T, opt persistent.Option, id func() context.Context, change func(*pool.Config)) (texts map[string]string) {
	var logged bytes.Buffer // the pool's one goroutine of events writes it
	events := map[pool.EventKind]string{}
	log := pool.LogEvents(slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ended := make(chan struct{})
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns, c.TrackLeases, c.MaxLeaseTime = 1, true, 2*time.Second
		c.OnEvent = func(e pool.Event) {
			log(e)
			events[e.Kind] = e.String()
			if e.Kind == pool.EventEnded {
				close(ended)
			}
		}
		change(c)
	}, opt)
	ctx := id()
	c := get(t, p, ctx)
	texts = map[string]string{}
	rows, err := c.Query(ctx, "select 1")
	require.NoError(t, err)
	_, err = p.Exec(ctx, "select 1")
	require.ErrorIs(t, err, pool.ErrBusy)
	texts["BusyError"] = err.Error()
	texts["%+v of a BusyError"] = fmt.Sprintf("%+v", err)
	rows.Close()
	_, err = p.Exec(context.WithValue(ctx, tenant{}, "another"), "select 1")
	require.ErrorIs(t, err, pool.ErrOtherTenant)
	texts["TenantError"] = err.Error()
	short, cancel := context.WithTimeout(as(t, "someone else"), 10*time.Millisecond)
	defer cancel()
	_, err = p.Exec(short, "select 1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	texts["WaitError"] = err.Error()
	leases := p.Pool().Leases()
	require.Len(t, leases, 1)
	texts["Leases"] = fmt.Sprintf("%+v", leases)
	asJSON, err := json.Marshal(leases)
	require.NoError(t, err)
	texts["Leases as JSON"] = string(asJSON)
	require.Eventually(t, func() bool { return p.Pool().Stat().RevokedCount() == 1 }, wide, tick)
	require.ErrorIs(t, p.PutConn(c), pool.ErrRevoked)

	c = get(t, p, id())
	done, cancelDone := context.WithCancel(context.Background())
	cancelDone()
	err = p.CloseAll(done)
	var left *pool.CloseError
	require.ErrorAs(t, err, &left)
	texts["CloseError"] = err.Error()
	<-ended
	texts["EventRevoked"] = events[pool.EventRevoked]
	texts["log"] = logged.String()
	require.Contains(t, logged.String(), "revoked")
	_ = p.PutConn(c)
	return texts
}

// ofTenants has a tenant in each context: none, if it does not say.
var ofTenants = persistent.Profile{
	Tenant: func(ctx context.Context) (any, error) { return ctx.Value(tenant{}), nil },
}

// An identity that its owner changes, and that has a secret in it, is shown as its type and
// a number, wherever it is shown, and is looked at by nobody.
func TestAnIdentityThatIsAPointerIsNotLookedAt(t *testing.T) {
	t.Parallel()
	r := newRequest(t)
	changeAllTheTime(t, r)
	texts := everyText(t, persistent.WithProfile(ofTenants), func() context.Context { return as(t, r) }, func(*pool.Config) {})
	number := regexp.MustCompile(`\*http\.Request #[0-9a-f]{6}`)
	want := number.FindString(texts["BusyError"])
	require.NotEmpty(t, want)
	for where, text := range texts {
		require.NotContains(t, text, secret, where)
		require.NotContains(t, text, "Authorization", where)
		require.Equal(t, want, number.FindString(text), "the same number in %s: %s", where, text)
	}
	other := everyText(t, persistent.WithProfile(ofTenants), func() context.Context { return as(t, newRequest(t)) }, func(*pool.Config) {})
	require.NotEqual(t, want, number.FindString(other["BusyError"]), "another request has another number")
}

// The user's way of showing an identity is used everywhere. That of the option comes
// before that of the pool; a panic or an ugly text is no harm.
func TestShownIdentity(t *testing.T) {
	name := func(ctx context.Context) string { return "request " + ctx.Value(errHook).(string) }
	for what, test := range map[string]struct {
		config, option func(id any) string
		want           string
	}{
		"of the option": {func(any) string { return "of the pool" }, func(id any) string { return name(id.(context.Context)) }, `request 7`},
		"of the pool":   {func(id any) string { return name(id.(context.Context)) }, nil, `request 7`},
		"lines":         {nil, func(any) string { return "two\nlines" }, `"two\nlines"`},
		"a panic":       {nil, func(id any) string { panic("in ShowKey") }, `*context.valueCtx #`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			opt := func(k *pool.Keying) {
				persistent.WithProfile(ofTenants)(k)
				persistent.WithShownIdentity(test.option)(k)
			}
			id := context.WithValue(context.Background(), errHook, "7")
			texts := everyText(t, opt, func() context.Context { return as(t, id) }, func(c *pool.Config) { c.ShowKey = test.config })
			for where, text := range texts {
				switch where {
				case "Leases as JSON", "log":
					j, err := json.Marshal(test.want)
					require.NoError(t, err)
					require.Contains(t, text, string(j[1:len(j)-1]), where)
				default:
					require.Contains(t, text, "key "+test.want, where)
				}
			}
		})
	}
}

// Scalars are shown as they are, and are themselves in Leases.
func TestIdentitiesThatAreScalars(t *testing.T) {
	type id int
	p, _ := persisting(t, 1)
	shown := func(ctx context.Context) (any, string) {
		c := get(t, p, ctx)
		defer c.Release()
		rows, err := c.Query(ctx, "select 1")
		require.NoError(t, err)
		defer rows.Close()
		return p.Pool().Leases()[0].Key, p.Ping(ctx).Error()
	}
	check := func(ctx context.Context, key any, text string) {
		got, err := shown(ctx)
		require.Equal(t, key, got)
		require.Contains(t, err, "key "+text+": rows")
	}
	check(as(t, 7), 7, "7")
	check(as(t, id(7)), id(7), "7")
	check(as(t, "request 7"), "request 7", "request 7")
	check(as[any](t, "request 7"), "request 7", "request 7")
	check(as[any](t, nil), "<nil>", "<nil>")
	check(as(t, [2]byte{0xab, 1}), "ab01", "ab01")
	check(as(t, ""), `""`, `""`)
}

// A WithKey of the pool's own is shown so too.
func TestAKeyThatIsAPointerIsNotLookedAt(t *testing.T) {
	p, _ := persisting(t, 1)
	r := newRequest(t)
	changeAllTheTime(t, r)
	ctx := background(t)
	c, err := p.Pool().GetConn(ctx, pool.WithKey(r))
	require.NoError(t, err)
	defer c.Release()
	tx := begin(t, c, ctx)
	defer tx.Rollback(ctx)
	rows, err := tx.Query(ctx, "select 1")
	require.NoError(t, err)
	defer rows.Close()
	require.Regexp(t, `key \*http\.Request #[0-9a-f]{6}: rows`, c.Ping(ctx).Error())
	require.Regexp(t, `key \*http\.Request #[0-9a-f]{6} `, p.Pool().Leases()[0].String())
}

// Nor does a context print what it carries.
func TestAContextDoesNotPrintItsIdentity(t *testing.T) {
	r := newRequest(t)
	changeAllTheTime(t, r)
	p, _ := persisting(t, 1)
	ctx, release := p.Hold(persistent.WithIdentity(context.Background(), r))
	defer release()
	exec(t, p, ctx, "select 1")
	require.NotContains(t, fmt.Sprintf("%v %+v", ctx, ctx), secret)
}

var _ pgx.QueryTracer = (*counts)(nil)
