// Threaded shares 5 connections among 100 goroutines, and tells how many
// connections served them and how long they waited. It uses the server that
// DATABASE_URL names, or starts a throwaway PostgreSQL of its own.
package main

import (
	"context"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
)

const (
	goroutines  = 100
	connections = 5
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// served is what one goroutine tells when it is done.
type served struct {
	backend uint32 // process ID of the server process it talked to
	waited  time.Duration
	err     error
}

func run(ctx context.Context) error {
	server, err := pooltest.Open(ctx, pooltest.AllowInstall())
	if err != nil {
		return err
	}
	defer server.Close()

	p, err := pool.NewThreaded(ctx, 1, connections, server.ConnString())
	if err != nil {
		return err
	}
	results := make(chan served)
	for range goroutines {
		go func() { results <- work(ctx, p) }()
	}
	backends := map[uint32]int{}
	var waits []time.Duration
	for range goroutines {
		r := <-results
		if r.err != nil {
			err = r.err
			continue
		}
		backends[r.backend]++
		waits = append(waits, r.waited)
	}
	if closeErr := p.CloseAll(ctx); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	slices.Sort(waits)
	fmt.Printf("%d goroutines were served by %d connections\n", len(waits), len(backends))
	fmt.Printf("they waited %v in the median, %v at most\n",
		waits[len(waits)/2].Round(time.Millisecond), waits[len(waits)-1].Round(time.Millisecond))
	return nil
}

// work takes a connection for a statement of 10 milliseconds.
func work(ctx context.Context, p *pool.Pool) (s served) {
	start := time.Now()
	conn, err := p.GetConn(ctx)
	if err != nil {
		return served{err: err}
	}
	defer conn.Release()
	s.waited = time.Since(start)
	s.err = conn.QueryRow(ctx, "select pg_backend_pid() from pg_sleep(0.01)").Scan(&s.backend)
	return s
}
