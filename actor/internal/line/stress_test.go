package line

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestStress lets borrowers run freely on a line with a keeper, while the gate shuts and
// opens, dials fail, values are thrown away and waiters give up, until the line ends under
// them. Every get must return, and no value may be lent twice at a time.
func TestStress(t *testing.T) {
	for _, c := range []struct {
		name             string
		limit, borrowers int
	}{{"one value", 1, 8}, {"few values", 4, 32}, {"more values than hand takes", 16, 64}} {
		t.Run(c.name, func(t *testing.T) {
			for range 4 {
				newStress(t, c.limit, c.borrowers).run(400 * time.Millisecond)
			}
		})
	}
}

type stress struct {
	t         *testing.T
	line      *Line[int]
	keeper    *keeper
	borrowers int
	inbox     chan message
	lent      []atomic.Bool // by value
	gets      atomic.Int64  // that got a value
	waited    atomic.Int64  // that got one after a wait
	ended     atomic.Bool   // the keeper has been told to end
}

// mostValues bounds how many values a run opens: each has an entry in lent.
const mostValues = 1 << 20

func newStress(t *testing.T, limit, borrowers int) *stress {
	s := &stress{t: t, borrowers: borrowers, inbox: make(chan message, 4*borrowers), lent: make([]atomic.Bool, mostValues)}
	s.line = New(limit, Owner[int]{
		Wake:  func(context.Context) { s.inbox <- message{kind: woke} },
		Bring: func(v int) { s.inbox <- message{kind: brought, value: v} },
	})
	s.line.hand = make(chan answer[int], 2)
	s.keeper = &keeper{line: s.line, limit: limit, dial: func() {
		go func() {
			runtime.Gosched()
			if rand.IntN(10) == 0 {
				s.inbox <- message{kind: failed}
			} else {
				s.inbox <- message{kind: opened}
			}
		}()
	}}
	return s
}

func (s *stress) run(long time.Duration) {
	over := make(chan struct{})
	kept := make(chan struct{})
	go s.keep(over, kept)

	var others sync.WaitGroup
	others.Go(func() { s.disturb(long) })
	var borrowers sync.WaitGroup
	for range s.borrowers {
		borrowers.Go(s.borrow)
	}
	all := make(chan struct{})
	go func() { others.Wait(); borrowers.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(long + 30*time.Second):
		buf := make([]byte, 1<<20)
		s.t.Fatalf("a get does not return: %d wait, %d answers, %d idle\n%s",
			s.line.Waiting(), s.line.Answers(), s.line.Idle(), buf[:runtime.Stack(buf, true)])
	}
	close(over)
	<-kept
	k := s.keeper
	if s.line.Waiting() != 0 || s.line.Answers() != 0 || s.line.Idle() != 0 || k.open != 0 {
		s.t.Fatalf("at the end %d wait, %d answers, %d idle, %d open", s.line.Waiting(), s.line.Answers(), s.line.Idle(), k.open)
	}
	if s.gets.Load() < 100 || s.waited.Load() < 10 {
		s.t.Fatalf("only %d gets, %d of them after a wait: this shows nothing", s.gets.Load(), s.waited.Load())
	}
}

// keep runs the keeper until it has ended and over is closed.
func (s *stress) keep(over <-chan struct{}, kept chan<- struct{}) {
	defer close(kept)
	k := s.keeper
	for {
		if k.again {
			runtime.Gosched()
			select {
			case m := <-s.inbox:
				k.serve(m)
			default:
				k.settle()
			}
			continue
		}
		var idle, top <-chan int
		if k.shut || k.ending {
			idle, top = s.line.Laid()
		}
		select {
		case m := <-s.inbox:
			k.serve(m)
		case v := <-idle:
			k.serve(message{kind: brought, value: v})
		case v := <-top:
			k.serve(message{kind: brought, value: v})
		case <-over:
			if k.done() && len(s.inbox) == 0 {
				return
			}
			k.settle()
			runtime.Gosched()
		}
	}
}

// disturb shuts and opens the gate, and so on, and ends the line at last.
func (s *stress) disturb(long time.Duration) {
	for begin := time.Now(); time.Since(begin) < long; {
		switch rand.IntN(4) {
		case 0:
			s.inbox <- message{kind: shutGate}
			time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
			s.inbox <- message{kind: openGate}
		case 1:
			s.inbox <- message{kind: refuseOne}
		default:
			s.inbox <- message{kind: checkIdle}
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	}
	s.ended.Store(true)
	s.inbox <- message{kind: end}
}

// borrow gets and puts until the line has ended.
func (s *stress) borrow() {
	for {
		v, err := s.get()
		if errors.Is(err, ErrEnded) {
			if !s.ended.Load() {
				s.t.Error("a get is told of an end that has not begun")
			}
			return
		}
		if err != nil {
			continue
		}
		if s.lent[v].Swap(true) {
			s.t.Errorf("value %d is lent twice", v)
		}
		s.gets.Add(1)
		if rand.IntN(2) == 0 {
			runtime.Gosched()
		}
		if !s.lent[v].Swap(false) {
			s.t.Errorf("value %d was put while it was lent", v)
		}
		if rand.IntN(50) == 0 {
			s.inbox <- message{kind: discarded}
		} else if rest, ok := s.line.Give(v); !ok {
			s.inbox <- message{kind: brought, value: rest}
		}
	}
}

func (s *stress) get() (int, error) {
	if v, ok := s.line.Take(); ok {
		return v, nil
	}
	ctx := context.Background()
	var late <-chan time.Time
	switch rand.IntN(4) {
	case 0:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(100))*time.Microsecond)
		defer cancel()
	case 1:
		late = time.After(time.Duration(rand.IntN(100)) * time.Microsecond)
	}
	if rand.IntN(8) == 0 && !s.ended.Load() {
		joined := make(chan struct{})
		s.inbox <- message{kind: joinFor, joined: func() { close(joined) }}
		<-joined
	} else {
		s.line.Join()
	}
	v, err := s.line.Await(ctx, late, nil)
	if err == nil {
		s.waited.Add(1)
	}
	return v, err
}
