package actor

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor/internal/line"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 15: Pause and Resume.

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

func TestRule15PauseReturnsWhenNothingIsLentAndThenNothingIsUntilResume(t *testing.T) {
	for name, cfg := range map[string]Config[*thing]{"plain": {MaxOpen: 3}, "with cards": {MaxOpen: 3, MaxLease: 10 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			inBed(t, cfg, func(b *bed) {
				b.rest(1)
				x, y := b.get().lease(), b.get().lease()
				p := b.pause(b.Context())
				b.put(x)
				assert.False(b, isClosed(p.done))
				b.put(y)
				require.True(b, isClosed(p.done))
				require.NoError(b, p.err)
				assert.True(b, b.s.Stat().Paused)
				b.counts(2, 0, 2) // idle ones stay open

				w := b.get()
				time.Sleep(time.Hour)
				w.waits()
				assert.EqualValues(b, 2, b.dials.Load(), "nothing is opened")
				_, err := b.s.TryGet(b.Context())
				assert.Equal(b, ErrPaused, err)

				require.NoError(b, b.s.Resume())
				b.put(w.lease())
				assert.False(b, b.s.Stat().Paused)
				assert.False(b, b.shut())
				assert.EqualValues(b, 2, b.dials.Load())
				require.NoError(b, b.s.Resume(), "without a pause")
			})
		})
	}
}

func TestRule15WithNoWaitAGetInAPauseIsRefused(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(1)
		require.NoError(b, b.s.Pause(b.Context()))
		_, err := b.s.GetNoWait(b.Context())
		assert.Equal(b, ErrPaused, err)
		require.NoError(b, b.s.Resume())
		b.put(b.get().lease())
	})
}

func TestRule15AGetThatSawTheGateOpenBeforeAPauseTakesNothingAfterIt(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(1)
		take := b.stopAt(step(line.TakeTop))
		w := b.get()
		take.holds()
		require.NoError(b, b.s.Pause(b.Context()))
		take.goes()
		w.waits()
		require.NoError(b, b.s.Resume())
		b.put(w.lease())
	})
}

func TestRule15PauseWaitsForAGetThatHasASlotAlready(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		b.rest(1)
		look := b.stopAt(atPoint(beforeLook))
		w := b.get()
		look.holds()
		p := b.pause(b.Context())
		assert.False(b, isClosed(p.done))
		look.goes()
		l := w.lease()
		lay := b.stopAt(step(line.LayTop))
		b.put(l)
		lay.unreached("the gate is shut")
		assert.True(b, isClosed(p.done))
		require.NoError(b, b.s.Resume())
	})
}

func TestRule15APutThatSawTheGateOpenEndsThePause(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		l := b.get().lease()
		lay := b.stopAt(step(line.LayTop))
		put := in(func() { assert.NoError(b, l.Put()) })
		lay.holds()
		p := b.pause(b.Context())
		assert.False(b, isClosed(p.done))
		lay.goes()
		<-put
		require.True(b, isClosed(p.done))
		require.NoError(b, p.err)
		w := b.get()
		w.waits()
		require.NoError(b, b.s.Resume())
		b.put(w.lease())
	})
}

func TestRule15APauseWhoseContextEndsIsUndone(t *testing.T) {
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
		assert.Equal(b, 2, b.s.line.Idle())
		assert.ErrorIs(b, b.s.Pause(b.ended()), context.Canceled)
		assert.False(b, b.s.Stat().Paused)
	})
}

func TestRule15ASecondPauseHoldsWhenTheFirstGivesUp(t *testing.T) {
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

func TestRule15ResumeAnswersAPauseThatWaits(t *testing.T) {
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
func TestRule15NoGetFailsWhenTheServerIsRestartedInAPause(t *testing.T) {
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

func TestRule15CloseAllEndsAPause(t *testing.T) {
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
