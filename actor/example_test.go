package actor_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// A conn stands for anything that is slow to open and worth reusing.
type conn struct{ id int64 }

// config opens conns 1, 2, 3 and so on.
func config() actor.Config[*conn] {
	var last atomic.Int64
	return actor.Config[*conn]{
		MaxOpen: 2,
		Open:    func(context.Context) (*conn, error) { return &conn{last.Add(1)}, nil },
		Close:   func(_ context.Context, c *conn) error { fmt.Println("closed conn", c.id); return nil },
	}
}

func ExampleStart() {
	ctx := context.Background()
	pool, err := actor.Start(ctx, config())
	if err != nil {
		fmt.Println(err)
		return
	}

	lease, err := pool.Get(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("lent conn", lease.Value().id)
	lease.Put()
	fmt.Println("a second put:", lease.Put())

	lease, _ = pool.Get(ctx)
	fmt.Println("lent conn", lease.Value().id)
	lease.Discard()

	lease, _ = pool.Get(ctx)
	fmt.Println("lent conn", lease.Value().id)
	lease.Put()

	fmt.Println(pool.CloseAll(ctx))
	// Unordered output:
	// lent conn 1
	// a second put: not leased: put back already
	// lent conn 1
	// closed conn 1
	// lent conn 2
	// closed conn 2
	// <nil>
}

func ExampleStart_configError() {
	cfg := config()
	cfg.MinOpen = 3
	_, err := actor.Start(context.Background(), cfg)
	fmt.Println(err)
	var ce *actor.ConfigError
	fmt.Println(errors.As(err, &ce), ce.Field)
	// Output:
	// invalid MinOpen 3: must not be greater than MaxOpen (2)
	// true MinOpen
}

// A get that waits fails when its context ends, and tells how things stood.
func ExampleWaitError() {
	ctx := context.Background()
	cfg := config()
	cfg.MaxOpen = 1
	pool, _ := actor.Start(ctx, cfg)
	lease, _ := pool.Get(ctx)

	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err := pool.Get(short)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.Is(err, actor.ErrExhausted))
	var w *actor.WaitError
	if errors.As(err, &w) {
		fmt.Printf("%d of %d in use, %d others waiting\n", w.Leased, w.Limit, w.Waiting)
	}

	_, err = pool.TryGet(ctx)
	fmt.Println(err)
	lease.Put()
	pool.CloseAll(ctx)
	// Output:
	// true true
	// 1 of 1 in use, 0 others waiting
	// pool exhausted
	// closed conn 1
}

// While the pool is paused nothing is lent, and the server can be restarted.
func ExampleSupervisor_Pause() {
	ctx := context.Background()
	pool, _ := actor.Start(ctx, config())
	lease, _ := pool.Get(ctx)

	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	err := pool.Pause(short)
	fmt.Println("paused while one is lent:", err == nil)

	lease.Put()
	fmt.Println("paused:", pool.Pause(ctx) == nil)
	_, err = pool.TryGet(ctx)
	fmt.Println(err)
	pool.Resume()

	lease, _ = pool.Get(ctx)
	fmt.Println("lent conn", lease.Value().id)
	lease.Put()
	pool.CloseAll(ctx)
	// Output:
	// paused while one is lent: false
	// paused: true
	// pool is paused
	// lent conn 1
	// closed conn 1
}

// Sizes can be changed at any moment: gets that wait are served from the new places.
func ExampleSupervisor_Resize() {
	ctx := context.Background()
	pool, _ := actor.Start(ctx, config())
	first, _ := pool.Get(ctx)
	second, _ := pool.Get(ctx)
	_, err := pool.TryGet(ctx)
	fmt.Println(err)

	pool.Resize(0, 3)
	third, _ := pool.Get(ctx)
	fmt.Println("lent conn", third.Value().id, "of", pool.Stat().Limit)
	fmt.Println(pool.Resize(4, 3))

	first.Put()
	second.Put()
	third.Put()
	pool.CloseAll(ctx)
	// Unordered output:
	// pool exhausted
	// lent conn 3 of 3
	// invalid MinOpen 4: must not be greater than MaxOpen (3)
	// closed conn 1
	// closed conn 2
	// closed conn 3
}

// Borrowers may finish until the context of CloseAll ends.
func ExampleSupervisor_CloseAll() {
	ctx := context.Background()
	pool, _ := actor.Start(ctx, config())
	lease, _ := pool.Get(ctx)

	expired, cancel := context.WithCancel(ctx)
	cancel()
	err := pool.CloseAll(expired)
	var ce *actor.CloseError
	if errors.As(err, &ce) {
		fmt.Println("leases revoked:", len(ce.Leases), "of resource", ce.Leases[0].ID)
	}
	err = lease.Put()
	fmt.Println(errors.Is(err, actor.ErrRevoked), errors.Is(err, actor.ErrClosed))
	_, err = pool.Get(ctx)
	fmt.Println(err)
	fmt.Println(pool.CloseAll(ctx))
	// Output:
	// leases revoked: 1 of resource 1
	// true true
	// closed pool
	// closed pool
}
