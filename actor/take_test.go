package actor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Take: a borrower keeps its resource for good.

func (b *bed) take(l *Lease[*thing]) *thing {
	b.Helper()
	th, err := l.Take()
	require.NoError(b, err)
	th.closes.Add(1) // which is the borrower's business now
	b.live.Add(-1)
	return th
}

func TestTake(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		l := b.get().lease()
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		b.take(l)
		synctest.Wait()
		assert.Nil(b, l.Value())
		for _, again := range []func() error{l.Put, l.Discard, func() error { _, err := l.Take(); return err }} {
			assert.Equal(b, ErrNotLeased, again())
		}
		st := b.s.Stat()
		assert.EqualValues(b, []any{1, uint64(1), uint64(0)}, []any{st.Open, st.Taken, st.Closed})
		assert.EqualValues(b, 2, first.lease().Value().id, "its place is free at once")
		b.put(first.l)
		b.put(second.lease())
		require.NoError(b, b.s.CloseAll(b.Context()))
		st = b.s.Stat()
		assert.Equal(b, st.Opened, st.Closed+st.Taken)
	})
}

func TestTakeOfAKeyedOne(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x, y := b.getKey("k").lease(), b.getKey("k").lease()
		_, err := x.Take()
		assert.Equal(b, ErrShared, err)
		assert.EqualValues(b, 1, x.Value().id, "the lease is intact")
		assert.Equal(b, 2, b.s.Leases()[0].Holders)
		b.put(y)
		b.take(x)
		assert.Zero(b, b.s.Stat().Keys)
		z := b.getKey("k").lease()
		assert.EqualValues(b, 2, z.Value().id)
		b.put(z)
		_, err = z.Take()
		assert.Equal(b, ErrNotLeased, err)
	})
}

func TestTakeKeepsTheMinimums(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 4, MinOpen: 2}, func(b *bed) {
		require.NoError(b, b.s.Ready(b.Context()))
		b.take(b.get().lease())
		synctest.Wait()
		assert.Equal(b, []int{2, 2}, []int{b.s.Stat().Open, b.s.Stat().Idle})
	})
}

func TestTakeAndCloseAll(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		var err error
		done := in(func() { err = b.s.CloseAll(b.Context()) })
		synctest.Wait()
		b.take(x) // CloseAll waits for it, one way or the other
		assert.False(b, isClosed(done))
		b.put(y)
		<-done
		assert.NoError(b, err)
	})
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, k := b.get().lease(), b.getKey("k").lease()
		release := make(chan struct{})
		b.opening = func(context.Context, int64) error { <-release; return nil }
		b.get()
		synctest.Wait()
		require.Error(b, b.s.CloseAll(b.ended()))
		require.False(b, isClosed(b.s.closed), "an Open is still under way")
		for _, l := range []*Lease[*thing]{x, k} {
			_, err := l.Take()
			assert.ErrorIs(b, err, ErrRevoked)
			assert.Nil(b, l.Value())
		}
		close(release)
		synctest.Wait()
		require.True(b, isClosed(b.s.closed))
		assert.Zero(b, b.s.Stat().Taken)
		time.Sleep(time.Second)
	})
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x := b.get().lease()
		require.Error(b, b.s.CloseAll(b.ended()))
		synctest.Wait()
		require.True(b, isClosed(b.s.closed))
		_, err := x.Take()
		assert.ErrorIs(b, err, ErrClosed, "the supervisor has ended")
		assert.Equal(b, ErrNotLeased, x.Put())
	})
}
