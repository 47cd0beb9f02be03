package line

import (
	"context"
	"runtime"
	"sync"
	"testing"
)

// Each case runs on the line and on a bare buffered channel, which knows no more than to
// take and to give: what the line costs above that is what its rules cost.

type passer struct {
	name string
	get  func() int
	put  func(v int)
}

func passers(values int) []passer {
	ctx := context.Background()
	l := New(values, Owner[int]{Wake: func(context.Context) {}, Bring: func(int) { panic("no room") }})
	l.SetFull(true)
	bare := make(chan int, values)
	for v := range values {
		l.Give(v)
		bare <- v
	}
	return []passer{
		{"line", func() int {
			if v, ok := l.Take(); ok {
				return v
			}
			l.Join()
			v, err := l.Await(ctx, nil, nil)
			if err != nil {
				panic(err)
			}
			return v
		}, func(v int) {
			if _, ok := l.Give(v); !ok {
				panic("no room")
			}
		}},
		{"channel", func() int { return <-bare }, func(v int) { bare <- v }},
	}
}

func BenchmarkTakeAndGive(b *testing.B) {
	for _, p := range passers(8) {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.put(p.get())
			}
		})
	}
}

// BenchmarkWait has 64 goroutines share 8 values, each of which yields while it holds one.
func BenchmarkWait(b *testing.B) {
	const goroutines = 64
	for _, p := range passers(8) {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			var all sync.WaitGroup
			for g := range goroutines {
				n := b.N / goroutines
				if g < b.N%goroutines {
					n++
				}
				all.Go(func() {
					for range n {
						v := p.get()
						runtime.Gosched()
						p.put(v)
					}
				})
			}
			all.Wait()
		})
	}
}
