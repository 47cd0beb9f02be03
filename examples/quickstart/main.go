// Quickstart is the connection pool of the psycopg2 tutorial, in Go: it makes a
// pool, gets a connection, reads a table, puts the connection back, and closes
// the pool. It uses the server that DATABASE_URL names, or starts a throwaway
// PostgreSQL of its own.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	server, err := pooltest.Open(ctx, pooltest.AllowInstall())
	if err != nil {
		return err
	}
	defer server.Close()

	p, err := pool.NewThreaded(ctx, 1, 20, server.ConnString())
	if err != nil {
		return err
	}
	defer p.CloseAll(ctx) // after the CloseAll below: ErrClosed, and nothing else
	fmt.Println("Connection pool created: 1 to 20 connections")

	conn, err := p.GetConn(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // after PutConn: nothing
	fmt.Println("Connection established")

	if err := createMobile(ctx, conn); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, "select id, model, price from mobile order by id")
	if err != nil {
		return err
	}
	var id int
	var model string
	var price float64
	_, err = pgx.ForEachRow(rows, []any{&id, &model, &price}, func() error {
		fmt.Printf("(%d, '%s', %.1f)\n", id, model, price)
		return nil
	})
	if err != nil {
		return err
	}

	if err := p.PutConn(conn); err != nil {
		return err
	}
	fmt.Println("Connection returned to the pool")
	if err := p.CloseAll(ctx); err != nil {
		return err
	}
	fmt.Println("Connection pool closed")
	return nil
}

// createMobile makes the tutorial's table, for this connection alone.
func createMobile(ctx context.Context, conn *pool.Conn) error {
	_, err := conn.Exec(ctx, `create temporary table mobile (id int primary key, model text, price float8);
		insert into mobile values (1, 'IPhone 12', 800.0), (2, 'Google Pixel 2', 900.0)`)
	return err
}
