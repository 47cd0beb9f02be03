package actor

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAConfigErrorNamesFieldAndValue(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		field  string
		value  any
		change func(c *Config[int])
	}{
		{"Open", nil, func(c *Config[int]) { c.Open = nil }},
		{"Close", nil, func(c *Config[int]) { c.Close = nil }},
		{"MaxOpen", 0, func(c *Config[int]) { c.MaxOpen = 0 }},
		{"MaxOpen", -3, func(c *Config[int]) { c.MaxOpen = -3 }},
		{"MinOpen", -1, func(c *Config[int]) { c.MinOpen = -1 }},
		{"MinOpen", 11, func(c *Config[int]) { c.MinOpen = 11 }},
		{"MinIdle", -1, func(c *Config[int]) { c.MinIdle = -1 }},
		{"MinIdle", 11, func(c *Config[int]) { c.MinIdle = 11 }},
		{"MaxIdle", -2, func(c *Config[int]) { c.MaxIdle = -2 }},
		{"MaxIdle", KeepNone, func(c *Config[int]) { c.MinOpen, c.MaxIdle = 1, KeepNone }},
		{"MaxIdle", KeepNone, func(c *Config[int]) { c.MinIdle, c.MaxIdle = 1, KeepNone }},
		{"MaxIdle", 11, func(c *Config[int]) { c.MaxIdle = 11 }},
		{"MaxIdle", 2, func(c *Config[int]) { c.MinOpen, c.MaxIdle = 3, 2 }},
		{"MaxIdle", 4, func(c *Config[int]) { c.MinIdle, c.MaxIdle = 5, 4 }},
		{"MaxAge", -second, func(c *Config[int]) { c.MaxAge = -second }},
		{"AgeJitter", -second, func(c *Config[int]) { c.AgeJitter = -second }},
		{"MaxRest", -second, func(c *Config[int]) { c.MaxRest = -second }},
		{"CheckPeriod", -second, func(c *Config[int]) { c.CheckPeriod = -second }},
		{"MaxLease", -second, func(c *Config[int]) { c.MaxLease = -second }},
		{"KeepAlive", true, func(c *Config[int]) { c.KeepAlive = true }},
		{"MaxWaiting", -1, func(c *Config[int]) { c.MaxWaiting = -1 }},
		{"GetTimeout", -second, func(c *Config[int]) { c.GetTimeout = -second }},
		{"MaxDials", -1, func(c *Config[int]) { c.MaxDials = -1 }},
		{"Outage", OutagePolicy(2), func(c *Config[int]) { c.Outage = 2 }},
		{"LookAfter", -second, func(c *Config[int]) { c.LookAfter = -second }},
		{"BackoffMin", -second, func(c *Config[int]) { c.BackoffMin = -second }},
		{"BackoffMax", -second, func(c *Config[int]) { c.BackoffMax = -second }},
		{"BackoffMin", second, func(c *Config[int]) { c.BackoffMin = second }}, // more than the default of BackoffMax
		{"BackoffMin", 10 * time.Millisecond, func(c *Config[int]) { c.BackoffMax = time.Millisecond }},
		{"OpenTimeout", -second, func(c *Config[int]) { c.OpenTimeout = -second }},
		{"CleanTimeout", -second, func(c *Config[int]) { c.CleanTimeout = -second }},
		{"CheckTimeout", -second, func(c *Config[int]) { c.CheckTimeout = -second }},
		{"CloseGrace", -second, func(c *Config[int]) { c.CloseGrace = -second }},
	} {
		t.Run(fmt.Sprint(c.field, " ", c.value), func(t *testing.T) {
			cfg := okConfig()
			c.change(&cfg)
			s, err := Start(t.Context(), cfg)
			assert.Nil(t, s)
			var ce *ConfigError
			require.ErrorAs(t, err, &ce)
			assert.Equal(t, c.field, ce.Field)
			assert.Equal(t, c.value, ce.Value)
			assert.NotEmpty(t, ce.Reason)
			assert.Equal(t, fmt.Sprintf("invalid %s %v: %s", c.field, c.value, ce.Reason), err.Error())
		})
	}
}

// So is a duration of which nobody sees the end.
func TestConfigsAtTheirLimitsAreValid(t *testing.T) {
	ok := func(context.Context, *thing) error { return nil }
	for _, cfg := range []Config[*thing]{
		{MaxOpen: 10, MinOpen: 10, MinIdle: 10, MaxIdle: 10},
		{MaxOpen: 10, MinOpen: 3, MinIdle: 4, MaxIdle: 4},
		{MaxOpen: 10, MaxIdle: KeepNone},
		{MaxOpen: 10, MinOpen: 3, KeepAlive: true, Check: ok},
		{MaxOpen: 10, MinOpen: 3, MaxAge: math.MaxInt64, AgeJitter: math.MaxInt64, MaxRest: math.MaxInt64, MaxLease: math.MaxInt64,
			CheckPeriod: math.MaxInt64, GetTimeout: math.MaxInt64, KeepAlive: true, Check: ok},
	} {
		inBed(t, cfg, func(b *bed) {
			require.NoError(b, b.s.Ready(b.Context()))
			all := b.leases(10)
			w := b.get()
			w.waits()
			for _, l := range all {
				b.put(l)
			}
			b.put(w.lease())
			time.Sleep(time.Second)
		})
	}
}

func okConfig() Config[int] {
	return Config[int]{
		MaxOpen: 10,
		Open:    func(context.Context) (int, error) { return 0, nil },
		Close:   func(context.Context, int) error { return nil },
	}
}

func TestConfigHasDefaults(t *testing.T) {
	cfg := okConfig()
	d := cfg.withDefaults()
	assert.Equal(t, []any{
		time.Millisecond, 10 * time.Millisecond, 200 * time.Millisecond, 2 * time.Minute, 5 * time.Second, 5 * time.Second, 250 * time.Millisecond, 8, time.Minute,
	}, []any{d.LookAfter, d.BackoffMin, d.BackoffMax, d.OpenTimeout, d.CleanTimeout, d.CheckTimeout, d.CloseGrace, d.MaxDials, d.CheckPeriod})
	assert.Zero(t, d.MaxAge+d.AgeJitter+d.MaxRest+d.MaxLease+d.GetTimeout, "no limit")
	assert.Equal(t, FailFast, d.Outage)

	cfg.MaxDials, cfg.OpenTimeout = 3, time.Second
	d = cfg.withDefaults()
	assert.Equal(t, []any{3, time.Second}, []any{d.MaxDials, d.OpenTimeout})
}

func TestConfigIsCopied(t *testing.T) {
	cfg := okConfig()
	s, err := Start(t.Context(), cfg)
	require.NoError(t, err)
	cfg.MaxOpen = 99
	assert.Equal(t, 10, s.Stat().Limit)
	require.NoError(t, s.CloseAll(t.Context()))
}

func TestErrorsNameHoldersAndHooks(t *testing.T) {
	assert.EqualError(t, &CloseError{
		Err:    context.DeadlineExceeded,
		Leases: []LeaseInfo{{ID: 7, Holders: 1, AtLeast: 1500 * time.Millisecond}, {ID: 9, Key: "k", Holders: 2}},
		Hooks:  []string{"Open", "Clean"},
	}, "close: context deadline exceeded: 2 leases revoked: #7 for 1.5s, #9 key k (2 holders)"+
		": still running, its context ignored: Open, Clean")
	many := &CloseError{Leases: make([]LeaseInfo, 25)}
	assert.Contains(t, many.Error(), "25 leases revoked: ")
	assert.Equal(t, 10, strings.Count(many.Error(), "#0"))
	assert.True(t, strings.HasSuffix(many.Error(), ", and 15 more"))
	assert.NoError(t, many.Unwrap())
	assert.EqualError(t, &KeyError{Key: []int{1}, Reason: "not comparable"}, "invalid key of type []int: not comparable")
	assert.Equal(t, ErrUnavailable, unavailable(nil))
	assert.ErrorIs(t, unavailable(errServer), errServer)
}
