package keyed

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 8 and 9: who uses what is shared, and for how long.

func TestRule8OneTurnAtATime(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		x, y, other := b.key("k").hold(), b.key("k").hold(), b.key("j").hold()
		assert.EqualValues(b, 1, b.begin(x, "read").id)
		b.busy(x, "read")
		b.busy(y, "read")
		_, err := y.Begin("read")
		assert.EqualError(b, err, "shared resource is in use: key k: read")
		b.begin(other, "whatever") // another key's turn is another turn
		x.SetDoing("write")
		b.busy(y, "write")
		y.SetDoing("mine") // it is not y's turn
		y.End()
		other.SetDoing("its own")
		b.busy(x, "write")
		assert.EqualValues(b, 1, b.id(y), "a look is no use")
		x.End()
		x.End()
		x.SetDoing("nothing")
		assert.EqualValues(b, 1, b.begin(y, "count").id)
		b.busy(x, "count")
		y.End()
		b.begin(x, "again")
		x.End()
		b.put(x)
		b.dead(x)
		b.begin(y, "alone")
		x.SetDoing("the dead do nothing")
		x.End()
		b.busy(y, "alone")
		y.End()
		b.put(y)
		b.dead(y)
		other.End()
		b.put(other)
	})
}

// The turn is over for the next resource of the key.
func TestTurnsBeginAnewWithTheNextResource(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("k").hold()
		b.begin(x, "read")
		require.NoError(b, x.Put())
		x.End()
		y := b.key("k").hold()
		b.begin(y, "read")
		x.End() // not its turn any more
		b.busy(y, "read")
		y.End()
		b.put(y)
	})
}

// Exposed is used without turns, and beside them.
func TestExposedKeepsNobodyFromTheTurn(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, y := b.key("k").hold(), b.key("k").hold()
		b.begin(y, "read")
		assert.EqualValues(b, 1, x.Expose().id)
		b.busy(x, "read")
		y.End()
		b.begin(y, "read")
		b.put(x)
		assert.Equal(b, 1, b.refs(y), "exposed or not, it is put")
		y.End()
		b.put(y)
	})
}

// A put in a turn returns at once; the reference comes back when the turn ends.
func TestPutInATurn(t *testing.T) {
	for _, tied := range []bool{false, true} {
		for _, discards := range []bool{false, true} {
			for _, shared := range []bool{false, true} {
				t.Run(fmt.Sprintf("tied %v discards %v shared %v", tied, discards, shared), func(t *testing.T) {
					inBed(t, 1, Config[*thing]{}, func(b *bed) {
						ctx, cancel := b.cancellable()
						x := b.get(ctx, Request[*thing]{Key: "k", Tied: tied}).hold()
						var y *Hold[*thing]
						if shared {
							y = b.key("k").hold()
						}
						b.begin(x, "read")
						put := x.Put
						if discards {
							put = x.Discard
						}
						begun := time.Now()
						require.NoError(b, put())
						assert.Zero(b, time.Since(begun))
						assert.Empty(b, b.reports(), "it is used")
						time.Sleep(499 * time.Millisecond)
						cancel() // too late to matter
						x.SetDoing("write")
						if shared {
							b.busy(y, "write")
						}
						_, err := x.Begin("more")
						assert.Equal(b, actor.ErrNotLeased, err)
						assert.Equal(b, actor.ErrNotLeased, x.Put())
						x.End()
						b.dead(x)
						assert.Equal(b, []int64{1}, b.reports())
						if shared {
							assert.Equal(b, 1, b.refs(y))
							b.begin(y, "read")
							y.End()
							b.did()
							b.put(y)
						}
						if discards {
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

func TestRule9AUseMayOutlastItsHold(t *testing.T) {
	for _, discards := range []bool{false, true} {
		t.Run(fmt.Sprint("discards ", discards), func(t *testing.T) {
			inBed(t, 1, Config[*thing]{EndGrace: time.Minute}, func(b *bed) {
				x, y := b.key("k").hold(), b.key("k").hold()
				time.Sleep(time.Second)
				b.begin(x, "read")
				if discards {
					require.NoError(b, x.Discard())
				} else {
					require.NoError(b, x.Put())
				}
				time.Sleep(time.Minute - 1)
				b.did()
				b.busy(y, "read")
				time.Sleep(time.Nanosecond)
				b.did("kill 1")
				assert.Equal(b, []int64{1}, b.reports(), "x's")
				_, err := y.Begin("read")
				r := b.revokedIs(err)
				assert.Equal(b, actor.ReasonUsed, r.Reason)
				assert.Equal(b, time.Minute+time.Second, r.Held)
				assert.Equal(b, time.Now(), r.At)
				x.End()
				b.dead(x)
				b.putDead(y)
				assert.Equal(b, []int64{1}, b.reports())
				b.did() // the lease has ended
			})
		})
	}
}

// The turn ends in the moment in which it has lasted for EndGrace: the resource is put or
// killed, not both.
func TestATurnThatEndsWithTheGrace(t *testing.T) {
	for range 20 {
		inBed(t, 1, Config[*thing]{}, func(b *bed) {
			x, end := b.tied("k")
			b.begin(x, "read")
			end()
			time.Sleep(500 * time.Millisecond)
			x.End()
			b.expired(x)
			assert.Len(b, b.pool.all(), 1)
			assert.Equal(b, []int64{1}, b.reports())
		})
	}
}

// The turn ends while the resource is killed: Kill is the one end of the lease.
func TestATurnThatEndsWhileItsResourceIsKilled(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		x, y := b.key("k").hold(), b.key("k").hold()
		b.begin(x, "read")
		z, end := b.tied("k")
		z.Expose()
		killing, killed := make(chan struct{}, 10), make(chan struct{})
		b.pool.kills = func(*fakeLease) { killing <- struct{}{}; <-killed }
		require.NoError(b, x.Put())
		time.Sleep(time.Millisecond)
		end()
		<-killing
		time.Sleep(time.Second) // z overstays too
		assert.Empty(b, killing, "it is killed once")
		b.expired(z)
		b.revokedIs(b.key("k").fails()) // a newcomer knows already
		_, err := y.Begin("read")
		b.revokedIs(err)
		x.End()
		b.dead(x)
		b.putDead(y)
		assert.Zero(b, b.keys())
		next := b.key("k").hold() // the key is free, its place not yet
		assert.EqualValues(b, 2, b.id(next))
		b.did()
		close(killed)
		b.did("kill 1")
		b.put(next)
		b.did("put 2")
	})
}

// Two overstay: the resource is killed once, by the first.
func TestTwoTurnsAndExposuresThatNeverEnd(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		ctx, cancel := b.cancellable()
		var holds []*Hold[*thing]
		for range 3 {
			h := b.get(ctx, Request[*thing]{Key: "k", Tied: true}).hold()
			h.Expose()
			holds = append(holds, h)
		}
		b.begin(holds[1], "read")
		cancel()
		time.Sleep(499 * time.Millisecond)
		b.did()
		time.Sleep(time.Millisecond)
		b.did("kill 1")
		assert.Len(b, b.reports(), 3)
		holds[1].End()
		for _, h := range holds {
			b.put(h)
			b.dead(h)
		}
		next := b.key("k").hold()
		assert.EqualValues(b, 2, b.id(next))
		time.Sleep(time.Hour)
		b.begin(next, "read") // what was late was not its
		next.End()
		b.put(next)
	})
}

// A panic of Kill, or of the Put of a context's goroutine, ends there.
func TestPanicsInGoroutinesOfTheLayer(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		panicked := 0
		b.pool.kills = func(l *fakeLease) { _ = l.end("kill", false); panicked++; panic("out of luck") }
		b.pool.judge = func(*thing) { panicked++; panic("out of luck") }
		x := b.key("k").hold()
		b.begin(x, "read")
		require.NoError(b, x.Put())
		time.Sleep(time.Second)
		b.did("kill 1")
		_, end := b.tied("j")
		end()
		b.did()
		assert.Equal(b, 2, panicked)
		assert.Equal(b, []int64{1, 2}, b.reports())
		b.pool.judge = nil
		_, _ = b.pool.lent[0].Discard(), x // which the pool had done
	})
}

// A panic of a borrower's Put goes on in the borrower. The key is free.
func TestAPanicOfPutIsTheBorrowers(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		b.pool.judge = func(*thing) { panic("out of luck") }
		x := b.key("k").hold()
		assert.PanicsWithValue(b, "out of luck", func() { _ = x.Put() })
		b.dead(x)
		assert.NoError(b, b.pool.lent[0].Discard())
	})
}

// The holder is told of the error of the pool.
func TestAPutHasTheErrorOfThePool(t *testing.T) {
	refused := errors.New("pool refuses")
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		get := b.table.config.Get
		b.table.config.Get = func(ctx context.Context, p Patience) (Lease[*thing], error) {
			l, err := get(ctx, p)
			return &refusingLease{l, refused}, err
		}
		x, y := b.key("k").hold(), b.key("k").hold()
		require.NoError(b, x.Put())
		assert.Equal(b, refused, y.Put())
		x = b.key("k").hold()
		assert.Equal(b, refused, x.Discard())
		x, y = b.key("k").hold(), b.key("k").hold()
		_, err := x.Take()
		assert.Equal(b, actor.ErrShared, err)
		require.NoError(b, y.Put())
		_, err = x.Take()
		assert.Equal(b, refused, err)
		b.dead(x)
		synctest.Wait()
	})
}

type refusingLease struct {
	Lease[*thing]
	err error
}

func (l *refusingLease) Put() error            { _ = l.Lease.Put(); return l.err }
func (l *refusingLease) Discard() error        { _ = l.Lease.Discard(); return l.err }
func (l *refusingLease) Take() (*thing, error) { _, _ = l.Lease.Take(); return nil, l.err }
