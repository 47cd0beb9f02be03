package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// MaxLease and Track on a Supervisor, in virtual time. With Track every lease is
// put: the collector would tell from outside the bubble.

func TestMaxLeaseRevokes(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Minute}, func(b *bed) {
		x := b.get().lease()
		time.Sleep(time.Second)
		w := b.get()
		time.Sleep(59*time.Second - 1)
		w.waits()
		time.Sleep(time.Nanosecond)
		y := w.lease()
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		assert.EqualValues(b, 2, y.Value().id)
		err := x.Put()
		assert.Equal(b, &RevokedError{Reason: ReasonHeld, Held: time.Minute}, err)
		assert.ErrorIs(b, err, ErrRevoked)
		assert.NotErrorIs(b, err, ErrClosed)
		assert.EqualError(b, err, "lease revoked after 1m0s: held too long")
		assert.Equal(b, ErrNotLeased, x.Put())
		b.put(y)
		assert.EqualValues(b, 1, b.s.Stat().Revoked)
	})
}

func TestMaxLeaseOfAKey(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Minute}, func(b *bed) {
		x := b.getKey("k").lease()
		time.Sleep(30 * time.Second)
		y := b.getKey("k").lease()
		require.Same(b, x.Value(), y.Value())
		time.Sleep(30 * time.Second)
		synctest.Wait()
		dead := &RevokedError{Reason: ReasonHeld, Held: time.Minute}
		for _, l := range []*Lease[*thing]{x, y} {
			_, err := l.Use("")
			assert.Equal(b, dead, err)
		}
		assert.ErrorIs(b, x.Put(), ErrRevoked)
		assert.Equal(b, dead, b.getKey("k").fails(), "y may be in the midst of something")
		_, err := y.Take()
		assert.ErrorIs(b, err, ErrRevoked)
		b.dead(y)
		z := b.getKey("k").lease()
		assert.EqualValues(b, 2, b.use(z, "").id, "the key is free again")
		z.Done()
		b.put(z)
	})
}

// One of the two happens, at whatever moment the borrower puts.
func TestMaxLeaseAndPutAtOnce(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Second}, func(b *bed) {
		x := b.get().lease()
		desk := b.holdDesk()
		time.Sleep(2 * time.Second) // the desk wakes late, and finds the put
		assert.NoError(b, x.Put())
		desk.goes()
		assert.Zero(b, b.s.Stat().Revoked)
		assert.Zero(b, b.thing(1).kills.Load())
	})
}

func TestMaxLeaseAndTake(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: time.Second}, func(b *bed) {
		x := b.get().lease()
		time.Sleep(time.Second)
		synctest.Wait()
		_, err := x.Take()
		assert.ErrorIs(b, err, ErrRevoked)
		k := b.getKey("k").lease()
		time.Sleep(time.Second)
		synctest.Wait()
		_, err = k.Take()
		assert.ErrorIs(b, err, ErrRevoked)
		assert.Equal(b, ErrNotLeased, k.Put())
	})
}

func TestMaxLeaseLetsCloseAllAndPauseEnd(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Minute}, func(b *bed) {
		x := b.get().lease()
		begun := time.Now()
		require.NoError(b, b.s.Pause(b.Context()))
		assert.Equal(b, time.Minute, time.Since(begun))
		require.NoError(b, b.s.Resume())
		y := b.get().lease()
		require.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, 2*time.Minute, time.Since(begun))
		assert.ErrorIs(b, x.Put(), ErrRevoked)
		assert.ErrorIs(b, y.Put(), ErrRevoked)
	})
}

func TestMaxLeaseSleeps(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 2, MaxLease: time.Minute}, func(b *bed) {
		b.put(b.get().lease())
		assert.Empty(b, b.wakes(func() { time.Sleep(time.Hour) }))
	})
}

// Held on to, a lease that the put of an EndGrace took away is revoked too.
func TestUseAfterTheEndRevokesTheOthers(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x, y := b.getKey("k").lease(), b.getKey("k").lease()
		_, err := x.Use("a long statement")
		require.NoError(b, err)
		require.NoError(b, x.Put())
		time.Sleep(time.Second)
		var r *RevokedError
		require.ErrorAs(b, y.Put(), &r)
		assert.Equal(b, ReasonUsed, r.Reason)
	})
}

func tracked() Config[*thing] {
	return Config[*thing]{MaxOpen: 2, Track: true, Label: func(ctx context.Context) string {
		label, _ := ctx.Value(rigKey{}).(string)
		return label
	}}
}

func labelled(b *bed, label string) context.Context {
	return context.WithValue(b.Context(), rigKey{}, label)
}

// taker is how takeOne is named.
var taker string

func takeOne(b *bed, ctx context.Context, r Request) *Lease[*thing] {
	_, _, line, _ := runtime.Caller(0)
	l, err := b.s.GetWith(ctx, r)
	taker = fmt.Sprintf("github.com/pgactor/pgactor/actor.takeOne rules_lease_test.go:%d", line+1)
	require.NoError(b, err)
	return l
}

func TestTrackNamesTheHolder(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		x := takeOne(b, labelled(b, "report"), Request{})
		time.Sleep(time.Second)
		assert.Equal(b, []LeaseInfo{{ID: 1, Holders: 1, AtLeast: time.Second, Holder: taker, Label: "report"}}, b.s.Leases())
		require.NoError(b, b.s.Reset())
		l := b.s.Leases()[0]
		assert.True(b, l.Recalled)
		assert.Equal(b, "#1 for 1s by "+taker+" (report)", l.String())
		b.put(x)
		assert.Empty(b, b.s.Leases())
		y := takeOne(b, b.Context(), Request{Patience: NoWait})
		assert.Equal(b, "#2 for 0s by "+taker, b.s.Leases()[0].String())
		b.put(y)
	})
}

func TestTrackNamesAllHoldersOfAKey(t *testing.T) {
	cfg := tracked()
	cfg.ShowKey = func(key any) any { return "shown " + key.(string) }
	inBed(t, cfg, func(b *bed) {
		k := Request{Key: "k"}
		x := takeOne(b, labelled(b, "one"), k)
		time.Sleep(time.Second)
		y := takeOne(b, labelled(b, "two"), k)
		ctx, cancel := context.WithCancel(labelled(b, "three"))
		takeOne(b, ctx, Request{Key: "k", Tied: true})
		_, err := y.Use("a statement")
		require.NoError(b, err)
		at := taker
		assert.Equal(b, []LeaseInfo{{ID: 1, Key: "shown k", Holders: 3, AtLeast: time.Second, Holder: at, Label: "one", Doing: "a statement",
			Others: []Holder{{Holder: at, Label: "two"}, {Holder: at, Label: "three"}}}}, b.s.Leases())
		y.Done()
		b.put(x)
		l := b.s.Leases()[0]
		assert.Equal(b, []any{2, "two", 1}, []any{l.Holders, l.Label, len(l.Others)}, "the first of those who are left")
		cancel()
		synctest.Wait()
		assert.Equal(b, "#1 key shown k for 1s by "+at+" (two)", b.s.Leases()[0].String())
		require.NoError(b, b.s.PutKey(b.Context(), "k", false))
		synctest.Wait()
		assert.Empty(b, b.s.Leases())
	})
}

func TestTrackedWaitErrorNamesWhoHoldsWhat(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		x := takeOne(b, labelled(b, "one"), Request{})
		time.Sleep(time.Second)
		y := takeOne(b, labelled(b, "two"), Request{})
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		_, err := b.s.Get(ctx)
		at := taker
		assert.EqualError(b, err, "context deadline exceeded after 1s: pool exhausted (2 leased of 2, 0 others waiting, oldest lease at least 2s: "+
			"#1 for 2s by "+at+" (one), #2 for 1s by "+at+" (two))")
		_, err = b.s.GetWith(b.Context(), Request{Patience: NoWait})
		assert.ErrorIs(b, err, ErrExhausted)
		assert.EqualError(b, err, "pool exhausted (2 leased of 2, 0 others waiting, oldest lease at least 2s: "+
			"#1 for 2s by "+at+" (one), #2 for 1s by "+at+" (two))")
		_, err = b.s.TryGet()
		assert.Equal(b, ErrExhausted, err)
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.ErrorContains(b, c, "2 leases revoked: #1 for 2s by "+at+" (one), #2")
		assert.Error(b, x.Put())
		assert.Error(b, y.Put())
	})
}

func TestGetThatDoesNotWaitTellsHowThingsStand(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1}, func(b *bed) {
		x := b.get().lease()
		w := b.get()
		w.waits()
		time.Sleep(time.Second)
		_, err := b.s.GetWith(b.Context(), Request{Patience: NoWait})
		var e *ExhaustedError
		require.ErrorAs(b, err, &e)
		assert.Equal(b, Shortage{Limit: 1, Leased: 1, Waiting: 1, Oldest: time.Second}, e.Shortage)
		assert.EqualError(b, err, "pool exhausted (1 leased of 1, 1 others waiting, oldest lease at least 1s)")
		b.put(x)
		b.put(w.lease())
	})
}

// What is left out of the names: the packages that the borrowers come through.
func TestTrackSkipsWrappers(t *testing.T) {
	cfg := Config[int]{Wrappers: []string{"example.com/a.b/wrap"}}
	for function, want := range map[string]string{
		"main.main":                             "main",
		"example.com/a.b/wrap.Get":              "example.com/a.b/wrap",
		"example.com/a.b/wrap%2ego.(*Pool).Get": "example.com/a.b/wrap.go",
		"github.com/pgactor/pgactor/actor.(*Supervisor[...]).Get": ownPackage,
	} {
		assert.Equal(t, want, packageOf(function))
	}
	for _, c := range []struct {
		function, file string
		wraps          bool
	}{
		{"example.com/a.b/wrap.Get", "get.go", true},
		{"example.com/a.b/wrap.Get", "get_test.go", false},
		{"example.com/a.b/wrap_test.Get", "get.go", false},
		{"example.com/a.b/wrap/deeper.Get", "get.go", false},
		{ownPackage + ".(*Supervisor[...]).Get", "get.go", true},
		{"main.main", "main.go", false},
	} {
		assert.Equal(t, c.wraps, cfg.wraps(frame(c.function, c.file)), c.function)
	}
}

func TestTrackedGetWhoseLabelPanics(t *testing.T) {
	cfg := tracked()
	cfg.Label = func(context.Context) string { panic("no label") }
	inBed(t, cfg, func(b *bed) {
		assert.Panics(b, func() { _, _ = b.s.Get(b.Context()) })
		assert.Zero(b, b.s.Stat().Leases)
	})
}

func TestTrackedLeasesAreCountedAndCancelled(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		ctx, cancel := context.WithCancelCause(b.Context())
		w, k := b.getWith(ctx, Request{}), b.getWith(ctx, Request{Key: "k"})
		w.waits()
		k.waits()
		desk := b.holdDesk()
		assert.NoError(b, x.Put())
		assert.NoError(b, y.Put())
		cancel(errors.New("gone")) // at the same moment: what comes first is put back
		desk.goes()
		for _, p := range []*pending{w, k} {
			synctest.Wait()
			if p.err == nil {
				b.put(p.l)
			}
		}
		assert.Empty(b, b.s.Leases())
		st := b.s.Stat()
		assert.Equal(b, []int{2, 0}, []int{st.Idle, st.Leased})
	})
}

// A reference that came too late for its borrower is nobody's in the books.
func TestTrackedReferenceThatIsGivenUp(t *testing.T) {
	inBed(t, tracked(), func(b *bed) {
		k := Request{Key: "k"}
		x := takeOne(b, labelled(b, "one"), k)
		ctx, cancel := context.WithCancel(b.Context())
		desk := b.holdDesk()
		late := b.getWith(ctx, k)
		synctest.Wait()
		cancel()
		desk.goes()
		require.ErrorIs(b, late.fails(), context.Canceled)
		l := b.s.Leases()[0]
		assert.Equal(b, []any{1, "one", 0}, []any{l.Holders, l.Label, len(l.Others)})
		b.put(x)
	})
}
