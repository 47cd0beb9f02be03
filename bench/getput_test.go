package bench

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
)

// BenchmarkGetPut measures a get and a put on 8 open connections: pgactor,
// pgxpool, and a bare channel of 8 tokens, which is as fast as a pool made of
// channels could be. The goroutines hold a connection for no time, or for one
// yield to the scheduler. It reports nanoseconds per operation of each, the
// ratio of pgactor to pgxpool (the median over the rounds), and the heap
// allocations and bytes per operation of pgactor. Allocations are counted as
// package testing counts them, in whole numbers: a batch of 64 handles is one.
func BenchmarkGetPut(b *testing.B) {
	ctx := context.Background()
	peers := []peer{openPgactor(ctx, b), openPgxpool(ctx, b), channel()}
	settings(b, []int{1, 2, 64, 1000}, func(b *testing.B, goroutines int, hold func()) {
		measures := compare(b, peers, goroutines, hold)
		ours, theirs := measures[0], measures[1]
		b.ReportMetric(ours.ratio(theirs), "ratio")
		ours.reportHeap(b, "pgactor")
	})
}

// openPgactor makes a pool and opens all its connections.
func openPgactor(ctx context.Context, b *testing.B) peer {
	b.Helper()
	p := openPool(ctx, b)
	return peer{"pgactor", func(_ int, hold func()) {
		c, err := p.GetConn(ctx)
		if err != nil {
			panic(err)
		}
		hold()
		if err := p.PutConn(c); err != nil {
			panic(err)
		}
	}}
}

func openPool(ctx context.Context, b *testing.B) *pool.Pool {
	b.Helper()
	p, err := pool.NewThreaded(ctx, connections, connections, server.ConnString())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.CloseAll(ctx); err != nil {
			b.Error(err)
		}
	})
	return p
}

// openPgxpool makes a pool and opens all its connections.
func openPgxpool(ctx context.Context, b *testing.B) peer {
	b.Helper()
	config, err := pgxpool.ParseConfig(server.ConnString())
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = connections
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	var held []*pgxpool.Conn
	for range connections {
		c, err := p.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		held = append(held, c)
	}
	for _, c := range held {
		c.Release()
	}
	return peer{"pgxpool", func(_ int, hold func()) {
		c, err := p.Acquire(ctx)
		if err != nil {
			panic(err)
		}
		hold()
		c.Release()
	}}
}

func channel() peer {
	tokens := make(chan int, connections)
	for i := range connections {
		tokens <- i
	}
	return peer{"channel", func(_ int, hold func()) {
		token := <-tokens
		hold()
		tokens <- token
	}}
}
