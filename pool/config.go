package pool

import (
	"context"
	"fmt"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Config configures a [Pool]. It must be made by [ParseConfig] and may then be
// changed; a pool keeps a copy of its own.
type Config struct {
	// ConnConfig says where the server is and how to talk to it.
	ConnConfig *pgx.ConnConfig

	// BeforeConnect is called before a connection is made, with a copy of
	// ConnConfig that it may change, for instance to set a fresh password. An
	// error counts as a failure to connect. It runs in a goroutine of the
	// pool's, several at a time. Default: none.
	BeforeConnect func(ctx context.Context, c *pgx.ConnConfig) error

	// AfterConnect is called with every new connection before anybody else
	// sees it, for instance to register types. An error closes it and counts as
	// a failure to connect, and so does a connection that it leaves closed, busy
	// or in a transaction. It runs where BeforeConnect does. Default: none.
	AfterConnect func(ctx context.Context, c *pgx.Conn) error

	// MaxConns is the most connections there are at any moment, those being
	// opened or closed included. At least 1. Default: the greater of 4 and the
	// number of CPUs.
	MaxConns int32

	// MinConns connections are opened at the start. From 0 (the default) to
	// MaxConns.
	MinConns int32

	// MaxConcurrentDials is how many connections may be opened at the same
	// time; a connect that takes longer than a second no longer counts. At
	// least 1. Default: 8.
	MaxConcurrentDials int32

	// OutagePolicy says what happens to gets that wait while the server cannot
	// be reached. Default: FailFast.
	OutagePolicy OutagePolicy

	parsed bool // made by ParseConfig
}

// Copy returns a deep copy that may be changed on its own, except for the
// tls.Config, which must not be changed after its first use.
func (c *Config) Copy() *Config {
	d := *c
	d.ConnConfig = c.ConnConfig.Copy()
	return &d
}

// ConnString returns the string that was given to ParseConfig.
func (c *Config) ConnString() string { return c.ConnConfig.ConnString() }

// parameter is one setting that a connection string may hold for the pool.
type parameter struct {
	name  string
	least int
	field func(*Config) *int32
}

var parameters = []parameter{
	{"pool_max_conns", 1, func(c *Config) *int32 { return &c.MaxConns }},
	{"pool_min_conns", 0, func(c *Config) *int32 { return &c.MinConns }},
	{"pool_max_concurrent_dials", 1, func(c *Config) *int32 { return &c.MaxConcurrentDials }},
}

// ParseConfig makes a Config from a connection string, keywords and values or a
// URL, as [pgx.ParseConfig] does. Besides pgx's parameters it knows
// pool_max_conns, pool_min_conns and pool_max_concurrent_dials, whole numbers
// for the fields of the same names. Any other parameter that begins with pool_
// is an error. Errors are [*pgconn.ParseConfigError], for the pool's own
// parameters with a [*ConfigError] inside.
func ParseConfig(connString string) (*Config, error) {
	cc, err := pgx.ParseConfig(connString)
	if err != nil {
		return nil, err
	}
	c := &Config{
		ConnConfig:         cc,
		MaxConns:           max(4, int32(runtime.NumCPU())),
		MaxConcurrentDials: 8,
		parsed:             true,
	}
	for _, p := range parameters {
		value, ok := cc.RuntimeParams[p.name]
		if !ok {
			continue
		}
		delete(cc.RuntimeParams, p.name)
		if err := p.parse(c, value); err != nil {
			return nil, pgconn.NewParseConfigError(connString, "cannot use "+p.name, err)
		}
	}
	if err := unknown(cc.RuntimeParams); err != nil {
		return nil, pgconn.NewParseConfigError(connString, "unknown parameter", err)
	}
	if err := c.validate(); err != nil {
		return nil, pgconn.NewParseConfigError(connString, "invalid pool settings", err)
	}
	return c, nil
}

func (p parameter) parse(c *Config, value string) error {
	n, err := strconv.ParseInt(value, 10, 32)
	switch {
	case err != nil:
		return &ConfigError{Field: p.name, Value: value, Reason: "is not a whole number that fits"}
	case n < int64(p.least):
		return &ConfigError{Field: p.name, Value: value, Reason: fmt.Sprintf("must be at least %d", p.least)}
	}
	*p.field(c) = int32(n)
	return nil
}

// unknown finds a parameter that looks like the pool's and is not. The server
// would refuse it on every connect.
func unknown(params map[string]string) error {
	var names []string
	for name := range params {
		if strings.HasPrefix(name, "pool_") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	return &ConfigError{Field: names[0], Value: params[names[0]], Reason: "is no parameter of this pool"}
}

func (c *Config) validate() error {
	switch {
	case c.ConnConfig == nil:
		return &ConfigError{Field: "ConnConfig", Value: nil, Reason: "is required"}
	case c.MaxConcurrentDials < 1:
		return &ConfigError{Field: "MaxConcurrentDials", Value: c.MaxConcurrentDials, Reason: "must be at least 1"}
	case c.OutagePolicy > WaitForServer:
		return &ConfigError{Field: "OutagePolicy", Value: c.OutagePolicy, Reason: "is no policy"}
	}
	return checkSizes("MinConns", int64(c.MinConns), "MaxConns", int64(c.MaxConns))
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
