package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tied: a lease that ends with the context of its get.

// tied is a lease that the returned function ends, because of errGone.
func (b *bed) tied(key any) (*Lease[*thing], func()) {
	b.Helper()
	ctx, cancel := context.WithCancelCause(b.Context())
	l := b.getAs(ctx, Request{Key: key, Tied: true}).lease()
	assert.Equal(b, ctx, l.Context())
	return l, func() { cancel(errGone); synctest.Wait() }
}

// gone says that its context has ended l, and that it is put once all the same.
func (b *bed) gone(l *Lease[*thing]) {
	b.Helper()
	b.goneUnput(l)
	b.put(l)
	b.dead(l)
}

func (b *bed) goneUnput(l *Lease[*thing]) {
	b.Helper()
	_, err := l.Use("anything")
	_, taken := l.Take()
	for _, err := range []error{err, taken} {
		assert.ErrorIs(b, err, ErrNotLeased)
		assert.ErrorIs(b, err, context.Canceled)
		assert.ErrorIs(b, err, errGone)
		assert.NotErrorIs(b, err, ErrBusy)
		assert.ErrorContains(b, err, "not leased: ")
	}
	assert.Nil(b, l.Value())
	assert.Nil(b, l.Expose())
	assert.NotNil(b, l.Context())
	assert.True(b, l.Of(b.s))
}

// lost says that a get has ended with its context.
func (p *pending) lost() {
	p.b.Helper()
	err := p.fails()
	assert.ErrorIs(p.b, err, context.Canceled)
	assert.ErrorIs(p.b, err, errGone)
}

func TestTiedEndsWhileItWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.get().lease()
		ctx, cancel := context.WithCancelCause(b.Context())
		w := b.getAs(ctx, Request{Key: "k", Tied: true})
		w.waits()
		cancel(errGone)
		w.lost()
		b.put(x)
		b.counts(1, 0, 1, 0)
		w = b.getAs(ctx, Request{Key: "k", Tied: true})
		w.lost() // it has ended before
	})
}

func TestTiedEndsWhileItsResourceIsOpened(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.opening = takes(time.Second)
		ctx, cancel := context.WithCancelCause(b.Context())
		w := b.getAs(ctx, Request{Key: "k", Tied: true})
		w.waits()
		cancel(errGone)
		w.lost()
		time.Sleep(time.Second)
		b.counts(1, 0, 1, 0)
	})
}

func TestTiedEndsWhileAHelperLooks(t *testing.T) {
	slow := make(chan struct{}, 10) // for each that is to take a second
	wait := func() {
		select {
		case <-slow:
			time.Sleep(time.Second)
		default:
		}
	}
	for hook, cfg := range map[string]Config[*thing]{
		"Look":    {Look: func(*thing) Verdict { wait(); return Keep }, LookAfter: time.Minute},
		"Prepare": {Prepare: func(context.Context, *thing, bool) (Verdict, error) { wait(); return Keep, nil }},
		"Bind":    {Bind: func(context.Context, any, *thing) error { wait(); return nil }, Judge: func(*thing) Verdict { return Keep }},
	} {
		t.Run(hook, func(t *testing.T) {
			cfg.MaxOpen = 1
			inBed(t, cfg, func(b *bed) {
				b.rest(1)
				time.Sleep(time.Hour)
				slow <- struct{}{}
				ctx, cancel := context.WithCancelCause(b.Context())
				q := Request{Key: "k", Tied: true, Bind: hook == "Bind"}
				w := b.getAs(ctx, q)
				w.waits()
				other := b.getKey("j")
				other.waits()
				require.Empty(b, slow, "the helper is at it")
				cancel(errGone)
				w.lost()
				other.waits()
				time.Sleep(time.Second)
				b.put(other.lease())
				b.counts(1, 0, 1, 0)
				assert.EqualValues(b, 1, b.dials.Load())
			})
		})
	}
}

// The grant and the end of the context come together: the reference goes back.
func TestTiedEndsWithTheGrant(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, w := b.get().lease(), b.getKey("k")
		w.waits()
		ctx, cancel := context.WithCancelCause(b.Context())
		stop := b.stopAt(beforeCancel)
		late := b.getAs(ctx, Request{Key: "k", Tied: true})
		late.waits()
		cancel(errGone)
		stop.holds()
		b.put(x)
		assert.Equal(b, 2, b.holders("k"))
		stop.goes()
		late.lost()
		assert.Equal(b, 1, b.holders("k"))
		b.put(w.lease())
		b.counts(1, 0, 1, 0)
	})
}

// The end of the context comes after the grant, and before the borrower has said that
// it holds the resource.
func TestTiedEndsBeforeItIsKnown(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.getKey("k").lease()
		ctx, cancel := context.WithCancelCause(b.Context())
		s := <-x.hold.share
		w := b.getAs(ctx, Request{Key: "k", Tied: true})
		synctest.Wait()
		cancel(errGone)
		assert.Equal(b, 2, b.holders("k"))
		x.hold.share <- s
		b.gone(w.lease())
		assert.Equal(b, 1, b.holders("k"))
		b.put(x)
		b.counts(1, 0, 1, 0)
	})
}

// Nothing is left with a context whose lease has ended.
func TestTiedIsUntied(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		for name, end := range map[string]func(ctx context.Context, l *Lease[*thing]){
			"put":     func(_ context.Context, l *Lease[*thing]) { b.put(l) },
			"discard": func(_ context.Context, l *Lease[*thing]) { b.discard(l) },
			"key":     func(ctx context.Context, l *Lease[*thing]) { require.NoError(b, b.s.PutKey(ctx, "k", false)) },
			"take":    func(_ context.Context, l *Lease[*thing]) { b.take(l) },
			"in a turn": func(_ context.Context, l *Lease[*thing]) {
				b.use(l, "read")
				b.put(l)
				l.Done()
			},
		} {
			ctx := &wiredContext{Context: b.Context(), done: make(chan struct{})}
			l := b.getAs(ctx, Request{Key: "k", Tied: true}).lease()
			assert.EqualValues(b, 1, ctx.wires.Load())
			other := b.getKey("k").lease()
			_, err := l.Take()
			require.Equal(b, ErrShared, err)
			assert.EqualValues(b, 1, ctx.wires.Load(), "it is tied as before")
			b.put(other)
			end(ctx, l)
			assert.Zero(b, ctx.wires.Load(), name)
			b.counts(b.s.Stat().Open, 0, b.s.Stat().Open, 0)
		}
	})
}

// A wiredContext counts who waits for its end.
type wiredContext struct {
	context.Context
	done  chan struct{}
	wires atomic.Int64
}

func (c *wiredContext) Done() <-chan struct{} { return c.done }

func (c *wiredContext) Err() error {
	if isClosed(c.done) {
		return context.Canceled
	}
	return nil
}

func (c *wiredContext) AfterFunc(f func()) func() bool {
	c.wires.Add(1)
	return func() bool { c.wires.Add(-1); return true }
}

// At rest the reference goes back at once, and the last has the resource judged and
// lent to the next.
func TestTiedEndsAtRest(t *testing.T) {
	judged := 0
	inBed(t, Config[*thing]{MaxOpen: 1, Judge: func(*thing) Verdict { judged++; return Keep }}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("k")
		b.use(x, "read")
		x.Done()
		w := b.get()
		w.waits()
		time.Sleep(time.Second)
		end()
		w.waits()
		assert.Equal(b, 1, b.holders("k"))
		assert.Zero(b, judged)
		b.gone(x)
		assert.Equal(b, 1, b.holders("k"))
		b.use(y, "write")
		y.Done()
		ended := time.Now()
		endOther()
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.Equal(b, ended, w.at)
		assert.Equal(b, 1, judged)
		b.gone(y)
		assert.EqualValues(b, 1, w.l.Value().id, "a late put is nobody's")
		b.put(w.l)
		b.counts(1, 0, 1, 0)
		time.Sleep(time.Hour)
		assert.Zero(b, b.thing(1).kills.Load())
	})
}

// A late put of what its context has ended changes nothing, whatever it says.
func TestTiedEndsAndALateDiscard(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, end := b.tied("k")
		end()
		next := b.getKey("k").lease()
		b.discard(x)
		b.dead(x)
		b.put(next)
		assert.Empty(b, b.closed())
		b.counts(1, 0, 1, 0)
	})
}

func TestTiedEndsWithADeadline(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		x := b.getAs(ctx, Request{Key: "k", Tied: true}).lease()
		time.Sleep(time.Minute - 1)
		assert.NotNil(b, x.Value())
		w := b.get()
		w.waits()
		<-w.done
		assert.Equal(b, time.Now(), w.at)
		_, err := x.Use("read")
		assert.ErrorIs(b, err, ErrNotLeased)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		b.put(w.lease())
		b.put(x)
	})
}

// A context that never ends ties nothing; who is not tied does not end.
func TestTiedToNothing(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.getAs(context.WithoutCancel(b.Context()), Request{Key: "k", Tied: true}).lease()
		assert.Nil(b, x.Context())
		ctx, cancel := context.WithCancel(b.Context())
		y := b.getAs(ctx, Request{Key: "k"}).lease()
		assert.Nil(b, y.Context())
		cancel()
		assert.Equal(b, 2, b.holders("k"))
		b.use(y, "read")
		y.Done()
		b.put(y)
		b.put(x)
	})
}

// In a turn it ends with that; the others keep theirs.
func TestTiedEndsInATurn(t *testing.T) {
	for _, puts := range []string{"after", "in the turn", "discards in the turn"} {
		t.Run(puts, func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
				x, end := b.tied("k")
				y := b.getKey("k").lease()
				b.use(x, "read")
				end()
				assert.Equal(b, 2, b.holders("k"))
				b.goneUnput(x)
				x.Doing("read on")
				b.busy(y, "read on")
				time.Sleep(499 * time.Millisecond)
				switch puts {
				case "in the turn":
					b.put(x)
				case "discards in the turn":
					b.discard(x)
				}
				assert.Equal(b, 2, b.holders("k"), "the turn goes on")
				x.Done()
				assert.Equal(b, 1, b.holders("k"))
				if puts == "after" {
					b.gone(x)
				}
				b.dead(x)
				b.use(y, "write")
				y.Done()
				time.Sleep(time.Hour)
				assert.Zero(b, b.thing(1).kills.Load())
				b.put(y)
				if puts == "discards in the turn" {
					assert.Equal(b, []int64{1}, b.closed())
				} else {
					b.counts(1, 0, 1, 0)
				}
			})
		})
	}
}

func TestTiedEndsInATurnThatNeverEnds(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("k")
		z := b.getKey("k").lease()
		b.use(x, "read")
		w, k := b.get(), (*pending)(nil)
		w.waits()
		begun := time.Now()
		end()
		time.Sleep(500*time.Millisecond - 1)
		w.waits()
		assert.Zero(b, b.thing(1).kills.Load())
		<-w.done
		assert.Equal(b, 500*time.Millisecond, w.at.Sub(begun))
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		assert.EqualValues(b, 2, w.lease().Value().id)
		b.put(w.l)
		endOther()
		b.gone(y)
		b.gone(x)
		x.Done()
		assert.Equal(b, 1, b.s.Stat().Keys, "it is dead, and z holds it")
		b.putDead(z)
		b.dead(z)
		k = b.getKey("k")
		assert.EqualValues(b, 2, k.lease().Value().id, "another resource under the same key")
		b.put(k.l)
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		assert.Empty(b, b.closed())
		b.counts(1, 0, 1, 0)
	})
}

// The turn ends in the moment in which it has lasted for EndGrace: the resource is
// put or killed, not both.
func TestTiedEndsInATurnThatEndsWithTheGrace(t *testing.T) {
	for range 20 {
		inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
			x, end := b.tied("k")
			b.use(x, "read")
			end()
			time.Sleep(500 * time.Millisecond)
			x.Done()
			b.gone(x)
			killed := b.thing(1).kills.Load()
			assert.EqualValues(b, killed, b.s.Stat().Revoked)
			b.counts(1-int(killed), 0, 1-int(killed), 0)
		})
	}
}

// Exposed it ends with its put, or after EndGrace.
func TestTiedEndsExposed(t *testing.T) {
	for _, inTurn := range []bool{false, true} {
		t.Run(fmt.Sprint("in a turn ", inTurn), func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
				x, end := b.tied("k")
				assert.EqualValues(b, 1, x.Expose().id)
				if inTurn {
					b.use(x, "read")
				}
				end()
				b.goneUnput(x)
				time.Sleep(499 * time.Millisecond)
				assert.Equal(b, 1, b.holders("k"))
				if inTurn {
					x.Done()
					assert.Equal(b, 1, b.holders("k"), "it is still exposed")
				}
				b.put(x)
				b.dead(x)
				b.counts(1, 0, 1, 0)

				x, end = b.tied("k")
				x.Expose()
				if inTurn {
					b.use(x, "read")
				}
				end()
				b.discard(x)
				b.dead(x)
				if inTurn {
					assert.Equal(b, 1, b.holders("k"), "it still has the turn")
					x.Done()
				}
				assert.Equal(b, []int64{1}, b.closed())
			})
		})
	}
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, end := b.tied("k")
		x.Expose()
		w := b.get()
		w.waits()
		begun := time.Now()
		end()
		<-w.done
		assert.Equal(b, 500*time.Millisecond, w.at.Sub(begun))
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		b.put(w.lease())
		b.gone(x)
	})
}

// Put and the end of the context in the same instant, either first.
func TestTiedEndsWithItsPut(t *testing.T) {
	for _, first := range []string{"put", "end"} {
		for _, inTurn := range []bool{false, true} {
			for _, discards := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s first, in a turn %v, discards %v", first, inTurn, discards), func(t *testing.T) {
					inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
						x, end := b.tied("k")
						y := b.getKey("k").lease()
						if inTurn {
							b.use(x, "read")
						}
						put := x.Put
						if discards {
							put = x.Discard
						}
						var err error
						var done chan struct{}
						s := <-x.hold.share // both want it, and have it in their order
						if first == "end" {
							end()
						}
						done = in(func() { err = put() })
						synctest.Wait()
						if first == "put" {
							end()
						}
						x.hold.share <- s
						<-done
						require.NoError(b, err)
						_, use := x.Use("more")
						assert.Equal(b, ErrNotLeased, use)
						if inTurn {
							assert.Equal(b, 2, b.holders("k"))
							x.Done()
						}
						b.dead(x)
						assert.Equal(b, 1, b.holders("k"), "one reference, once")
						b.put(y)
						if first == "put" || inTurn { // else what is said may come in time, or late
							assert.Equal(b, discards, len(b.closed()) == 1, "closed %v", b.closed())
						}
						time.Sleep(time.Hour)
						assert.Zero(b, b.thing(1).kills.Load())
					})
				})
			}
		}
	}
}

func TestTiedEndsAfterItsPut(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("k")
		b.put(x)
		end()
		assert.Equal(b, 1, b.holders("k"))
		b.dead(x) // without a word of the context: it was put before
		b.use(y, "read")
		require.NoError(b, y.Put())
		endOther()
		assert.Equal(b, 1, b.holders("k"))
		y.Done()
		b.counts(1, 0, 1, 0)
		next := b.getKey("k").lease()
		time.Sleep(time.Hour)
		assert.EqualValues(b, 1, next.Value().id)
		b.put(next)
	})
}

// What expires or is reset is closed when its last context has ended.
func TestTiedAndReset(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxAge: time.Hour}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("k")
		require.NoError(b, b.s.Reset())
		w := b.get()
		end()
		w.waits()
		endOther()
		assert.EqualValues(b, 2, w.lease().Value().id)
		assert.Equal(b, []int64{1}, b.closed())
		b.put(w.l)
		b.gone(x)
		b.gone(y)

		x, end = b.tied("k")
		time.Sleep(2 * time.Hour)
		assert.EqualValues(b, 2, b.use(x, "read").id)
		end()
		assert.Equal(b, []int64{1}, b.closed())
		x.Done()
		assert.Equal(b, []int64{1, 2}, b.closed())

		x, end = b.tied("k")
		require.NoError(b, b.s.Reset())
		b.use(x, "read")
		end()
		time.Sleep(time.Second) // killed while it is recalled
		b.counts(0, 0, 0, 0)
		w = b.get()
		assert.EqualValues(b, 4, w.lease().Value().id)
		b.put(w.l)
		b.counts(1, 0, 1, 0)
	})
}

func TestTiedAndResize(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("j")
		z, endTurn := b.tied("i")
		b.use(z, "read")
		require.NoError(b, b.s.Resize(0, 1))
		w := b.get()
		w.waits()
		endTurn()
		end()
		assert.Equal(b, []int64{1}, b.closed())
		w.waits()
		time.Sleep(time.Second)
		synctest.Wait()
		assert.EqualValues(b, 1, b.thing(3).kills.Load())
		b.counts(1, 1, 0, 1)
		w.waits()
		endOther()
		assert.EqualValues(b, 2, w.lease().Value().id)
		b.put(w.l)
		for _, l := range []*Lease[*thing]{x, y, z} {
			b.gone(l)
		}
		b.counts(1, 0, 1, 0)
	})
}

func TestTiedAndPause(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("j")
		z, endTurn := b.tied("i")
		b.use(y, "read")
		b.use(z, "read")
		p := b.pause(b.Context())
		again, endAgain := b.tied("k") // holders go on sharing
		end()
		endOther()
		endTurn()
		y.Done()
		assert.False(b, isClosed(p.done))
		endAgain()
		assert.False(b, isClosed(p.done))
		time.Sleep(500 * time.Millisecond) // then what is in a turn is killed
		synctest.Wait()
		require.True(b, isClosed(p.done))
		require.NoError(b, p.err)
		b.counts(2, 0, 2, 0)
		w := b.getKey("k")
		w.waits()
		require.NoError(b, b.s.Resume())
		b.put(w.lease())
		for _, l := range []*Lease[*thing]{x, again, y, z} {
			b.gone(l)
		}
	})
}

// CloseAll waits for the turns, which end with the grace.
func TestTiedAndCloseAll(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 3}, func(b *bed) {
		x, end := b.tied("k")
		y, endTurn := b.tied("j")
		z := b.getKey("i").lease()
		b.use(y, "read")
		b.use(z, "read")
		var err error
		done := in(func() { err = b.s.CloseAll(b.Context()) })
		synctest.Wait()
		b.use(x, "read") // borrowers may finish
		x.Done()
		end()
		b.gone(x)
		endTurn()
		require.NoError(b, z.Put())
		begun := time.Now()
		time.Sleep(400 * time.Millisecond)
		z.Done()
		synctest.Wait()
		assert.False(b, isClosed(done))
		<-done
		assert.NoError(b, err, "nothing was left behind")
		assert.Equal(b, 500*time.Millisecond, time.Since(begun))
		assert.Equal(b, []int64{1, 3}, b.closed())
		assert.EqualValues(b, 1, b.thing(2).kills.Load())
		y.Done()
		b.gone(y)
	})
}

// finishing counts the goroutines that wait for the end of a turn.
func finishing() int {
	synctest.Wait()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "hold[...]).finish(")
}

// Revoked while its context, or its put, waits for the end of a turn.
func TestTiedAndCloseAllThatDoesNotWait(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 4, EndGrace: time.Hour}, func(b *bed) {
		x, end := b.tied("x")
		y, endTurn := b.tied("y")
		z := b.getKey("z").lease()
		e, endExposed := b.tied("e")
		b.use(y, "read")
		b.use(z, "read")
		e.Expose()
		endTurn()
		endExposed()
		require.NoError(b, z.Put())
		assert.Equal(b, 3, finishing())
		begun := time.Now()
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.Len(b, c.Leases, 4)
		synctest.Wait()
		require.True(b, isClosed(b.s.closed))
		for id := range int64(4) {
			assert.EqualValues(b, 1, b.thing(id+1).kills.Load())
		}
		assert.Zero(b, finishing(), "nobody waits for a turn any more")
		end() // and nothing happens
		y.Done()
		z.Done()
		b.gone(x)
		b.gone(y)
		b.gone(e)
		b.dead(z)
		assert.Zero(b, time.Since(begun))
	})
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x, end := b.tied("x")
		y := b.getKey("y").lease()
		require.Error(b, b.s.CloseAll(b.ended()))
		synctest.Wait()
		assert.ErrorIs(b, x.Put(), ErrRevoked)
		b.dead(x)
		_, err := y.Take()
		assert.ErrorIs(b, err, ErrRevoked)
		end()
	})
}

// The grace is over after CloseAll has revoked: killed once.
func TestTiedAndTheGraceAfterCloseAll(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, Kill: func(*thing) { time.Sleep(time.Minute) }}, func(b *bed) {
		x, end := b.tied("k")
		b.use(x, "read")
		end()
		require.Error(b, b.s.CloseAll(b.ended()))
		require.False(b, isClosed(b.s.closed), "Kill takes its time")
		time.Sleep(time.Second)
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		x.Done()
		b.gone(x)
		time.Sleep(time.Minute)
	})
}

// A Kill that hangs holds the place for CloseGrace, and nobody else.
func TestTiedAndAKillThatHangs(t *testing.T) {
	release := make(chan struct{})
	inBed(t, Config[*thing]{MaxOpen: 1, Kill: func(th *thing) { <-release }}, func(b *bed) {
		release = make(chan struct{})
		x, end := b.tied("k")
		b.use(x, "read")
		w := b.getKey("j")
		w.waits()
		begun := time.Now()
		end()
		<-w.done
		assert.Equal(b, 750*time.Millisecond, w.at.Sub(begun))
		b.put(w.lease())
		x.Done()
		b.gone(x)
		close(release)
	})
}

// Contexts of the caller's own may ask about the lease whenever they are asked.
func TestTiedToAContextOfTheCallers(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx := &nosyContext{Context: b.Context(), done: make(chan struct{})}
		x := b.getAs(ctx, Request{Key: "k", Tied: true}).lease()
		y := b.getKey("k").lease()
		ctx.asks = func() { y.Value(); x.Doing("nothing"); x.Done() }
		close(ctx.done)
		synctest.Wait()
		_, err := x.Use("read")
		assert.ErrorIs(b, err, errGone)
		b.put(y)
		b.counts(1, 0, 1, 0)
		b.put(x)
	})
}

type nosyContext struct {
	context.Context
	done chan struct{}
	asks func()
}

func (c *nosyContext) Done() <-chan struct{} { return c.done }

func (c *nosyContext) Err() error {
	if c.asks != nil {
		c.asks()
	}
	select {
	case <-c.done:
		return errors.Join(context.Canceled, errGone)
	default:
		return nil
	}
}
