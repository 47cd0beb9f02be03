package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"sync"
	"sync/atomic"
)

// A server takes letters, in three sessions at a time; more it turns away.
type server struct {
	net.Listener
	seats           chan struct{}
	letters, resets atomic.Int64
	restarts        atomic.Int64
	sessions        sync.WaitGroup
}

func listen() *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := &server{Listener: l, seats: make(chan struct{}, 3)}
	s.sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			restarts := s.restarts.Load()
			s.sessions.Go(func() { s.serve(conn, restarts) })
		}
	})
	return s
}

// serve answers each line of a session that began after so many restarts.
func (s *server) serve(conn net.Conn, restarts int64) {
	defer conn.Close()
	select {
	case s.seats <- struct{}{}:
	default:
		return
	}
	leave := sync.OnceFunc(func() { <-s.seats })
	defer leave()
	for lines := bufio.NewScanner(conn); lines.Scan() && s.restarts.Load() == restarts; {
		switch lines.Text() {
		case "SEND":
			s.letters.Add(1)
		case "RSET":
			s.resets.Add(1)
		case "QUIT":
			leave() // before the answer: then the seat is free
		}
		fmt.Fprintln(conn, "250 ok")
	}
}

// hangUp has the sessions there are end, at their next line.
func (s *server) hangUp() { s.restarts.Add(1) }

// close waits until the last session has ended.
func (s *server) close() {
	_ = s.Close()
	s.sessions.Wait()
}
