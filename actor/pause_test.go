package actor

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Pause and Resume.

// A paused is a Pause in a goroutine of its own.
type paused struct {
	done chan struct{}
	err  error
}

func (b *bed) pause(ctx context.Context) *paused {
	p := &paused{}
	p.done = in(func() { p.err = b.s.Pause(ctx) })
	synctest.Wait()
	return p
}

func TestPauseReturnsWhenNothingIsLent(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(1)
		x, y := b.get().lease(), b.getKey("k").lease()
		p := b.pause(b.Context())
		b.put(x)
		assert.False(b, isClosed(p.done))
		b.put(y)
		require.True(b, isClosed(p.done))
		require.NoError(b, p.err)
		st := b.s.Stat()
		assert.True(b, st.Paused)
		assert.Equal(b, []int{2, 2, 0}, []int{st.Open, st.Idle, st.Leased}, "idle ones stay open")

		w, k := b.get(), b.getKey("k")
		time.Sleep(time.Hour)
		w.waits()
		k.waits()
		assert.EqualValues(b, 2, b.dials.Load(), "nothing is opened")
		_, err := b.s.TryGet()
		assert.Equal(b, ErrPaused, err)
		_, err = b.s.GetWith(b.Context(), Request{Patience: NoWait})
		assert.Equal(b, ErrPaused, err)
		_, err = b.s.GetWith(b.Context(), Request{Patience: TryOnly, Key: "k"})
		assert.Equal(b, ErrPaused, err)

		require.NoError(b, b.s.Resume())
		b.put(w.lease())
		b.put(k.lease())
		assert.False(b, b.s.Stat().Paused)
		assert.Empty(b, b.s.gate)
		assert.EqualValues(b, 2, b.dials.Load())
		require.NoError(b, b.s.Resume(), "without a pause")
	})
}

// A borrower that saw the gate open takes nothing after the pause.
func TestPauseAndAGetOnItsWay(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(1)
		take := b.stopAt(beforeTake)
		w := b.get()
		take.holds()
		require.NoError(b, b.s.Pause(b.Context()))
		take.goes()
		w.waits()
		require.NoError(b, b.s.Resume())
		b.put(w.lease())

		take = b.stopAt(afterTake)
		w = b.get()
		take.holds() // it has it already
		p := b.pause(b.Context())
		assert.False(b, isClosed(p.done))
		take.goes()
		l := w.lease()
		push := b.stopAt(beforePush)
		put := in(func() { l.Put() })
		synctest.Wait()
		assert.False(b, isClosed(push.reached), "the gate is shut")
		b.stops[beforePush].Store(nil)
		<-put
		synctest.Wait()
		assert.True(b, isClosed(p.done))
		require.NoError(b, b.s.Resume())
	})
}

func TestPauseServesABoundKey(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x := b.getKey("k").lease()
		p := b.pause(b.Context())
		y := b.getKey("k").lease() // refusing would deadlock the holder
		z, err := b.s.GetWith(b.Context(), Request{Key: "k", Patience: TryOnly})
		require.NoError(b, err)
		for _, l := range []*Lease[*thing]{x, y, z} {
			assert.False(b, isClosed(p.done))
			b.put(l)
		}
		assert.True(b, isClosed(p.done))
		w := b.getKey("k")
		w.waits() // it is bound no more
		require.NoError(b, b.s.Resume())
		b.put(w.lease())
	})
}

func TestPauseWhoseContextEndsIsUndone(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x := b.get().lease()
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		p := b.pause(ctx)
		w := b.get()
		w.waits()
		time.Sleep(time.Second)
		synctest.Wait()
		require.True(b, isClosed(p.done))
		assert.ErrorIs(b, p.err, context.DeadlineExceeded)
		assert.ErrorIs(b, p.err, ErrExhausted)
		var we *WaitError
		require.ErrorAs(b, p.err, &we)
		assert.Equal(b, []any{time.Second, 1}, []any{we.Waited, we.Leased})
		b.put(w.lease())
		late := b.s.Pause(b.ended())
		assert.ErrorIs(b, late, context.Canceled)
		assert.ErrorIs(b, late, ErrExhausted, "it would have waited for what is lent")
		b.put(x)
		assert.False(b, b.s.Stat().Paused)
		assert.Equal(b, 2, b.shelved())
		assert.ErrorIs(b, b.s.Pause(b.ended()), context.Canceled)
		assert.False(b, b.s.Stat().Paused)
	})
}

func TestTwoPauses(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		first, second := b.pause(ctx), b.pause(b.Context())
		cancel()
		synctest.Wait()
		assert.ErrorIs(b, first.err, context.Canceled)
		assert.True(b, b.s.Stat().Paused, "the second still wants it")
		b.put(x)
		require.True(b, isClosed(second.done))
		require.NoError(b, second.err)
		require.NoError(b, b.s.Pause(b.Context()), "a third returns at once")
		require.NoError(b, b.s.Resume(), "and one Resume ends them all")
		b.put(b.get().lease())
	})
}

func TestResumeWhileAPauseWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x := b.get().lease()
		first, second := b.pause(b.Context()), b.pause(b.Context())
		w := b.get()
		w.waits()
		require.NoError(b, b.s.Resume())
		synctest.Wait()
		assert.True(b, isClosed(first.done))
		assert.True(b, isClosed(second.done))
		assert.Equal(b, []error{ErrResumed, ErrResumed}, []error{first.err, second.err})
		b.put(w.lease())
		b.put(x)
	})
}

// Pause, restart the server, resume: no client gets an error.
func TestPauseRestartResume(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{
		"fail fast": {MaxOpen: 3, MinOpen: 2}, "wait for server": {MaxOpen: 3, MinOpen: 2, Outage: WaitForServer},
	} {
		t.Run(name, func(t *testing.T) {
			var srv server
			var dead atomic.Int64 // things up to this one have lost their server
			lost := func(th *thing) bool { return th.id <= dead.Load() }
			cfg.Open = opens(func(ctx context.Context, n int64) error {
				time.Sleep(30 * time.Millisecond)
				return srv.opening(ctx, n)
			})
			cfg.Look = func(th *thing) Verdict {
				if lost(th) {
					return Discard
				}
				return Keep
			}
			inBed(t, cfg, func(b *bed) {
				var stop atomic.Bool
				var served atomic.Int64
				var clients []chan struct{}
				for i := range 8 {
					clients = append(clients, in(func() {
						for !stop.Load() {
							l, err := b.s.Get(b.Context())
							if !assert.NoError(b, err) {
								return
							}
							time.Sleep(time.Duration(i+1) * 7 * time.Millisecond)
							assert.False(b, lost(l.Value()), "the server went away from under it")
							assert.False(b, srv.down.Load())
							served.Add(1) // before the put, which may be what Pause waits for
							assert.NoError(b, l.Put())
						}
					}))
				}
				for range 5 {
					time.Sleep(time.Second)
					require.NoError(b, b.s.Reset()) // so that Opens are under way, and fail
					time.Sleep(10 * time.Millisecond)
					require.NoError(b, b.s.Pause(b.Context()))
					before := served.Load()
					srv.down.Store(true)
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
					dead.Store(b.opens.Load())
					srv.down.Store(false)
					assert.Equal(b, before, served.Load())
					require.NoError(b, b.s.Resume())
					time.Sleep(time.Second)
					assert.Greater(b, served.Load(), before+8)
				}
				stop.Store(true)
				for _, c := range clients {
					<-c
				}
			})
		})
	}
}

func TestCloseAllWhilePaused(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(2)
		x := b.get().lease()
		p := b.pause(b.Context())
		w := b.get()
		w.waits()
		var err error
		done := in(func() { err = b.s.CloseAll(b.Context()) })
		synctest.Wait()
		assert.Equal(b, ErrClosed, w.fails())
		assert.True(b, isClosed(p.done))
		assert.Equal(b, ErrClosed, p.err)
		assert.False(b, isClosed(done))
		b.put(x)
		<-done
		require.NoError(b, err)
		assert.Equal(b, []error{ErrClosed, ErrClosed}, []error{b.s.Pause(b.Context()), b.s.Resume()})
	})
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(2)
		require.NoError(b, b.s.Pause(b.Context()))
		w := b.get()
		w.waits()
		require.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, ErrClosed, w.fails())
		assert.Len(b, b.closed(), 2)
	})
}
