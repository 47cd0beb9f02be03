package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// settings are the numbers and durations of a Config; parse_test.go reads them
// from connection strings.
var settings = []struct {
	field, param string
	least        int64
}{
	{"MaxConns", "pool_max_conns", 1},
	{"MinConns", "pool_min_conns", 0},
	{"MinIdleConns", "pool_min_idle_conns", 0},
	{"MaxIdleConns", "pool_max_idle_conns", 0},
	{"MaxWaiting", "pool_max_waiting", 0},
	{"MaxConcurrentDials", "pool_max_concurrent_dials", 1},
	{"MaxConnLifetime", "pool_max_conn_lifetime", 0},
	{"MaxConnLifetimeJitter", "pool_max_conn_lifetime_jitter", 0},
	{"MaxConnIdleTime", "pool_max_conn_idle_time", 0},
	{"HealthCheckPeriod", "pool_health_check_period", int64(100 * time.Microsecond)},
	{"PingTimeout", "pool_ping_timeout", 0},
	{"AcquireTimeout", "pool_acquire_timeout", 0},
	{"MaxLeaseTime", "pool_max_lease_time", 0},
	{"BackoffMin", "pool_backoff_min", 0},
	{"BackoffMax", "pool_backoff_max", 0},
	{"ReconnectTimeout", "pool_reconnect_timeout", 0},
}

// values are the fields of a Config, ours or pgxpool's, that can be compared, as
// far as they are neither hooks nor ConnConfig.
func values(config any) map[string]any {
	found := map[string]any{}
	c := reflect.ValueOf(config).Elem()
	for _, f := range reflect.VisibleFields(c.Type()) {
		if f.IsExported() && f.Type.Comparable() && f.Type.Kind() != reflect.Pointer {
			found[f.Name] = c.FieldByIndex(f.Index).Interface()
		}
	}
	return found
}

// A field that is added to Config has to be added to the tests too.
func TestConfigTestsKnowEveryField(t *testing.T) {
	known := []string{"KeepAlive", "TrackLeases", "OutagePolicy", "CancelPolicy", "DirtyPolicy", "Compat"}
	for _, s := range settings {
		known = append(known, s.field)
	}
	var fields []string
	for field := range values(&pool.Config{}) {
		fields = append(fields, field)
	}
	require.ElementsMatch(t, known, fields)
}

// serverless makes a Config of ten connections, none of which is ever opened.
func serverless(t *testing.T) *pool.Config {
	config, err := pool.ParseConfig("host=h user=u pool_max_conns=10")
	require.NoError(t, err)
	config.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return errors.New("no server") }
	return config
}

func set(config *pool.Config, field string, value int64) {
	reflect.ValueOf(config).Elem().FieldByName(field).SetInt(value)
}

func TestConfigOutOfRange(t *testing.T) {
	type change = func(*pool.Config)
	cases := []struct {
		field, value string
		spoil        change
	}{
		{"ConnConfig", "<nil>", func(c *pool.Config) { c.ConnConfig = nil }},
		{"OutagePolicy", "2", func(c *pool.Config) { c.OutagePolicy = 2 }},
		{"CancelPolicy", "2", func(c *pool.Config) { c.CancelPolicy = 2 }},
		{"DirtyPolicy", "2", func(c *pool.Config) { c.DirtyPolicy = 2 }},
		{"Compat", "Compat(2)", func(c *pool.Config) { c.Compat = 2 }},
		{"MinConns", "11", func(c *pool.Config) { c.MinConns = 11 }},
		{"MinIdleConns", "11", func(c *pool.Config) { c.MinIdleConns = 11 }},
		{"BackoffMin", "201ms", func(c *pool.Config) { c.BackoffMin = 201 * time.Millisecond }},
		{"BackoffMin", "2s", func(c *pool.Config) { c.BackoffMin, c.BackoffMax = 2*time.Second, time.Second }},
		{"MaxIdleConns", "11", func(c *pool.Config) { c.MaxIdleConns = 11 }},
		{"MaxIdleConns", "3", func(c *pool.Config) { c.MaxIdleConns, c.MinConns = 3, 4 }},
		{"MaxIdleConns", "3", func(c *pool.Config) { c.MaxIdleConns, c.MinIdleConns = 3, 4 }},
	}
	for _, s := range settings {
		for _, bad := range []int64{s.least - 1, math.MinInt32} {
			if s.field == "MaxIdleConns" && bad == pool.KeepNone {
				continue
			}
			c := serverless(t)
			set(c, s.field, bad)
			value := fmt.Sprint(values(c)[s.field]) // a duration as such
			cases = append(cases, struct {
				field, value string
				spoil        change
			}{s.field, value, func(c *pool.Config) { set(c, s.field, bad) }})
		}
	}
	for _, k := range cases {
		t.Run(k.field+" "+k.value, func(t *testing.T) {
			config := serverless(t)
			k.spoil(config)
			p, err := pool.NewWithConfig(background(t), config)
			require.Nil(t, p)
			var bad *pool.ConfigError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, k.field, bad.Field)
			require.Equal(t, k.value, fmt.Sprint(bad.Value))
			require.ErrorContains(t, err, k.field+" "+k.value)
		})
	}
}

// What is just in range is accepted.
func TestConfigLimits(t *testing.T) {
	accept := func(name string, change func(*pool.Config)) {
		t.Run(name, func(t *testing.T) {
			config := serverless(t)
			change(config)
			p, err := pool.NewWithConfig(background(t), config)
			require.NoError(t, err)
			require.NoError(t, p.CloseAll(background(t)))
		})
	}
	for _, s := range settings {
		accept("least "+s.field, func(c *pool.Config) { set(c, s.field, s.least) })
		switch s.field {
		case "MinConns", "MinIdleConns", "MaxIdleConns":
			accept("most "+s.field, func(c *pool.Config) { set(c, s.field, int64(c.MaxConns)) })
		case "BackoffMin":
			accept("most "+s.field, func(c *pool.Config) { c.BackoffMin = 200 * time.Millisecond })
		default:
			accept("most "+s.field, func(c *pool.Config) {
				most := int64(math.MaxInt64)
				if _, ok := values(c)[s.field].(int32); ok {
					most = math.MaxInt32
				}
				set(c, s.field, most)
			})
		}
	}
	accept("all sizes equal", func(c *pool.Config) {
		c.MinConns, c.MinIdleConns, c.MaxIdleConns = c.MaxConns, c.MaxConns, c.MaxConns
	})
	accept("policies", func(c *pool.Config) { c.OutagePolicy, c.DirtyPolicy = pool.WaitForServer, pool.CloseDirty })
}

func TestConfigMustBeParsed(t *testing.T) {
	const message = "config must be created by ParseConfig" // pgxpool's
	require.PanicsWithValue(t, message, func() { _, _ = pool.NewWithConfig(background(t), &pool.Config{}) })
	config := serverless(t)
	byHand := &pool.Config{ConnConfig: config.ConnConfig, MaxConns: 1, HealthCheckPeriod: time.Minute, MaxConcurrentDials: 1}
	require.PanicsWithValue(t, message, func() { _, _ = pool.NewWithConfig(background(t), byHand) })
	p, err := pool.NewWithConfig(background(t), config.Copy())
	require.NoError(t, err, "a copy is as good")
	require.NoError(t, p.CloseAll(background(t)))
}

func TestConfigCopyIsDeep(t *testing.T) {
	const connString = "host=h,fallback user=u sslmode=disable application_name=mine"
	config, err := pool.ParseConfig(connString)
	require.NoError(t, err)
	c := reflect.ValueOf(config).Elem()
	for _, f := range reflect.VisibleFields(c.Type()) { // something in every field
		switch v := c.FieldByIndex(f.Index); f.Type.Kind() {
		case reflect.Func:
			v.Set(reflect.MakeFunc(f.Type, nil))
		case reflect.Int32, reflect.Int64:
			v.SetInt(7)
		case reflect.Uint8:
			v.SetUint(1)
		case reflect.Bool:
			if f.IsExported() {
				v.SetBool(true)
			}
		}
	}
	original, clone := c, reflect.ValueOf(config.Copy()).Elem()
	for _, f := range reflect.VisibleFields(c.Type()) {
		before, after := original.FieldByIndex(f.Index), clone.FieldByIndex(f.Index)
		switch {
		case f.Type.Kind() == reflect.Func:
			require.False(t, after.IsNil(), f.Name)
		case f.Name == "ConnConfig":
			require.NotSame(t, before.Interface(), after.Interface())
		default:
			require.False(t, after.IsZero(), f.Name)
			require.True(t, before.Equal(after), f.Name)
		}
	}
	spare := config.Copy()
	require.Equal(t, connString, spare.ConnString())
	spare.ConnConfig.Host = "elsewhere"
	spare.ConnConfig.Fallbacks[0].Host = "elsewhere"
	spare.ConnConfig.RuntimeParams["application_name"] = "other"
	require.Equal(t, "h", config.ConnConfig.Host)
	require.Equal(t, "fallback", config.ConnConfig.Fallbacks[0].Host)
	require.Equal(t, "mine", config.ConnConfig.RuntimeParams["application_name"])
}

// A pool goes by its own copy, and gives away copies only.
func TestConfigOfAPoolIsItsOwn(t *testing.T) {
	a := newAdmin(t)
	config, err := pool.ParseConfig(a.url)
	require.NoError(t, err)
	config.MaxConns = 3
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	for _, c := range []*pool.Config{config, p.Config()} {
		require.Equal(t, a.url, c.ConnString())
		c.ConnConfig.Database = "elsewhere"
		c.ConnConfig.RuntimeParams["application_name"] = "other"
		c.MaxConns = 1
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return errors.New("never called") }
		c.AfterRelease = func(*pgx.Conn) bool { return false }
	}
	get(t, p).Release()
	get(t, p).Release()
	require.EqualValues(t, 3, p.Stat().MaxConns())
	require.EqualValues(t, 3, p.Config().MaxConns)
	require.NotEqual(t, "elsewhere", p.Config().ConnConfig.Database)
	require.Nil(t, p.Config().AfterRelease)
	require.NoError(t, p.CloseAll(background(t)))
}

func TestConfigErrorsOfResize(t *testing.T) {
	config := serverless(t)
	config.MaxIdleConns = 4
	config.MinIdleConns = 3
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	for _, k := range []struct {
		min, max     int
		field, value string
	}{
		{0, 0, "maxconn", "0"},
		{0, -1, "maxconn", "-1"},
		{-1, 5, "minconn", "-1"},
		{6, 5, "minconn", "6"},
		{5, 10, "minconn", "5"}, // more than may be idle
	} {
		var bad *pool.ConfigError
		err := p.Resize(k.min, k.max)
		require.ErrorAs(t, err, &bad, "%d, %d", k.min, k.max)
		require.Equal(t, [2]string{k.field, k.value}, [2]string{bad.Field, fmt.Sprint(bad.Value)})
		require.EqualValues(t, 10, p.Stat().MaxConns(), "nothing is changed")
	}
	for _, good := range [][2]int{{4, 4}, {0, 1}, {1, 1}, {4, 1 << 20}} { // MinIdleConns gives way
		require.NoError(t, p.Resize(good[0], good[1]))
		require.EqualValues(t, good[1], p.Stat().MaxConns())
	}
	require.NoError(t, p.CloseAll(background(t)))
	require.ErrorIs(t, p.Resize(1, 2), pool.ErrClosed)
}
