package persistent_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/persistent"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// As many requests at once as there are connections, and each takes one in the code
// that it runs in and one in the code that it calls: with pgxpool nobody gets the
// second before somebody's context ends, here all do.
func TestNestedGets(t *testing.T) {
	const requests = 4
	p, a := persisting(t, requests)

	t.Run("pgxpool", func(t *testing.T) {
		config, err := pgxpool.ParseConfig(server.ConnString())
		require.NoError(t, err)
		config.MaxConns = requests
		theirs, err := pgxpool.NewWithConfig(background(t), config)
		require.NoError(t, err)
		defer theirs.Close()
		ctx, cancel := context.WithTimeout(background(t), 200*time.Millisecond) // how long a client waits
		defer cancel()
		errs := nestedRequests(t, requests, func(_ int, both func()) error {
			outer, err := theirs.Acquire(background(t))
			if err != nil {
				return err
			}
			defer outer.Release()
			both()
			inner, err := theirs.Acquire(ctx)
			if err != nil {
				return err
			}
			inner.Release()
			return nil
		})
		var ended int
		for _, err := range errs {
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				ended++
			}
		}
		require.Positive(t, ended)
		require.Error(t, ctx.Err(), "nobody could go on before")
	})

	t.Run("persistent", func(t *testing.T) {
		backends := make(chan uint32, requests)
		errs := nestedRequests(t, requests, func(i int, both func()) error {
			ctx := as(t, i)
			outer, err := p.GetConn(ctx)
			if err != nil {
				return err
			}
			defer outer.Release()
			both()
			require.Equal(t, requests, p.Pool().Stat().Actor().Leased, "every connection is lent")
			inner, err := p.GetConn(ctx)
			if err != nil {
				return err
			}
			defer inner.Release()
			var one, two uint32
			err = errors.Join(
				outer.QueryRow(ctx, "select pg_backend_pid()").Scan(&one),
				inner.QueryRow(ctx, "select pg_backend_pid()").Scan(&two))
			assert.Equal(t, one, two)
			backends <- one
			return err
		})
		for _, err := range errs {
			require.NoError(t, err)
		}
		seen := map[uint32]bool{}
		for range requests {
			seen[<-backends] = true
		}
		require.Len(t, seen, requests)
	})
	a.await(requests)
}

// nestedRequests runs n requests at once. both blocks until each has its first
// connection.
func nestedRequests(t *testing.T, n int, request func(i int, both func()) error) []error {
	errs := make([]error, n)
	var first, all sync.WaitGroup
	first.Add(n)
	for i := range n {
		all.Go(func() {
			var once sync.Once
			arrived := func() { once.Do(first.Done) }
			defer arrived() // else a failed get would hold up the others
			errs[i] = request(i, func() { arrived(); first.Wait() })
		})
	}
	all.Wait()
	return errs
}

// A repository is code deep down that knows only an interface.
type repository struct {
	db interface {
		Begin(ctx context.Context) (pgx.Tx, error)
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	}
}

func (r repository) next(ctx context.Context) (n int, err error) {
	return n, pgx.BeginFunc(ctx, r.db, func(pgx.Tx) error {
		return r.db.QueryRow(ctx, "insert into n select count(*) from n returning i").Scan(&n)
	})
}

// The same through the verbs, and on one connection.
func TestNestedVerbs(t *testing.T) {
	p, a := persisting(t, 1)
	a.exec("create table n (i int)")
	r := repository{p}
	var all sync.WaitGroup
	const requests = 20
	for i := range requests {
		all.Go(func() {
			ctx := as(t, i)
			assert.NoError(t, pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
				first, err := r.next(ctx)
				if err != nil {
					return err
				}
				second, err := r.next(ctx)
				assert.Equal(t, first+1, second, "nobody came between")
				return err
			}))
		})
	}
	all.Wait()
	require.Equal(t, 2*requests, a.count("select count(distinct i) from n"))
}

// Who is called with an identity of its own has a connection of its own.
func TestNestedIdentities(t *testing.T) {
	p, a := persisting(t, 2)
	a.exec("create table n (i int)")
	request := as(t, "request")
	audit := persistent.WithIdentity(request, "audit")
	tx := begin(t, p, request)
	exec(t, p, request, "insert into n values (1)")
	exec(t, p, audit, "insert into n values (10)")
	require.NoError(t, tx.Rollback(request))
	require.Equal(t, 10, a.count("select sum(i) from n"))
}
