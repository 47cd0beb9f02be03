package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A session sends a letter with MAIL and SEND; RSET forgets one that was begun.
type session struct {
	net.Conn
	answers *bufio.Scanner
	begun   bool
	broken  bool
}

// say sends a line and waits for the answer, until the deadline of ctx.
func (s *session) say(ctx context.Context, line string) error {
	deadline, _ := ctx.Deadline()
	_ = s.SetDeadline(deadline)
	if _, err := fmt.Fprintln(s, line); err != nil || !s.answers.Scan() {
		s.broken = true
		return fmt.Errorf("%s: no answer", line)
	}
	s.begun = line == "MAIL"
	return nil
}

func config(addr string) actor.Config[*session] {
	return actor.Config[*session]{
		MinOpen: 1,
		MaxOpen: 3,
		Open: func(ctx context.Context) (*session, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return &session{Conn: conn, answers: bufio.NewScanner(conn)}, nil
		},
		Close: func(ctx context.Context, s *session) error { return errors.Join(s.say(ctx, "QUIT"), s.Conn.Close()) },
		Kill:  func(s *session) { _ = s.Conn.Close() }, // whoever works with it sees an error
		Judge: func(s *session) actor.Verdict { // at every put
			switch {
			case s.broken:
				return actor.Discard
			case s.begun:
				return actor.Clean
			}
			return actor.Keep
		},
		Clean:     func(ctx context.Context, s *session) error { return s.say(ctx, "RSET") },
		Look:      func(*session) actor.Verdict { return actor.Check },
		LookAfter: time.Nanosecond, // at every get; a busier pool would look after seconds
		Check:     func(ctx context.Context, s *session) error { return s.say(ctx, "NOOP") },
	}
}
