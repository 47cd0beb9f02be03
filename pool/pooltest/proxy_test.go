package pooltest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	wide  = 30 * time.Second      // for what will happen
	short = 50 * time.Millisecond // for what will not
)

// A tcpServer is what the proxies of these tests stand before.
type tcpServer struct{ *net.TCPListener }

func newTCPServer(t *testing.T) tcpServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return tcpServer{l.(*net.TCPListener)}
}

func (s tcpServer) accept(t *testing.T) *net.TCPConn {
	t.Helper()
	require.NoError(t, s.SetDeadline(time.Now().Add(wide)))
	conn, err := s.AcceptTCP()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (s tcpServer) acceptsNothing(t *testing.T) {
	t.Helper()
	require.NoError(t, s.SetDeadline(time.Now().Add(short)))
	_, err := s.Accept()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// newProxy makes a proxy before the server, and checks that closing it leaves nothing behind.
func newProxy(t *testing.T, s tcpServer) *Proxy {
	t.Helper()
	existing := goleak.IgnoreCurrent()
	p, err := NewProxy(s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Close()
		goleak.VerifyNone(t, existing)
	})
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.Addr(), wide)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// through makes a connection through a proxy of its own.
func through(t *testing.T) (p *Proxy, client, server *net.TCPConn) {
	t.Helper()
	s := newTCPServer(t)
	p = newProxy(t, s)
	client = dial(t, p)
	return p, client, s.accept(t)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

func receive(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(wide)))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// receiveEnd waits for the end of conn and returns its error.
func receiveEnd(t *testing.T, conn net.Conn) error {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(wide)))
	n, err := conn.Read(make([]byte, 1))
	require.Zero(t, n)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	return err
}

func receiveNothing(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(short)))
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func awaitOpen(t *testing.T, p *Proxy, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return p.Stat().Open == n }, wide, time.Millisecond)
}

// requireRefused checks that a client is told that nobody listens.
func requireRefused(t *testing.T, p *Proxy) {
	t.Helper()
	_, err := net.DialTimeout("tcp", p.Addr(), wide)
	refused := syscall.ECONNREFUSED
	if runtime.GOOS == "windows" {
		refused = 10061 // WSAECONNREFUSED, which package syscall lacks
	}
	require.ErrorIs(t, err, refused)
}

func requireReset(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
}

func TestProxyPassesOn(t *testing.T) {
	p, client, server := through(t)
	send(t, client, "question")
	receive(t, server, "question")
	send(t, server, "an answer")
	receive(t, client, "an answer")

	require.Len(t, p.Conns(), 1)
	c := p.Conns()[0]
	assert.Equal(t, client.LocalAddr().String(), c.ClientAddr())
	assert.Equal(t, server.LocalAddr().String(), c.ServerAddr())
	assert.Equal(t, server.RemoteAddr().(*net.TCPAddr).Port, c.BackendPort())
	assert.Same(t, c, p.ConnOf(client))
	assert.Same(t, c, p.ConnOfBackend(c.BackendPort()))
	assert.Nil(t, p.ConnOf(server))
	assert.Nil(t, p.ConnOfBackend(1))
	assert.Contains(t, c.String(), c.ClientAddr())
	assert.Contains(t, p.String(), p.Addr())
	assert.Equal(t, int64(8), c.Bytes(ToServer))
	assert.Equal(t, int64(17), c.Bytes(BothWays))

	require.NoError(t, client.CloseWrite())
	require.Equal(t, io.EOF, receiveEnd(t, server))
	send(t, server, "more") // half of it is still open
	receive(t, client, "more")
	require.NoError(t, server.Close())
	require.Equal(t, io.EOF, receiveEnd(t, client))
	awaitOpen(t, p, 0)
	assert.Empty(t, p.Conns())
	assert.Equal(t, ProxyStat{Accepted: 1, ToServer: 8, ToClient: 13}, p.Stat())
}

func TestProxyPassesOnResets(t *testing.T) {
	p, client, server := through(t)
	require.NoError(t, client.SetLinger(0))
	require.NoError(t, client.Close())
	requireReset(t, receiveEnd(t, server))
	awaitOpen(t, p, 0)

	_, client, server = through(t)
	require.NoError(t, server.SetLinger(0))
	require.NoError(t, server.Close())
	requireReset(t, receiveEnd(t, client))
}

func TestProxyWithoutServer(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	require.NoError(t, s.Close())
	conn, err := net.DialTimeout("tcp", p.Addr(), wide)
	if err == nil { // the reset may have come already
		defer conn.Close()
		err = receiveEnd(t, conn)
	}
	requireReset(t, err)
	require.Eventually(t, func() bool { return p.Stat() == ProxyStat{Accepted: 1} }, wide, time.Millisecond)
}

func TestDelay(t *testing.T) {
	const delay, n = 100 * time.Millisecond, 100
	p, client, server := through(t)
	p.Delay(ToServer, delay)
	began := time.Now()
	for range n {
		send(t, client, "x")
		send(t, server, "y")
		receive(t, client, "y") // this way is not delayed
	}
	receive(t, server, string(bytes.Repeat([]byte("x"), n)))
	assert.GreaterOrEqual(t, time.Since(began), delay)
	assert.Less(t, time.Since(began), n*delay/2, "delays do not add up")

	began = time.Now()
	require.NoError(t, client.CloseWrite())
	require.Equal(t, io.EOF, receiveEnd(t, server))
	assert.GreaterOrEqual(t, time.Since(began), delay)

	p.Delay(ToClient, time.Hour)
	send(t, server, "late")
	receiveNothing(t, client)
	p.Delay(ToClient, 0)
	receive(t, client, "late")
}

func TestDelayFuncIsSeeded(t *testing.T) {
	draw := func(seed uint64) (drawn []uint64) {
		s := newTCPServer(t)
		p := newProxy(t, s)
		p.Seed(seed)
		p.DelayFunc(ToServer, func(dice *rand.Rand) time.Duration {
			drawn = append(drawn, dice.Uint64())
			return 0
		})
		client := dial(t, p)
		server := s.accept(t)
		for range 5 {
			send(t, client, "x")
			receive(t, server, "x")
		}
		p.Close()
		return drawn
	}
	first := draw(1)
	assert.GreaterOrEqual(t, len(first), 5)
	assert.Equal(t, first[:5], draw(1)[:5])
	assert.NotEqual(t, first[:5], draw(2)[:5])
}

func TestUniform(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 1))
	seen := make(map[time.Duration]bool)
	for range 1000 {
		seen[Uniform(3, 5)(dice)] = true
	}
	assert.Equal(t, map[time.Duration]bool{3: true, 4: true, 5: true}, seen)
	assert.Equal(t, time.Second, Uniform(time.Second, 0)(dice))
}

func TestThrottle(t *testing.T) {
	p, client, server := through(t)
	p.Throttle(ToServer, 100_000)
	text := string(bytes.Repeat([]byte("x"), 30_000))
	began := time.Now()
	send(t, client, text)
	receive(t, server, text)
	assert.GreaterOrEqual(t, time.Since(began), 250*time.Millisecond)

	p.Throttle(ToServer, 1)
	send(t, client, text)
	receiveLess(t, server, len(text))
	p.Throttle(ToServer, 0)
	awaitBytes(t, p, ToServer, int64(2*len(text)))
}

// receiveLess reads what there is, which is less than all.
func receiveLess(t *testing.T, conn net.Conn, all int) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(short)))
	n, err := io.Copy(io.Discard, conn)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, n, int64(all))
}

func awaitBytes(t *testing.T, p *Proxy, way Direction, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return p.Conns()[0].Bytes(way) == n }, wide, time.Millisecond)
}

func TestBlackHole(t *testing.T) {
	p, client, server := through(t)
	p.BlackHole(BothWays)
	send(t, client, "to the server")
	send(t, server, "to the client")
	require.NoError(t, server.CloseWrite())
	receiveNothing(t, client)
	receiveNothing(t, server)

	p.Lift(ToServer)
	receive(t, server, "to the server")
	receiveNothing(t, client)
	require.NoError(t, p.Heal())
	receive(t, client, "to the client")
	require.Equal(t, io.EOF, receiveEnd(t, client))
}

func TestBlackHoleForNewConnections(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	p.BlackHole(ToServer)
	client := dial(t, p)
	send(t, client, "hello")
	s.acceptsNothing(t)
	require.Eventually(t, func() bool { return p.ConnOf(client) != nil }, wide, time.Millisecond)
	assert.Zero(t, p.ConnOf(client).BackendPort())
	p.Lift(ToServer)
	receive(t, s.accept(t), "hello")

	p.BlackHole(ToServer)
	client = dial(t, p)
	require.Eventually(t, func() bool { return p.ConnOf(client) != nil }, wide, time.Millisecond)
	p.ConnOf(client).HangUp(ToServer)
	p.Lift(ToServer)
	s.acceptsNothing(t)
	receiveNothing(t, client)
}

func TestRefuse(t *testing.T) {
	p, client, server := through(t)
	require.NoError(t, p.Refuse())
	require.NoError(t, p.Refuse(), "again")
	requireRefused(t, p)
	send(t, client, "those there stay")
	receive(t, server, "those there stay")

	squatter, err := net.Listen("tcp", p.Addr())
	require.NoError(t, err)
	require.Error(t, p.Accept())
	require.NoError(t, squatter.Close())
	require.NoError(t, p.Accept())
	dial(t, p)
}

func TestAcceptsThenCloses(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	require.NoError(t, p.AcceptsThenCloses())
	plain, plainServer := dial(t, p), s.accept(t)
	send(t, plain, "anything else")
	receive(t, plainServer, "anything else")
	send(t, plainServer, "passes both ways")
	receive(t, plain, "passes both ways")

	p.Delay(ToServer, time.Hour)
	client := dial(t, p)
	request := "\x00\x00\x00\x10\x04\xd2\x16\x2epid:key:"
	send(t, client, request)
	require.ErrorIs(t, receiveEnd(t, client), io.EOF, "before the server has heard of it")
	require.NoError(t, client.Close())
	p.Delay(ToServer, 0)
	server := s.accept(t)
	receive(t, server, request)
	require.ErrorIs(t, receiveEnd(t, server), io.EOF)

	require.NoError(t, p.Accept())
	client, server = dial(t, p), s.accept(t)
	send(t, client, request)
	receive(t, server, request)
	receiveNothing(t, client)
}

func TestAcceptOnly(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	require.NoError(t, p.AcceptOnly())
	client := dial(t, p)
	send(t, client, "hello?")
	receiveNothing(t, client)
	s.acceptsNothing(t)

	require.NoError(t, p.Heal())
	receiveNothing(t, client)
	other := dial(t, p)
	send(t, other, "hello")
	receive(t, s.accept(t), "hello")

	require.NoError(t, client.Close())
	awaitOpen(t, p, 1)
	assert.Equal(t, 2, p.Stat().Accepted)
}

func TestHangUp(t *testing.T) {
	p, client, server := through(t)
	p.HangUp(ToServer)
	require.Equal(t, io.EOF, receiveEnd(t, server))
	send(t, client, "into the void")
	send(t, server, "into the void")
	require.NoError(t, server.Close())
	receiveNothing(t, client)
	require.NoError(t, client.Close())
	awaitOpen(t, p, 0)

	p, client, server = through(t)
	p.HangUp(ToClient)
	require.Equal(t, io.EOF, receiveEnd(t, client))
	require.NoError(t, client.Close())
	receiveNothing(t, server)
	p.HangUp(ToServer)
	require.Equal(t, io.EOF, receiveEnd(t, server))
	require.NoError(t, server.Close())
	awaitOpen(t, p, 0)
}

// What lies unread in the proxy's sockets does not make the FIN a reset.
func TestHangUpWhileDataIsUnderWay(t *testing.T) {
	p, client, server := through(t)
	p.BlackHole(BothWays)
	send(t, server, "unread")
	p.HangUp(BothWays)
	require.Equal(t, io.EOF, receiveEnd(t, client))
	require.Equal(t, io.EOF, receiveEnd(t, server))
}

func TestReset(t *testing.T) {
	p, client, server := through(t)
	p.Reset(BothWays)
	requireReset(t, receiveEnd(t, client))
	requireReset(t, receiveEnd(t, server))
	awaitOpen(t, p, 0)

	p, client, server = through(t)
	p.BlackHole(BothWays) // a reset comes from the proxy, not through it
	p.Reset(ToClient)
	requireReset(t, receiveEnd(t, client))
	receiveNothing(t, server)
	require.NoError(t, server.Close())
	awaitOpen(t, p, 0)
}

// The server has accepted, the proxy does not know it yet.
func TestResetWhileDialing(t *testing.T) {
	for range 50 {
		s := newTCPServer(t)
		p := newProxy(t, s)
		client := dial(t, p)
		server := s.accept(t)
		p.Reset(BothWays)
		requireReset(t, receiveEnd(t, server))
		requireReset(t, receiveEnd(t, client))
		p.Close()
	}
}

func TestFaultOfOneConnection(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	ill, well := dial(t, p), dial(t, p)
	servers := []*net.TCPConn{s.accept(t), s.accept(t)}
	c := p.ConnOf(ill)
	c.BlackHole(BothWays)
	send(t, ill, "x")
	send(t, well, "x")
	require.Eventually(t, func() bool { return p.ConnOf(well).Bytes(ToServer) == 1 }, wide, time.Millisecond)
	for _, server := range servers {
		send(t, server, "y")
	}
	receive(t, well, "y")
	receiveNothing(t, ill)
	c.Lift(ToClient)
	receive(t, ill, "y")
	assert.Zero(t, c.Bytes(ToServer))
	c.Heal()
	require.Eventually(t, func() bool { return c.Bytes(ToServer) == 1 }, wide, time.Millisecond)

	c.Delay(ToClient, time.Hour)
	for _, server := range servers {
		send(t, server, "z")
	}
	receive(t, well, "z")
	receiveNothing(t, ill)
	c.DelayFunc(ToClient, nil)
	receive(t, ill, "z")
	c.Throttle(BothWays, -1)

	c.Reset(BothWays)
	requireReset(t, receiveEnd(t, ill))
	awaitOpen(t, p, 1)
	c.Reset(BothWays)
	c.HangUp(BothWays)
	send(t, well, "x")
}

func TestRetarget(t *testing.T) {
	first, second := newTCPServer(t), newTCPServer(t)
	p := newProxy(t, first)
	a, b := dial(t, p), first.accept(t)
	require.NoError(t, p.Retarget(second.Addr().String()))
	send(t, dial(t, p), "to the second")
	receive(t, second.accept(t), "to the second")
	send(t, a, "to the first")
	receive(t, b, "to the first")
	require.Error(t, p.Retarget("nonsense"))
	require.Error(t, p.Retarget("postgres://h:port/"))
}

func TestProxyClose(t *testing.T) {
	p, client, server := through(t)
	p.BlackHole(BothWays)
	send(t, client, "held back")
	p.Delay(BothWays, time.Hour)
	p.Close()
	p.Close()
	require.Error(t, receiveEnd(t, client))
	require.Error(t, receiveEnd(t, server))
	for _, f := range []func() error{p.Accept, p.AcceptOnly, p.AcceptsThenCloses, p.Refuse, p.DropSYN, p.Heal} {
		require.ErrorIs(t, f(), net.ErrClosed)
	}
	require.ErrorIs(t, p.Retarget("127.0.0.1:1"), net.ErrClosed)
	p.Throttle(BothWays, 1)
	p.Reset(BothWays)
	assert.Zero(t, p.Stat().Open)
	requireRefused(t, p)
}

// Whatever comes and goes, no byte is lost, changed or put out of order.
func TestProxyKeepsDataWhole(t *testing.T) {
	s := newTCPServer(t)
	p := newProxy(t, s)
	const conns, size = 8, 1 << 20
	var work sync.WaitGroup
	for i := range conns {
		client := dial(t, p)
		server := s.accept(t)
		for j, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
			data := make([]byte, size)
			dice := rand.NewChaCha8([32]byte{byte(i), byte(j)})
			dice.Read(data)
			work.Go(func() {
				way[0].Write(data)
				way[0].CloseWrite()
			})
			work.Go(func() {
				hash := sha256.New()
				n, err := io.Copy(hash, way[1])
				assert.NoError(t, err)
				assert.Equal(t, int64(size), n)
				assert.Equal(t, sha256.Sum256(data), [32]byte(hash.Sum(nil)))
			})
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		work.Wait()
	}()
	dice := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		way := Direction(1 + dice.IntN(3))
		switch dice.IntN(5) {
		case 0:
			p.DelayFunc(way, Uniform(0, 3*time.Millisecond))
		case 1:
			p.Throttle(way, 1<<20)
		case 2:
			p.BlackHole(way)
		case 3:
			p.Lift(way)
		default:
			assert.NoError(t, p.Heal())
		}
		time.Sleep(time.Millisecond) // so that data travels between one change and the next
	}
	assert.NoError(t, p.Heal())
	<-done
	awaitOpen(t, p, 0)
	assert.Equal(t, ProxyStat{Accepted: conns, ToServer: conns * size, ToClient: conns * size}, p.Stat())
}

func TestParseTarget(t *testing.T) {
	for _, test := range []struct{ target, network, address string }{
		{"127.0.0.1:5432", "tcp", "127.0.0.1:5432"},
		{"[::1]:5432", "tcp", "[::1]:5432"},
		{"postgres://u:p@h:1,i:2/db", "tcp", "h:1"},
		{"host=h port=1", "tcp", "h:1"},
	} {
		got, err := parseTarget(test.target)
		require.NoError(t, err)
		assert.Equal(t, test.network, got.network)
		assert.Equal(t, test.address, got.address)
	}
	for _, target := range []string{"", "h", "postgres://h:port/"} {
		_, err := NewProxy(target)
		assert.ErrorContains(t, err, "pooltest: ")
	}
}

func TestWithAddress(t *testing.T) {
	for _, test := range []struct{ connString, want string }{
		{"postgres://u:p%40@h:1/db?sslmode=disable", "postgres://u:p%40@127.0.0.1:9/db?sslmode=disable"},
		{"postgresql://h1:1,h2:2/db", "postgresql://127.0.0.1:9/db"},
		{"postgres://h", "postgres://127.0.0.1:9"},
		{"postgres:///db?port=1&a=b&host=%2Ftmp", "postgres://127.0.0.1:9/db?a=b"},
		{"postgres://u@/db?host=%2Ftmp", "postgres://u@127.0.0.1:9/db"},
		{"host=h dbname=db port=1", "host=h dbname=db port=1 host=127.0.0.1 port=9"},
	} {
		got := withAddress(test.connString, "127.0.0.1:9")
		assert.Equal(t, test.want, got)
		to, err := parseTarget(got)
		require.NoError(t, err)
		assert.Equal(t, "127.0.0.1:9", to.address)
	}
}

func TestDirectionString(t *testing.T) {
	assert.Equal(t, "ToServer ToClient BothWays no direction",
		ToServer.String()+" "+ToClient.String()+" "+BothWays.String()+" "+Direction(0).String())
}

func TestDropSYNIsUnsupported(t *testing.T) {
	if canDropSYN {
		t.Skip("it is supported here")
	}
	p, client, server := through(t)
	require.ErrorIs(t, p.DropSYN(), errors.ErrUnsupported)
	send(t, client, "x")
	receive(t, server, "x")
	dial(t, p)
}
