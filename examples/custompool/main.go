// Custompool lends TCP sessions with a server that greets whoever says a name: a
// pool of your own is an actor.Config that says how to handle one resource.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net"

	"github.com/pgactor/pgactor/actor"
)

type session struct {
	net.Conn
	answers *bufio.Scanner
	broken  bool
}

// greet says a name and waits for the answer, until the deadline of ctx.
func (s *session) greet(ctx context.Context, name string) error {
	deadline, _ := ctx.Deadline()
	_ = s.SetDeadline(deadline)
	_, err := fmt.Fprintln(s, name)
	s.broken = err != nil || !s.answers.Scan() || s.answers.Text() != "Hello, "+name
	if s.broken {
		return fmt.Errorf("%s was not greeted", name)
	}
	return nil
}

// sessions is all that is special about this pool.
func sessions(addr string) actor.Config[*session] {
	return actor.Config[*session]{
		MinOpen: 1, MaxOpen: 3,
		Open: func(ctx context.Context) (*session, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return &session{Conn: conn, answers: bufio.NewScanner(conn)}, nil
		},
		Close: func(_ context.Context, s *session) error { return s.Conn.Close() },
		Kill:  func(s *session) { _ = s.Conn.Close() }, // whoever works with it sees an error
		Judge: func(s *session) actor.Verdict { // at every put
			if s.broken {
				return actor.Discard
			}
			return actor.Keep
		},
	}
}

func main() {
	ctx := context.Background()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	go serve(server)

	pool, err := actor.Start(ctx, sessions(server.Addr().String()))
	if err != nil {
		log.Fatal(err)
	}
	names := []string{"Ada", "Barbara", "Edsger", "Grace", "Tony"}
	results := make(chan error)
	for _, name := range names {
		go func() { results <- greetWith(ctx, pool, name) }()
	}
	for range names {
		err = errors.Join(err, <-results)
	}
	fmt.Println("errors:", err, "- never more than 3 sessions:", pool.Stat().Opened <= 3)
	fmt.Println("closed:", pool.CloseAll(ctx), "- open:", pool.Stat().Open)
}

func greetWith(ctx context.Context, pool *actor.Supervisor[*session], name string) error {
	lease, err := pool.Get(ctx) // waits for its turn
	if err != nil {
		return err
	}
	defer lease.Put()
	return lease.Value().greet(ctx, name)
}

func serve(server net.Listener) {
	for conn, err := server.Accept(); err == nil; conn, err = server.Accept() {
		go func() {
			for names := bufio.NewScanner(conn); names.Scan(); {
				fmt.Fprintln(conn, "Hello, "+names.Text())
			}
			conn.Close()
		}()
	}
}
