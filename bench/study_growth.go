package main

import (
	"context"
	"fmt"

	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/bench/result"
)

// limits measures the supervisor alone, lending numbers, with ever more of them: a get
// and a put must not cost more for that. There are twice as many borrowers, so half of
// them wait.
func limits() study {
	s := study{
		name:  "limit",
		title: "A get and a put of nothing, twice as many goroutines as the limit, each yields",
		units: []string{result.PerOp},
	}
	for _, limit := range []int{1, 10, 100, 1000} {
		s.settings = append(s.settings, crowd("limit", limit, limit, 2*limit))
	}
	return s
}

// crowds measures it with ever more who wait.
func crowds() study {
	s := study{
		name:  "waiters",
		title: "A get and a put of nothing, limit 8, so many goroutines wait, each yields",
		units: []string{result.PerOp},
	}
	for _, waiting := range []int{1, 10, 100, 1000, 10000} {
		s.settings = append(s.settings, crowd("waiters", waiting, connections, connections+waiting))
	}
	return s
}

func crowd(name string, value, limit, goroutines int) setting {
	return setting{
		params: named(name, fmt.Sprint(value)),
		peers:  []peer{supervisor, channel},
		least:  opsEach * goroutines,
		measure: func(ctx context.Context, l *lab, p peer) (turn, error) {
			r, err := l.rig(ctx, p, conditions{limit: limit})
			if err != nil {
				return nil, err
			}
			return cycles(r, goroutines, holdYield.hold).turn(ctx), nil
		},
	}
}

// supervisor lends numbers.
var supervisor = peer{"supervisor", func(ctx context.Context, c conditions) (*rig, error) {
	s, err := actor.Start(ctx, actor.Config[int]{
		MaxOpen: c.limit,
		Open:    func(context.Context) (int, error) { return 0, nil },
		Close:   func(context.Context, int) error { return nil },
	})
	if err != nil {
		return nil, err
	}
	return &rig{
		cycle: func(ctx context.Context, hold func()) error {
			lease, err := s.Get(ctx)
			if err != nil {
				return err
			}
			hold()
			return lease.Put()
		},
		close: func() { _ = s.CloseAll(ctx) },
	}, nil
}}
