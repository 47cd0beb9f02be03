package main

import (
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

var rivalPgxpool = peer{"pgxpool", func(ctx context.Context, c conditions) (*rig, error) {
	config, err := pgxpool.ParseConfig(c.connString)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(c.limit)
	c.slowDial(&config.ConnConfig.Config)
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	r := &rig{
		cycle: func(ctx context.Context, hold func()) error {
			conn, err := p.Acquire(ctx)
			if err != nil {
				return err
			}
			hold()
			conn.Release()
			return nil
		},
		opened: func() int { return int(p.Stat().NewConnsCount()) },
		close:  p.Close,
	}
	return r.withVerbs(p), nil
}}

// again is pgxpool a second time: its ratio to pgxpool shows what a ratio means on this
// machine.
var again = peer{"pgxpool again", rivalPgxpool.open}

var databaseSQL = peer{"database/sql", func(ctx context.Context, c conditions) (*rig, error) {
	config, err := pgx.ParseConfig(c.connString)
	if err != nil {
		return nil, err
	}
	c.slowDial(&config.Config)
	var opened atomic.Int64
	connected := stdlib.OptionAfterConnect(func(context.Context, *pgx.Conn) error {
		opened.Add(1)
		return nil
	})
	db := stdlib.OpenDB(*config, connected)
	db.SetMaxOpenConns(c.limit)
	db.SetMaxIdleConns(c.limit)
	r := &rig{
		cycle: func(ctx context.Context, hold func()) error {
			conn, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			hold()
			return conn.Close()
		},
		opened: func() int { return int(opened.Load()) },
		close:  func() { _ = db.Close() },
	}
	r.selectOne = func(ctx context.Context) error {
		return scanOne(db.QueryRowContext(ctx, selectOne))
	}
	r.lookUp = func(ctx context.Context, id int) error {
		return scanMobile(db.QueryRowContext(ctx, lookUp, id))
	}
	r.transact = func(ctx context.Context, id int) error { return transactSQL(ctx, db, id) }
	return r, nil
}}

func transactSQL(ctx context.Context, db *sql.DB, id int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, update, id); err != nil {
		return err
	}
	return tx.Commit()
}

// channel is a bare channel of tokens: as fast as what is made of channels could be.
var channel = peer{"channel", func(_ context.Context, c conditions) (*rig, error) {
	tokens := make(chan int, c.limit)
	for i := range c.limit {
		tokens <- i
	}
	return &rig{
		cycle: func(ctx context.Context, hold func()) error {
			select {
			case token := <-tokens:
				hold()
				tokens <- token
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		close: func() {},
	}, nil
}}

// asking is what the obvious actor costs: each get is a request to one goroutine and
// a reply from it, each put a message.
var asking = peer{"bare actor", func(_ context.Context, c conditions) (*rig, error) {
	gets, puts, end := make(chan chan int), make(chan int, c.limit), make(chan struct{})
	go func() {
		idle := make([]int, c.limit)
		var waiting []chan int
		for {
			select {
			case reply := <-gets:
				waiting = append(waiting, reply)
			case token := <-puts:
				idle = append(idle, token)
			case <-end:
				return
			}
			for len(waiting) > 0 && len(idle) > 0 {
				waiting[0] <- idle[0]
				waiting, idle = waiting[1:], idle[1:]
			}
		}
	}()
	return &rig{
		cycle: func(_ context.Context, hold func()) error {
			reply := make(chan int, 1)
			gets <- reply
			token := <-reply
			hold()
			puts <- token
			return nil
		},
		close: func() { close(end) },
	}, nil
}}
