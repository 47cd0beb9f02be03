package keyed

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 10: a hold that ends with the context of its get.

func TestRule10ATiedHoldEndsWithItsContext(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("k")
		b.begin(x, "read")
		x.End()
		w := b.key("j")
		time.Sleep(time.Second)
		end()
		w.waits()
		assert.Equal(b, 1, b.refs(y))
		b.expired(x)
		assert.Equal(b, 1, b.refs(y), "a late put is nobody's")
		b.begin(y, "write")
		y.End()
		endOther()
		b.did("put 1")
		assert.EqualValues(b, 1, b.id(w.hold()))
		b.expired(y)
		assert.EqualValues(b, 1, b.id(w.h))
		b.put(w.h)
		assert.Equal(b, []int64{1, 1, 1}, b.reports())
	})
}

func TestTiedEndsWhileItWaits(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("j").hold()
		ctx, cancel := b.cancellable()
		first, second := b.get(ctx, Request[*thing]{Key: "k", Tied: true}), b.get(ctx, Request[*thing]{Key: "k", Tied: true})
		first.waits()
		second.waits()
		cancel()
		first.lost()
		second.lost()
		b.put(x)
		b.get(ctx, Request[*thing]{Key: "k", Tied: true}).refused()
	})
}

// A waiting get is granted, and its context ends before it wakes: the hold ends with it.
func TestTiedEndsWithTheGrant(t *testing.T) {
	for range 20 { // its select has two channels to choose from
		inBed(t, 1, Config[*thing]{}, func(b *bed) {
			fetched := make(chan struct{})
			b.pool.script <- func(context.Context) error { <-fetched; return nil }
			first := b.key("k")
			ctx, cancel := context.WithCancelCause(b.Context())
			w := b.get(ctx, Request[*thing]{Key: "k", Tied: true})
			cancel(errGone)
			close(fetched)
			synctest.Wait()
			h := first.hold()
			assert.Equal(b, 1, b.refs(h))
			if w.err == nil {
				b.expired(w.hold())
			} else {
				w.lost()
			}
			b.put(h)
		})
	}
}

// The context ends after the grant, and before the get has tied its hold.
func TestTiedEndsBeforeItIsKnown(t *testing.T) {
	for _, by := range []string{"its context", "a put of its key"} {
		t.Run(by, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				x := b.key("k").hold()
				ctx := &wiredContext{Context: b.Context(), done: make(chan struct{})}
				ctx.wired = make(chan struct{})
				w := b.get(ctx, Request[*thing]{Key: "k", Tied: true}) // hangs as it ties
				assert.Equal(b, 2, b.refs(x))
				if by == "its context" {
					ctx.end()
				} else {
					require.NoError(b, b.table.Put(ctx, "k", false))
				}
				close(ctx.wired)
				h := w.hold()
				assert.Equal(b, 1, b.refs(x))
				assert.Zero(b, ctx.wires.Load(), "it is untied")
				if by == "its context" {
					b.put(h)
				}
				b.dead(h)
				b.put(x)
			})
		})
	}
}

// Nothing is left with a context whose hold has ended.
func TestTiedIsUntied(t *testing.T) {
	for name, end := range map[string]func(b *bed, ctx context.Context, h *Hold[*thing]){
		"put":     func(b *bed, _ context.Context, h *Hold[*thing]) { b.put(h) },
		"discard": func(b *bed, _ context.Context, h *Hold[*thing]) { require.NoError(b, h.Discard()) },
		"key":     func(b *bed, ctx context.Context, _ *Hold[*thing]) { require.NoError(b, b.table.Put(ctx, "k", false)) },
		"take":    func(b *bed, _ context.Context, h *Hold[*thing]) { _, err := h.Take(); require.NoError(b, err) },
		"in a turn": func(b *bed, _ context.Context, h *Hold[*thing]) {
			b.begin(h, "read")
			b.put(h)
			h.End()
		},
		"revoked": func(b *bed, _ context.Context, h *Hold[*thing]) {
			b.pool.revoke(1, actor.ReasonHeld)
			_, err := h.Take()
			b.revokedIs(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				ctx := &wiredContext{Context: b.Context(), done: make(chan struct{})}
				h := b.get(ctx, Request[*thing]{Key: "k", Tied: true}).hold()
				assert.EqualValues(b, 1, ctx.wires.Load())
				other := b.key("k").hold()
				_, err := h.Take()
				require.Equal(b, actor.ErrShared, err)
				assert.EqualValues(b, 1, ctx.wires.Load(), "it is tied as before")
				b.put(other)
				end(b, ctx, h)
				assert.Zero(b, ctx.wires.Load())
				b.dead(h)
			})
		})
	}
}

// A wiredContext counts what waits for its end. It tells only those of its end that come
// later.
type wiredContext struct {
	context.Context
	done  chan struct{}
	wired chan struct{} // if not nil, AfterFunc waits for it
	wires atomic.Int64
}

func (c *wiredContext) end()                  { close(c.done) }
func (c *wiredContext) Done() <-chan struct{} { return c.done }

func (c *wiredContext) Err() error {
	if isClosed(c.done) {
		return context.Canceled
	}
	return nil
}

func (c *wiredContext) AfterFunc(f func()) func() bool {
	if c.wired != nil {
		<-c.wired
	}
	if isClosed(c.done) {
		go f()
		return func() bool { return false }
	}
	c.wires.Add(1)
	return func() bool { c.wires.Add(-1); return true }
}

// A late put of what its context has ended changes nothing, whatever it says.
func TestTiedEndsAndALateDiscard(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		end()
		next := b.key("k").hold()
		require.NoError(b, x.Discard())
		b.dead(x)
		b.did("put 1")
		b.put(next)
		b.did("put 1")
	})
	// Also while others hold it.
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		y := b.key("k").hold()
		end()
		require.NoError(b, x.Discard())
		b.put(y)
		b.did("put 1")
	})
}

func TestTiedEndsWithADeadline(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		x := b.get(ctx, Request[*thing]{Key: "k", Tied: true}).hold()
		time.Sleep(time.Minute - 1)
		assert.NotNil(b, x.Value())
		time.Sleep(time.Nanosecond)
		b.did("put 1")
		_, err := x.Begin("read")
		assert.ErrorIs(b, err, actor.ErrNotLeased)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		b.put(x)
	})
}

// A context that never ends ties nothing; a hold that is not tied does not end.
func TestTiedToNothing(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.get(context.WithoutCancel(b.Context()), Request[*thing]{Key: "k", Tied: true}).hold()
		assert.Nil(b, x.Context())
		ctx, cancel := b.cancellable()
		y := b.get(ctx, Request[*thing]{Key: "k"}).hold()
		assert.Nil(b, y.Context())
		cancel()
		assert.Equal(b, 2, b.refs(x))
		b.begin(y, "read")
		y.End()
		b.put(y)
		b.put(x)
	})
}

// In a turn it ends with that; the others keep theirs.
func TestTiedEndsInATurn(t *testing.T) {
	for _, puts := range []string{"after", "in the turn", "discards in the turn"} {
		t.Run(puts, func(t *testing.T) {
			inBed(t, 1, Config[*thing]{}, func(b *bed) {
				x, end := b.tied("k")
				y := b.key("k").hold()
				b.begin(x, "read")
				end()
				assert.Equal(b, 2, b.refs(y))
				b.expiredUnput(x)
				x.SetDoing("read on")
				b.busy(y, "read on")
				time.Sleep(499 * time.Millisecond)
				switch puts {
				case "in the turn":
					b.put(x)
				case "discards in the turn":
					require.NoError(b, x.Discard())
				}
				assert.Equal(b, 2, b.refs(y), "the turn goes on")
				assert.Empty(b, b.reports())
				x.End()
				assert.Equal(b, 1, b.refs(y))
				assert.Equal(b, []int64{1}, b.reports())
				if puts == "after" {
					b.expired(x)
				}
				b.dead(x)
				b.begin(y, "write")
				y.End()
				time.Sleep(time.Hour)
				b.put(y)
				if puts == "discards in the turn" {
					b.did("discard 1")
				} else {
					b.did("put 1")
				}
			})
		})
	}
}

func TestTiedEndsInATurnThatNeverEnds(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("k")
		z := b.key("k").hold()
		b.begin(x, "read")
		end()
		time.Sleep(500*time.Millisecond - 1)
		b.did()
		time.Sleep(time.Nanosecond)
		b.did("kill 1")
		endOther()
		b.expired(y)
		b.expired(x)
		x.End()
		assert.Equal(b, 1, b.keys(), "it is dead, and z holds it")
		b.putDead(z)
		next := b.key("k").hold()
		assert.EqualValues(b, 2, b.id(next), "another resource under the same key")
		b.put(next)
		b.did("put 2")
	})
}

// Exposed it ends with its put, or after EndGrace.
func TestTiedEndsExposed(t *testing.T) {
	for _, inTurn := range []bool{false, true} {
		for _, discards := range []bool{false, true} {
			t.Run(fmt.Sprintf("in a turn %v discards %v", inTurn, discards), func(t *testing.T) {
				inBed(t, 1, Config[*thing]{}, func(b *bed) {
					x, end := b.tied("k")
					assert.EqualValues(b, 1, x.Expose().id)
					if inTurn {
						b.begin(x, "read")
					}
					end()
					b.expiredUnput(x)
					time.Sleep(499 * time.Millisecond)
					assert.Equal(b, 1, b.refs(x))
					put := x.Put
					if discards {
						put = x.Discard
					}
					if inTurn && discards {
						require.NoError(b, put())
						b.dead(x)
						assert.Equal(b, 1, b.refs(x), "it still has the turn")
						x.End()
					} else {
						if inTurn {
							x.End()
							assert.Equal(b, 1, b.refs(x), "it is still exposed")
						}
						require.NoError(b, put())
						b.dead(x)
					}
					if discards {
						b.did("discard 1")
					} else {
						b.did("put 1")
					}
				})
			})
		}
	}
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		x.Expose()
		end()
		time.Sleep(500*time.Millisecond - 1)
		b.did()
		time.Sleep(time.Nanosecond)
		b.did("kill 1")
		b.expired(x)
	})
}

// Put and the end of the context in the same instant, either first.
func TestTiedEndsWithItsPut(t *testing.T) {
	for _, first := range []string{"put", "end"} {
		for _, inTurn := range []bool{false, true} {
			for _, discards := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s first, in a turn %v, discards %v", first, inTurn, discards), func(t *testing.T) {
					inBed(t, 1, Config[*thing]{}, func(b *bed) {
						x, end := b.tied("k")
						y := b.key("k").hold()
						if inTurn {
							b.begin(x, "read")
						}
						put := x.Put
						if discards {
							put = x.Discard
						}
						e := x.ref.entry
						n := <-e.note // both want it, and have it in their order
						if first == "end" {
							end()
						}
						var err error
						done := in(func() { err = put() })
						synctest.Wait()
						if first == "put" {
							end()
						}
						e.note <- n
						<-done
						require.NoError(b, err)
						_, err = x.Begin("more")
						assert.Equal(b, actor.ErrNotLeased, err)
						if inTurn {
							assert.Equal(b, 2, b.refs(y))
							x.End()
						}
						b.dead(x)
						assert.Equal(b, 1, b.refs(y), "one reference, once")
						assert.Equal(b, []int64{1}, b.reports())
						b.put(y)
						// The end at rest is the end: what is said later is nobody's.
						if discards && (first == "put" || inTurn) {
							b.did("discard 1")
						} else {
							b.did("put 1")
						}
						time.Sleep(time.Hour)
						b.did()
					})
				})
			}
		}
	}
}

func TestTiedEndsAfterItsPut(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		y, endOther := b.tied("k")
		b.put(x)
		end()
		assert.Equal(b, 1, b.refs(y))
		b.dead(x) // without a word of the context: it was put before
		b.begin(y, "read")
		require.NoError(b, y.Put())
		endOther()
		assert.Equal(b, 1, b.refs(y))
		y.End()
		b.did("put 1")
		time.Sleep(time.Hour)
	})
}

// Contexts of the caller's own may ask about the hold whenever they are asked.
func TestTiedToAContextOfTheCallers(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx := &nosyContext{Context: b.Context(), done: make(chan struct{})}
		x := b.get(ctx, Request[*thing]{Key: "k", Tied: true}).hold()
		y := b.key("k").hold()
		ctx.asks = func() { y.Value(); x.SetDoing("nothing"); x.End(); b.table.Stat() }
		close(ctx.done)
		synctest.Wait()
		_, err := x.Begin("read")
		assert.ErrorIs(b, err, errGone)
		_, err = b.table.Get(ctx, Request[*thing]{Key: "k"})
		assert.ErrorIs(b, err, errGone)
		assert.NoError(b, b.table.Put(ctx, "k", false))
		b.put(y)
		b.put(x)
	})
}

// A nosyContext calls asks with every call.
type nosyContext struct {
	context.Context
	done chan struct{}
	asks func()
}

func (c *nosyContext) ask() {
	if c.asks != nil {
		c.asks()
	}
}

func (c *nosyContext) Done() <-chan struct{}       { c.ask(); return c.done }
func (c *nosyContext) Deadline() (time.Time, bool) { c.ask(); return time.Time{}, false }
func (c *nosyContext) Value(any) any               { c.ask(); return nil }

func (c *nosyContext) Err() error {
	c.ask()
	if isClosed(c.done) {
		return errors.Join(context.Canceled, errGone)
	}
	return nil
}
