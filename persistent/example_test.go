package persistent_test

import (
	"context"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
)

func ExampleNew() {
	ctx := context.Background()
	p, err := persistent.New(ctx, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	ctx = persistent.WithIdentity(ctx, "request 7")
	fmt.Println(handle(ctx, p))
	// Output: 1 <nil>
}

// handle does something and calls store, which takes a connection too: the same.
func handle(ctx context.Context, p *persistent.Pool) (int, error) {
	conn, err := p.GetConn(ctx)
	if err != nil {
		return 0, err
	}
	defer p.PutConn(conn)
	if _, err := conn.Exec(ctx, "create temporary table seen (id int)"); err != nil {
		return 0, err
	}
	return store(ctx, p)
}

func store(ctx context.Context, p *persistent.Pool) (n int, err error) {
	conn, err := p.GetConn(ctx)
	if err != nil {
		return 0, err
	}
	defer p.PutConn(conn)
	return n, conn.QueryRow(ctx, "insert into seen values (1) returning id").Scan(&n)
}

// tenant is the key of a value in the context. It is no identity: one tenant has many
// requests at a time, and each is one flow of control.
type tenant struct{}

func ExampleWithProfile() {
	ctx := context.Background()
	p, err := persistent.New(ctx, server.ConnString(), persistent.WithProfile(persistent.Profile{
		OnBind: func(ctx context.Context, _ any, c *pgx.Conn) error {
			_, err := c.Exec(ctx, "select set_config('app.tenant', $1, false)", ctx.Value(tenant{}))
			return err
		},
		OnUnbind: func(ctx context.Context, _ any, c *pgx.Conn) error {
			_, err := c.Exec(ctx, "reset app.tenant")
			return err
		},
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	const query = "select coalesce(current_setting('app.tenant', true), '')"
	for request, name := range []string{"red", "blue"} {
		ctx := context.WithValue(persistent.WithIdentity(ctx, request), tenant{}, name)
		var is string
		err := p.QueryRow(ctx, query).Scan(&is)
		fmt.Printf("%q %v\n", is, err)
	}
	var is string
	err = p.Pool().QueryRow(ctx, query).Scan(&is) // an ordinary borrower
	fmt.Printf("%q %v\n", is, err)
	// Output:
	// "red" <nil>
	// "blue" <nil>
	// "" <nil>
}

func ExamplePool_Begin() {
	ctx := context.Background()
	p, err := persistent.New(ctx, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)
	ctx = persistent.WithIdentity(ctx, "request 7")

	err = pgx.BeginFunc(ctx, p, func(pgx.Tx) error {
		if _, err := p.Exec(ctx, "create temporary table paid (i int) on commit drop"); err != nil {
			return err
		}
		failed := pgx.BeginFunc(ctx, p, func(pgx.Tx) error { // in code that knows only ctx and p: a savepoint
			_, err := p.Exec(ctx, "insert into paid values (1), (1/0)")
			return err
		})
		var n int
		err := p.QueryRow(ctx, "select count(*) from paid").Scan(&n)
		fmt.Println(failed != nil, n)
		return err
	})
	fmt.Println(err)
	// Output:
	// true 0
	// <nil>
}
