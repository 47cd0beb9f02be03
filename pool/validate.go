package pool

import (
	"fmt"
	"math"
	"time"
)

// Settings are checked when a pool is made, or resized. An error names field and value.

// setting is a value that must not be less than least, which is 0 or 1.
type setting struct {
	field string
	value int64
	least int64
	show  any  // the value as the user gave it
	span  bool // it is a duration
}

// shortest is the shortest duration that is accepted, but for 0. A shorter one is a number
// whose unit was forgotten: MaxConnLifetime = 60 is 60 ns.
const shortest = 100 * time.Microsecond

func number(field string, value int32, least int64) setting {
	return setting{field: field, value: int64(value), least: least, show: value}
}

func span(field string, value time.Duration, least int64) setting {
	return setting{field: field, value: int64(value), least: least, show: value, span: true}
}

func (c *Config) validate() error {
	switch {
	case c.ConnConfig == nil:
		return &ConfigError{Field: "ConnConfig", Value: nil, Reason: "is required"}
	case c.OutagePolicy > WaitForServer:
		return &ConfigError{Field: "OutagePolicy", Value: c.OutagePolicy, Reason: "unknown policy"}
	case c.CancelPolicy > CloseConn:
		return &ConfigError{Field: "CancelPolicy", Value: c.CancelPolicy, Reason: "unknown policy"}
	case c.DirtyPolicy > CloseDirty:
		return &ConfigError{Field: "DirtyPolicy", Value: c.DirtyPolicy, Reason: "unknown policy"}
	case c.Compat > CompatPgxpool:
		return &ConfigError{Field: "Compat", Value: c.Compat, Reason: "must be CompatNone or CompatPgxpool"}
	}
	for _, s := range []setting{
		span("MaxConnLifetime", c.MaxConnLifetime, 0),
		span("MaxConnLifetimeJitter", c.MaxConnLifetimeJitter, 0),
		span("MaxConnIdleTime", c.MaxConnIdleTime, 0),
		span("PingTimeout", c.PingTimeout, 0),
		span("AcquireTimeout", c.AcquireTimeout, 0),
		span("MaxLeaseTime", c.MaxLeaseTime, 0),
		span("BackoffMin", c.BackoffMin, 0),
		span("BackoffMax", c.BackoffMax, 0),
		span("ReconnectTimeout", c.ReconnectTimeout, 0),
		span("HealthCheckPeriod", c.HealthCheckPeriod, 1),
		span("ConnConfig.ConnectTimeout", c.ConnConfig.ConnectTimeout, math.MinInt64), // negative: none, as in pgxpool
		number("MaxWaiting", c.MaxWaiting, 0),
		number("MaxConcurrentDials", c.MaxConcurrentDials, 1),
	} {
		if err := s.check(); err != nil {
			return err
		}
	}
	return c.validateSizes()
}

func (s setting) check() error {
	switch {
	case s.span && s.value > 0 && s.value < int64(shortest):
		return &ConfigError{Field: s.field, Value: s.show,
			Reason: fmt.Sprintf("is shorter than %v: a number without its unit, such as time.Second?", shortest)}
	case s.value >= s.least:
		return nil
	case s.least == 0:
		return &ConfigError{Field: s.field, Value: s.show, Reason: "must not be negative"}
	default:
		return &ConfigError{Field: s.field, Value: s.show, Reason: "must be more than 0"}
	}
}

func (c *Config) validateSizes() error {
	most := int64(c.MaxConns)
	if err := checkSizes("MinConns", int64(c.MinConns), "MaxConns", most); err != nil {
		return err
	}
	if err := checkSizes("MinIdleConns", int64(c.MinIdleConns), "MaxConns", most); err != nil {
		return err
	}
	if c.MaxIdleConns == 0 {
		return nil
	}
	idle := int64(max(c.MaxIdleConns, 0))
	if c.MaxIdleConns != KeepNone {
		if err := checkSizes("MaxIdleConns", int64(c.MaxIdleConns), "MaxConns", most); err != nil {
			return err
		}
	}
	for _, least := range []setting{number("MinConns", c.MinConns, 0), number("MinIdleConns", c.MinIdleConns, 0)} {
		if idle < least.value {
			return &ConfigError{Field: "MaxIdleConns", Value: c.MaxIdleConns,
				Reason: fmt.Sprintf("must not be less than %s (%d)", least.field, least.value)}
		}
	}
	return nil
}

// checkSizes is the one rule about sizes, whatever a caller calls them.
func checkSizes(minName string, least int64, maxName string, most int64) error {
	const limit = 1<<31 - 1
	switch {
	case most < 1:
		return &ConfigError{Field: maxName, Value: most, Reason: "must be at least 1"}
	case most > limit:
		return &ConfigError{Field: maxName, Value: most, Reason: fmt.Sprintf("must be at most %d", limit)}
	case least < 0:
		return &ConfigError{Field: minName, Value: least, Reason: "must not be negative"}
	case least > most:
		return &ConfigError{Field: minName, Value: least, Reason: fmt.Sprintf("must not be greater than %s (%d)", maxName, most)}
	}
	return nil
}
