package pool

import (
	"context"
	"fmt"
	"time"
)

// A Compat says whose behaviour a pool has where this package's own is different on
// purpose.
type Compat uint8

const (
	// CompatNone is this package's own behaviour.
	CompatNone Compat = iota
	// CompatPgxpool is pgxpool's, for a program that relies on it: a statement whose
	// context ends costs its connection (CancelPolicy is CloseConn), and so does a
	// put in a transaction (DirtyPolicy is CloseDirty). ShouldPing is asked about each
	// connection, one just opened included, and without one connections that rested for
	// more than a second are pinged. A ping without PingTimeout has a minute.
	//
	// What stays is what no program can rely on: the line is first come, first served, a
	// use after the put is an error, connections that expired are not kept until somebody
	// asks, and a server that is gone is asked by one connect at a time.
	CompatPgxpool
)

// String returns the word that the parameter pool_compat has for c.
func (c Compat) String() string {
	switch c {
	case CompatNone:
		return "none"
	case CompatPgxpool:
		return "pgxpool"
	default:
		return fmt.Sprintf("Compat(%d)", uint8(c))
	}
}

// pgxpoolsPing is how long pgxpool lets a ping without PingTimeout go on once its get has
// ended.
const pgxpoolsPing = time.Minute

// settle sets what Compat implies. A zero CancelPolicy or DirtyPolicy cannot be told from
// one that was asked for, so Compat wins.
func (c *Config) settle() {
	if c.Compat != CompatPgxpool {
		return
	}
	c.CancelPolicy, c.DirtyPolicy = CloseConn, CloseDirty
	if c.ShouldPing == nil {
		c.ShouldPing = func(_ context.Context, params ShouldPingParams) bool { return params.IdleDuration > time.Second }
	}
}

// pingLimit returns how long a ping may take in all.
func (c *Config) pingLimit() time.Duration {
	if c.Compat == CompatPgxpool && c.PingTimeout == 0 {
		return pgxpoolsPing
	}
	return max(mendTime, c.PingTimeout)
}
