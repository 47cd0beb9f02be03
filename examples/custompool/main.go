// Custompool is a pool of something other than PostgreSQL connections: sessions
// with a mail server, a tiny one in the same program (server.go). A pool of your
// own is an actor.Config that says how to handle one session (pool.go); the
// supervisor does the rest.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/pgactor/pgactor/actor"
)

func main() {
	ctx, server := context.Background(), listen()
	defer server.close()
	pool, err := actor.Start(ctx, config(server.Addr().String()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready:", pool.Ready(ctx), "- sessions:", pool.Stat().Open)

	done := make(chan error)
	for range 10 {
		go func() { done <- deliver(ctx, pool) }()
	}
	for range 10 {
		err = errors.Join(err, <-done)
	}
	fmt.Println("letters:", server.letters.Load(), "- errors:", err)

	a, b, c := get(ctx, pool), get(ctx, pool), get(ctx, pool)
	_, err = pool.TryGet()
	fmt.Println("lent:", pool.Stat().Leased, "- a fourth:", err)
	fmt.Println("put in the middle of a letter:", a.Value().say(ctx, "MAIL"), a.Put(), "- again:", a.Put())
	a = get(ctx, pool)
	fmt.Println("the next borrower finds it:", a.Value().begun, "- resets:", server.resets.Load())

	b.Put()
	server.hangUp() // on all: the pool notices when the next one gets b's session
	b = get(ctx, pool)
	fmt.Println("a new session:", b.Value().say(ctx, "NOOP"), "- an old one:", a.Value().say(ctx, "NOOP"))
	a.Put()
	b.Put()

	soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	var left *actor.CloseError // c was never put
	fmt.Println("closed, one was lent:", errors.As(pool.CloseAll(soon), &left), "- its put:", c.Put(), "- open:", pool.Stat().Open)
}

func get(ctx context.Context, pool *actor.Supervisor[*session]) *actor.Lease[*session] {
	lease, err := pool.Get(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return lease
}

// deliver sends a letter.
func deliver(ctx context.Context, pool *actor.Supervisor[*session]) error {
	lease, err := pool.Get(ctx)
	if err != nil {
		return err
	}
	defer lease.Put()
	return errors.Join(lease.Value().say(ctx, "MAIL"), lease.Value().say(ctx, "SEND"))
}
