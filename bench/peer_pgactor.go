package main

import (
	"context"

	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
)

var (
	pgactor = peer{"pgactor", func(ctx context.Context, c conditions) (*rig, error) {
		return openPgactor(ctx, c, func(*pool.Config) {})
	}}

	// tracked has every lease pass the desk, and its borrower written down.
	tracked = peer{"tracked", func(ctx context.Context, c conditions) (*rig, error) {
		return openPgactor(ctx, c, func(config *pool.Config) { config.TrackLeases = true })
	}}

	// persist binds a connection to the goroutine's identity with each get, and frees it
	// with each put.
	persist = peer{"persistent", func(ctx context.Context, c conditions) (*rig, error) {
		r, _, err := openPersistent(ctx, c, 0)
		return r, err
	}}

	// nested gets what its identity has already: a reference more, and less. There are as
	// many identities as connections, with one each; the goroutines share them.
	nested = peer{"nested", func(ctx context.Context, c conditions) (*rig, error) {
		r, p, err := openPersistent(ctx, c, c.limit)
		if err != nil {
			return nil, err
		}
		outer := make([]*pool.Conn, c.limit)
		for i := range outer {
			if outer[i], err = p.GetConn(r.as(ctx, i)); err != nil {
				return nil, err
			}
		}
		end := r.close
		r.close = func() {
			for _, conn := range outer {
				conn.Release()
			}
			end()
		}
		return r, nil
	}}
)

func newPool(ctx context.Context, c conditions, change func(*pool.Config)) (*pool.Pool, error) {
	config, err := pool.ParseConfig(c.connString)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(c.limit)
	c.slowDial(&config.ConnConfig.Config)
	change(config)
	return pool.NewWithConfig(ctx, config)
}

func openPgactor(ctx context.Context, c conditions, change func(*pool.Config)) (*rig, error) {
	p, err := newPool(ctx, c, change)
	if err != nil {
		return nil, err
	}
	r := getAndPut(p)
	r.opened = func() int { return int(p.Stat().NewConnsCount()) }
	r.close = p.Close
	return r.withVerbs(p), nil
}

// openPersistent gives each goroutine an identity: its own, or one of so many.
func openPersistent(ctx context.Context, c conditions, identities int) (*rig, *persistent.Pool, error) {
	under, err := newPool(ctx, c, func(*pool.Config) {})
	if err != nil {
		return nil, nil, err
	}
	p, err := persistent.Over(under)
	if err != nil {
		return nil, nil, err
	}
	r := getAndPut(p)
	r.opened = func() int { return int(under.Stat().NewConnsCount()) }
	r.close = under.Close
	r.as = func(ctx context.Context, goroutine int) context.Context {
		if identities > 0 {
			goroutine %= identities
		}
		return persistent.WithIdentity(ctx, goroutine)
	}
	return r.withVerbs(p), p, nil
}

// getAndPut has the verbs that psycopg2's pools have.
func getAndPut(p pool.ConnectionPool) *rig {
	return &rig{cycle: func(ctx context.Context, hold func()) error {
		conn, err := p.GetConn(ctx)
		if err != nil {
			return err
		}
		hold()
		return p.PutConn(conn)
	}}
}
