//go:build unix

package pooltest_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgactor/pgactor/pool/pooltest"
)

func Example() {
	ctx := context.Background()
	server, err := pooltest.Start(ctx, pooltest.AllowInstall())
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	conn, err := pgx.Connect(ctx, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	var answer int
	if err := conn.QueryRow(ctx, "SELECT 6 * 7").Scan(&answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
	// Output: 42
}

func ExampleServer_Restart() {
	ctx := context.Background()
	server, err := pooltest.Start(ctx, pooltest.AllowInstall())
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	dial := func() {
		conn, err := pgx.Connect(ctx, server.ConnString())
		if err != nil {
			fmt.Println("no connection")
			return
		}
		fmt.Println("connected")
		conn.Close(ctx)
	}
	dial()
	if err := server.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	dial()
	if err := server.Restart(ctx); err != nil {
		log.Fatal(err)
	}
	dial()
	// Output:
	// connected
	// no connection
	// connected
}

func ExampleWithTLS() {
	ctx := context.Background()
	server, err := pooltest.Start(ctx, pooltest.AllowInstall(), pooltest.WithTLS(), pooltest.WithScram("secret"))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	conn, err := pgx.Connect(ctx, server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	var encrypted bool
	if err := conn.QueryRow(ctx, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted); err != nil {
		log.Fatal(err)
	}
	fmt.Println("encrypted:", encrypted)
	// Output: encrypted: true
}

// In a test file of its own package, server is started in TestMain and closed there after m.Run.
func ExampleServer_Database() {
	var server *pooltest.Server

	_ = func(t *testing.T) { // func TestInsert(t *testing.T)
		conn, err := pgx.Connect(t.Context(), server.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		// This test has the database to itself; it is dropped when the test ends.
	}
}
