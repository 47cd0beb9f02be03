package keyed

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 15 and 16: gets that are not served, or do not wait.

func TestRule15ClosingRefusesGets(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		p := newBinder()
		x, end := b.tied("k")
		p.script <- succeeds
		binds, stop := b.binding(p, "j", "first")
		behind := b.key("j")
		fetches := b.key("i")
		waits := b.key("i")
		close(b.pool.closing)
		for _, w := range []*pending{behind, fetches, waits, b.key("k"), b.key("new"), b.get(b.Context(), Request[*thing]{Key: "k", Patience: Try})} {
			assert.Equal(b, actor.ErrClosed, w.fails())
		}
		binds.waits()
		time.Sleep(time.Second)
		assert.Equal(b, actor.ErrClosed, binds.fails(), "Bind ends after the closing")
		b.did("put 2")
		b.begin(x, "read") // borrowers may finish
		x.SetDoing("write")
		b.busy(x, "write")
		x.End()
		assert.Equal(b, actor.ErrClosed, b.table.Put(b.Context(), "j", false), "nothing to put")
		assert.NoError(b, b.table.Put(b.Context(), "k", false))
		b.dead(x)
		b.did("put 1")
		end()
		assert.Equal(b, actor.ErrClosed, b.table.Put(b.Context(), "k", false))
		ctx, cancel := b.cancellable()
		cancel()
		assert.NoError(b, b.table.Put(ctx, "k", false), "what was got with it has gone back")
		stop()
	})
}

// A use that outlasts its hold is killed while the pool closes, too.
func TestClosingAndTurns(t *testing.T) {
	inBed(t, 3, Config[*thing]{}, func(b *bed) {
		x, end := b.tied("x")
		y, endTurn := b.tied("y")
		z := b.key("z").hold()
		b.begin(y, "read")
		b.begin(z, "read")
		close(b.pool.closing)
		end()
		b.expired(x)
		endTurn()
		require.NoError(b, z.Put())
		time.Sleep(400 * time.Millisecond)
		z.End()
		time.Sleep(100 * time.Millisecond)
		b.did("put 1", "put 3", "kill 2")
		y.End()
		b.expired(y)
	})
}

// CloseAll revokes what is held: each holder is told, and nothing waits any more.
func TestClosingAndWhatIsRevoked(t *testing.T) {
	inBed(t, 4, Config[*thing]{EndGrace: time.Hour}, func(b *bed) {
		x, end := b.tied("x")
		y, endTurn := b.tied("y")
		z := b.key("z").hold()
		e, endExposed := b.tied("e")
		b.begin(y, "read")
		b.begin(z, "read")
		e.Expose()
		endTurn()
		endExposed()
		require.NoError(b, z.Put())
		close(b.pool.closing)
		for id := range int64(4) {
			b.pool.revoke(id+1, actor.ReasonClosing)
		}
		err := x.Put()
		assert.ErrorIs(b, err, actor.ErrClosed)
		b.revokedIs(err)
		end()
		y.End()
		z.End()
		b.expired(y)
		b.expired(e)
		b.dead(z)
		assert.Len(b, b.reports(), 4)
		b.pool.all()
		time.Sleep(2 * time.Hour)
		b.did()
	})
}

func TestRule16ATryDoesNotWait(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		try := func(key any) *pending { return b.get(b.Context(), Request[*thing]{Key: key, Patience: Try}) }
		assert.Equal(b, actor.ErrExhausted, try("k").fails(), "it opens nothing")
		assert.Nil(b, b.table.find("k"))
		b.put(b.key("j").hold())
		x := try("k").hold()
		assert.EqualValues(b, 1, b.id(x), "what is idle")
		y := try("k").hold()
		assert.Same(b, x.Value(), y.Value(), "what is bound")
		b.pool.script <- func(context.Context) error { time.Sleep(time.Second); return nil }
		w := b.key("i")
		assert.Equal(b, actor.ErrExhausted, try("i").fails(), "another get fetches")
		assert.Zero(b, b.table.Stat().Waiting)
		time.Sleep(time.Second)
		b.put(w.hold())
		b.put(x)
		b.put(y)
	})
}

// A try that fails takes nothing from those that wait while it binds, or asks.
func TestATryThatFailsAndTheOthers(t *testing.T) {
	inBed(t, 2, Config[*thing]{}, func(b *bed) {
		tried := make(chan struct{})
		get := b.table.config.Get
		b.table.config.Get = func(c context.Context, p Patience) (Lease[*thing], error) {
			if p == Try {
				<-tried
			}
			return get(c, p)
		}
		try := b.get(b.Context(), Request[*thing]{Key: "k", Patience: Try})
		w := b.key("k")
		w.waits()
		close(tried)
		assert.Equal(b, actor.ErrExhausted, try.fails())
		b.put(w.hold())

		p := newBinder()
		p.script <- failing
		try = b.get(b.Context(), Request[*thing]{Key: "k", Patience: Try, Bind: p.bind})
		w = b.key("k")
		time.Sleep(time.Second)
		assert.Equal(b, errNotNow, try.fails())
		assert.Equal(b, errNotNow, w.fails(), "what Bind says is everybody's")
		synctest.Wait()
	})
}

// A get that waits for no borrower shares what is bound, waits for what another one of its
// kind fetches, and is refused while one fetches that may wait for a borrower.
func TestNoWait(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		noWait := func(key any, bind func(context.Context, *thing) error) *pending {
			return b.get(b.Context(), Request[*thing]{Key: key, Patience: NoWait, Bind: bind})
		}
		other := b.key("other").hold()
		assert.Equal(b, actor.ErrExhausted, noWait("k", nil).fails())
		w := b.key("k")
		w.waits()
		assert.Equal(b, actor.ErrExhausted, noWait("k", nil).fails())
		b.put(other)
		k := w.hold()
		b.put(noWait("k", nil).hold())
		b.put(k)

		x := noWait("k", func(context.Context, *thing) error { time.Sleep(time.Second); return nil })
		y := noWait("k", nil)
		y.waits()
		time.Sleep(time.Second)
		b.put(x.hold())
		b.put(y.hold())
	})
}

// A get that waits for no borrower does not stay behind one that takes over and may.
func TestNoWaitAndAGetThatTakesOver(t *testing.T) {
	inBed(t, 1, Config[*thing]{}, func(b *bed) {
		ctx, cancel := context.WithCancel(b.Context())
		p := newBinder()
		first := b.get(ctx, Request[*thing]{Key: "k", Patience: NoWait, Bind: func(ctx context.Context, _ *thing) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		first.waits()
		patient := b.get(b.Context(), Request[*thing]{Key: "k", Bind: p.bind})
		hasty := b.get(b.Context(), Request[*thing]{Key: "k", Patience: NoWait})
		hasty.waits()
		cancel()
		assert.ErrorIs(b, first.fails(), context.Canceled)
		assert.Equal(b, actor.ErrExhausted, hasty.fails())
		b.put(patient.hold())
	})
}
