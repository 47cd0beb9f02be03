// Listen is a queue of jobs in a table: LISTEN and NOTIFY tell of new and of
// finished jobs, and workers take them in transactions. It is written for
// pgxpool, and runs on pgactor with one line changed, the import of pgxpool.
// DATABASE_URL names the server; all is made in a schema of its own and dropped
// at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const workers = 3

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// group is goroutines of which the first to fail ends everybody's context.
type group struct {
	sync.WaitGroup
	fail context.CancelCauseFunc
}

func (g *group) start(f func() error) {
	g.Go(func() {
		if err := f(); err != nil {
			g.fail(err)
		}
	})
}

func run(ctx context.Context) (err error) {
	dsn := os.Getenv("DATABASE_URL")
	if dsn == "" {
		return errors.New("DATABASE_URL is not set: it names the server, such as postgres://postgres@localhost/postgres")
	}
	pool, err := pgxpool.New(ctx, with(dsn, "pool_max_conns=4", "search_path=dropin_listen"))
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, schema); err != nil {
		return err
	}

	ctx, fail := context.WithCancelCause(ctx)
	reporting, working := group{fail: fail}, group{fail: fail}
	defer func() {
		if errors.Is(err, context.Canceled) {
			err = context.Cause(ctx)
		}
		fail(nil)
		reporting.Wait()
		working.Wait()
	}()

	listener, err := subscribe(ctx, pool)
	if err != nil {
		return err
	}
	finished := make(chan string)
	reporting.start(func() error { return report(ctx, listener, finished) })
	fmt.Println("connections in the pool after one was hijacked:", pool.Stat().TotalConns())

	idle, wake := make(chan struct{}), make(chan struct{}, workers)
	open, stop := context.WithCancel(ctx)
	defer stop()
	working.start(func() error { return dispatch(ctx, open, pool, idle, wake) })
	for range workers {
		working.start(func() error { return work(ctx, pool, wake) })
	}

	if _, err := receive(ctx, idle); err != nil {
		return err
	}
	fmt.Println("no job yet: the dispatcher has waited in vain")
	if err := enqueue(ctx, pool); err != nil {
		return err
	}
	reported := map[string]bool{}
	for range squares {
		id, err := receive(ctx, finished)
		if err != nil {
			return err
		}
		reported[id] = true
	}
	stop()
	working.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Println("jobs that were reported:", len(reported))

	if err := show(ctx, pool); err != nil {
		return err
	}
	if err := renew(ctx, pool); err != nil {
		return err
	}
	fmt.Println("connections that the pool has opened:", pool.Stat().NewConnsCount())

	// A pool of one connection, otherwise like the first, tidies up behind it.
	config := pool.Config().Copy()
	config.MaxConns = 1
	janitor, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer janitor.Close()
	fmt.Printf("connections at most: %d, the janitor's: %d\n", pool.Config().MaxConns, janitor.Config().MaxConns)
	pool.Close()
	_, err = pool.Acquire(ctx)
	fmt.Println("the closed pool lends a connection:", err == nil)

	// The hijacked connection is not the pool's any more, and still listens.
	if _, err := janitor.Exec(ctx, "notify job_finished, 'goodbye'"); err != nil {
		return err
	}
	reporting.Wait()
	fmt.Println("the hijacked connection is closed by its owner:", listener.IsClosed())
	if _, err := janitor.Exec(ctx, "drop schema dropin_listen cascade"); err != nil {
		return err
	}
	return ctx.Err()
}

// with adds parameters to a connection string, be it a URL or not.
func with(dsn string, parameters ...string) string {
	switch {
	case !strings.Contains(dsn, "://"):
		return dsn + " " + strings.Join(parameters, " ")
	case strings.Contains(dsn, "?"):
		return dsn + "&" + strings.Join(parameters, "&")
	}
	return dsn + "?" + strings.Join(parameters, "&")
}

// receive gives up when ctx ends.
func receive[T any](ctx context.Context, c <-chan T) (v T, err error) {
	select {
	case v = <-c:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// subscribe takes a connection out of the pool for good: who listens for ever
// would otherwise hold one of its few places.
func subscribe(ctx context.Context, pool *pgxpool.Pool) (*pgx.Conn, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "listen job_finished"); err != nil {
		conn.Release()
		return nil, err
	}
	return conn.Hijack(), nil
}

// report passes on what it hears, until it hears a goodbye.
func report(ctx context.Context, conn *pgx.Conn, finished chan<- string) error {
	defer conn.Close(ctx) // the pool will not do it
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Payload == "goodbye" {
			return nil
		}
		select {
		case finished <- n.Payload:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dispatch wakes the workers when it hears of a job, and now and then although
// it does not: notifications are not repeated. It closes idle when it listens
// and has once waited in vain, and returns when open ends.
func dispatch(ctx, open context.Context, pool *pgxpool.Pool, idle, wake chan<- struct{}) error {
	defer close(wake)
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "listen job_new"); err != nil {
		return err
	}
	for {
		patience, cancel := context.WithTimeout(open, 100*time.Millisecond)
		_, err := conn.Conn().WaitForNotification(patience)
		cancel()
		switch {
		case open.Err() != nil:
			_, err := conn.Exec(ctx, "unlisten job_new") // the next borrower has not asked for it
			return err
		case errors.Is(err, context.DeadlineExceeded): // which leaves the connection as it was
			if idle != nil {
				close(idle)
				idle = nil
			}
		case err != nil:
			return err
		}
		for range workers {
			select {
			case wake <- struct{}{}:
			default: // they will all look
			}
		}
	}
}

// enqueue adds the jobs and says so, by one connection.
func enqueue(ctx context.Context, pool *pgxpool.Pool) error {
	return pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"job"}, []string{"square"},
			pgx.CopyFromSlice(len(squares), func(i int) ([]any, error) { return []any{squares[i]}, nil }))
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "notify job_new")
		return err
	})
}

// work does what jobs there are, each time it is woken.
func work(ctx context.Context, pool *pgxpool.Pool, wake <-chan struct{}) error {
	for range wake {
		var err error
		for err == nil {
			err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return workOne(ctx, tx) })
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	return nil
}

func show(ctx context.Context, pool *pgxpool.Pool) error {
	rows, err := pool.Query(ctx, "select id, square, state, tries, coalesce(root::text, '?') from job order by id")
	if err != nil {
		return err
	}
	var id, tried int
	var square float64
	var state, root string
	_, err = pgx.ForEachRow(rows, []any{&id, &square, &state, &tried, &root}, func() error {
		fmt.Printf("job %d: %s after %d: the root of %v is %s\n", id, state, tried, square, root)
		return nil
	})
	return err
}

// renew looks whether all that is idle is alive, and has it replaced all the
// same, as after a change that only new sessions notice.
func renew(ctx context.Context, pool *pgxpool.Pool) error {
	var lent []*pgxpool.Conn
	defer func() {
		for _, conn := range lent {
			conn.Release() // those that were released before: nothing
		}
	}()
	for range pool.Stat().MaxConns() {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		lent = append(lent, conn)
	}
	for _, conn := range lent {
		conn.Release()
	}
	lent = pool.AcquireAllIdle(ctx)
	fmt.Printf("idle: %d of %d connections\n", len(lent), pool.Stat().MaxConns())
	old := map[*pgx.Conn]bool{}
	for _, conn := range lent {
		if err := conn.Ping(ctx); err != nil {
			return err
		}
		old[conn.Conn()] = true
	}
	pool.Reset() // these are lent: they are closed when they come back
	for _, conn := range lent {
		conn.Release()
	}
	return pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		fmt.Println("after the reset an old connection is lent:", old[conn.Conn()])
		return nil
	})
}
