package keyed

import (
	"context"
	"testing"

	"github.com/pgactor/pgactor/actor"
)

// What a get and its put cost, over a pool that costs one allocation.

// A benchPool lends one thing to anybody, as often as it is asked.
type benchPool struct{ value *thing }

type benchLease struct{ pool *benchPool }

func (l *benchLease) Value() *thing           { return l.pool.value }
func (l *benchLease) ID() uint64              { return 1 }
func (l *benchLease) Revoked() error          { return nil }
func (l *benchLease) Put() error              { return nil }
func (l *benchLease) Discard() error          { return nil }
func (l *benchLease) Kill(actor.Reason) error { return nil }
func (l *benchLease) Take() (*thing, error)   { return l.pool.value, nil }

func (p *benchPool) get(context.Context, Patience) (Lease[*thing], error) {
	return &benchLease{pool: p}, nil
}

func benchTable() *Table[*thing] {
	p := &benchPool{value: &thing{}}
	return New(Config[*thing]{Get: p.get, Closing: make(chan struct{})})
}

func getPut(b testing.TB, t *Table[*thing], ctx context.Context, r Request[*thing]) {
	h, err := t.Get(ctx, r)
	if err != nil {
		b.Fatal(err)
	}
	if err := h.Put(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkNew is a get and a put of a key that nobody holds.
func BenchmarkNew(b *testing.B) {
	for name, tied := range map[string]bool{"tied": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			t := benchTable()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				getPut(b, t, ctx, Request[*thing]{Key: "k", Tied: tied})
			}
		})
	}
}

// BenchmarkNested is a get and a put of a key that is held.
func BenchmarkNested(b *testing.B) {
	for name, tied := range map[string]bool{"tied": true, "plain": false} {
		b.Run(name, func(b *testing.B) {
			t := benchTable()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			outer, err := t.Get(ctx, Request[*thing]{Key: "k"})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				getPut(b, t, ctx, Request[*thing]{Key: "k", Tied: tied})
			}
			if err := outer.Put(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkTurn is a turn of a holder.
func BenchmarkTurn(b *testing.B) {
	t := benchTable()
	h, err := t.Get(context.Background(), Request[*thing]{Key: "k"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Begin("read"); err != nil {
			b.Fatal(err)
		}
		h.End()
	}
}

// BenchmarkManyKeys is BenchmarkNew by 64 goroutines, each with a key of its own.
func BenchmarkManyKeys(b *testing.B) {
	t := benchTable()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keys := make(chan int, 1)
	keys <- 0
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		key := <-keys
		keys <- key + 1
		var boxed any = key
		for pb.Next() {
			getPut(b, t, ctx, Request[*thing]{Key: boxed})
		}
	})
}

// TestCost fails if a get and its put allocate more than they may.
func TestCost(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	table := benchTable()
	for _, c := range []struct {
		what         string
		tied, nested bool
		most         float64
	}{
		{"new, tied", true, false, 8},
		{"new", false, false, 5},
		{"nested, tied", true, true, 4},
		{"nested", false, true, 1},
	} {
		var key any = c.what
		if c.nested {
			_, err := table.Get(ctx, Request[*thing]{Key: key})
			if err != nil {
				t.Fatal(err)
			}
		}
		n := testing.AllocsPerRun(1000, func() { getPut(t, table, ctx, Request[*thing]{Key: key, Tied: c.tied}) })
		if n > c.most {
			t.Errorf("%s: %v allocations, of %v", c.what, n, c.most)
		}
	}
}
