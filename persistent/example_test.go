package persistent_test

import (
	"context"
	"errors"
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

	ctx = persistent.NewIdentity(ctx)
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
		Tenant: func(ctx context.Context) (any, error) { return ctx.Value(tenant{}), nil },
		OnBind: func(ctx context.Context, tenant any, c *pgx.Conn) error {
			_, err := c.Exec(ctx, "select set_config('app.tenant', $1, false)", tenant)
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
	for _, name := range []string{"red", "blue"} {
		ctx := context.WithValue(persistent.NewIdentity(ctx), tenant{}, name)
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
	ctx = persistent.NewIdentity(ctx)

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

func ExamplePool_Hold() {
	ctx := context.Background()
	p, err := persistent.New(ctx, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)

	ctx, release := p.Hold(persistent.NewIdentity(ctx)) // in a middleware
	defer release()
	fmt.Println(p.Pool().Stat().AcquiredConns())
	for range 3 { // statements of the request, wherever they are
		if _, err := p.Exec(ctx, "create temporary table if not exists seen as select 7 as id"); err != nil {
			log.Fatal(err)
		}
	}
	var id int
	err = p.QueryRow(ctx, "select id from seen").Scan(&id)
	fmt.Println(id, err, p.Pool().Stat().AcquiredConns())
	// Output:
	// 0
	// 7 <nil> 1
}

func ExamplePool_InTx() {
	ctx := context.Background()
	p, err := persistent.New(ctx, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer p.CloseAll(ctx)
	ctx, release := p.Hold(persistent.NewIdentity(ctx))
	defer release()

	var late context.Context
	err = p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
		late = ctx
		_, err := p.Exec(ctx, "create temporary table paid (i int)")
		return err
	})
	fmt.Println(err)
	_, err = p.Exec(late, "insert into paid values (1)") // of somebody who does not know
	fmt.Println(errors.Is(err, pgx.ErrTxClosed))
	// Output:
	// <nil>
	// true
}
