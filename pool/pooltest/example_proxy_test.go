//go:build unix

package pooltest_test

import (
	"context"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgactor/pgactor/pool/pooltest"
)

// A network that loses everything, and then no longer does.
func ExampleProxy() {
	ctx := context.Background()
	server, err := pooltest.Start(ctx, pooltest.AllowInstall())
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	proxy, err := pooltest.NewProxy(server.ConnString()) // in a test: server.Proxy(t)
	if err != nil {
		log.Fatal(err)
	}
	defer proxy.Close()

	ping := func() {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, proxy.ConnString())
		if err != nil {
			fmt.Println("timeout:", ctx.Err() != nil)
			return
		}
		defer conn.Close(ctx)
		fmt.Println("error:", conn.Ping(ctx))
	}
	ping()
	proxy.BlackHole(pooltest.ToClient)
	ping()
	if err := proxy.Heal(); err != nil {
		log.Fatal(err)
	}
	ping()
	fmt.Println("connections:", proxy.Stat().Accepted)
	// Output:
	// error: <nil>
	// timeout: true
	// error: <nil>
	// connections: 3
}

// The primary crashes, the standby takes over, and the name that clients use leads there.
func ExampleServer_Standby() {
	ctx := context.Background()
	primary, err := pooltest.Start(ctx, pooltest.AllowInstall())
	if err != nil {
		log.Fatal(err)
	}
	defer primary.Close()
	standby, err := primary.Standby(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer standby.Close()
	name, err := pooltest.NewProxy(primary.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	defer name.Close()

	execute := func(statement string) {
		conn, err := pgx.Connect(ctx, name.ConnString())
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close(ctx)
		tag, err := conn.Exec(ctx, statement)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(tag)
	}
	execute("CREATE TABLE names AS SELECT 'Ada'")

	for _, step := range []func(context.Context) error{standby.CatchUp, primary.Crash, standby.Promote} {
		if err := step(ctx); err != nil {
			log.Fatal(err)
		}
	}
	if err := name.Retarget(standby.ConnString()); err != nil {
		log.Fatal(err)
	}
	execute("INSERT INTO names SELECT 'Grace' FROM names")
	// Output:
	// SELECT 1
	// INSERT 0 1
}

// In a test file of its own package, server is started in TestMain and closed there after m.Run.
func ExampleServer_Proxy() {
	var server *pooltest.Server

	_ = func(t *testing.T) { // func TestSlowNetwork(t *testing.T)
		proxy := server.Proxy(t)
		proxy.DelayFunc(pooltest.BothWays, pooltest.Uniform(5*time.Millisecond, 20*time.Millisecond))
		proxy.Throttle(pooltest.ToClient, 64<<10)
		conn, err := pgx.Connect(t.Context(), proxy.Via(server.Database(t)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		// A slow answer. And then the end of this one connection:
		proxy.ConnOf(conn.PgConn().Conn()).Reset(pooltest.BothWays)
	}
}
