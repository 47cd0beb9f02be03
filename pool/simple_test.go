package pool_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

func simpleNeverWaits(t *testing.T) {
	a := newAdmin(t)
	s, err := pool.NewSimple(background(t), 1, 2, a.url)
	require.NoError(t, err)
	one, two := get(t, s), get(t, s)
	_, err = s.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrExhausted)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "it has waited")

	// The connection is being rolled back when it is wanted again: that is no
	// reason to fail.
	_, err = one.Begin(background(t))
	require.NoError(t, err)
	require.NoError(t, s.PutConn(one))
	one = get(t, s)
	require.EqualValues(t, 'I', one.Conn().PgConn().TxStatus())

	require.NoError(t, s.PutConn(two, pool.WithClose()))
	two = get(t, s)
	require.NoError(t, s.PutConn(two))
	require.NoError(t, s.PutConn(one))
	require.NoError(t, s.CloseAll(background(t)))
	require.ErrorIs(t, s.CloseAll(background(t)), pool.ErrClosed)
	a.await(0)
}

// Nobody but the caller could put what is lent, so closing does not wait.
func simpleCloseAllDoesNotWait(t *testing.T) {
	a := newAdmin(t)
	s, err := pool.NewSimple(background(t), 0, 2, a.url)
	require.NoError(t, err)
	c := get(t, s)
	err = s.CloseAll(context.Background())
	var left *pool.CloseError
	require.ErrorAs(t, err, &left)
	require.ErrorContains(t, err, "still lent")
	require.Len(t, left.Leases, 1)
	require.Error(t, c.Ping(background(t)))
	awaitEnd(t, pool.Inside(s))
	require.ErrorIs(t, s.PutConn(c), pool.ErrClosed)
	a.await(0)
}

// A second goroutine comes while the first is inside a call: here a connect
// that the server does not answer.
func simpleConcurrentUse(t *testing.T) {
	door := newDoor(t)
	s, err := pool.NewSimple(background(t), 1, 2, door.url)
	require.NoError(t, err)
	c := get(t, s)
	<-door.knocked
	ctx, giveUp := context.WithCancel(context.Background())
	first := make(chan error)
	go func() {
		_, err := s.GetConn(ctx)
		first <- err
	}()
	<-door.knocked // the first goroutine is inside GetConn
	_, err = s.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrConcurrentUse)
	require.ErrorIs(t, s.PutConn(c), pool.ErrConcurrentUse)
	require.ErrorIs(t, s.CloseAll(ended()), pool.ErrConcurrentUse)
	giveUp()
	require.ErrorIs(t, <-first, context.Canceled)
	require.NoError(t, s.PutConn(c), "the refused put changed nothing")
	require.NoError(t, s.CloseAll(background(t)))
}

// A door before the server lets the first connection in and leaves the others
// standing.
type door struct {
	url     string
	knocked chan struct{} // one for each connection
}

func newDoor(t *testing.T) *door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	config, err := pool.ParseConfig(server.ConnString())
	require.NoError(t, err)
	cc := config.ConnConfig
	inside := net.JoinHostPort(cc.Host, strconv.Itoa(int(cc.Port)))
	d := &door{
		url:     fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", cc.User, cc.Password, l.Addr(), cc.Database),
		knocked: make(chan struct{}, 10),
	}
	gone := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-gone
	})
	go func() {
		defer close(gone)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
			if len(open) == 1 {
				b, err := net.Dial("tcp", inside)
				if err != nil {
					break
				}
				go func() { io.Copy(b, c); b.Close() }()
				go func() { io.Copy(c, b); c.Close() }()
			}
			d.knocked <- struct{}{}
		}
		for _, c := range open {
			c.Close()
		}
	}()
	return d
}
