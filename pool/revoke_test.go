package pool_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// MaxLeaseTime on a real server; the rules are actor's.

func TestMaxLeaseTimeFreesThePlaceAndNamesTheHolder(t *testing.T) {
	events := make(chan pool.Event, 100)
	p, a := configured(t, func(c *pool.Config) {
		c.MaxConns, c.MaxLeaseTime, c.TrackLeases = 1, 50*time.Millisecond, true
		c.OnEvent = func(e pool.Event) { events <- e }
	})
	held, err := p.GetConn(pool.WithLabel(background(t), "nightly report"))
	require.NoError(t, err)
	was := pid(held)
	_, err = held.Exec(background(t), "select pg_sleep(3600)")
	require.ErrorIs(t, err, pool.ErrRevoked, "under its user")
	next := get(t, p)
	require.NotEqual(t, was, pid(next))
	next.Release()

	err = p.PutConn(held)
	var revoked *pool.RevokedError
	require.ErrorAs(t, err, &revoked)
	require.Equal(t, pool.ReasonHeld, revoked.Reason)
	require.GreaterOrEqual(t, revoked.Held, 50*time.Millisecond)
	require.NotErrorIs(t, err, pool.ErrClosed)
	require.ErrorIs(t, p.PutConn(held), pool.ErrNotLeased)
	require.EqualValues(t, 1, p.Stat().RevokedCount())
	a.await(1)

	for e := range events {
		if e.Kind == pool.EventRevoked {
			require.Equal(t, pool.ReasonHeld, e.Reason)
			require.Contains(t, e.Lease.Holder, "pool_test.TestMaxLeaseTimeFreesThePlaceAndNamesTheHolder revoke_test.go:")
			require.Equal(t, "nightly report", e.Lease.Label)
			break
		}
	}
}

// Whoever comes first, the other finds nothing left to do.
func TestMaxLeaseTimeAndPutRace(t *testing.T) {
	p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.MaxLeaseTime = 4, 2*time.Millisecond })
	const workers, rounds = 8, 50
	put := make(chan int, workers)
	for range workers {
		go func() {
			n := 0
			defer func() { put <- n }()
			for range rounds {
				c, err := p.GetConn(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(2 * time.Millisecond)
				switch err := p.PutConn(c); {
				case err == nil:
					n++
				default:
					if !isRevoked(err) {
						t.Error(err)
					}
				}
			}
		}()
	}
	puts := 0
	for range workers {
		puts += <-put
	}
	require.Eventually(t, func() bool { // also what is opened for somebody who was served meanwhile
		st := p.Stat()
		return st.AcquiredConns()+st.ClosingConns()+st.ConstructingConns() == 0
	}, wide, time.Millisecond)
	st := pool.StatOf(p)
	require.GreaterOrEqual(t, int(st.Leases), workers*rounds, "and those that proved unfit")
	require.GreaterOrEqual(t, int(st.Revoked), workers*rounds-puts)
	require.Equal(t, st.Opened, st.Closed+st.Revoked+uint64(st.Open))
	require.LessOrEqual(t, st.Open, 4)
	a.await(st.Open)
}

func isRevoked(err error) bool {
	_, ok := err.(*pool.RevokedError)
	return ok
}

// Everybody who shares a connection is told.
func TestMaxLeaseTimeOfAKey(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.MaxLeaseTime = 1, 50*time.Millisecond })
	one, two := get(t, p, pool.WithKey("k")), get(t, p, pool.WithKey("k"))
	rows, err := one.Query(background(t), "select generate_series(1, 1000000), pg_sleep(0.001)")
	require.NoError(t, err)
	for rows.Next() {
	}
	require.ErrorIs(t, rows.Err(), pool.ErrRevoked)
	require.ErrorIs(t, p.PutConn(one), pool.ErrRevoked)
	require.ErrorIs(t, p.PutConn(two), pool.ErrRevoked)
	get(t, p, pool.WithKey("k")).Release()
}

// What became of a connection after its rows were closed is not their error.
func TestRowsDoNotShareTheFateOfTheNextLease(t *testing.T) {
	p, _ := configured(t, func(c *pool.Config) { c.MaxConns, c.MaxLeaseTime = 1, 100*time.Millisecond })
	rows, err := p.Query(background(t), "select 1 / (2 - n) from generate_series(1, 3) n")
	require.NoError(t, err)
	for rows.Next() {
	}
	require.ErrorContains(t, rows.Err(), "22012")
	next := get(t, p)
	_, err = next.Exec(background(t), sleeps)
	require.ErrorIs(t, err, pool.ErrRevoked)
	require.ErrorContains(t, rows.Err(), "22012")
	require.NotErrorIs(t, rows.Err(), pool.ErrRevoked)
	require.ErrorIs(t, p.PutConn(next), pool.ErrRevoked)
}
