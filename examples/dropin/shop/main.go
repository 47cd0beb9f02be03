// Shop is a small HTTP service on a connection pool, and a customer of it: the
// program calls itself and prints the answers. It is written for pgxpool, and
// runs on pgactor with one line changed, the import of pgxpool. DATABASE_URL
// names the server; all is made in a schema of its own and dropped at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const schema = `
	drop schema if exists dropin_shop cascade;
	create schema dropin_shop;
	create type price as (cents int4, currency text);
	create table product (id int4 primary key, name text unique, price price, stock int4);
	create table purchase (
		id int4 generated always as identity primary key,
		customer text default current_setting('shop.customer'),
		products int4[], coupon text unique, paid bool default false)`

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	dsn := os.Getenv("DATABASE_URL")
	if dsn == "" {
		return errors.New("DATABASE_URL is not set: it names the server, such as postgres://postgres@localhost/postgres")
	}
	var j journal
	config, err := configure(dsn, &j)
	if err != nil {
		return err
	}

	// The types have to be there before the pool loads them.
	admin, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, admin.Close(ctx)) }()
	if _, err := admin.Exec(ctx, schema); err != nil {
		return err
	}
	defer func() {
		_, dropErr := admin.Exec(ctx, "drop schema dropin_shop cascade")
		err = errors.Join(err, dropErr)
	}()

	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: shop{pool}.routes()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	url := "http://" + listener.Addr().String()
	if err = visit(ctx, url); err == nil {
		err = exhaust(ctx, url, pool)
	}
	err = errors.Join(err, server.Shutdown(ctx))
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	if err != nil {
		return err
	}

	pool.Close()
	stat := pool.Stat()
	fmt.Printf("the pool: %d acquires, %d canceled, %d connections left\n",
		stat.AcquireCount(), stat.CanceledAcquireCount(), stat.TotalConns())
	fmt.Printf("the tracer: %d acquired and %d released, %d refused; customers' statements: %d\n",
		j.acquired.Load(), j.released.Load(), j.refused.Load(), j.queries.Load())
	fmt.Println("every connection that was opened was closed:", j.opened.Load() == j.closed.Load())
	return nil
}

// exhaust borrows every connection, so that a request waits until its patience
// ends.
func exhaust(ctx context.Context, url string, pool *pgxpool.Pool) error {
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
	}
	status, _, err := call(ctx, "GET", url+"/products", "", "Patience", "50ms")
	if err != nil {
		return err
	}
	stat := pool.Stat()
	fmt.Printf("%d connections are lent, %d are idle: %d\n", stat.AcquiredConns(), stat.IdleConns(), status)
	return nil
}

// shop has the handlers.
type shop struct{ pool *pgxpool.Pool }

var errBlocked = errors.New("this customer is blocked")

// customerKey is the key of the customer's name in a request's context.
type customerKey struct{}

// journal counts what the pool does.
type journal struct {
	opened, closed, acquired, refused, released, queries atomic.Int64
}

var (
	_ pgxpool.AcquireTracer = (*journal)(nil)
	_ pgxpool.ReleaseTracer = (*journal)(nil)
	_ pgx.QueryTracer       = (*journal)(nil)
)

func (j *journal) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return ctx
}

func (j *journal) TraceAcquireEnd(_ context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if data.Err != nil {
		j.refused.Add(1)
		return
	}
	j.acquired.Add(1)
}

func (j *journal) TraceRelease(*pgxpool.Pool, pgxpool.TraceReleaseData) { j.released.Add(1) }

func (j *journal) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if ctx.Value(customerKey{}) != nil { // not the pool's own
		j.queries.Add(1)
	}
	return ctx
}

func (j *journal) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// configure returns the configuration of a pool that reports to j.
func configure(dsn string, j *journal) (*pgxpool.Config, error) {
	settings := []string{"pool_max_conns=4", "pool_min_conns=1", "pool_max_conn_idle_time=5m", "search_path=dropin_shop"}
	switch {
	case !strings.Contains(dsn, "://"):
		dsn += " " + strings.Join(settings, " ")
	case strings.Contains(dsn, "?"):
		dsn += "&" + strings.Join(settings, "&")
	default:
		dsn += "?" + strings.Join(settings, "&")
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.Tracer = j
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		ctx = context.WithValue(ctx, customerKey{}, nil) // connecting is not the customer's doing
		for _, name := range []string{"price", "_price"} {
			t, err := conn.LoadType(ctx, name)
			if err != nil {
				return err
			}
			conn.TypeMap().RegisterType(t)
		}
		j.opened.Add(1)
		return nil
	}
	// The session knows its customer while it is lent, and no longer.
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		customer, _ := ctx.Value(customerKey{}).(string)
		if customer == "mallory" {
			return true, errBlocked // nothing is wrong with the connection
		}
		_, err := conn.Exec(ctx, "select set_config('shop.customer', $1, false)", customer)
		return err == nil, ctx.Err() // a broken connection is replaced, unless nobody waits for it any more
	}
	config.AfterRelease = func(conn *pgx.Conn) bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := conn.Exec(ctx, "reset shop.customer")
		return err == nil
	}
	config.BeforeClose = func(*pgx.Conn) { j.closed.Add(1) }
	return config, nil
}
