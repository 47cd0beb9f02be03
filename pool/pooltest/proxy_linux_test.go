package pooltest

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDropSYN(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	client, server := dial(t, p), s.accept(t)
	require.NoError(t, p.DropSYN())
	require.NoError(t, p.DropSYN(), "again")
	requireNoAnswer(t, p)
	send(t, client, "those there stay")
	receive(t, server, "those there stay")

	waiting := make(chan error, 1)
	go func() {
		conn, err := net.DialTimeout("tcp", p.Addr(), wide)
		if err == nil {
			err = conn.Close()
		}
		waiting <- err
	}()
	requireNoAnswer(t, p)
	require.NoError(t, p.Heal())
	dial(t, p)
	require.NoError(t, <-waiting, "who has not given up gets through")
	require.Eventually(t, func() bool { return p.Stat().Accepted == 3 }, wide, time.Millisecond)
	s.accept(t)
	s.accept(t)
	s.acceptsNothing(t)
}

func requireNoAnswer(t *testing.T, p *Proxy) {
	t.Helper()
	_, err := net.DialTimeout("tcp", p.Addr(), 4*short)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), err)
}

func TestDropSYNAndTheOthers(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	require.NoError(t, p.Refuse())
	require.NoError(t, p.DropSYN())
	requireNoAnswer(t, p)
	require.NoError(t, p.Refuse())
	requireRefused(t, p)
	require.NoError(t, p.AcceptOnly())
	require.NoError(t, p.DropSYN())
	require.NoError(t, p.AcceptOnly())
	receiveNothing(t, dial(t, p))
	assert.Equal(t, 1, p.Stat().Accepted)
	require.NoError(t, p.DropSYN())
	p.Close()
}
