package pool_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// A bubble is a pool in virtual time, before a server of a few lines that is at the
// other end of a pipe. It shows what takes minutes, or how long exactly.
type bubble struct {
	*testing.T
	*pool.Pool
	ctx  context.Context
	open atomic.Int64 // connections that the server has
}

// inBubble plays with a pool, and closes it.
func inBubble(t *testing.T, change func(c *pool.Config), play func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{T: t, ctx: t.Context()}
		config, err := pool.ParseConfig("host=in.a.bubble port=1 user=u database=d sslmode=disable")
		require.NoError(t, err)
		config.ConnConfig.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil }
		config.ConnConfig.DialFunc = b.dial
		change(config)
		b.Pool, err = pool.NewWithConfig(b.ctx, config)
		require.NoError(t, err)
		defer b.Close()
		play(b)
	})
}

// get gets a connection, and fails if it has to wait for ever.
func (b *bubble) get() *pool.Conn {
	b.Helper()
	c, err := b.GetConn(b.ctx)
	require.NoError(b, err)
	return c
}

func (b *bubble) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	b.open.Add(1)
	go func() {
		defer b.open.Add(-1)
		defer theirs.Close()
		serve(pgproto3.NewBackend(theirs, theirs))
	}()
	return ours, nil
}

// serve is a PostgreSQL that knows of transactions, and nothing else.
func serve(b *pgproto3.Backend) {
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	status := byte('I')
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: make([]byte, 4)})
	for {
		b.Send(&pgproto3.ReadyForQuery{TxStatus: status})
		if b.Flush() != nil {
			return
		}
		message, err := b.Receive()
		if err != nil {
			return
		}
		query, ok := message.(*pgproto3.Query)
		if !ok {
			return // the only other one that there is without parameters: Terminate
		}
		switch statement := strings.ToLower(query.String); {
		case strings.HasPrefix(statement, "begin"):
			status = 'T'
		case strings.HasPrefix(statement, "rollback"), strings.HasPrefix(statement, "commit"):
			status = 'I'
		}
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("OK")})
	}
}
