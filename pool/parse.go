package pool

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ParseConfig makes a Config from a connection string, keywords and values or a
// URL, as [pgx.ParseConfig] does. Besides pgx's parameters it knows, for the
// fields of [Config] of the same names,
//
//   - whole numbers: pool_max_conns, pool_min_conns, pool_min_idle_conns,
//     pool_max_idle_conns (or none), pool_max_waiting, pool_max_concurrent_dials
//   - durations such as 1h30m, of 0 or at least 100us: pool_max_conn_lifetime,
//     pool_max_conn_lifetime_jitter, pool_max_conn_idle_time,
//     pool_health_check_period, pool_ping_timeout, pool_acquire_timeout,
//     pool_max_lease_time, pool_backoff_min, pool_backoff_max, pool_reconnect_timeout
//   - pool_keep_alive, pool_track_leases: true or false
//   - pool_outage_policy: fail_fast or wait_for_server
//   - pool_cancel_policy: cancel_query or close_conn
//   - pool_dirty_policy: rollback or close_dirty
//   - pool_compat: none or pgxpool
//
// and of libpq's, for the sockets that the pool dials unless ConnConfig.DialFunc is set to
// something else:
//
//   - keepalives: 0 turns TCP keepalive off (default 1)
//   - keepalives_idle, keepalives_interval: in seconds (default 20 and 10), and
//     keepalives_count: how many may get no answer (default 3). 0 is the system's default
//   - tcp_user_timeout: in milliseconds, how long what was sent may wait to be acknowledged, or
//     for a peer that takes nothing, before the connection is closed; on Linux only. 0, the
//     default, is the system's
//
// Any other parameter that begins with pool_ is an error. Errors are
// [*pgconn.ParseConfigError], for the pool's own parameters with a
// [*ConfigError] inside. They name the setting, and never quote connString, nor have it in
// their ConnString, since the password cannot be found in a string that cannot be parsed. A string that parses so that the password is in the name of a host, a user, a
// database or a parameter is an error too: that name would be in every error of a connect.
// How the sizes fit together is looked at by
// [NewWithConfig], since they may be changed before.
//
//	user=jack password=secret host=pg.example.com dbname=mydb pool_max_conns=10 pool_acquire_timeout=5s
//	postgres://jack:secret@pg.example.com:5432/mydb?pool_max_conns=10&pool_acquire_timeout=5s
func ParseConfig(connString string) (*Config, error) {
	cc, err := pgx.ParseConfig(connString)
	if err != nil {
		return nil, safeParseError(err)
	}
	if what, err := misread(connString, cc); err != nil {
		return nil, parseError(what, err)
	}
	c := &Config{
		ConnConfig:         cc,
		MaxConns:           max(4, int32(runtime.NumCPU())),
		MaxConnLifetime:    time.Hour,
		MaxConnIdleTime:    30 * time.Minute,
		HealthCheckPeriod:  time.Minute,
		MaxConcurrentDials: 8,
		parsed:             true,
	}
	for _, p := range parameters {
		value, ok := cc.RuntimeParams[p.name]
		if !ok {
			continue
		}
		delete(cc.RuntimeParams, p.name)
		if what, err := p.set(c, p.name, value); err != nil {
			return nil, parseError(what, err)
		}
	}
	tcp, what, err := parseTCP(cc.RuntimeParams)
	if err != nil {
		return nil, parseError(what, err)
	}
	cc.DialFunc = tcp.dial(cc.ConnectTimeout)
	if err := unknown(cc.RuntimeParams); err != nil {
		return nil, parseError("unknown parameter", err)
	}
	return c, nil
}

// parameter is one setting that a connection string may hold for the pool. Its
// set says in a few words what is wrong with a value, as pgxpool does.
type parameter struct {
	name string
	set  func(c *Config, name, value string) (what string, err error)
}

var parameters = []parameter{
	{"pool_max_conns", count(1, func(c *Config) *int32 { return &c.MaxConns })},
	{"pool_min_conns", count(0, func(c *Config) *int32 { return &c.MinConns })},
	{"pool_min_idle_conns", count(0, func(c *Config) *int32 { return &c.MinIdleConns })},
	{"pool_max_idle_conns", maxIdle},
	{"pool_max_waiting", count(0, func(c *Config) *int32 { return &c.MaxWaiting })},
	{"pool_max_concurrent_dials", count(1, func(c *Config) *int32 { return &c.MaxConcurrentDials })},
	{"pool_max_conn_lifetime", duration(0, func(c *Config) *time.Duration { return &c.MaxConnLifetime })},
	{"pool_max_conn_lifetime_jitter", duration(0, func(c *Config) *time.Duration { return &c.MaxConnLifetimeJitter })},
	{"pool_max_conn_idle_time", duration(0, func(c *Config) *time.Duration { return &c.MaxConnIdleTime })},
	{"pool_health_check_period", duration(1, func(c *Config) *time.Duration { return &c.HealthCheckPeriod })},
	{"pool_ping_timeout", duration(0, func(c *Config) *time.Duration { return &c.PingTimeout })},
	{"pool_acquire_timeout", duration(0, func(c *Config) *time.Duration { return &c.AcquireTimeout })},
	{"pool_max_lease_time", duration(0, func(c *Config) *time.Duration { return &c.MaxLeaseTime })},
	{"pool_backoff_min", duration(0, func(c *Config) *time.Duration { return &c.BackoffMin })},
	{"pool_backoff_max", duration(0, func(c *Config) *time.Duration { return &c.BackoffMax })},
	{"pool_reconnect_timeout", duration(0, func(c *Config) *time.Duration { return &c.ReconnectTimeout })},
	{"pool_track_leases", choice(func(c *Config, track bool) { c.TrackLeases = track }, "false", "true")},
	{"pool_keep_alive", choice(func(c *Config, keep bool) { c.KeepAlive = keep }, "false", "true")},
	{"pool_outage_policy", choice(func(c *Config, wait bool) {
		if wait {
			c.OutagePolicy = WaitForServer
		}
	}, "fail_fast", "wait_for_server")},
	{"pool_cancel_policy", choice(func(c *Config, closes bool) {
		if closes {
			c.CancelPolicy = CloseConn
		}
	}, "cancel_query", "close_conn")},
	{"pool_dirty_policy", choice(func(c *Config, closes bool) {
		if closes {
			c.DirtyPolicy = CloseDirty
		}
	}, "rollback", "close_dirty")},
	{"pool_compat", choice(func(c *Config, pgxpool bool) {
		if pgxpool {
			c.Compat = CompatPgxpool
		}
	}, CompatNone.String(), CompatPgxpool.String())},
}

type setter = func(c *Config, name, value string) (string, error)

func count(least int64, field func(*Config) *int32) setter {
	return func(c *Config, name, value string) (string, error) {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return "cannot parse " + name, &ConfigError{Field: name, Value: plainly(value), Reason: "is not a whole number that fits"}
		}
		*field(c) = int32(n)
		return tooSmall(setting{field: name, value: n, least: least, show: plainly(value)})
	}
}

// maxIdle is a count, or none.
func maxIdle(c *Config, name, value string) (string, error) {
	if value == "none" {
		c.MaxIdleConns = KeepNone
		return "", nil
	}
	return count(0, func(c *Config) *int32 { return &c.MaxIdleConns })(c, name, value)
}

func duration(least int64, field func(*Config) *time.Duration) setter {
	return func(c *Config, name, value string) (string, error) {
		d, err := time.ParseDuration(value)
		if err != nil {
			return "cannot parse " + name, &ConfigError{Field: name, Value: plainly(value), Reason: "is not a duration such as 1h30m"}
		}
		*field(c) = d
		return tooSmall(setting{field: name, value: int64(d), least: least, show: plainly(value), span: true})
	}
}

func tooSmall(s setting) (string, error) { return s.field + " too small", s.check() }

// choice is a parameter with two values, the first of which is the default.
func choice(set func(c *Config, second bool), first, second string) setter {
	return func(c *Config, name, value string) (string, error) {
		if value != first && value != second {
			return "cannot parse " + name, &ConfigError{Field: name, Value: plainly(value), Reason: "must be " + first + " or " + second}
		}
		set(c, value == second)
		return "", nil
	}
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
	name := slices.Min(names)
	return &ConfigError{Field: plainly(name), Value: notShown, Reason: "is no parameter of this pool; did you mean " + nearest(name) + "?"}
}

// nearest is the parameter whose name takes the fewest edits to reach.
func nearest(name string) string {
	return slices.MinFunc(parameters, func(a, b parameter) int { return edits(name, a.name) - edits(name, b.name) }).name
}

// edits is how many letters are to be put in or left out to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 2 // a letter for another: one out, one in
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
