package keyed

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 7, 13 and 14: how a resource goes back, or away.

func TestRule7TheLastPutEndsTheLease(t *testing.T) {
	for name, c := range map[string]struct {
		discards int // by the first so many
		want     string
	}{
		"all keep":     {0, "put 1"},
		"one discards": {1, "discard 1"},
		"all discard":  {3, "discard 1"},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				holds := []*Hold[*thing]{b.key("k").hold(), b.key("k").hold(), b.key("k").hold()}
				for i, h := range holds {
					b.did()
					if i < c.discards {
						require.NoError(b, h.Discard())
					} else {
						require.NoError(b, h.Put())
					}
					b.dead(h)
				}
				b.did(c.want)
				b.put(b.key("k").hold())
				b.pool.all()
			})
		})
	}
}

func TestHoldersPutAtTheSameTime(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		for range 20 {
			var holds []*Hold[*thing]
			for range 8 {
				holds = append(holds, b.key("k").hold())
			}
			for _, h := range holds {
				in(func() { assert.NoError(b, h.Put()) })
			}
			b.did("put 1")
			assert.Len(b, b.reports(), 8)
		}
		assert.EqualValues(b, 1, b.pool.opened)
	})
}

// Of two puts of one hold one is told that there is nothing to put.
func TestAHoldIsPutOnce(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, y := b.key("k").hold(), b.key("k").hold()
		e := x.ref.entry
		n := <-e.note
		var first, second error
		a := in(func() { first = x.Put() })
		synctest.Wait()
		c := in(func() { second = x.Discard() })
		synctest.Wait()
		e.note <- n
		<-a
		<-c
		assert.Equal(b, []error{nil, actor.ErrNotLeased}, []error{first, second})
		b.put(y)
		b.did("put 1")
	})
}

func TestRule13PutByKeyTakesTheNewest(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		x, y, z, other := b.key("k").hold(), b.key("k").hold(), b.key("k").hold(), b.key("j").hold()
		for _, h := range []*Hold[*thing]{z, y, x} {
			assert.NotNil(b, h.Value())
			require.NoError(b, b.table.Put(b.Context(), "k", false))
			b.dead(h)
		}
		assert.Equal(b, actor.ErrNotLeased, b.table.Put(b.Context(), "k", false))
		assert.Equal(b, 1, b.refs(other))
		b.put(other)
	})
}

func TestPutByKeyTakesThatOfItsContextFirst(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		mine, cancel := context.WithCancel(b.Context())
		defer cancel()
		theirs, stop := context.WithCancel(b.Context())
		defer stop()
		get := func(ctx context.Context, tied bool) *Hold[*thing] {
			return b.get(ctx, Request[*thing]{Key: "k", Tied: tied}).hold()
		}
		first, second := get(mine, false), get(context.WithValue(mine, nameKey{}, 1), true)
		never := get(context.Background(), false)
		foreign, youngest := get(theirs, true), get(theirs, false)
		for _, c := range []struct {
			ctx context.Context
			h   *Hold[*thing]
		}{
			{mine, second},
			{context.WithValue(mine, nameKey{}, 2), first},
			{context.Background(), never},
			{mine, youngest}, // nothing of it is left
			{mine, foreign},
		} {
			assert.NotNil(b, c.h.Value())
			require.NoError(b, b.table.Put(c.ctx, "k", false))
			b.dead(c.h)
		}
	})
}

// What the context has ended is not put once more.
func TestPutByKeyAfterTheEndOfTheContext(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx, cancel := b.cancellable()
		x, y := b.key("k").hold(), b.get(ctx, Request[*thing]{Key: "k", Tied: true}).hold()
		b.begin(y, "read")
		cancel()
		require.NoError(b, b.table.Put(ctx, "k", false), "it goes back with its turn")
		assert.NotNil(b, x.Value(), "another's is not put in its place")
		b.put(x)
		require.NoError(b, b.table.Put(ctx, "k", false))
		y.End()
		require.NoError(b, b.table.Put(ctx, "k", false), "the key has none any more")
		b.put(y)
		b.did("put 1")
	})
}

// A hold of a context that has ended, and that is not tied, is put.
func TestPutByKeyOfAContextThatHasEnded(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx, cancel := b.cancellable()
		x := b.get(ctx, Request[*thing]{Key: "k"}).hold()
		cancel()
		require.NoError(b, b.table.Put(ctx, "k", false))
		b.dead(x)
	})
}

func TestPutByKeyInATurn(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("k").hold()
		b.begin(x, "read")
		require.NoError(b, b.table.Put(b.Context(), "k", false))
		b.did()
		x.End()
		b.dead(x)
		b.did("put 1")

		y := b.key("k").hold()
		b.begin(y, "read")
		require.NoError(b, b.table.Put(b.Context(), "k", true))
		time.Sleep(500 * time.Millisecond)
		b.did("kill 1")
		y.End()
		b.dead(y)
	})
}

// What is its holder's own is left to the holder.
func TestPutByKeyPassesOverWhatIsOwn(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx, cancel := b.cancellable()
		x, y := b.get(ctx, Request[*thing]{Key: "k"}).hold(), b.key("k").hold()
		own, tied := b.get(ctx, Request[*thing]{Key: "k", Own: true}).hold(), b.get(ctx, Request[*thing]{Key: "k", Own: true, Tied: true}).hold()
		for _, h := range []*Hold[*thing]{x, y} {
			require.NoError(b, b.table.Put(ctx, "k", false))
			b.dead(h)
		}
		assert.Equal(b, actor.ErrNotLeased, b.table.Put(ctx, "k", false))
		assert.Equal(b, 2, b.refs(own))
		b.put(own)
		cancel()
		b.put(tied)
	})
}

func TestPutByKeyDiscards(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, y := b.key("k").hold(), b.key("k").hold()
		require.NoError(b, b.table.Put(b.Context(), "k", true))
		b.dead(y)
		b.did()
		b.put(x)
		b.did("discard 1")
	})
}

func TestPutByKeyWithoutAHold(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		assert.Equal(b, actor.ErrNotLeased, b.table.Put(b.Context(), "k", false))
		x := b.key("j").hold()
		w, v := b.key("k"), b.key("k")
		assert.Equal(b, actor.ErrNotLeased, b.table.Put(b.Context(), "k", false), "it waits for one")
		b.put(x)
		h := w.hold()
		ended, cancel := b.cancellable()
		cancel()
		require.NoError(b, b.table.Put(ended, "k", false), "what was got with it has gone back")
		require.NotNil(b, h.Value())
		b.put(h)
		b.put(v.hold())
	})
}

// A put of the key, and one of the hold that it means, or of another.
func TestPutByKeyWhileThatIsPut(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		for _, byKey := range []bool{true, false} {
			x := b.key("k").hold()
			e := x.ref.entry
			n := <-e.note
			var first, second error
			a := in(func() {
				if byKey {
					first = b.table.Put(b.Context(), "k", false)
				} else {
					first = x.Put()
				}
			})
			synctest.Wait()
			c := in(func() { second = b.table.Put(b.Context(), "k", true) })
			synctest.Wait()
			e.note <- n
			<-a
			<-c
			assert.Equal(b, []error{nil, actor.ErrNotLeased}, []error{first, second})
			b.dead(x)
			b.did("put 1")
		}
	})
}

func TestRule14ASoleHolderMayTake(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		ctx, cancel := b.cancellable()
		x, y := b.get(ctx, Request[*thing]{Key: "k", Tied: true}).hold(), b.key("k").hold()
		_, err := x.Take()
		assert.Equal(b, actor.ErrShared, err)
		b.begin(x, "read") // it still works, and is still tied
		x.End()
		b.begin(y, "write")
		_, err = x.Take()
		assert.ErrorIs(b, err, actor.ErrBusy)
		require.NoError(b, y.Put())
		_, err = x.Take()
		assert.ErrorIs(b, err, actor.ErrBusy, "of one that has ended")
		y.End()
		b.begin(x, "read")
		_, err = x.Take()
		assert.EqualError(b, err, "shared resource is in use: key k: read")
		x.End()
		assert.Equal(b, 1, b.refs(x))
		x.Expose()
		b.reports()
		th, err := x.Take()
		require.NoError(b, err)
		assert.EqualValues(b, 1, th.id)
		assert.Equal(b, []int64{1}, b.reports())
		b.did("take 1")
		b.dead(x)
		z := b.key("k").hold()
		assert.EqualValues(b, 2, b.id(z), "its place and its key are free")
		cancel()
		time.Sleep(time.Hour)
		b.did()
		assert.Equal(b, 1, b.refs(z))
		b.dead(x)
		b.put(z)
	})
}

// Others that are used beyond their end still share it.
func TestATakeOfWhatIsUsedStill(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		y := b.key("k").hold()
		x.Expose()
		end()
		_, err := y.Take()
		assert.Equal(b, actor.ErrShared, err)
		b.put(x)
		_, err = y.Take()
		require.NoError(b, err)
		b.did("take 1")
	})
}

func TestATakeThatIsRefusedLeavesTheHoldTied(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		y := b.key("k").hold()
		_, err := x.Take()
		assert.Equal(b, actor.ErrShared, err)
		end()
		b.expired(x)
		_, err = y.Take()
		require.NoError(b, err)
	})
}

// While the pool is asked the context ends, another comes, and a put of the key: the
// taker has it, and they do not.
func TestWhileTakeAsksThePool(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		asked := make(chan struct{})
		b.pool.looks = func(_ *fakeLease, call string) {
			if call == "take" {
				<-asked
			}
		}
		var th *thing
		taken := in(func() { th, _ = x.Take() })
		synctest.Wait()
		end()
		assert.False(b, isClosed(taken))
		assert.Equal(b, actor.ErrNotLeased, b.table.Put(b.Context(), "k", false))
		next := b.key("k").hold()
		assert.EqualValues(b, 2, b.id(next))
		b.dead(x)
		close(asked)
		<-taken
		assert.EqualValues(b, 1, th.id)
		b.put(next)
		b.did("take 1", "put 2")
	})
}

// What was killed cannot be taken.
func TestATakeOfWhatWasKilled(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, y := b.key("k").hold(), b.key("k").hold()
		b.begin(x, "read")
		require.NoError(b, x.Put())
		time.Sleep(time.Second)
		x.End()
		_, err := y.Take()
		b.revokedIs(err)
		b.dead(y)
		assert.Zero(b, b.keys())
		b.did("kill 1")
		z := b.key("k").hold()
		b.pool.revoke(2, actor.ReasonClosing)
		_, err = z.Take()
		assert.ErrorIs(b, err, actor.ErrClosed)
		b.dead(z)
		b.did("revoke 2", "put 2")
	})
}
