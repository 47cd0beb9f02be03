package keyed

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 5 and 6: what a get does to a resource for the key.

// A binder is a Bind that takes half a second and follows a script. Only one may run at
// a time.
type binder struct {
	script chan func(ctx context.Context) error // after them it succeeds at once
	bound  chan string                          // the names of the gets that called it, with the thing
}

func newBinder() *binder {
	return &binder{script: make(chan func(context.Context) error, 100), bound: make(chan string, 1000)}
}

type nameKey struct{}

func (p *binder) bind(ctx context.Context, th *thing) error {
	th.uses++ // nobody else uses it
	p.bound <- fmt.Sprint(ctx.Value(nameKey{}), " ", th.id)
	select {
	case f := <-p.script:
		time.Sleep(time.Second / 2)
		return f(ctx)
	default:
		return nil
	}
}

func (p *binder) all() (names []string) {
	synctest.Wait()
	for len(p.bound) > 0 {
		names = append(names, <-p.bound)
	}
	return names
}

func succeeds(context.Context) error { return nil }
func failing(context.Context) error  { return errNotNow }

// binding is a get that binds.
func (b *bed) binding(p *binder, key any, name string) (*pending, func()) {
	ctx, cancel := b.cancellable()
	return b.get(context.WithValue(ctx, nameKey{}, name), Request[*thing]{Key: key, Bind: p.bind}), cancel
}

func TestRule5BindComesFirst(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		p := newBinder()
		p.script <- succeeds
		first, cancel := b.binding(p, "k", "first")
		second, cancelSecond := b.binding(p, "k", "second")
		plain := b.key("k")
		for _, w := range []*pending{first, second, plain} {
			w.waits()
		}
		assert.Equal(b, 2, b.table.Stat().Waiting)
		time.Sleep(time.Second / 2)
		late, cancelLate := b.binding(p, "k", "late")
		assert.Equal(b, []string{"first 1"}, p.all(), "once for each resource that a key gets")
		for _, w := range []*pending{first, second, plain, late} {
			b.begin(w.hold(), "read").uses++
			w.h.End()
			b.put(w.h)
		}
		b.did("put 1")
		cancel()
		cancelSecond()
		cancelLate()

		b.put(b.key("k").hold())
		assert.Empty(b, p.all(), "a get that does not ask for it")
		other, cancel := b.binding(p, "j", "other")
		b.put(other.hold())
		assert.Equal(b, []string{"other 1"}, p.all())
		cancel()
	})
}

// The get that fetches is asked, whatever those say that wait.
func TestBindIsThatOfTheGetThatFetches(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		p := newBinder()
		x := b.key("j").hold()
		ctx, cancel := b.cancellable()
		plain := b.get(ctx, Request[*thing]{Key: "k"})
		second, stop := b.binding(p, "k", "second")
		third, stopThird := b.binding(p, "k", "third")
		cancel()
		plain.lost()
		b.put(x)
		assert.Equal(b, []string{"second 1"}, p.all())
		b.put(second.hold())
		b.put(third.hold())
		stop()
		stopThird()
	})
}

func TestBindFails(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		p := newBinder()
		p.script <- failing
		first, cancel := b.binding(p, "k", "first")
		second := b.key("k")
		other := b.key("j")
		other.waits()
		time.Sleep(time.Second / 2)
		assert.Equal(b, errNotNow, first.fails())
		assert.Equal(b, errNotNow, second.fails())
		b.did("put 1") // the pool judges what Bind did
		assert.EqualValues(b, 1, b.id(other.hold()))
		b.put(other.h)
		assert.Empty(b, b.reports()[1:], "no get has returned the other two")
		again, stop := b.binding(p, "k", "again")
		b.put(again.hold())
		assert.Equal(b, []string{"first 1", "again 1"}, p.all())
		cancel()
		stop()
	})
}

// The context ends while Bind runs: whatever it says, the resource goes back, and the
// next get binds anew.
func TestBindAndTheEndOfTheContext(t *testing.T) {
	for name, f := range map[string]func(context.Context) error{"succeeds": succeeds, "fails": failing} {
		t.Run(name, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				p := newBinder()
				p.script <- f
				first, cancel := b.binding(p, "k", "first")
				second, stop := b.binding(p, "k", "second")
				cancel()
				first.waits() // Bind goes on
				time.Sleep(time.Second / 2)
				if name == "fails" {
					assert.Equal(b, errNotNow, first.fails())
				} else {
					first.lost()
				}
				b.did("put 1")
				assert.Equal(b, []string{"first 1", "second 1"}, p.all())
				b.put(second.hold())
				stop()
			})
		})
	}
}

// The context ends before Bind begins: it does not.
func TestBindIsNotBegunForNobody(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		p := newBinder()
		ctx, cancel := b.cancellable()
		fetched := make(chan struct{})
		b.pool.script <- func(context.Context) error { <-fetched; return nil }
		w := b.get(ctx, Request[*thing]{Key: "k", Bind: p.bind})
		cancel()
		close(fetched)
		w.lost()
		assert.Empty(b, p.all())
		b.did("put 1")
	})
}

// While Bind runs those who wait may give up, and others come.
func TestBindForTheRest(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		p := newBinder()
		p.script <- succeeds
		first, stop := b.binding(p, "k", "first")
		ctx, cancel := b.cancellable()
		gaveUp := b.get(ctx, Request[*thing]{Key: "k"})
		cancel()
		gaveUp.lost()
		rest := b.key("k")
		time.Sleep(time.Second / 2)
		assert.Equal(b, []string{"first 1"}, p.all())
		b.put(rest.hold())
		b.put(first.hold())
		stop()
	})
}

// A hold of a get that binds may be tied.
func TestBindAndTied(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		p := newBinder()
		ctx, cancel := b.cancellable()
		x := b.get(ctx, Request[*thing]{Key: "k", Bind: p.bind, Tied: true}).hold()
		next, stop := b.binding(p, "j", "next")
		next.waits()
		cancel()
		b.put(next.hold())
		b.expired(x)
		stop()
	})
}

// Bind may use the table for other keys, and need not know of its own.
func TestBindMayUseTheTable(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		h := b.get(b.Context(), Request[*thing]{Key: "k", Bind: func(ctx context.Context, th *thing) error {
			other, err := b.table.Get(ctx, Request[*thing]{Key: "j"})
			require.NoError(b, err)
			assert.NotSame(b, th, other.Value())
			assert.Equal(b, 1, b.table.Stat().Keys)
			b.table.Complete(nil)
			assert.ErrorContains(b, b.table.Put(ctx, "k", false), "not leased")
			return other.Put()
		}}).hold()
		b.put(h)
	})
}

// ways are the ways in which a function does not return.
var ways = map[string]func(){"panics": func() { panic("out of luck") }, "exits": runtime.Goexit}

func TestRule6APanicCostsTheResource(t *testing.T) {
	for way, not := range ways {
		for _, where := range []string{"Get", "Bind", "Put after Bind"} {
			t.Run(where+" "+way, func(t *testing.T) {
				inBed(t, 2, Config[*thing]{}, func(b *bed) {
					p := newBinder()
					script := func(context.Context) error { time.Sleep(time.Second); not(); return nil }
					switch where {
					case "Get":
						b.pool.script <- script
					case "Bind":
						p.script <- script
					default:
						b.pool.judge = func(*thing) { b.pool.judge = nil; not() }
						p.script <- failing
					}
					var returned bool
					var panicked any
					done := in(func() {
						defer func() { panicked = recover() }()
						_, _ = b.table.Get(b.Context(), Request[*thing]{Key: "k", Bind: p.bind})
						returned = true
					})
					synctest.Wait()
					second, third := b.key("k"), b.key("k")
					second.waits()
					time.Sleep(2 * time.Second)
					synctest.Wait()
					require.True(b, isClosed(done))
					assert.False(b, returned, "it goes on")
					if way == "panics" {
						assert.Equal(b, "out of luck", panicked)
					}
					switch where {
					case "Bind":
						b.did("discard 1")
					case "Put after Bind": // what becomes of it is the pool's business; the fake forgets it
						b.did()
						b.pool.mu.Lock()
						l := b.pool.lent[0]
						b.pool.mu.Unlock()
						b.put(second.hold())
						b.put(third.hold())
						assert.NoError(b, l.Discard())
						return
					}
					assert.Equal(b, second.hold().Value(), third.hold().Value())
					b.put(second.h)
					b.put(third.h)
				})
			})
		}
	}
}
