package pool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestBadDays plays what happens to pools, with pgxpool and with this one, and
// prints what each makes of it, as the README's table has it:
//
//	go test ./pool -run TestBadDays -v
//
// bad_days_server_test.go has the days of servers and networks, bad_days_cancel_test.go
// those of statements that take too long, bad_days_holder_test.go those of holders,
// bad_days_session_test.go those of sessions.
func TestBadDays(t *testing.T) {
	var table strings.Builder
	for _, day := range []struct {
		name, more string
		play       func(t *testing.T) outcome
	}{
		{"server refuses", ": 50 goroutines ask for 1 s, 10 connections", serverRefuses},
		{"queries time out", ": 200 queries with 30 ms each, by 4 on 4 connections", queriesTimeOut},
		{"queries time out over TLS", "", queriesTimeOutOverTLS},
		{"queries time out on a slow network", ", 10 ms each way", queriesTimeOutSlowly},
		{"backends are terminated while idle", ", then 1000 queries", terminatedAtRest},
		{"server restarts under load", " of 20 workers, after a crash, 10 connections, `WaitForServer`", restartsUnderLoad},
		{"a connection is black-holed", " under a query with 200 ms, 1 connection", blackHoled},
		{"close while somebody waits", ": 5 do, one connection is out", closeWithWaiters},
		{"every holder waits for another", ", 2 on 2 connections, `TrackLeases`", everyHolderWaits},
		{"burst at slow dials", ": 50 requests of 2 ms, a dial takes 150 ms, limit 50", burstAtSlowDials},
		{"session turns read-only", " in a failover, `target_session_attrs=read-write`, then 10 writes", turnsReadOnly},
		{"released in a transaction", ", 10 times", releasedInTransaction},
	} {
		t.Run(day.name, func(t *testing.T) {
			o := day.play(t)
			fmt.Fprintf(&table, "| `%s`%s | %s | %s |\n", day.name, day.more, o[them], o[us])
		})
	}
	t.Logf("\n| `TestBadDays/…` | pgxpool | pgactor |\n|---|---|---|\n%s", &table)
}

// An outcome is what each pool made of a day.
type outcome [2]string

const (
	them = iota
	us
)

// shown is a duration as it is read.
func shown(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond)
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(time.Millisecond)
	}
}
