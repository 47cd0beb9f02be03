package actor

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What becomes of a key whose resource was killed.

// Somebody holds the key at every moment, and one stays too long. Those who come after
// the kill are refused until the others have put, and then the key works again.
func TestKeyOfWhatWasKilledRecoversUnderSteadyGets(t *testing.T) {
	const step, holds = 10 * time.Millisecond, 35 * time.Millisecond
	for name, cfg := range map[string]Config[*thing]{
		"EndGrace": {MaxOpen: 2, EndGrace: time.Second},
		"MaxLease": {MaxOpen: 2, MaxLease: time.Second, EndGrace: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, cfg, func(b *bed) {
				stays := b.getKey("k").lease()
				b.use(stays, "read")
				begun := time.Now()
				if name == "EndGrace" {
					require.NoError(b, stays.Put())
				}
				time.Sleep(step / 2)
				var killed time.Duration
				for range 150 {
					p := b.getKey("k")
					synctest.Wait()
					at := p.at.Sub(begun)
					if p.err != nil {
						assert.ErrorIs(b, p.err, ErrRevoked)
						killed = time.Second
						assert.GreaterOrEqual(b, at, killed)
						assert.LessOrEqual(b, at, killed+holds, "those who held it have put")
					} else {
						id := int64(1)
						if at > time.Second {
							id = 2
						}
						assert.Equal(b, id, p.l.Value().id)
						time.AfterFunc(holds, func() { _ = p.l.Put() })
					}
					if at > time.Second && !stays.hold.isOver() { // he sees it, in the end
						stays.Done()
						_ = stays.Put()
					}
					time.Sleep(step)
				}
				assert.NotZero(b, killed, "nobody came in between")
				time.Sleep(holds)
				b.counts(1, 0, 1, 0)
				assert.EqualValues(b, 1, b.s.Stat().Revoked)
				b.dead(stays)
			})
		})
	}
}

// A lease that is never put costs its key for as long again as a lease may last.
func TestKeyOfALostLeaseIsFreeAfterMaxLease(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Minute}, func(b *bed) {
		lost := b.getKey("k").lease()
		time.Sleep(time.Minute)
		other := b.get().lease()
		assert.EqualValues(b, 2, other.Value().id, "the place is free at once")
		b.put(other)
		for range 3 { // who asks makes it no longer
			err := b.getKey("k").fails()
			assert.Equal(b, &RevokedError{Reason: ReasonHeld, Held: time.Minute}, err)
			time.Sleep(20*time.Second - 1)
		}
		assert.Equal(b, 1, b.s.Stat().Keys)
		time.Sleep(3 * time.Nanosecond)
		synctest.Wait()
		assert.Zero(b, b.s.Stat().Keys, "by itself")
		for range 2 {
			next := b.getKey("k").lease()
			assert.EqualValues(b, 2, b.use(next, "read").id)
			next.Done()
			b.put(next)
		}
		assert.Empty(b, b.wakes(func() { time.Sleep(time.Hour) }), "rule 17")
		assert.ErrorIs(b, lost.Put(), ErrRevoked)
		b.counts(1, 0, 1, 0)
	})
}

// The same for one who shared what another's turn has cost.
func TestKeyOfALostLeaseIsFreeAfterAnothersTurn(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Hour}, func(b *bed) {
		stays, lost := b.getKey("k").lease(), b.getKey("k").lease()
		b.use(stays, "read")
		require.NoError(b, stays.Put())
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		time.Sleep(time.Hour - 1)
		var revoked *RevokedError
		require.ErrorAs(b, b.getKey("k").fails(), &revoked)
		assert.Equal(b, ReasonUsed, revoked.Reason)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		next := b.getKey("k").lease()
		assert.EqualValues(b, 2, next.Value().id)
		stays.Done()
		assert.ErrorIs(b, lost.Put(), ErrRevoked)
		assert.Equal(b, 1, b.holders("k"))
		b.put(next)
	})
}

// Whatever the holders of what was killed do after the key was bound anew, it changes
// nothing there.
func TestLateEndsOfWhatWasKilledChangeNothing(t *testing.T) {
	type late struct {
		*bed
		l   *Lease[*thing]
		ctx context.Context
		end func() // of ctx
	}
	ways := map[string]func(b late){
		"Put":     func(b late) { assert.ErrorIs(b, b.l.Put(), ErrRevoked) },
		"Discard": func(b late) { assert.ErrorIs(b, b.l.Discard(), ErrRevoked) },
		"Take": func(b late) {
			_, err := b.l.Take()
			assert.ErrorIs(b, err, ErrRevoked)
		},
		"the end of its context": func(b late) { b.end() },
		"PutKey, its context ended": func(b late) {
			b.end()
			assert.NoError(b, b.s.PutKey(b.ctx, "k", true))
		},
	}
	inTurn := map[string]func(b late){
		"Done and Put": func(b late) {
			b.l.Done()
			assert.ErrorIs(b, b.l.Put(), ErrRevoked)
		},
		"Put and Done": func(b late) {
			assert.ErrorIs(b, b.l.Put(), ErrRevoked)
			b.l.Done()
		},
		"Put, and Done never": func(b late) {
			assert.ErrorIs(b, b.l.Put(), ErrRevoked)
			time.Sleep(time.Second)
		},
		"the end of its context, and Done": func(b late) {
			b.end()
			b.l.Done()
		},
		"the end of its context, and Done never": func(b late) {
			b.end()
			time.Sleep(time.Second)
		},
	}
	play := func(name string, uses, track bool, way func(b late)) {
		t.Run(fmt.Sprintf("%s, track %v", name, track), func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Minute, Track: track}, func(b *bed) {
				ctx, end := context.WithCancel(b.Context())
				defer end()
				old := late{b, b.getAs(ctx, Request{Key: "k", Tied: true}).lease(), ctx, func() { end(); synctest.Wait() }}
				if uses {
					b.use(old.l, "read")
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				next, another := b.getKey("k").lease(), b.getKey("k").lease()
				way(old)
				_ = old.l.Put() // once more, or at last
				assert.Equal(b, 2, b.holders("k"))
				for _, l := range []*Lease[*thing]{next, another} {
					assert.EqualValues(b, 2, b.use(l, "write").id)
					l.Done()
				}
				if track {
					assert.Len(b, b.s.Leases()[0].Others, 1)
				}
				b.put(another)
				assert.Equal(b, 1, b.holders("k"))
				b.put(next)
				b.counts(1, 0, 1, 0)
				assert.Equal(b, []int64{1, 0}, []int64{b.thing(1).kills.Load(), b.thing(2).kills.Load() + b.thing(2).closes.Load()})
			})
		})
	}
	for _, track := range []bool{false, true} {
		for name, way := range ways {
			play(name, false, track, way)
		}
		for name, way := range inTurn {
			play(name, true, track, way)
		}
	}
}

// A flow of control that has lasted too long calls code that comes for the same key:
// that is told, and does not go on elsewhere.
func TestNestedGetOfWhatWasKilled(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Minute}, func(b *bed) {
		outer, end := b.tied("k")
		time.Sleep(90 * time.Second) // it waits for something else
		nested := b.getAs(outer.Context(), Request{Key: "k", Tied: true})
		assert.ErrorIs(b, nested.fails(), ErrRevoked)
		end()
		assert.Zero(b, b.s.Stat().Keys, "the flow is over, and so is that")
		next := b.getKey("k").lease()
		assert.EqualValues(b, 2, next.Value().id)
		b.gone(outer)
		b.put(next)
	})
}

// While CloseAll waits, a key that is killed is nobody's.
func TestKeyOfWhatWasKilledWhileCloseAllWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Minute}, func(b *bed) {
		x, y := b.getKey("k").lease(), b.getKey("j").lease()
		closed := in(func() { assert.NoError(b, b.s.CloseAll(b.Context())) })
		time.Sleep(time.Minute)
		<-closed
		assert.Zero(b, b.s.Stat().Keys)
		assert.Equal(b, ErrClosed, b.getKey("k").fails())
		assert.ErrorIs(b, x.Put(), ErrRevoked)
		assert.ErrorIs(b, y.Put(), ErrRevoked)
	})
}
