package keyed

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 11 and 12: what becomes of a key whose holders, or whose resource, have come to
// an end.

func TestRule11AnEndedEntryServesNobody(t *testing.T) {
	for _, way := range []string{"put", "its context", "exposed"} {
		t.Run(way, func(t *testing.T) {
			inBed(t, 2, Config[*thing]{}, func(b *bed) {
				x, end := b.tied("k")
				shared := b.key("k").hold()
				switch way {
				case "put":
					b.begin(x, "rows are unread")
					b.put(x)
				case "its context":
					b.begin(x, "rows are unread")
					end()
				default:
					x.Expose()
					end()
				}
				joined := b.key("k").hold()
				assert.EqualValues(b, 1, b.id(joined), "another hold has not ended")
				b.put(joined)
				b.put(shared)
				assert.Zero(b, b.keys())
				assert.Equal(b, 1, b.refs(x))
				next := b.key("k").hold()
				assert.EqualValues(b, 2, b.id(next))
				b.begin(next, "its own turn")
				next.End()
				assert.NoError(b, b.table.Put(b.Context(), "k", false), "next's")
				b.dead(next)
				assert.Equal(b, actor.ErrNotLeased, b.table.Put(b.Context(), "k", false))
				b.did("put 2")
				if way == "exposed" {
					b.put(x)
					b.did("put 1")
				} else {
					time.Sleep(time.Second)
					b.did("kill 1")
				}
				again := b.key("k").hold()
				assert.NotSame(b, x.ref.entry, again.ref.entry)
				b.put(again)
				assert.EqualValues(b, 5, b.table.Stat().Holds)
				x.End()
				end()
			})
		})
	}
}

// A get that has found the entry, and gets its note when all have ended, looks again.
func TestAnEntryThatEndsAsAGetFindsIt(t *testing.T) {
	for _, lingers := range []bool{false, true} {
		t.Run(fmt.Sprint("lingers ", lingers), func(t *testing.T) {
			inBed(t, 2, Config[*thing]{}, func(b *bed) {
				x := b.key("k").hold()
				if lingers {
					b.begin(x, "read")
				}
				e := x.ref.entry
				n := <-e.note
				put := in(func() { assert.NoError(b, x.Put()) })
				synctest.Wait() // it stands in line for the note, and the gets behind it
				var waiting []*pending
				for range 4 {
					waiting = append(waiting, b.key("k"))
				}
				e.note <- n
				<-put
				for _, w := range waiting {
					assert.NotSame(b, e, w.hold().ref.entry)
					assert.Same(b, waiting[0].hold().ref.entry, w.h.ref.entry)
					b.put(w.h)
				}
				x.End()
				assert.EqualValues(b, 5, b.table.Stat().Holds, "each counts once")
			})
		})
	}
}

// Nobody spins on an entry that has ended before it is off the table.
func TestAGetTakesAnEndedEntryOffTheTable(t *testing.T) {
	inBed(t, 2, Config[*thing]{OnEnd: func(*thing) {}}, func(b *bed) {
		x := b.key("k").hold()
		s := <-x.ref.entry.shard
		put := in(func() { assert.NoError(b, x.Put()) })
		synctest.Wait()
		// The put has ended the entry and stands in line for the shard; the get is next.
		w := b.key("k")
		x.ref.entry.shard <- s
		<-put
		b.put(w.hold())
		assert.EqualValues(b, 2, b.table.Stat().Holds)

		x = b.key("k").hold()
		e := x.ref.entry
		n := <-e.note
		n.state = over // as between a put's note and its shard
		e.note <- n
		y := b.key("k").hold()
		assert.NotSame(b, e, y.ref.entry)
		assert.EqualValues(b, 4, b.table.Stat().Holds)
		n = <-e.note
		n.state = draining
		e.note <- n
		b.put(x)
		b.put(y)
		assert.EqualValues(b, 4, b.table.Stat().Holds)
	})
}

func TestRule12ADeadKeyIsRefused(t *testing.T) {
	for _, why := range []string{"EndGrace", "the pool"} {
		t.Run(why, func(t *testing.T) {
			inBed(t, 3, Config[*thing]{}, func(b *bed) {
				x, y, z := b.key("k").hold(), b.key("k").hold(), b.key("k").hold()
				b.begin(x, "read")
				reason := actor.ReasonUsed
				if why == "EndGrace" {
					b.put(x)
					time.Sleep(time.Second)
					b.did("kill 1")
				} else {
					reason = actor.ReasonHeld
					b.pool.revoke(1, reason)
					b.did("revoke 1")
				}
				_, used := y.Begin("read")
				_, again := z.Begin("read")
				for _, err := range []error{used, again, b.key("k").fails(), b.get(b.Context(), Request[*thing]{Key: "k", Patience: Try}).fails()} {
					assert.Equal(b, reason, b.revokedIs(err).Reason)
				}
				assert.EqualValues(b, 1, y.Value().id, "the holds have not ended")
				assert.Equal(b, 1, b.keys())
				time.Sleep(time.Hour)
				b.revokedIs(b.key("k").fails()) // without MaxLease nobody is taken to be lost
				assert.Equal(b, Stat{Keys: 1, Holds: 3, Fetched: 1}, b.table.Stat(), "a get that is refused holds nothing")
				b.revokedIs(b.table.Put(b.Context(), "k", false))
				b.dead(z)
				b.putDead(y)
				if why == "the pool" {
					assert.Equal(b, 1, b.keys())
					b.revokedIs(x.Put()) // the turn goes on
				}
				assert.Zero(b, b.keys(), "those who held it have let go")
				next := b.key("k").hold()
				assert.EqualValues(b, 2, b.id(next))
				x.End()
				b.dead(x)
				b.put(next)
				if why == "EndGrace" {
					b.did("put 2")
				} else {
					b.did("put 1", "put 2") // the end of a lease that was revoked
				}
				assert.Len(b, b.reports(), 4)
			})
		})
	}
}

func TestADeadKeyIsFreeAfterMaxLease(t *testing.T) {
	for _, why := range []string{"EndGrace", "the pool", "the pool, which does not say when"} {
		t.Run(why, func(t *testing.T) {
			inBed(t, 3, Config[*thing]{MaxLease: time.Minute}, func(b *bed) {
				x, y := b.key("k").hold(), b.key("k").hold()
				if why == "EndGrace" {
					b.begin(x, "read")
					b.put(x)
					time.Sleep(500 * time.Millisecond)
				} else {
					b.pool.revoke(1, actor.ReasonHeld)
				}
				if why == "the pool, which does not say when" {
					x.ref.entry.lease.(*fakeLease).revoked.At = time.Time{}
				} else {
					time.Sleep(time.Second)
				}
				b.revokedIs(b.key("k").fails())
				if why == "the pool, which does not say when" {
					time.Sleep(time.Minute - 1)
				} else {
					time.Sleep(time.Minute - time.Second - 1)
				}
				b.revokedIs(b.key("k").fails())
				time.Sleep(time.Nanosecond)
				before := b.reports()
				next := b.key("k").hold()
				assert.EqualValues(b, 2, b.id(next))
				assert.Len(b, append(before, b.reports()...), 2, "what they held is taken away")
				assert.Equal(b, 1, b.keys())
				_, err := y.Begin("read")
				b.revokedIs(err)
				if why != "EndGrace" {
					b.putDead(x)
				}
				b.putDead(y)
				assert.Empty(b, b.reports(), "once")
				assert.EqualValues(b, 2, b.id(b.key("k").hold()), "the put of the dead is not the next one's")
				require.NoError(b, b.table.Put(b.Context(), "k", false))
				b.put(next)
				assert.EqualValues(b, 4, b.table.Stat().Holds)
				x.End()
			})
		})
	}
}

// The pool revokes what is used beyond its hold: EndGrace does not kill it again.
func TestTheGraceEndsAfterThePoolHasRevoked(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("k")
		y := b.key("k").hold()
		b.begin(x, "read")
		end()
		b.pool.revoke(1, actor.ReasonClosing)
		time.Sleep(time.Second)
		assert.Equal(b, 1, b.refs(y))
		b.did("revoke 1")
		r := b.revokedIs(y.Put())
		assert.ErrorIs(b, r, actor.ErrClosed)
		b.expired(x)
		x.End()
		b.did("put 1")
	})
}

// A pool that revokes while a get waits refuses it.
func TestAGetThatWaitsForWhatIsRevoked(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		x := b.key("k").hold()
		e := x.ref.entry
		n := <-e.note
		w := b.key("k")
		b.pool.revoke(1, actor.ReasonHeld)
		e.note <- n
		b.revokedIs(w.fails())
		b.putDead(x)
	})
}

// A hold of a killed resource that its context ends is put without an error.
func TestAKilledHoldThatItsContextEnds(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx, cancel := b.cancellable()
		x := b.get(ctx, Request[*thing]{Key: "k", Tied: true}).hold()
		b.pool.revoke(1, actor.ReasonHeld)
		cancel()
		assert.Zero(b, b.keys())
		assert.NoError(b, x.Put())
		b.dead(x)
		assert.NoError(b, b.table.Put(ctx, "k", false))
	})
}
