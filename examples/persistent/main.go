// Persistent is an HTTP service of several tenants on a [persistent.Pool]: each
// request has a connection of its own, which has the role of the request's tenant,
// so that PostgreSQL's row-level security keeps the tenants apart. The program calls
// itself and prints what it has seen. It uses the server that DATABASE_URL names,
// as a user who may create roles and databases, and drops what it made there, or
// starts a throwaway PostgreSQL of its own.
//
//   - main.go starts and ends it all.
//   - server.go has the middleware, which gives each request an identity and holds its
//     connection, and the handlers.
//   - repo.go has the repositories, which know only an interface.
//   - profile.go gives connections the tenants' roles, and refuses them to others.
//   - schema.go makes the tenants' roles and tables.
//   - client.go sends the requests and checks the answers; crowd.go sees to it that
//     they meet.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/pooltest"
)

// connections is the most that there are, for any number of requests.
const connections = 6

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	postgres, err := pooltest.Open(ctx, pooltest.AllowInstall())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, postgres.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	db, err := makeDatabase(ctx, postgres)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.drop(ctx)) }()

	p, err := openPool(ctx, db.connString)
	if err != nil {
		return err
	}
	defer p.CloseAll(ctx) // after the CloseAll below: ErrClosed, and nothing else
	if err := demonstrate(ctx, p, db.roles, out); err != nil {
		return err
	}
	if err := inspect(ctx, p.Pool(), out); err != nil {
		return err
	}
	return p.CloseAll(ctx)
}

func openPool(ctx context.Context, connString string) (*persistent.Pool, error) {
	config, err := pool.ParseConfig(connString)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	return persistent.NewWithConfig(ctx, config, persistent.WithProfile(profile))
}

// demonstrate serves while the client calls.
func demonstrate(ctx context.Context, p *persistent.Pool, roles map[string]string, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newService(p, roles).routes()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	c := client{url: "http://" + listener.Addr().String(), out: out}
	err = errors.Join(c.visit(ctx), server.Shutdown(ctx))
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// inspect looks at what the requests have left in the pool, as an ordinary
// borrower who takes all connections at once.
func inspect(ctx context.Context, p *pool.Pool, out io.Writer) error {
	if leases := p.Leases(); len(leases) > 0 {
		return fmt.Errorf("connections are still lent: %v", leases)
	}
	for range connections {
		conn, err := p.GetConn(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		var user, login string
		if err := conn.QueryRow(ctx, "select current_user::text, session_user::text").Scan(&user, &login); err != nil {
			return err
		}
		if user != login {
			return fmt.Errorf("a connection of %s has kept the role %s", login, user)
		}
	}
	opened := p.Stat().NewConnsCount()
	if opened > connections {
		return fmt.Errorf("%d connections were opened, and not %d at most", opened, connections)
	}
	fmt.Fprintf(out, "afterwards nothing is lent, and the %d connections have no tenant's role\n", opened)
	return nil
}
