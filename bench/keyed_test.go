package bench

import (
	"context"
	"testing"

	"github.com/pgactor/pgactor/persistent"
)

// BenchmarkKeyed measures a get and a put under an identity, on 8 open
// connections, beside one without a key and beside pgxpool. All have contexts that
// can be cancelled, as requests do.
//
//   - bound: the identity has its connection all the time, so each get adds a
//     reference, and each put takes it back.
//   - unbound: each get binds a connection to the identity, each put ends that.
//     There is no profile, so neither asks the server.
//
// It reports nanoseconds per operation of each, the ratios to pgxpool (medians over
// the rounds), and the heap allocations and bytes per operation under an identity.
func BenchmarkKeyed(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	peers := []peer{openBound(ctx, b), openUnbound(ctx, b), openPgactor(ctx, b), openPgxpool(ctx, b)}
	settings(b, []int{1, 2, mostGoroutines}, func(b *testing.B, goroutines int, hold func()) {
		measures := compare(b, peers, goroutines, hold)
		theirs := measures[3]
		for i, p := range peers[:3] {
			b.ReportMetric(measures[i].ratio(theirs), p.name+"-ratio")
		}
		measures[0].reportHeap(b, "bound")
		measures[1].reportHeap(b, "unbound")
	})
}

const mostGoroutines = 64

// openBound has 8 identities with a connection each. The goroutines beyond 8 share
// them: there are no connections for more.
func openBound(ctx context.Context, b *testing.B) peer {
	b.Helper()
	p, contexts := openPersistent(ctx, b, connections)
	for _, ctx := range contexts[:connections] {
		c, err := p.GetConn(ctx)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(c.Release)
	}
	return keyed("bound", p, contexts)
}

// openUnbound has an identity for each goroutine.
func openUnbound(ctx context.Context, b *testing.B) peer {
	b.Helper()
	p, contexts := openPersistent(ctx, b, mostGoroutines)
	return keyed("unbound", p, contexts)
}

// openPersistent makes a pool, opens all its connections, and gives each goroutine a
// context of its own with one of so many identities.
func openPersistent(ctx context.Context, b *testing.B, identities int) (*persistent.Pool, []context.Context) {
	b.Helper()
	p, err := persistent.Over(openPool(ctx, b))
	if err != nil {
		b.Fatal(err)
	}
	var contexts []context.Context
	for g := range mostGoroutines {
		own, cancel := context.WithCancel(ctx)
		b.Cleanup(cancel)
		contexts = append(contexts, persistent.WithIdentity(own, g%identities))
	}
	return p, contexts
}

func keyed(name string, p *persistent.Pool, contexts []context.Context) peer {
	return peer{name, func(goroutine int, hold func()) {
		c, err := p.GetConn(contexts[goroutine])
		if err != nil {
			panic(err)
		}
		hold()
		if err := p.PutConn(c); err != nil {
			panic(err)
		}
	}}
}
