package pool_test

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// pgxpools are the fields of a Config that pgxpool's has too.
func pgxpools(config any) map[string]any {
	v := values(config)
	theirs := values(&pgxpool.Config{})
	maps.DeleteFunc(v, func(field string, _ any) bool { return theirs[field] == nil })
	return v
}

func TestParseConfigDefaults(t *testing.T) {
	ours, err := pool.ParseConfig("host=h")
	require.NoError(t, err)
	theirs, err := pgxpool.ParseConfig("host=h")
	require.NoError(t, err)
	require.Len(t, pgxpools(theirs), 8)
	require.Equal(t, pgxpools(theirs), pgxpools(ours))

	own := values(ours)
	for field := range pgxpools(ours) {
		delete(own, field)
	}
	require.Equal(t, map[string]any{
		"MaxIdleConns": int32(0), "MaxWaiting": int32(0), "MaxConcurrentDials": int32(8),
		"BackoffMin": time.Duration(0), "BackoffMax": time.Duration(0), "ReconnectTimeout": time.Duration(0),
		"AcquireTimeout": time.Duration(0), "KeepAlive": false, "MaxLeaseTime": time.Duration(0), "TrackLeases": false,
		"OutagePolicy": pool.FailFast, "CancelPolicy": pool.CancelQuery, "DirtyPolicy": pool.Rollback, "Compat": pool.CompatNone,
	}, own)
	c := reflect.ValueOf(ours).Elem()
	for _, f := range reflect.VisibleFields(c.Type()) {
		if f.Type.Kind() == reflect.Func {
			require.True(t, c.FieldByIndex(f.Index).IsNil(), f.Name)
		}
	}
	require.Equal(t, "host=h", ours.ConnString())
}

// Each parameter sets its field, and no other, to what pgxpool makes of it; the
// server is not told.
func TestParseConfigSetsItsField(t *testing.T) {
	for _, k := range []struct {
		param, value, field string
		want                any
	}{
		{"pool_max_conns", "77", "MaxConns", int32(77)},
		{"pool_min_conns", "2", "MinConns", int32(2)},
		{"pool_min_idle_conns", "3", "MinIdleConns", int32(3)},
		{"pool_max_idle_conns", "4", "MaxIdleConns", int32(4)},
		{"pool_max_idle_conns", "none", "MaxIdleConns", int32(pool.KeepNone)},
		{"pool_max_waiting", "500", "MaxWaiting", int32(500)},
		{"pool_max_concurrent_dials", "1", "MaxConcurrentDials", int32(1)},
		{"pool_max_conn_lifetime", "1h30m", "MaxConnLifetime", 90 * time.Minute},
		{"pool_max_conn_lifetime_jitter", "900ms", "MaxConnLifetimeJitter", 900 * time.Millisecond},
		{"pool_max_conn_idle_time", "0", "MaxConnIdleTime", time.Duration(0)},
		{"pool_health_check_period", "100us", "HealthCheckPeriod", 100 * time.Microsecond},
		{"pool_ping_timeout", "2s", "PingTimeout", 2 * time.Second},
		{"pool_acquire_timeout", "1.5s", "AcquireTimeout", 1500 * time.Millisecond},
		{"pool_max_lease_time", "90s", "MaxLeaseTime", 90 * time.Second},
		{"pool_backoff_min", "20ms", "BackoffMin", 20 * time.Millisecond},
		{"pool_backoff_max", "5s", "BackoffMax", 5 * time.Second},
		{"pool_reconnect_timeout", "5m", "ReconnectTimeout", 5 * time.Minute},
		{"pool_track_leases", "true", "TrackLeases", true},
		{"pool_track_leases", "false", "TrackLeases", false},
		{"pool_keep_alive", "true", "KeepAlive", true},
		{"pool_keep_alive", "false", "KeepAlive", false},
		{"pool_outage_policy", "wait_for_server", "OutagePolicy", pool.WaitForServer},
		{"pool_outage_policy", "fail_fast", "OutagePolicy", pool.FailFast},
		{"pool_cancel_policy", "close_conn", "CancelPolicy", pool.CloseConn},
		{"pool_cancel_policy", "cancel_query", "CancelPolicy", pool.CancelQuery},
		{"pool_dirty_policy", "close_dirty", "DirtyPolicy", pool.CloseDirty},
		{"pool_dirty_policy", "rollback", "DirtyPolicy", pool.Rollback},
		{"pool_compat", "pgxpool", "Compat", pool.CompatPgxpool},
		{"pool_compat", "none", "Compat", pool.CompatNone},
	} {
		for _, connString := range []string{
			fmt.Sprintf("host=h user=u application_name=mine %s=%s", k.param, k.value),
			fmt.Sprintf("postgres://u@h/?application_name=mine&%s=%s", k.param, k.value),
		} {
			t.Run(connString, func(t *testing.T) {
				plain, err := pool.ParseConfig("host=h")
				require.NoError(t, err)
				want := values(plain)
				require.Contains(t, want, k.field)
				want[k.field] = k.want
				config, err := pool.ParseConfig(connString)
				require.NoError(t, err)
				require.Equal(t, want, values(config))
				require.Equal(t, connString, config.ConnString())
				require.Equal(t, "mine", config.ConnConfig.RuntimeParams["application_name"])
				require.NotContains(t, config.ConnConfig.RuntimeParams, k.param)

				theirs, err := pgxpool.ParseConfig(connString)
				require.NoError(t, err)
				require.Equal(t, pgxpools(theirs), pgxpools(config))
			})
		}
	}
}

// Whoever looks for pgxpool's words in an error finds them in ours.
func TestParseConfigErrors(t *testing.T) {
	type bad struct {
		params       string
		field, value string
		kind         string
		pgxpool      bool // an error there too
	}
	cases := []bad{
		{"pool_keep_alive=yes", "pool_keep_alive", "yes", "cannot parse pool_keep_alive", false},
		{"pool_outage_policy=wait", "pool_outage_policy", "wait", "cannot parse pool_outage_policy", false},
		{"pool_dirty_policy=''", "pool_dirty_policy", "", "cannot parse pool_dirty_policy", false},
		{"pool_compat=pgx", "pool_compat", "pgx", "cannot parse pool_compat", false},
	}
	known := pgxpools(&pool.Config{})
	for _, s := range settings {
		unreadable, small := []string{"x", "1.5", "''", "2147483648"}, fmt.Sprint(s.least-1)
		if _, ok := values(&pool.Config{})[s.field].(time.Duration); ok {
			unreadable, small = []string{"x", "5", "''", "1d", "9999999h"}, fmt.Sprintf("%dns", s.least-1)
		}
		for _, value := range unreadable {
			cases = append(cases, bad{s.param + "=" + value, s.param, strings.Trim(value, "'"), "cannot parse " + s.param, known[s.field] != nil})
		}
		cases = append(cases, bad{s.param + "=" + small, s.param, small, s.param + " too small", s.field == "MaxConns"})
	}
	for _, k := range cases {
		t.Run(k.params, func(t *testing.T) {
			config, err := pool.ParseConfig("host=h " + k.params)
			require.Nil(t, config)
			require.Equal(t, k.kind, kind(t, err))
			var field *pool.ConfigError
			require.ErrorAs(t, err, &field)
			require.Equal(t, [2]string{k.field, k.value}, [2]string{field.Field, fmt.Sprint(field.Value)})
			require.ErrorContains(t, err, k.field+" "+k.value)

			_, theirs := pgxpool.ParseConfig("host=h " + k.params)
			require.Equal(t, k.pgxpool, theirs != nil)
			if theirs != nil {
				require.Equal(t, kind(t, theirs), k.kind)
			}
		})
	}
	t.Run("not the pool's", func(t *testing.T) {
		_, err := pool.ParseConfig("host=h port=none")
		_, theirs := pgxpool.ParseConfig("host=h port=none")
		require.IsType(t, theirs, err)
		require.EqualError(t, err, "cannot parse `connection string`: invalid port "+
			"(in a URL, a special character in the password, such as / or @, must be percent-encoded)")
	})
}

// kind is what a *pgconn.ParseConfigError says between the connection string and
// the failure that explains it.
func kind(t *testing.T, err error) string {
	var parse *pgconn.ParseConfigError
	require.ErrorAs(t, err, &parse)
	_, text, ok := strings.Cut(err.Error(), "`: ")
	require.True(t, ok)
	text, _, _ = strings.Cut(text, " (")
	return text
}

func TestParseConfigUnknownParameter(t *testing.T) {
	for params, want := range map[string][2]string{
		"pool_max_cons=3":                     {"pool_max_cons", "pool_max_conns"},
		"pool_min_con=3":                      {"pool_min_con", "pool_min_conns"},
		"pool_maxconns=3":                     {"pool_maxconns", "pool_max_conns"},
		"pool_max_conn_idletime=3s":           {"pool_max_conn_idletime", "pool_max_conn_idle_time"},
		"pool_max_lifetime=3s":                {"pool_max_lifetime", "pool_max_conn_lifetime"},
		"pool_aquire_timeout=3s":              {"pool_aquire_timeout", "pool_acquire_timeout"},
		"pool_keepalive=true":                 {"pool_keepalive", "pool_keep_alive"},
		"pool_dirty=rollback":                 {"pool_dirty", "pool_dirty_policy"},
		"pool_x=1 pool_max_cons=2 pool_y=3":   {"pool_max_cons", "pool_max_conns"}, // the first by name
		"pool_max_conns=1 pool_ping_timout=3": {"pool_ping_timout", "pool_ping_timeout"},
	} {
		t.Run(params, func(t *testing.T) {
			_, err := pool.ParseConfig("host=h " + params)
			require.Equal(t, "unknown parameter", kind(t, err))
			var bad *pool.ConfigError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, want[0], bad.Field)
			require.ErrorContains(t, err, "did you mean "+want[1]+"?")
		})
	}
	for _, fine := range []string{"pooled=1", "my.pool_x=1", "application_name=pool_x"} {
		_, err := pool.ParseConfig("host=h " + fine)
		require.NoError(t, err, "other parameters are the server's business")
	}
}

// How the sizes fit together is looked at when a pool is made of them: until
// then they may be changed, and NewThreaded changes them.
func TestParseConfigLeavesSizesToThePool(t *testing.T) {
	for params, field := range map[string]string{
		"pool_max_conns=2&pool_min_conns=3":           "MinConns",
		"pool_max_conns=2&pool_min_idle_conns=3":      "MinIdleConns",
		"pool_max_conns=2&pool_max_idle_conns=3":      "MaxIdleConns",
		"pool_max_idle_conns=1&pool_min_conns=2":      "MaxIdleConns",
		"pool_max_idle_conns=1&pool_min_idle_conns=2": "MaxIdleConns",
	} {
		t.Run(params, func(t *testing.T) {
			config, err := pool.ParseConfig("postgres://h/?" + params)
			require.NoError(t, err)
			_, err = pool.NewWithConfig(background(t), config)
			var bad *pool.ConfigError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, field, bad.Field)
			_, err = pool.New(background(t), "postgres://h/?"+params)
			require.ErrorAs(t, err, &bad)
		})
	}
	u, err := url.Parse(newAdmin(t).url)
	require.NoError(t, err)
	query := u.Query()
	query.Set("pool_max_conns", "1")
	query.Set("pool_min_conns", "2")
	query.Set("pool_max_idle_conns", "100000") // more than any machine has CPUs
	u.RawQuery = query.Encode()
	p, err := pool.NewThreaded(background(t), 0, 100000, u.String())
	require.NoError(t, err)
	require.EqualValues(t, 100000, p.Config().MaxIdleConns)
	require.EqualValues(t, 100000, p.Stat().MaxConns())
	require.NoError(t, p.CloseAll(background(t)))

	_, err = pool.NewThreaded(background(t), 0, 99999, u.String())
	var bad *pool.ConfigError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "MaxIdleConns", bad.Field)
}

// eachError calls f with err and all that it wraps.
func eachError(err error, f func(error)) {
	f(err)
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if inner := u.Unwrap(); inner != nil {
			eachError(inner, f)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range u.Unwrap() {
			eachError(inner, f)
		}
	}
}
