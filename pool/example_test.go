package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/pgactor/pgactor/pool"
)

func ExampleNewThreaded() {
	ctx := context.Background()
	p, err := pool.NewThreaded(ctx, 1, 20, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	conn, err := p.GetConn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer p.PutConn(conn)
	var answer int
	if err := conn.QueryRow(ctx, "select 6 * 7").Scan(&answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
	// Output: 42
}

func ExampleNewSimple() {
	ctx := context.Background()
	p, err := pool.NewSimple(ctx, 0, 1, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	conn, err := p.GetConn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer p.PutConn(conn)
	_, err = p.GetConn(ctx) // nobody else could put one back: no use to wait
	fmt.Println(errors.Is(err, pool.ErrExhausted))
	// Output: true
}

func ExampleWithKey() {
	ctx := context.Background()
	p, err := pool.NewThreaded(ctx, 0, 2, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	outer, err := p.GetConn(ctx, pool.WithKey("request 7"))
	if err != nil {
		log.Fatal(err)
	}
	defer p.PutConn(outer)
	if _, err := outer.Exec(ctx, "create temporary table seen (id int)"); err != nil {
		log.Fatal(err)
	}
	inner, err := p.GetConn(ctx, pool.WithKey("request 7")) // the same connection
	if err != nil {
		log.Fatal(err)
	}
	defer p.PutConn(inner)
	tag, err := inner.Exec(ctx, "insert into seen values (1)")
	fmt.Println(tag, err)
	// Output: INSERT 0 1 <nil>
}

func ExamplePool_PutConn() {
	ctx := context.Background()
	p, err := pool.NewThreaded(ctx, 0, 1, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	conn, err := p.GetConn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.PutConn(conn))
	fmt.Println(p.PutConn(conn))
	// Output:
	// <nil>
	// not leased: put back already
}

func ExamplePool_CloseAll() {
	ctx := context.Background()
	p, err := pool.NewThreaded(ctx, 0, 1, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := p.GetConn(ctx); err != nil {
		log.Fatal(err)
	}
	// Nobody puts the connection back: after a while it is taken.
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	err = p.CloseAll(short)
	var left *pool.CloseError
	if errors.As(err, &left) {
		fmt.Println(len(left.Leases), "lease revoked:", left.Err)
	}
	// Output: 1 lease revoked: context deadline exceeded
}

// A query that is given up is cancelled on the server too, and its connection goes on.
func ExampleCancelPolicy() {
	ctx := context.Background()
	p, err := pool.NewThreaded(ctx, 1, 1, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = p.Exec(short, "select pg_sleep(60)")
	fmt.Println("given up:", errors.Is(err, context.DeadlineExceeded))

	var one int
	err = p.QueryRow(ctx, "select 1").Scan(&one)
	fmt.Println("next query:", one, err)
	fmt.Println("connections opened:", p.Stat().NewConnsCount())
	// Output:
	// given up: true
	// next query: 1 <nil>
	// connections opened: 1
}
