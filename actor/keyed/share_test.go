package keyed

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 1 to 4: what a key stands for, and how it comes by a resource.

func TestRule1OneKeyOneResource(t *testing.T) {
	inBed(t, 3, Config[*thing]{}, func(b *bed) {
		x, y, other := b.key("k").hold(), b.key("k").hold(), b.key("j").hold()
		assert.Same(b, x.Value(), y.Value())
		assert.NotSame(b, x.Value(), other.Value())
		assert.Equal(b, []any{"k", "k", "j"}, []any{x.Key(), y.Key(), other.Key()})
		assert.Equal(b, []uint64{1, 1, 2}, []uint64{x.ID(), y.ID(), other.ID()})
		assert.Equal(b, Stat{Keys: 2, Holds: 3, Fetched: 2}, b.table.Stat())
		b.put(x)
		assert.Zero(b, b.pool.idles(), "one still holds it")
		b.dead(x)
		assert.EqualValues(b, 1, b.id(y))
		assert.False(b, y.Ended())
		b.put(y)
		b.dead(y)
		assert.EqualValues(b, 1, y.ID(), "also after its end")
		assert.Equal(b, 1, b.pool.idles())
		assert.Equal(b, Stat{Keys: 1, Holds: 3, Fetched: 2}, b.table.Stat(), "those that have ended count")
		b.put(other)
		b.did("put 1", "put 2")
	})
}

// A nested get does not need the pool: it is served although others wait.
func TestABoundKeyIsServedAtOnce(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("k").hold()
		w := b.key("j")
		w.waits()
		y := b.key("k").hold()
		b.put(x)
		w.waits()
		b.put(y)
		b.put(w.hold())
	})
}

func TestKeysOfDifferentTypesDiffer(t *testing.T) {
	type (
		user  int
		shard int
		pair  struct{ a, b any }
	)
	keys := []any{1, int64(1), user(1), shard(1), "1", 1.0, true, pair{1, "x"}, pair{"x", 1}, [1]int{1}, struct{}{}, new(int), new(int)}
	inBed(t, len(keys), Config[*thing]{}, func(b *bed) {
		seen := map[*thing]any{}
		var holds []*Hold[*thing]
		for _, k := range keys {
			h := b.key(k).hold()
			assert.Nil(b, seen[h.Value()], "%T %v", k, k)
			seen[h.Value()] = k
			holds = append(holds, h)
		}
		for i, k := range keys {
			h := b.key(k).hold()
			assert.Same(b, holds[i].Value(), h.Value())
			b.put(h)
			b.put(holds[i])
		}
	})
}

func TestKeysThatCannotBe(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ended, cancel := b.cancellable()
		cancel()
		for _, c := range []struct {
			key    any
			reason string
		}{
			{nil, "is nil"},
			{[]int{1}, "not comparable"},
			{map[int]int{}, "not comparable"},
			{func() {}, "not comparable"},
			{struct{ any }{[]int{1}}, "not comparable"},
			{[1]any{[]int{1}}, "not comparable"},
			{math.NaN(), "not equal to itself"},
			{[1]float64{math.NaN()}, "not equal to itself"},
			{struct{ any }{math.NaN()}, "not equal to itself"},
		} {
			for _, ctx := range []context.Context{b.Context(), ended} {
				_, err := b.table.Get(ctx, Request[*thing]{Key: c.key})
				for _, err := range []error{err, b.table.Put(ctx, c.key, false)} {
					var k *actor.KeyError
					require.ErrorAs(b, err, &k, "%T", c.key)
					assert.Equal(b, c.reason, k.Reason)
				}
			}
		}
		assert.Zero(b, b.pool.opened)
	})
}

func TestConfigsThatCannotBe(t *testing.T) {
	get := func(context.Context, Patience) (Lease[int], error) { return nil, errNotNow }
	closing := make(chan struct{})
	for what, c := range map[string]Config[int]{
		"Get":      {Closing: closing},
		"Closing":  {Get: get},
		"Timeout":  {Get: get, Closing: closing, Timeout: -1},
		"MaxLease": {Get: get, Closing: closing, MaxLease: -1},
		"EndGrace": {Get: get, Closing: closing, EndGrace: -1},
	} {
		assert.Panics(t, func() { New(c) }, what)
	}
	assert.Equal(t, 500*time.Millisecond, New(Config[int]{Get: get, Closing: closing}).config.EndGrace)
}

func TestRule2OneGetFetches(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		b.pool.script <- func(context.Context) error { time.Sleep(time.Second); return nil }
		first := b.key("k")
		var waiting []*pending
		for range 3 {
			waiting = append(waiting, b.key("k"))
		}
		other := b.key("j").hold() // which does not wait for k
		assert.Equal(b, Stat{Keys: 1, Waiting: 3, Holds: 1, Fetched: 1}, b.table.Stat(), "the one that fetches waits in the pool")
		time.Sleep(time.Second)
		for _, w := range append(waiting, first) {
			h := w.hold()
			assert.EqualValues(b, 2, h.ID())
			assert.Equal(b, first.at, w.at)
		}
		assert.Equal(b, Stat{Keys: 2, Holds: 5, Fetched: 2}, b.table.Stat())
		for _, w := range append(waiting, first) {
			b.put(w.h)
		}
		b.put(other)
		b.did("put 2", "put 1")
	})
}

// The fetcher puts at once: those who waited have it all the same.
func TestAFetcherThatPutsAtOnceTakesNothingFromTheOthers(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		b.pool.script <- func(context.Context) error { time.Sleep(time.Second); return nil }
		var waiting []*pending
		fetched := in(func() {
			h, err := b.table.Get(b.Context(), Request[*thing]{Key: "k"})
			assert.NoError(b, err)
			assert.NoError(b, h.Put())
		})
		synctest.Wait()
		for range 3 {
			waiting = append(waiting, b.key("k"))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.True(b, isClosed(fetched))
		b.did()
		for _, w := range waiting {
			assert.EqualValues(b, 1, b.id(w.hold()))
			b.put(w.h)
		}
		b.did("put 1")
	})
}

// in calls f in a goroutine, and returns what is closed when it is done.
func in(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

func TestAThousandWaitForOneKey(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		b.pool.script <- func(context.Context) error { time.Sleep(time.Second); return nil }
		pendings := []*pending{b.key("k")}
		for range 1000 {
			pendings = append(pendings, b.key("k"))
		}
		assert.Equal(b, 1000, b.table.Stat().Waiting)
		time.Sleep(time.Second)
		for _, w := range pendings {
			assert.EqualValues(b, 1, b.id(w.hold()))
			require.NoError(b, w.h.Put())
		}
		assert.EqualValues(b, 1, b.pool.opened, "one fetches")
		b.did("put 1")
		assert.EqualValues(b, 1001, b.table.Stat().Holds)
	})
}

// A thousand wait, and each in turn gives up as it fetches: nobody is forgotten.
func TestAThousandTakeOver(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("j").hold()
		type getting struct {
			*pending
			cancel func()
		}
		var gets []getting
		for range 1000 {
			ctx, cancel := context.WithCancelCause(b.Context())
			gets = append(gets, getting{b.get(ctx, Request[*thing]{Key: "k"}), func() { cancel(errGone) }})
		}
		for _, i := range []int{500, 999} { // from the midst, and the last
			gets[i].cancel()
			gets[i].lost()
		}
		for i, g := range gets[:998] {
			g.cancel()
			if i%100 == 0 {
				g.lost()
			}
		}
		last := gets[998]
		last.waits()
		assert.Zero(b, b.table.Stat().Waiting, "the last fetches")
		b.put(x)
		b.put(last.hold())
		last.cancel()
	})
}

func TestAGetThatGivesUpInTheMomentOfItsGrantPuts(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("j").hold()
		first := b.key("k")
		ctx, cancel := b.cancellable()
		w := b.get(ctx, Request[*thing]{Key: "k", Tied: true})
		e := b.table.find("k")
		n := <-e.note
		b.put(x) // the first has a lease, and stands in line for the note
		cancel() // and then w
		e.note <- n
		w.lost()
		h := first.hold()
		assert.Equal(b, 1, b.refs(h))
		assert.Equal(b, Stat{Keys: 1, Holds: 3, Fetched: 2}, b.table.Stat(), "it was granted")
		assert.Equal(b, []int64{1}, b.reports(), "x's: what no get returned is not told")
		b.put(h)
	})
}

func TestRule3TheNextTakesOver(t *testing.T) {
	type getter struct{}
	for name, ends := range map[string]func(b *bed, cancel func()){
		"it is cancelled":  func(_ *bed, cancel func()) { cancel() },
		"its time is over": func(*bed, func()) { time.Sleep(time.Minute) },
		"the pool's too":   func(b *bed, _ func()) { time.Sleep(2 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				var fetched []any
				noted := func(c context.Context) error { fetched = append(fetched, c.Value(getter{})); return nil }
				for range 3 {
					b.pool.script <- noted
				}
				get := func(ctx context.Context, name string) *pending {
					return b.get(context.WithValue(ctx, getter{}, name), Request[*thing]{Key: "k"})
				}
				x := b.key("j").hold()
				fetched = nil
				ctx, cancel := b.cancellable()
				switch name {
				case "its time is over":
					timed, stop := context.WithTimeout(ctx, time.Minute)
					defer stop()
					ctx = timed
				case "the pool's too":
					b.pool.timeout = 2 * time.Minute
				}
				first := get(ctx, "first")
				b.pool.timeout = 0
				second, third := get(b.Context(), "second"), get(b.Context(), "third")
				ends(b, cancel)
				require.Error(b, first.fails())
				second.waits()
				third.waits()
				b.put(x)
				assert.Equal(b, []any{"first", "second"}, fetched, "each with its own context, the first come first")
				assert.EqualValues(b, 1, b.id(second.hold()))
				assert.EqualValues(b, 1, b.id(third.hold()))
				b.put(second.h)
				b.put(third.h)
				cancel()
			})
		})
	}
}

// Nobody waits any more: the key is forgotten.
func TestALoneFetcherThatGivesUpLeavesNothing(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("j").hold()
		ctx, cancel := b.cancellable()
		w := b.get(ctx, Request[*thing]{Key: "k"})
		w.waits()
		cancel()
		w.lost()
		assert.Nil(b, b.table.find("k"))
		b.get(ctx, Request[*thing]{Key: "k"}).refused()
		b.put(x)
		b.put(b.key("k").hold())
	})
}

// It was told to fetch, and gives up in that moment: the next one does.
func TestAGetThatTakesOverAndGivesUp(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("j").hold()
		ctx, cancel := b.cancellable()
		ctxSecond, cancelSecond := b.cancellable()
		first, second, third := b.get(ctx, Request[*thing]{Key: "k"}), b.get(ctxSecond, Request[*thing]{Key: "k"}), b.key("k")
		e := b.table.find("k")
		n := <-e.note
		cancel() // the first stands in line for the note, to pass on
		cancelSecond()
		e.note <- n
		first.lost()
		second.lost()
		b.put(x)
		b.put(third.hold())
	})
}

// The error of a resource that saw the deadline first is the fetcher's own, too.
func TestADeadlineThatTheResourceSawFirst(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx := &lateContext{Context: b.Context(), deadline: time.Now().Add(time.Second)}
		b.pool.script <- func(context.Context) error { time.Sleep(time.Second); return context.DeadlineExceeded }
		first := b.get(ctx, Request[*thing]{Key: "k"})
		second := b.key("k")
		time.Sleep(time.Second)
		assert.Equal(b, context.DeadlineExceeded, first.fails())
		b.put(second.hold())
	})
}

// A lateContext has a deadline, and does not end.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

func TestRule4AFailureIsShared(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		b.pool.script <- func(context.Context) error { time.Sleep(time.Second); return errNotNow }
		pendings := []*pending{b.key("k"), b.key("k"), b.key("k")}
		time.Sleep(time.Second - 1)
		for _, w := range pendings {
			w.waits()
		}
		time.Sleep(time.Nanosecond)
		for _, w := range pendings {
			assert.Equal(b, errNotNow, w.fails())
		}
		assert.Zero(b, b.pool.opened)
		b.put(b.key("k").hold()) // the next one begins anew
	})
}

// The failure comes as a get gives up: it has the error of its context.
func TestAFailureAndTheEndOfAContext(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		fail := make(chan struct{})
		b.pool.script <- func(context.Context) error { <-fail; return errNotNow }
		first := b.key("k")
		ctx, cancel := b.cancellable()
		w := b.get(ctx, Request[*thing]{Key: "k"})
		n := <-b.table.find("k").note
		e := b.table.find("k")
		close(fail)
		synctest.Wait() // the first stands in line for the note
		cancel()
		e.note <- n
		assert.Equal(b, errNotNow, first.fails())
		w.lost()
	})
}

func TestTimeoutOfAGetThatWaits(t *testing.T) {
	c := Config[*thing]{Timeout: time.Minute, Explain: func(e *actor.WaitError) { e.Limit++ }}
	inBed(t, 1, c, func(b *bed) {
		x := b.key("j").hold()
		first := b.key("k")
		time.Sleep(time.Second)
		begun := time.Now()
		second := b.key("k")
		ctx, cancel := b.cancellable()
		third := b.get(ctx, Request[*thing]{Key: "k"})
		time.Sleep(time.Second)
		cancel()
		third.lost()
		time.Sleep(time.Minute - time.Second - 1)
		second.waits()
		time.Sleep(time.Nanosecond)
		err := second.fails()
		assert.Equal(b, time.Minute, second.at.Sub(begun))
		var w *actor.WaitError
		require.ErrorAs(b, err, &w)
		assert.Equal(b, time.Minute, w.Waited)
		assert.ErrorIs(b, err, actor.ErrTimeout)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.ErrorIs(b, err, actor.ErrExhausted)
		assert.ErrorContains(b, err, "another get of the same key has not fetched the resource yet")
		assert.ErrorAs(b, third.err, &w)
		assert.Equal(b, time.Second, w.Waited)
		assert.Equal(b, 1, w.Limit, "it is explained, once")
		first.waits()
		b.put(x)
		b.put(first.hold())
	})
}

func TestStatesHaveNames(t *testing.T) {
	assert.Equal(t, "fetching bound draining over", fmt.Sprint(fetching, " ", bound, " ", draining, " ", over))
	assert.Equal(t, "asking waiting failed held expired returned",
		fmt.Sprint(asking, " ", waiting, " ", failed, " ", held, " ", expired, " ", returned))
}
