package actor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Turns: of all who hold a resource under a key, one uses it at a time.

// getAs is getWith with ctx itself, which a tied lease lives as long as.
func (b *bed) getAs(ctx context.Context, r Request) *pending {
	p := &pending{b: b, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.l, p.err = b.s.GetWith(ctx, r)
		p.at = time.Now()
	}()
	return p
}

// use begins a turn, now.
func (b *bed) use(l *Lease[*thing], doing string) *thing {
	b.Helper()
	th, err := l.Use(doing)
	require.NoError(b, err)
	require.NotNil(b, th)
	return th
}

// busy says that no turn can begin, and what for.
func (b *bed) busy(l *Lease[*thing], doing string) {
	b.Helper()
	th, err := l.Use("something else")
	assert.Nil(b, th)
	assert.ErrorIs(b, err, ErrBusy)
	var busy *BusyError
	require.ErrorAs(b, err, &busy)
	assert.Equal(b, BusyError{l.Key(), doing}, *busy)
	assert.EqualError(b, err, fmt.Sprintf("shared resource is in use: key %v: %s", l.Key(), doing))
}

// dead says that l has been put, whoever did it.
func (b *bed) dead(l *Lease[*thing]) {
	b.Helper()
	_, err := l.Use("anything")
	assert.Equal(b, ErrNotLeased, err)
	_, err = l.Take()
	assert.Equal(b, ErrNotLeased, err)
	assert.Nil(b, l.Value())
	assert.Nil(b, l.Expose())
	assert.Equal(b, ErrNotLeased, l.Put())
	assert.Equal(b, ErrNotLeased, l.Discard())
}

// holders is how many leases share what is lent under key.
func (b *bed) holders(key any) int {
	b.Helper()
	synctest.Wait()
	n, _ := ask(b.s, func(m *machine[*thing], _ time.Duration) int { // Leases would wait for a sharing that a test has
		if bound := m.keys[key]; bound != nil {
			return bound.holders
		}
		return 0
	})
	return n
}

// counts are those of Open, Leased, Idle and Keys.
func (b *bed) counts(open, leased, idle, keys int) {
	b.Helper()
	synctest.Wait()
	st := b.s.Stat()
	assert.Equal(b, []int{open, leased, idle, keys}, []int{st.Open, st.Leased, st.Idle, st.Keys}, "open, leased, idle, keys")
}

func TestTurns(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		x, y, other := b.getKey("k").lease(), b.getKey("k").lease(), b.getKey("j").lease()
		assert.EqualValues(b, 1, b.use(x, "read").id)
		b.busy(x, "read")
		b.busy(y, "read")
		b.use(other, "whatever") // another key's turn is another turn
		x.Doing("write")
		b.busy(y, "write")
		y.Doing("mine") // it is not y's turn
		y.Done()
		other.Doing("its own")
		b.busy(x, "write")
		assert.EqualValues(b, 1, y.Value().id, "a look is no use")
		x.Done()
		x.Done()
		x.Doing("nothing")
		assert.EqualValues(b, 1, b.use(y, "count").id)
		b.busy(x, "count")
		y.Done()
		b.use(x, "again")
		x.Done()
		b.put(x)
		b.dead(x)
		b.use(y, "alone")
		x.Doing("the dead do nothing")
		x.Done()
		b.busy(y, "alone")
		y.Done()
		b.put(y)
		b.dead(y)
		other.Done()
		b.put(other)
	})
}

// The turn is over for whoever is bound next.
func TestTurnsBeginAnewWithTheNextBinding(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.getKey("k").lease()
		b.use(x, "read")
		require.NoError(b, x.Put())
		x.Done()
		y := b.getKey("k").lease()
		assert.EqualValues(b, 1, b.use(y, "read").id)
		x.Done() // not its turn any more
		b.busy(y, "read")
		y.Done()
		b.put(y)
	})
}

func TestTurnsWithoutAKey(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2}, func(b *bed) {
		other := b.start(Config[*thing]{MaxOpen: 1})
		x := b.get().lease()
		for range 2 {
			assert.EqualValues(b, 1, b.use(x, "read").id, "always its turn")
			x.Doing("write")
			x.Done()
			assert.EqualValues(b, 1, x.Expose().id)
		}
		assert.Nil(b, x.Context())
		assert.Nil(b, x.Key())
		assert.True(b, x.Of(b.s))
		assert.False(b, x.Of(other))
		b.put(x)
		assert.False(b, x.Of(b.s))
		assert.Nil(b, x.Context())
		x.Doing("nothing")
		x.Done()
		b.dead(x)

		k := b.getKey("k").lease()
		assert.Nil(b, k.Context(), "not tied")
		assert.True(b, k.Of(b.s))
		assert.False(b, k.Of(other))
		assert.EqualValues(b, 1, k.Expose().id)
		b.put(k)
		assert.Equal(b, 1, b.shelved(), "exposed or not, it is put")
		assert.True(b, k.Of(b.s), "it was")
		b.dead(k)
		require.NoError(b, other.CloseAll(b.Context()))
	})
}

// Exposed is used without turns, and beside them.
func TestExposedKeepsNobodyFromTheTurn(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, y := b.getKey("k").lease(), b.getKey("k").lease()
		b.use(y, "read")
		assert.EqualValues(b, 1, x.Expose().id)
		b.busy(x, "read")
		y.Done()
		b.use(y, "read")
		b.put(x)
		y.Done()
		b.put(y)
		b.counts(1, 0, 1, 0)
	})
}

// A put in a turn returns at once; the reference goes back when the turn is over.
func TestPutInATurn(t *testing.T) {
	for _, tied := range []bool{false, true} {
		for _, discards := range []bool{false, true} {
			for _, shared := range []bool{false, true} {
				t.Run(fmt.Sprintf("tied %v discards %v shared %v", tied, discards, shared), func(t *testing.T) {
					inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
						ctx, cancel := context.WithCancel(b.Context())
						defer cancel()
						x := b.getAs(ctx, Request{Key: "k", Tied: tied}).lease()
						var y *Lease[*thing]
						if shared {
							y = b.getKey("k").lease()
						}
						b.use(x, "read")
						w := b.get()
						w.waits()
						begun := time.Now()
						if discards {
							require.NoError(b, x.Discard())
						} else {
							require.NoError(b, x.Put())
						}
						assert.Zero(b, time.Since(begun))
						time.Sleep(499 * time.Millisecond)
						cancel() // too late to matter
						w.waits()
						x.Doing("write")
						if shared {
							b.busy(y, "write")
						}
						_, err := x.Use("more")
						assert.Equal(b, ErrNotLeased, err)
						assert.Equal(b, ErrNotLeased, x.Put())
						x.Done()
						b.dead(x)
						if shared {
							w.waits()
							assert.Equal(b, 1, b.holders("k"))
							b.use(y, "read")
							y.Done()
							assert.Empty(b, b.closed())
							b.put(y)
						}
						id := int64(1)
						if discards {
							id = 2
						}
						assert.Equal(b, id, w.lease().Value().id)
						b.put(w.l)
						time.Sleep(time.Hour)
						assert.Zero(b, b.thing(1).kills.Load())
						b.counts(1, 0, 1, 0)
					})
				})
			}
		}
	}
}

// After EndGrace the resource is taken from whoever still uses it, to the moment.
func TestPutInATurnThatNeverEnds(t *testing.T) {
	for _, discards := range []bool{false, true} {
		t.Run(fmt.Sprint("discards ", discards), func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1, EndGrace: time.Minute}, func(b *bed) {
				x, y := b.getKey("k").lease(), b.getKey("k").lease()
				b.use(x, "read")
				w := b.get()
				w.waits()
				begun := time.Now()
				if discards {
					require.NoError(b, x.Discard())
				} else {
					require.NoError(b, x.Put())
				}
				time.Sleep(time.Minute - 1)
				w.waits()
				assert.Zero(b, b.thing(1).kills.Load())
				<-w.done
				assert.Equal(b, time.Minute, w.at.Sub(begun))
				assert.EqualValues(b, 2, w.lease().Value().id)
				b.put(w.l)
				assert.EqualValues(b, 1, b.thing(1).kills.Load())
				assert.Zero(b, b.thing(1).closes.Load(), "killed, not closed")
				assert.EqualValues(b, 1, b.s.Stat().Revoked)
				_, err := y.Use("read")
				assert.ErrorIs(b, err, ErrRevoked)
				x.Done()
				b.dead(x)
				b.putDead(y)
				b.dead(y)
				b.counts(1, 0, 1, 0)
			})
		})
	}
}

// Two overstay: the resource is killed once, by the first.
func TestTwoTurnsAndExposuresThatNeverEnd(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx, cancel := context.WithCancel(b.Context())
		var leases []*Lease[*thing]
		for range 3 {
			l := b.getAs(ctx, Request{Key: "k", Tied: true}).lease()
			l.Expose()
			leases = append(leases, l)
		}
		b.use(leases[1], "read")
		cancel()
		synctest.Wait()
		time.Sleep(499 * time.Millisecond)
		assert.Zero(b, b.thing(1).kills.Load())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		leases[1].Done()
		for _, l := range leases {
			b.put(l)
			b.dead(l)
		}
		b.counts(0, 0, 0, 0)
		next := b.getKey("k").lease()
		assert.EqualValues(b, 2, next.Value().id)
		time.Sleep(time.Hour)
		assert.EqualValues(b, 2, b.use(next, "read").id, "what was late was not its")
		next.Done()
		b.put(next)
	})
}

// Of two holders one stays too long: whoever comes for the key until both have let
// go of it is told that it was killed; its place is free at once.
func TestKeyOfWhatWasKilled(t *testing.T) {
	for _, track := range []bool{false, true} {
		t.Run(fmt.Sprint("track ", track), func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1, Track: track}, func(b *bed) {
				x, y := b.getKey("k").lease(), b.getKey("k").lease()
				b.use(x, "read")
				w := b.get()
				w.waits()
				begun := time.Now()
				require.NoError(b, x.Put())
				<-w.done
				assert.Equal(b, 500*time.Millisecond, w.at.Sub(begun))
				assert.EqualValues(b, 2, w.lease().Value().id)
				_, used := y.Use("read")
				for _, err := range []error{used, b.getKey("k").fails(), b.getKey("k").fails()} {
					var revoked *RevokedError
					require.ErrorAs(b, err, &revoked)
					assert.Equal(b, ReasonUsed, revoked.Reason)
				}
				assert.Len(b, b.s.Leases(), 1, "w's")
				assert.Equal(b, 1, b.s.Stat().Keys)
				x.Done()
				assert.ErrorIs(b, b.s.PutKey(b.Context(), "k", false), ErrRevoked)
				synctest.Wait()
				b.dead(y)
				assert.Zero(b, b.s.Stat().Keys)
				k := b.getKey("k")
				k.waits()
				b.put(w.l)
				assert.EqualValues(b, 2, b.use(k.lease(), "read").id)
				k.l.Done()
				b.put(k.l)
				assert.EqualValues(b, 1, b.thing(1).kills.Load())
				b.counts(1, 0, 1, 0)
			})
		})
	}
}

// Who has the turn, and who was granted what was killed as he gave up, let go of it too.
func TestKeyOfWhatWasKilledInATurn(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Second}, func(b *bed) {
		x := b.getKey("k").lease()
		b.use(x, "read")
		time.Sleep(time.Second - 1)
		ctx, cancel := context.WithCancel(b.Context())
		stop := b.stopAt(beforeCancel)
		desk := b.holdDesk()
		gave := b.getAs(ctx, Request{Key: "k"})
		gave.waits()
		cancel()
		stop.holds()
		desk.goes()
		assert.Equal(b, 2, b.holders("k"))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		require.ErrorIs(b, x.Put(), ErrRevoked)
		assert.Equal(b, 2, b.holders("k"), "it is used")
		stop.goes()
		assert.ErrorIs(b, gave.fails(), context.Canceled)
		assert.Equal(b, 1, b.holders("k"))
		x.Done()
		synctest.Wait()
		assert.Zero(b, b.s.Stat().Keys)
		l := b.getKey("k").lease()
		assert.EqualValues(b, 2, l.Value().id)
		b.put(l)
	})
}

func TestTakeAndTurns(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx, cancel := context.WithCancel(b.Context())
		x, y := b.getAs(ctx, Request{Key: "k", Tied: true}).lease(), b.getKey("k").lease()
		_, err := x.Take()
		assert.Equal(b, ErrShared, err)
		b.use(x, "read") // it still works, and is still tied
		x.Done()
		b.use(y, "write")
		_, err = x.Take()
		assert.ErrorIs(b, err, ErrBusy)
		y.Done()
		require.NoError(b, y.Put())
		b.use(x, "read")
		_, err = x.Take()
		assert.EqualError(b, err, "shared resource is in use: key k: read")
		x.Done()
		assert.Equal(b, 1, b.holders("k"))
		x.Expose()
		th := b.take(x)
		assert.EqualValues(b, 1, th.id)
		b.dead(x)
		z := b.getKey("k").lease()
		assert.EqualValues(b, 2, z.Value().id, "its place and its key are free")
		cancel()
		time.Sleep(time.Hour)
		assert.Zero(b, th.kills.Load(), "tied to nothing")
		assert.Equal(b, 1, b.holders("k"))
		b.dead(x)
		b.put(z)
	})
}

// A Take that is refused leaves the lease tied.
func TestTakeThatIsRefusedLeavesTheLeaseTied(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx, cancel := context.WithCancelCause(b.Context())
		x, y := b.getAs(ctx, Request{Key: "k", Tied: true}).lease(), b.getKey("k").lease()
		_, err := x.Take()
		assert.Equal(b, ErrShared, err)
		cancel(errGone)
		synctest.Wait()
		_, err = x.Take()
		assert.ErrorIs(b, err, ErrNotLeased)
		assert.ErrorIs(b, err, errGone)
		assert.Equal(b, 1, b.holders("k"))
		b.put(x)
		b.take(y)
	})
}

// The end of the context comes while Take asks: the taker has it.
func TestTakeAndTheEndOfTheContext(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		ctx, cancel := context.WithCancel(b.Context())
		x := b.getAs(ctx, Request{Key: "k", Tied: true}).lease()
		desk := b.holdDesk()
		var th *thing
		taken := in(func() { th = b.take(x) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		assert.False(b, isClosed(taken))
		desk.goes()
		require.True(b, isClosed(taken))
		assert.EqualValues(b, 1, th.id)
		b.dead(x)
		b.counts(0, 0, 0, 0)
		assert.Zero(b, th.kills.Load())
	})
}

// What was killed cannot be taken.
func TestTakeOfWhatWasKilled(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, y := b.getKey("k").lease(), b.getKey("k").lease()
		b.use(x, "read")
		require.NoError(b, x.Put())
		time.Sleep(time.Second)
		x.Done()
		_, err := y.Take()
		assert.ErrorIs(b, err, ErrRevoked)
		b.dead(y)
		assert.Zero(b, b.s.Stat().Keys)
		assert.EqualValues(b, 1, b.s.Stat().Revoked)
		assert.Zero(b, b.s.Stat().Taken)
	})
}

var errGone = errors.New("the client is gone")
