package ecosystem_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// wide bounds what must happen at all, on however busy a machine.
const wide = 30 * time.Second

// background is a context for calls that the test expects to return.
func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), wide)
	t.Cleanup(cancel)
	return ctx
}

// open makes a pool on the database at url, and closes it at the end. It has
// one connection, so what is not given back is missed by the very next call.
func open(t *testing.T, url string, configure ...func(*pool.Config)) *pool.Pool {
	config, err := pool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 1
	for _, f := range configure {
		f(config)
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			p.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(wide):
			t.Error("Close still waits for a connection")
		}
	})
	return p
}

// A handle is what pool, connection and transaction have in common.
type handle interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// onEach runs a test on a pool, on a connection acquired from one, and in a
// transaction begun on one; each time in an empty database after setup.
func onEach(t *testing.T, setup string, test func(t *testing.T, db handle)) {
	fresh := func(t *testing.T) *pool.Pool {
		p := open(t, server.Database(t))
		_, err := p.Exec(background(t), setup)
		require.NoError(t, err)
		return p
	}
	t.Run("pool", func(t *testing.T) { test(t, fresh(t)) })
	t.Run("conn", func(t *testing.T) {
		conn, err := fresh(t).Acquire(background(t))
		require.NoError(t, err)
		defer conn.Release()
		test(t, conn)
	})
	t.Run("tx", func(t *testing.T) {
		tx, err := fresh(t).Begin(background(t))
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(background(t))) }()
		test(t, tx)
	})
}
