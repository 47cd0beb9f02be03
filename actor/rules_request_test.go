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

// Rules 4 to 6: requests.

func TestRule04CancelRacesGrant(t *testing.T) {
	for _, key := range []any{nil, "k"} {
		t.Run(fmt.Sprint("key ", key), func(t *testing.T) {
			inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
				a := b.get().lease()
				ctx, cancel := context.WithCancel(b.Context())
				stop := b.stopAt(beforeCancel)
				w := b.getWith(ctx, Request{Key: key})
				w.waits()
				cancel()
				stop.holds()
				b.put(a) // granted to w
				_, err := b.s.TryGet()
				require.ErrorIs(b, err, ErrExhausted)
				stop.goes()
				assert.ErrorIs(b, w.fails(), context.Canceled)
				l, err := b.s.TryGet()
				require.NoError(b, err, "invariant 12: a lease is lost")
				assert.EqualValues(b, 1, l.Value().id)
				assert.Zero(b, b.s.Stat().Keys)
				assert.Zero(b, b.s.Stat().Cancelled)
				b.put(l)
			})
		})
	}
}

func TestRule04CancelBeforeGrant(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		w, other := b.getWith(ctx, Request{}), b.get()
		w.waits()
		cancel()
		assert.ErrorIs(b, w.fails(), context.Canceled)
		other.waits()
		b.put(a)
		b.put(other.lease())
		assert.EqualValues(b, 1, b.s.Stat().Cancelled)
		assert.Zero(b, b.s.Stat().Waiting)
	})
}

func TestRule04EndedContextFailsBesideAnIdleOne(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		b.put(b.get().lease())
		_, err := b.s.Get(b.ended())
		assert.ErrorIs(b, err, context.Canceled)
		_, err = b.s.GetWith(b.ended(), Request{Key: "k"})
		assert.ErrorIs(b, err, context.Canceled)
		cause := errors.New("the caller went away")
		ctx, cancel := context.WithCancelCause(b.Context())
		cancel(cause)
		_, err = b.s.Get(ctx)
		assert.ErrorIs(b, err, context.Canceled)
		assert.ErrorIs(b, err, cause)
	})
}

func TestRule04StaleTicketIsReused(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		for len(b.s.tickets) > 0 {
			<-b.s.tickets
		}
		ctx, cancel := context.WithCancel(b.Context())
		stop := b.stopAt(beforeCancel)
		w := b.getWith(ctx, Request{})
		w.waits()
		cancel()
		stop.holds()
		b.put(a) // the grant comes first, the cancel is stale
		desk := b.holdDesk()
		stop.goes()
		w.fails()
		require.Len(b, b.s.tickets, 1)
		next := b.getKey("k") // on w's ticket, behind w's cancel
		next.waits()
		require.Empty(b, b.s.tickets)
		desk.goes()
		assert.Equal(b, "k", next.lease().Key())
		assert.Zero(b, b.s.Stat().Cancelled)
		b.put(next.l)
	})
}

func TestRule04RecycledTicketCarriesNothing(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		l, err := b.s.GetWith(b.Context(), Request{Key: "k", Patience: NoWait})
		require.NoError(b, err)
		require.NoError(b, b.s.Ready(b.Context()))
		require.NotEmpty(b, b.s.tickets)
		for range len(b.s.tickets) {
			tk := <-b.s.tickets
			assert.Equal(b, []any{nil, nil, Wait, forResource}, []any{tk.ctx, tk.key, tk.patience, tk.asks})
			assert.Empty(b, tk.reply)
			b.s.tickets <- tk
		}
		b.put(l)
	})
}

func TestRule05ArrivalOrder(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		l := b.get().lease()
		var line []*pending
		for range 50 {
			w := b.get()
			w.waits()
			line = append(line, w)
		}
		for i, w := range line {
			b.put(l)
			l = w.lease()
			if i < len(line)-1 {
				line[i+1].waits() // invariant 5
			}
		}
		b.put(l)
	})
}

func TestRule05UnfitKeepsTheArrival(t *testing.T) {
	look := func(th *thing) Verdict {
		if th.id == 1 {
			return Discard
		}
		return Keep
	}
	inBed(t, Config[*thing]{MaxOpen: 1, Look: look}, func(b *bed) {
		a := b.get().lease()
		desk := b.holdDesk()
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		b.put(a)
		time.Sleep(time.Second) // it rests on the shelf
		desk.goes()             // first is granted it, and its Look rejects it
		assert.EqualValues(b, 1, b.thing(1).closes.Load())
		assert.EqualValues(b, 2, first.lease().Value().id, "invariant 5")
		second.waits()
		b.put(first.l)
		b.put(second.lease())
	})
}

func TestRule05NewcomerSeesTheGateShutAndQueues(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		push := b.stopAt(beforePush)
		in(func() { a.Put() })
		push.holds()
		first := b.get()
		first.waits()
		desk := b.holdDesk()
		push.goes()
		require.Equal(b, 1, b.shelved()) // the put raced the shutting, and the desk has not seen it
		newcomer := b.get()
		newcomer.waits()
		desk.goes()
		l := first.lease() // invariant 5
		newcomer.waits()
		b.put(l)
		b.put(newcomer.lease())
	})
}

func TestRule06EndWhileAGetWaits(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		w, k := b.get(), b.getKey("k")
		w.waits()
		done := in(func() { assert.NoError(b, b.s.CloseAll(b.Context())) })
		assert.Equal(b, ErrClosed, w.fails(), "invariant 6")
		assert.Equal(b, ErrClosed, k.fails(), "invariant 6")
		assert.Equal(b, ErrClosed, b.get().fails(), "a newcomer")
		b.put(a)
		<-done
		assert.Equal(b, ErrClosed, b.get().fails())
		assert.Equal(b, ErrClosed, b.getKey("k").fails())
		_, err := b.s.TryGet()
		assert.Equal(b, ErrClosed, err)
		assert.Equal(b, ErrClosed, b.s.Ready(b.Context()))
		assert.Equal(b, ErrClosed, b.s.Reset())
		assert.Empty(b, b.s.Leases())
	})
}

func TestRule06EndWhileAGetIsBeingSent(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		desk := b.holdDesk()
		done := in(func() { assert.NoError(b, b.s.CloseAll(b.Context())) })
		synctest.Wait()
		var gets []*pending
		for range 2 * inboxSize { // the inbox has no room for half of them
			gets = append(gets, b.get())
		}
		gets[0].waits()
		require.Equal(b, inboxSize, len(b.s.inbox))
		desk.goes()
		<-done
		for _, w := range gets {
			assert.Equal(b, ErrClosed, w.fails(), "invariant 6")
		}
	})
}

// The end comes while senders stand before a full inbox.
func TestRule06SendersSeeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Supervisor[*thing]{
			inbox: make(chan message[*thing]), idle: make(chan *slot[*thing], 1), gate: make(chan struct{}, 1),
			closed: make(chan struct{}), tickets: make(chan *ticket[*thing], 1),
		}
		lost := &slot[*thing]{sup: s, recall: make(chan struct{})}
		s.gate <- struct{}{}
		var errs [4]error
		done := []chan struct{}{
			in(func() { _, errs[0] = s.Get(t.Context()) }),
			in(func() { errs[1] = (&Lease[*thing]{slot: lost}).Put() }),
			in(func() { errs[2] = s.Reset() }),
			in(func() { errs[3] = s.CloseAll(t.Context()) }),
		}
		synctest.Wait()
		for i := range done {
			require.False(t, isClosed(done[i]))
		}
		close(s.closed)
		synctest.Wait()
		for i := range done {
			require.True(t, isClosed(done[i]), "invariant 6: call %d does not see the end", i)
			assert.Equal(t, ErrClosed, errs[i])
		}
		assert.Empty(t, s.tickets, "a ticket that may still be in the inbox is not used again")
	})
}

func TestRule06TheLastDrainAnswersWhatWasSentBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config[*thing]{MaxOpen: 1}.withDefaults()
		s := &Supervisor[*thing]{
			cfg: cfg, inbox: make(chan message[*thing], 8), idle: make(chan *slot[*thing], 1),
			gate: make(chan struct{}, 1), closed: make(chan struct{}), tickets: make(chan *ticket[*thing], 8),
		}
		d := newDesk(s)
		first := make(chan error, 1)
		d.machine.closeAll(0, first)
		d.machine.settle(0)
		require.True(t, d.machine.end.answered)

		var err, second error
		get := in(func() { _, err = s.Get(t.Context()) })
		closer := in(func() { second = s.CloseAll(t.Context()) })
		synctest.Wait()
		require.Len(t, s.inbox, 2)
		told := false
		s.inbox <- message[*thing]{kind: askMessage, ask: func(*machine[*thing], time.Duration) {
			// The end is visible now, so the answer must be there already.
			told = isClosed(s.closed) && len(first) == 1
		}}
		require.True(t, d.finish())
		<-get
		<-closer
		assert.Equal(t, ErrClosed, err)
		assert.Equal(t, ErrClosed, second)
		assert.True(t, told, "CloseAll would have found the end, and no answer")
		assert.NoError(t, <-first)

		// Nobody reads the inbox any more, which still has room.
		require.Empty(t, s.inbox)
		for len(s.tickets) > 0 {
			<-s.tickets
		}
		_, err = s.Get(t.Context())
		assert.Equal(t, ErrClosed, err)
		assert.Len(t, s.inbox, 1)
		assert.Empty(t, s.tickets, "its ticket is in the inbox and must not be used again")
	})
}

func TestRule06GrantNotReceivedBeforeTheEnd(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		a := b.get().lease()
		ctx, cancel := context.WithCancel(b.Context())
		stop := b.stopAt(beforeCancel)
		w := b.getWith(ctx, Request{})
		w.waits()
		cancel()
		stop.holds()
		b.put(a) // granted to w, which does not look
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.Len(b, c.Leases, 1)
		stop.goes()
		assert.ErrorIs(b, w.fails(), context.Canceled)
		assert.EqualValues(b, []int64{1, 0}, []int64{b.thing(1).kills.Load(), b.thing(1).closes.Load()})
	})
}
