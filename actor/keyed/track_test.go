package keyed

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 17 and 19: what is told of holds.

func TestRule17EveryEndIsReported(t *testing.T) {
	lent := func(b *bed) *int64 { // the things that OnEnd was told of while they were in the pool
		early := new(int64)
		b.table.config.OnEnd = func(th *thing) {
			b.pool.mu.Lock()
			defer b.pool.mu.Unlock()
			if slices.Contains(b.pool.idle, th) {
				*early++
			}
			b.ended <- th.id
		}
		return early
	}
	for name, end := range map[string]func(b *bed, h *Hold[*thing], cancel func()){
		"put":         func(b *bed, h *Hold[*thing], _ func()) { b.put(h) },
		"discard":     func(b *bed, h *Hold[*thing], _ func()) { require.NoError(b, h.Discard()) },
		"take":        func(b *bed, h *Hold[*thing], _ func()) { _, err := h.Take(); require.NoError(b, err) },
		"put by key":  func(b *bed, _ *Hold[*thing], _ func()) { require.NoError(b, b.table.Put(b.Context(), "k", false)) },
		"its context": func(_ *bed, _ *Hold[*thing], cancel func()) { cancel() },
		"both":        func(b *bed, h *Hold[*thing], cancel func()) { cancel(); b.put(h) },
		"revoked":     func(b *bed, h *Hold[*thing], _ func()) { b.pool.revoke(1, actor.ReasonHeld); b.revokedIs(h.Put()) },
		"revoked, take": func(b *bed, h *Hold[*thing], _ func()) {
			b.pool.revoke(1, actor.ReasonHeld)
			_, err := h.Take()
			b.revokedIs(err)
		},
		"in a turn": func(b *bed, h *Hold[*thing], _ func()) {
			b.begin(h, "read")
			b.put(h)
			assert.Empty(b, b.reports())
			h.End()
		},
		"EndGrace": func(b *bed, h *Hold[*thing], cancel func()) {
			b.begin(h, "read")
			cancel()
			assert.Empty(b, b.reports())
			time.Sleep(time.Second)
			assert.Equal(b, []int64{1}, b.reports())
			h.End()
			b.put(h)
			b.ended <- 1 // as the others have it
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				early := lent(b)
				h, cancel := b.tied("k")
				end(b, h, cancel)
				assert.Equal(b, []int64{1}, b.reports())
				_, _ = h.Put(), h.Discard()
				cancel()
				assert.Empty(b, b.reports(), "once")
				assert.Zero(b, *early)
			})
		})
	}
}

// OnEnd that panics keeps nothing.
func TestAPanicOfOnEnd(t *testing.T) {
	c := Config[*thing]{OnEnd: func(*thing) { panic("out of luck") }}
	inBed(t, 1, c, func(b *bed) {
		x := b.key("k").hold()
		assert.PanicsWithValue(b, "out of luck", func() { _ = x.Put() })
		b.did("put 1")
		y := b.key("k").hold()
		assert.PanicsWithValue(b, "out of luck", func() { _, _ = y.Take() })
		b.did("take 1")
		_, end := b.tied("k")
		end() // it ends in the context's goroutine
		b.did("put 2")
	})
}

// Without OnEnd nobody is told.
func TestNobodyIsTold(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		b.table.config.OnEnd = nil
		b.put(b.key("k").hold())
	})
}

// An origin is a name.
type origin string

func (o origin) Holder() actor.Holder {
	return actor.Holder{Holder: string(o), Label: "of " + string(o), For: time.Hour, Leaked: true}
}

// originOf is Config.Origin: the name in the context.
func originOf(ctx context.Context) Origin {
	if name, ok := ctx.Value(nameKey{}).(string); ok {
		return origin(name)
	}
	return nil
}

func (b *bed) named(name string, r Request[*thing]) (*Hold[*thing], func()) {
	ctx, cancel := b.cancellable()
	return b.get(context.WithValue(ctx, nameKey{}, name), r).hold(), cancel
}

func TestComplete(t *testing.T) {
	inBed(t, 3, Config[*thing]{Origin: originOf}, func(b *bed) {
		complete := func(ids ...uint64) []actor.LeaseInfo {
			var leases []actor.LeaseInfo
			for _, id := range ids {
				leases = append(leases, actor.LeaseInfo{ID: id, Holders: 1, AtLeast: time.Minute, Recalled: true, Holder: "plain", Label: "get", Others: []actor.Holder{{}}, Leaked: true})
			}
			b.table.Complete(leases)
			return leases
		}
		x, cancel := b.named("x", Request[*thing]{Key: "k", Tied: true})
		time.Sleep(time.Second)
		y, _ := b.named("y", Request[*thing]{Key: "k"})
		nameless := b.key("k").hold()
		j := b.key("j").hold()
		b.begin(x, "read")
		plain := actor.LeaseInfo{ID: 7, Holders: 1, AtLeast: time.Minute, Recalled: true, Holder: "plain", Label: "get", Others: []actor.Holder{{}}, Leaked: true}
		first := actor.LeaseInfo{
			ID: 1, Key: "k", Holders: 3, AtLeast: time.Second, Recalled: true, Holder: "x", Label: "of x", Doing: "read",
			Others: []actor.Holder{{Holder: "y", Label: "of y"}},
		}
		second := actor.LeaseInfo{ID: 2, Key: "j", Holders: 1, Recalled: true, Holder: "plain", Label: "get"}
		got := complete(7, 2, 1)
		assert.Equal(b, []actor.LeaseInfo{plain, second, first}, got)
		got[2].Others[0].Holder = "somebody's business"
		time.Sleep(time.Minute)
		first.AtLeast, first.Others[0].For = time.Minute+time.Second, time.Minute
		assert.Equal(b, []actor.LeaseInfo{first}, complete(1), "nothing is shared")

		cancel() // it is used still
		assert.Equal(b, []actor.LeaseInfo{first}, complete(1))
		b.put(nameless)
		b.put(y)
		first.Holders, first.Others = 1, nil
		assert.Equal(b, []actor.LeaseInfo{first}, complete(1), "its key serves nobody, and is told")
		x.End()
		plain.ID = 1
		assert.Equal(b, []actor.LeaseInfo{plain}, complete(1))
		b.put(j)
		plain.ID = 2
		assert.Equal(b, []actor.LeaseInfo{plain}, complete(2))
	})
}

// A hold lasts since its grant, however long its get waited.
func TestHoldersHaveTheTimeOfTheirGrant(t *testing.T) {
	inBed(t, 1, Config[*thing]{Origin: originOf}, func(b *bed) {
		ctx := context.WithValue(b.Context(), nameKey{}, "x")
		b.pool.script <- func(context.Context) error { time.Sleep(time.Hour); return nil }
		first, second := b.get(ctx, Request[*thing]{Key: "k"}), b.get(ctx, Request[*thing]{Key: "k"})
		time.Sleep(time.Hour)
		third := b.get(ctx, Request[*thing]{Key: "k"})
		time.Sleep(time.Second)
		assert.Equal(b, time.Second, first.hold().ref.holder(false).For)
		leases := []actor.LeaseInfo{{ID: 1}}
		b.table.Complete(leases)
		other := actor.Holder{Holder: "x", Label: "of x", For: time.Second}
		assert.Equal(b, []actor.Holder{other, other}, leases[0].Others)
		for _, w := range []*pending{first, second, third} {
			b.put(w.hold())
		}
	})
}

// An entry that ends as it is looked at is left.
func TestCompleteOfWhatEnds(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("k").hold()
		e := x.ref.entry
		put := in(func() { assert.NoError(b, x.Put()) })
		<-put
		leases := []actor.LeaseInfo{{ID: 1, Holder: "plain"}}
		e.describe(&leases[0])
		assert.Equal(b, []actor.LeaseInfo{{ID: 1, Holder: "plain"}}, leases)
	})
}

// In real time: the collector tells from outside any bubble.

func leaky(t *testing.T, maxLease time.Duration) (*Table[*thing], *fakePool, chan string) {
	p, leaks := newFakePool(t, 3), make(chan string, 100)
	return New(Config[*thing]{
		Get: p.getBy, Closing: p.closing, Origin: originOf, MaxLease: maxLease,
		OnLeak: func(id uint64, h actor.Holder) {
			leaks <- fmt.Sprint(id, " ", h.Holder, " ", h.Leaked, " ", h.For < time.Hour)
		},
	}), p, leaks
}

func drop(t *testing.T, table *Table[*thing], ctx context.Context, r Request[*thing]) {
	_, err := table.Get(context.WithValue(ctx, nameKey{}, "dropper"), r)
	require.NoError(t, err)
}

func collect() {
	for range 20 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

func TestRule19ALeakIsFound(t *testing.T) {
	table, _, leaks := leaky(t, 0)
	kept, err := table.Get(t.Context(), Request[*thing]{Key: "k"})
	require.NoError(t, err)
	drop(t, table, t.Context(), Request[*thing]{Key: "k"})
	drop(t, table, t.Context(), Request[*thing]{Key: "k", Tied: true}) // its context puts it
	require.Eventually(t, func() bool { runtime.GC(); return len(leaks) > 0 }, 10*time.Second, time.Millisecond)
	collect()
	assert.Equal(t, "1 dropper true true", <-leaks)
	assert.Empty(t, leaks)
	leases := []actor.LeaseInfo{{ID: 1}}
	table.Complete(leases)
	assert.True(t, leases[0].Leaked)
	assert.Equal(t, []any{"dropper", 3}, []any{leases[0].Holder, leases[0].Holders}, "its place is not free: the borrower may have kept the resource")
	require.NoError(t, kept.Put())
}

func TestALeakOfATiedHoldWhoseContextNeverEnds(t *testing.T) {
	table, _, leaks := leaky(t, 0)
	drop(t, table, context.Background(), Request[*thing]{Key: "k", Tied: true})
	require.Eventually(t, func() bool { runtime.GC(); return len(leaks) > 0 }, 10*time.Second, time.Millisecond)
}

// What is watched, or in a turn, is found all the same.
func TestALeakOfAHoldThatIsWatched(t *testing.T) {
	table, _, leaks := leaky(t, 0)
	var ended func() bool
	func() {
		h, err := table.Get(context.WithValue(t.Context(), nameKey{}, "dropper"), Request[*thing]{Key: "k"})
		require.NoError(t, err)
		_, err = h.Begin("read")
		require.NoError(t, err)
		ended = h.Watch()
	}()
	require.Eventually(t, func() bool { runtime.GC(); return len(leaks) > 0 }, 10*time.Second, time.Millisecond)
	assert.False(t, ended())
	require.NoError(t, table.Put(t.Context(), "k", false))
	assert.True(t, ended())
}

func TestWhatIsPutIsNoLeak(t *testing.T) {
	table, p, leaks := leaky(t, 0)
	named := context.WithValue(t.Context(), nameKey{}, "dropper")
	get := func(key any) *Hold[*thing] {
		h, err := table.Get(named, Request[*thing]{Key: key})
		require.NoError(t, err)
		return h
	}
	for range 100 {
		require.NoError(t, get("a").Put())
		require.NoError(t, get("a").Discard())
		_, err := get("b").Take()
		require.NoError(t, err)
		drop(t, table, t.Context(), Request[*thing]{Key: "c"})
		require.NoError(t, table.Put(t.Context(), "c", false))
	}
	put := get("put")
	require.NoError(t, put.Put())
	put.ref.leak() // as if the runtime had begun it before somebody put the key
	h := get("revoked")
	p.revoke(int64(h.ID()), actor.ReasonHeld)
	runtime.KeepAlive(h)
	collect()
	assert.Empty(t, leaks)
}
