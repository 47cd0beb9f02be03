package actor

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 12: keys.

func TestRule12SameKeySameResource(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, y, other := b.getKey("k").lease(), b.getKey("k").lease(), b.getKey("j").lease()
		assert.Same(b, x.Value(), y.Value())
		assert.NotSame(b, x.Value(), other.Value())
		assert.Equal(b, "k", x.Key())
		st := b.s.Stat()
		assert.Equal(b, []int{2, 2, 2}, []int{st.Open, st.Keys, st.Leased})
		for _, l := range b.s.Leases() {
			assert.Equal(b, map[any]int{"k": 2, "j": 1}[l.Key], l.Holders, "invariant 12: holders = references")
		}
		b.put(x)
		assert.Zero(b, b.shelved(), "one still holds it")
		assert.Nil(b, x.Value())
		assert.NotNil(b, y.Value())
		b.put(y)
		assert.Equal(b, 1, b.shelved())
		b.put(other)
		assert.Zero(b, b.s.Stat().Keys)
	})
}

func TestRule12GrantServesEverybodyWhoWaitsForTheKey(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		var sharers []*pending
		for range 3 {
			w := b.getKey("k")
			w.waits()
			sharers = append(sharers, w)
			b.get()
		}
		between := b.get()
		between.waits()
		b.put(a)
		for _, w := range sharers {
			assert.EqualValues(b, 1, w.lease().Value().id)
		}
		between.waits()
		require.EqualError(b, b.s.CloseAll(b.ended()), "close: context canceled: 1 leases revoked: #1 key k (3 holders) for at least 0s")
	})
}

func TestRule12CancelKeepsTheOthersPlace(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		w1 := b.getWith(ctx, Request{Key: "k"})
		w1.waits()
		w2 := b.getKey("k")
		w2.waits()
		behind := b.get()
		behind.waits()
		cancel()
		w1.fails()
		b.put(a)
		l := w2.lease()
		behind.waits()
		assert.Equal(b, 1, b.s.Leases()[0].Holders, "invariant 12")
		b.put(l)
		b.put(behind.lease())
	})
}

func TestRule12CancelRacesTheGrantOfASharedKey(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		stop := b.stopAt(beforeCancel)
		w1, w2 := b.getWith(ctx, Request{Key: "k"}), b.getKey("k")
		w1.waits()
		cancel()
		stop.holds()
		b.put(a)
		l := w2.lease()
		assert.Equal(b, 2, b.s.Leases()[0].Holders)
		stop.goes()
		w1.fails()
		assert.Equal(b, 1, b.s.Leases()[0].Holders, "invariant 12: a reference is lost")
		b.put(l)
		assert.Equal(b, 1, b.shelved())
	})
}

func TestRule12BoundKeyIsServedAfterReset(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.getKey("k").lease()
		require.NoError(b, b.s.Reset())
		y := b.getKey("k").lease() // refusing would deadlock the holder
		assert.Same(b, x.Value(), y.Value())
		w := b.get()
		w.waits()
		b.put(x)
		w.waits()
		assert.EqualValues(b, 0, b.thing(1).closes.Load(), "invariant 2: closed while lent")
		b.put(y)
		assert.EqualValues(b, 2, w.lease().Value().id)
		b.put(w.l)
	})
}

func TestRule12VerdictsAreJoined(t *testing.T) {
	var judged atomic.Int64
	verdict := Keep
	judge := func(*thing) Verdict { judged.Add(1); return verdict }
	inBed(t, Config[*thing]{MaxOpen: 1, Judge: judge}, func(b *bed) {
		x, y := b.getKey("k").lease(), b.getKey("k").lease()
		b.put(x)
		assert.EqualValues(b, 0, judged.Load(), "another still holds it")
		b.put(y)
		assert.EqualValues(b, 1, judged.Load(), "Judge is asked once")
		assert.EqualValues(b, 0, b.thing(1).closes.Load())

		x, y = b.getKey("k").lease(), b.getKey("k").lease()
		b.discard(x)
		assert.EqualValues(b, 0, b.thing(1).closes.Load(), "invariant 2: closed while lent")
		b.put(y)
		assert.EqualValues(b, 1, b.thing(1).closes.Load(), "the worst verdict wins")
		assert.EqualValues(b, 1, judged.Load())

		verdict = Discard
		b.put(b.getKey("k").lease())
		assert.EqualValues(b, 1, b.thing(2).closes.Load())
		assert.EqualValues(b, 2, judged.Load())
	})
}

func TestRule12SharersPutAtTheSameTime(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, Judge: func(*thing) Verdict { return Keep }}, func(b *bed) {
		for range 20 {
			var leases []*Lease[*thing]
			for range 8 {
				leases = append(leases, b.getKey("k").lease())
			}
			for _, l := range leases {
				in(func() { l.Put() })
			}
			synctest.Wait()
			assert.Equal(b, []int{0, 1}, []int{b.s.Stat().Leased, b.s.Stat().Idle})
		}
		assert.EqualValues(b, 1, b.dials.Load())
	})
}

func TestRule12RestedSlotIsLookedAtForAKey(t *testing.T) {
	look := func(th *thing) Verdict {
		if th.id == 1 {
			return Discard
		}
		return Keep
	}
	inBed(t, Config[*thing]{MaxOpen: 2, Look: look}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		b.put(y) // on top, which the desk takes last
		b.put(x)
		time.Sleep(time.Second)
		l := b.getKey("k").lease()
		assert.EqualValues(b, 2, l.Value().id)
		assert.EqualValues(b, 1, b.thing(1).closes.Load())
		b.put(l)
	})
}

func TestRule12NobodyWaitsForALookThatHangs(t *testing.T) {
	look := func(th *thing) Verdict {
		if th.id == 1 {
			time.Sleep(time.Hour)
		}
		return Keep
	}
	inBed(t, Config[*thing]{MaxOpen: 2, Look: look}, func(b *bed) {
		b.put(b.get().lease())
		time.Sleep(time.Second)
		begun := time.Now()
		w := b.getKey("k")
		<-w.done
		assert.Equal(b, time.Second, w.at.Sub(begun), "invariant 3: a hung look does not stand in")
		assert.EqualValues(b, 2, w.lease().Value().id)
		b.put(w.l)
		time.Sleep(time.Hour)
	})
}

type (
	userID  int
	shardID int
)

func TestKeysOfDifferentTypesDiffer(t *testing.T) {
	type pair struct{ a, b any }
	keys := []any{1, int64(1), userID(1), shardID(1), "1", 1.0, true, pair{1, "x"}, pair{"x", 1}, [1]int{1}, struct{}{}, new(int)}
	inBed(t, Config[*thing]{MaxOpen: len(keys)}, func(b *bed) {
		seen := map[*thing]any{}
		var leases []*Lease[*thing]
		for _, k := range keys {
			l := b.getKey(k).lease()
			assert.Nil(b, seen[l.Value()], "%T %v", k, k)
			seen[l.Value()] = k
			leases = append(leases, l)
		}
		for i, k := range keys {
			l := b.getKey(k).lease()
			assert.Same(b, leases[i].Value(), l.Value())
			b.put(l)
			b.put(leases[i])
		}
	})
}

func TestKeysThatCannotBe(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		for _, c := range []struct {
			key    any
			reason string
		}{
			{[]int{1}, "not comparable"},
			{map[int]int{}, "not comparable"},
			{func() {}, "not comparable"},
			{struct{ any }{[]int{1}}, "not comparable"},
			{[1]any{[]int{1}}, "not comparable"},
			{math.NaN(), "not equal to itself"},
			{[1]float64{math.NaN()}, "not equal to itself"},
			{struct{ any }{math.NaN()}, "not equal to itself"},
		} {
			for _, ctx := range []context.Context{b.Context(), b.ended()} {
				_, err := b.s.GetWith(ctx, Request{Key: c.key})
				var k *KeyError
				require.ErrorAs(b, err, &k, "%T", c.key)
				assert.Equal(b, c.reason, k.Reason)
				assert.ErrorContains(b, err, c.reason)
			}
		}
		assert.Zero(b, b.dials.Load())
	})
}
