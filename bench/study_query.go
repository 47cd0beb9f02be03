package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

// proxyDelay is what the slow network adds to each answer.
const proxyDelay = time.Millisecond

// A statement is something to ask the server through a pool.
type statement struct {
	name string
	of   func(*rig) func(ctx context.Context, id int) error
}

var (
	asksOne = statement{"select 1", func(r *rig) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error { return r.selectOne(ctx) }
	}}
	asksRow     = statement{"point query", func(r *rig) func(context.Context, int) error { return r.lookUp }}
	transaction = statement{"transaction", func(r *rig) func(context.Context, int) error { return r.transact }}
	batchOf10   = statement{"batch of 10", func(r *rig) func(context.Context, int) error { return r.batch }}
)

// queries measures a query end to end.
func queries() study {
	s := study{
		name:  "query",
		title: "A query end to end, 8 connections",
		units: []string{result.PerOp, result.P99, result.Allocs},
	}
	for _, of := range []statement{asksOne, asksRow} {
		for _, n := range []int{1, 8, 64, 256} {
			s.settings = append(s.settings, asked(of, n, (*lab).fast, pgactor, rivalPgxpool, databaseSQL, persist).often())
		}
	}
	return s
}

// proxied measures the same over a network that is not this machine's.
func proxied() study {
	s := study{
		name:  "network",
		title: "A query through a proxy that adds 1 ms, 8 connections",
		units: []string{result.PerOp, result.P99},
	}
	for _, n := range []int{1, 8, 64} {
		s.settings = append(s.settings, asked(asksRow, n, (*lab).far, pgactor, rivalPgxpool, databaseSQL))
	}
	return s
}

// work measures what takes several statements.
func work() study {
	s := study{
		name:  "work",
		title: "More than a query, 8 connections",
		units: []string{result.PerOp, result.P99, result.Allocs},
	}
	for _, n := range []int{1, 8, 64} {
		s.settings = append(s.settings, asked(transaction, n, (*lab).fast, pgactor, rivalPgxpool, databaseSQL, persist).often())
	}
	for _, n := range []int{1, 8, 64} {
		s.settings = append(s.settings, asked(batchOf10, n, (*lab).fast, pgactor, rivalPgxpool, persist).often())
	}
	return s
}

// often has more rounds where nobody waits: much depends then on which processor the
// server's process is woken on, and stays so for a turn.
func (s setting) often() setting {
	if s.least <= opsEach*connections {
		s.erratic = 5
	}
	return s
}

func asked(what statement, goroutines int, by func(*lab) conditions, peers ...peer) setting {
	return setting{
		params: named("what", what.name, "goroutines", fmt.Sprint(goroutines)),
		peers:  peers,
		least:  opsEach * goroutines,
		measure: func(ctx context.Context, l *lab, p peer) (turn, error) {
			r, err := l.rig(ctx, p, by(l))
			if err != nil {
				return nil, err
			}
			ask := what.of(r)
			begin := func(ctx context.Context, g int) operation {
				return timed(func(i int) error { return ask(ctx, (g*7919+i)%tableRows+1) })
			}
			return load{rig: r, goroutines: goroutines, begin: begin, latencies: []string{result.P50, result.P99}}.turn(ctx), nil
		},
	}
}
