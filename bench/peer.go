package main

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A peer is something that can be measured.
type peer struct {
	name string
	open func(ctx context.Context, c conditions) (*rig, error)
}

// conditions are what a pool is opened with. No connection is open at first.
type conditions struct {
	connString string
	limit      int
	dial       time.Duration // how much longer a connect takes
}

// A rig is an open pool, reduced to what is measured. What a peer cannot do is nil.
type rig struct {
	// cycle is a get, hold, and a put. Without an error hold has been called.
	cycle func(ctx context.Context, hold func()) error

	// The verbs, each a get, one or more round trips, and a put.
	selectOne func(ctx context.Context) error
	lookUp    func(ctx context.Context, id int) error
	transact  func(ctx context.Context, id int) error
	batch     func(ctx context.Context, id int) error

	// as is the context of one goroutine; nil if it may be any.
	as func(ctx context.Context, goroutine int) context.Context

	opened func() int // connections, so far
	close  func()
}

// context is what a goroutine works with: like a request's it can be cancelled, and
// is its own.
func (r *rig) context(ctx context.Context, goroutine int) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if r.as != nil {
		ctx = r.as(ctx, goroutine)
	}
	return ctx, cancel
}

// fill opens all connections there may be.
func (r *rig) fill(ctx context.Context, limit int) error {
	all, release, failed := make(chan struct{}, limit), make(chan struct{}), make(chan error, limit)
	for i := range limit {
		go func() {
			ctx, cancel := r.context(ctx, i)
			defer cancel()
			failed <- r.cycle(ctx, func() {
				all <- struct{}{}
				<-release
			})
		}()
	}
	var err error
	for range limit {
		select {
		case <-all:
		case err = <-failed:
		}
		if err != nil {
			break
		}
	}
	close(release)
	if err != nil {
		return err
	}
	for range limit {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

// The statements.
const (
	makeTable = `create table mobile (id int primary key, model text not null, price float8 not null);
		insert into mobile select i, 'model ' || i, i from generate_series(1, 10000) i;
		analyze mobile`
	tableRows = 10000
	selectOne = "select 1"
	lookUp    = "select model, price from mobile where id = $1"
	update    = "update mobile set price = price + 1 where id = $1"
	inBatch   = 10
)

func scanOne(row pgx.Row) error {
	var n int
	return row.Scan(&n)
}

func scanMobile(row pgx.Row) error {
	var model string
	var price float64
	return row.Scan(&model, &price)
}

// verbs is the part of a pool that pgactor, its persistent pools and pgxpool have in
// common, to the letter.
type verbs interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Begin(ctx context.Context) (pgx.Tx, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// withVerbs gives a rig the verbs of p.
func (r *rig) withVerbs(p verbs) *rig {
	r.selectOne = func(ctx context.Context) error {
		return scanOne(p.QueryRow(ctx, selectOne))
	}
	r.lookUp = func(ctx context.Context, id int) error {
		return scanMobile(p.QueryRow(ctx, lookUp, id))
	}
	r.transact = func(ctx context.Context, id int) error {
		tx, err := p.Begin(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		if _, err := tx.Exec(ctx, update, id); err != nil {
			return err
		}
		return tx.Commit(ctx)
	}
	r.batch = func(ctx context.Context, id int) error {
		var b pgx.Batch
		for i := range inBatch {
			b.Queue(lookUp, (id+i)%tableRows+1)
		}
		return p.SendBatch(ctx, &b).Close()
	}
	return r
}

// slowDial has connects take longer.
func (c conditions) slowDial(config *pgconn.Config) {
	if c.dial == 0 {
		return
	}
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		time.Sleep(c.dial)
		return dial(ctx, network, addr)
	}
}
