package actor

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// PutKey: a put for who knows the key, and not the lease.

func TestPutKeyPutsTheNewest(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x, y, z, other := b.getKey("k").lease(), b.getKey("k").lease(), b.getKey("k").lease(), b.getKey("j").lease()
		for i, l := range []*Lease[*thing]{z, y, x} {
			assert.NotNil(b, l.Value())
			require.NoError(b, b.s.PutKey(b.Context(), "k", false))
			b.dead(l)
			assert.Equal(b, 2-i, b.holders("k"))
		}
		assert.Equal(b, ErrNotLeased, b.s.PutKey(b.Context(), "k", false))
		assert.Equal(b, 1, b.holders("j"))
		b.put(other)
		b.counts(2, 0, 2, 0)
	})
}

func TestPutKeyPutsThatOfTheContextFirst(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		mine, cancel := context.WithCancel(b.Context())
		defer cancel()
		theirs, stop := context.WithCancel(b.Context())
		defer stop()
		get := func(ctx context.Context, tied bool) *Lease[*thing] {
			return b.getAs(ctx, Request{Key: "k", Tied: tied}).lease()
		}
		first, second := get(mine, false), get(context.WithValue(mine, nameKey{}, 1), true)
		never := get(context.Background(), false)
		foreign, youngest := get(theirs, true), get(theirs, false)
		for _, c := range []struct {
			ctx context.Context
			l   *Lease[*thing]
		}{
			{mine, second},
			{context.WithValue(mine, nameKey{}, 2), first},
			{context.Background(), never},
			{mine, youngest}, // nothing of it is left
			{mine, foreign},
		} {
			assert.NotNil(b, c.l.Value())
			require.NoError(b, b.s.PutKey(c.ctx, "k", false))
			b.dead(c.l)
		}
		b.counts(1, 0, 1, 0)
	})
}

// What the context has ended is not put once more.
func TestPutKeyAfterTheEndOfTheContext(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx, cancel := context.WithCancel(b.Context())
		x, y := b.getKey("k").lease(), b.getAs(ctx, Request{Key: "k", Tied: true}).lease()
		b.use(y, "read")
		cancel()
		synctest.Wait()
		require.NoError(b, b.s.PutKey(ctx, "k", false), "it goes back with its turn")
		assert.NotNil(b, x.Value(), "another's is not put in its place")
		b.put(x)
		require.NoError(b, b.s.PutKey(ctx, "k", false))
		y.Done()
		synctest.Wait()
		require.NoError(b, b.s.PutKey(ctx, "k", false), "the key has none any more")
		b.put(y)
		b.counts(1, 0, 1, 0)
	})
}

func TestPutKeyInATurn(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.getKey("k").lease()
		b.use(x, "read")
		require.NoError(b, b.s.PutKey(b.Context(), "k", false))
		assert.Equal(b, 1, b.holders("k"))
		x.Done()
		b.dead(x)
		b.counts(1, 0, 1, 0)

		y := b.getKey("k").lease()
		b.use(y, "read")
		require.NoError(b, b.s.PutKey(b.Context(), "k", true))
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		y.Done()
		b.dead(y)
	})
}

// What is its holder's own is left to him.
func TestPutKeyPassesOverWhatIsOwn(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		x, y := b.getAs(ctx, Request{Key: "k"}).lease(), b.getKey("k").lease()
		own, tied := b.getAs(ctx, Request{Key: "k", Own: true}).lease(), b.getAs(ctx, Request{Key: "k", Own: true, Tied: true}).lease()
		for _, l := range []*Lease[*thing]{x, y} {
			require.NoError(b, b.s.PutKey(ctx, "k", false))
			b.dead(l)
		}
		assert.Equal(b, ErrNotLeased, b.s.PutKey(ctx, "k", false))
		assert.Equal(b, 2, b.holders("k"))
		b.put(own)
		cancel()
		synctest.Wait()
		b.put(tied)
		b.counts(1, 0, 1, 0)
	})
}

func TestPutKeyDiscards(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, y := b.getKey("k").lease(), b.getKey("k").lease()
		require.NoError(b, b.s.PutKey(b.Context(), "k", true))
		b.dead(y)
		assert.Empty(b, b.closed(), "with the last")
		b.put(x)
		assert.Equal(b, []int64{1}, b.closed())
	})
}

func TestPutKeyWithoutALease(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		assert.Equal(b, ErrNotLeased, b.s.PutKey(b.Context(), "k", false))
		x := b.get().lease()
		w := b.getKey("k")
		w.waits()
		assert.Equal(b, ErrNotLeased, b.s.PutKey(b.Context(), "k", false), "it waits for one")
		b.put(x)
		l := w.lease()
		require.NoError(b, b.s.PutKey(b.ended(), "k", false), "what was got with it has gone back")
		require.NotNil(b, l.Value())
		b.put(l)
		for _, key := range []any{nil, []int{1}, struct{ any }{func() {}}, math.NaN()} {
			var k *KeyError
			assert.ErrorAs(b, b.s.PutKey(b.Context(), key, false), &k, "%T", key)
		}
		require.NoError(b, b.s.CloseAll(b.Context()))
		synctest.Wait()
		assert.Equal(b, ErrClosed, b.s.PutKey(b.Context(), "k", false))
		var k *KeyError
		assert.ErrorAs(b, b.s.PutKey(b.Context(), nil, false), &k)
	})
}

// The desk has granted what its borrower does not know of yet, and what it knew of
// is gone.
func TestPutKeyWhileThatIsPut(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.getKey("k").lease()
		share := x.hold.share
		s := <-share
		var first, second error
		a := in(func() { first = b.s.PutKey(b.Context(), "k", false) })
		synctest.Wait()
		c := in(func() { second = b.s.PutKey(b.Context(), "k", true) })
		synctest.Wait()
		share <- s
		<-a
		<-c
		assert.NoError(b, first)
		assert.Equal(b, ErrNotLeased, second)
		b.dead(x)
		b.counts(1, 0, 1, 0)

		// The same with another lease in between: that is not put.
		x = b.getKey("k").lease()
		share = x.hold.share
		s = <-share
		a = in(func() { first = x.Put() })
		synctest.Wait()
		c = in(func() { second = b.s.PutKey(b.Context(), "k", false) })
		synctest.Wait()
		share <- s
		<-a
		<-c
		assert.Equal(b, []error{nil, ErrNotLeased}, []error{first, second})
		b.put(b.getKey("k").lease())
	})
}

// A put of the key while another joins: one of them is put, none is lost.
func TestPutKeyAndAGetOnItsWay(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.getKey("k").lease()
		s := <-x.hold.share // y is granted, and does not hold it yet
		y := b.getKey("k")
		synctest.Wait()
		assert.False(b, isClosed(y.done))
		assert.Equal(b, 2, b.holders("k"))
		var err error
		put := in(func() { err = b.s.PutKey(b.Context(), "k", false) })
		synctest.Wait()
		x.hold.share <- s
		<-put
		require.NoError(b, err)
		assert.Equal(b, 1, b.holders("k"))
		assert.NotNil(b, x.Value())
		b.dead(y.lease())
		b.put(x)
	})
}

func TestPutKeyOfWhatWasRevoked(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x := b.getKey("k").lease()
		release := make(chan struct{})
		b.opening = func(context.Context, int64) error { <-release; return nil }
		b.get()
		synctest.Wait()
		require.Error(b, b.s.CloseAll(b.ended()))
		assert.Equal(b, ErrNotLeased, b.s.PutKey(b.Context(), "k", false), "the key has none any more")
		require.ErrorIs(b, x.Put(), ErrRevoked) // the supervisor has not ended yet
		b.dead(x)
		close(release)
	})
}
