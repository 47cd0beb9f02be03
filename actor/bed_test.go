package actor

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A bed is a real Supervisor in a bubble of virtual time, and the resources it
// lends. A test plays one schedule in it; when the test ends, everything is
// closed and the bubble sees that no goroutine is left.
type bed struct {
	*testing.T
	s *Supervisor[*thing]

	// opening, if set, runs in every Open before it makes thing number n.
	opening func(ctx context.Context, n int64) error

	things   chan *thing // all that were opened, in order
	opens    atomic.Int64
	dials    atomic.Int64 // calls of Open
	live     atomic.Int64 // being opened, open, or being closed
	mostLive atomic.Int64
	stops    [beforeCancel + 1]atomic.Pointer[stop]
}

// A thing is a resource that knows what was done to it.
type thing struct {
	id            int64
	closes, kills atomic.Int64
}

// inBed plays a schedule with a Supervisor of this Config. Its functions are
// called before the bed's own.
func inBed(t *testing.T, cfg Config[*thing], play func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t, things: make(chan *thing, 10_000)}
		b.s = b.start(cfg)
		defer b.abandon()
		play(b)
		synctest.Wait() // a CloseAll is answered just before the end
		if !isClosed(b.s.closed) {
			require.NoError(t, b.s.CloseAll(t.Context()))
		}
		b.audit()
	})
}

// abandon lets a failed schedule end, so that it is reported and not the
// goroutines it leaves.
func (b *bed) abandon() {
	if b.Failed() {
		for p := range b.stops {
			if st := b.stops[p].Swap(nil); st != nil {
				close(st.release)
			}
		}
		b.s.CloseAll(b.ended())
		<-b.s.closed
	}
}

func (b *bed) start(cfg Config[*thing]) *Supervisor[*thing] {
	opening := cfg.Open
	cfg.Open = func(ctx context.Context) (*thing, error) {
		if opening != nil {
			if _, err := opening(ctx); err != nil {
				return nil, err
			}
		}
		return b.open(ctx)
	}
	closing := cfg.Close
	cfg.Close = func(ctx context.Context, th *thing) error {
		th.closes.Add(1)
		defer b.live.Add(-1)
		if closing != nil {
			return closing(ctx, th)
		}
		return nil
	}
	killing := cfg.Kill
	cfg.Kill = func(th *thing) {
		th.kills.Add(1)
		if killing != nil {
			killing(th)
		}
	}
	cfg.hold = b.holdAt
	s, err := Start(b.Context(), cfg)
	require.NoError(b, err)
	return s
}

func (b *bed) open(ctx context.Context) (*thing, error) {
	n := b.dials.Add(1)
	live := b.live.Add(1)
	for most := b.mostLive.Load(); live > most && !b.mostLive.CompareAndSwap(most, live); most = b.mostLive.Load() {
	}
	opened := false
	defer func() {
		if !opened {
			b.live.Add(-1)
		}
	}()
	if b.opening != nil {
		if err := b.opening(ctx, n); err != nil {
			return nil, err
		}
	}
	opened = true
	th := &thing{id: b.opens.Add(1)}
	b.things <- th
	return th, nil
}

// all lists the things opened so far.
func (b *bed) all() (list []*thing) {
	for range len(b.things) {
		th := <-b.things
		list = append(list, th)
		b.things <- th
	}
	return list
}

func (b *bed) thing(id int64) *thing {
	b.Helper()
	for _, th := range b.all() {
		if th.id == id {
			return th
		}
	}
	b.Fatalf("thing %d was never opened", id)
	return nil
}

// audit checks what must hold once a Supervisor has ended.
func (b *bed) audit() {
	b.Helper()
	synctest.Wait()
	closes := int64(0)
	for _, th := range b.all() {
		c, k := th.closes.Load(), th.kills.Load()
		closes += c
		require.LessOrEqual(b, c, int64(1), "invariant 2: thing %d was closed twice", th.id)
		require.LessOrEqual(b, k, int64(1), "invariant 2: thing %d was killed twice", th.id)
		require.Positive(b, c+k, "invariant 10: thing %d was never closed", th.id)
	}
	if !isClosed(b.s.closed) {
		return
	}
	st := b.s.Stat()
	require.Zero(b, st.Open+st.Closing+st.Dialing+st.Leased+st.Waiting, "%+v", st)
	require.EqualValues(b, st.Closed+st.Taken, closes)
	require.ErrorIs(b, b.s.CloseAll(b.Context()), ErrClosed)
}

// A pending is a get in a goroutine of its own.
type pending struct {
	b    *bed
	done chan struct{}
	l    *Lease[*thing]
	err  error
	at   time.Time
}

// long is more than any schedule takes: a get that would block for ever fails
// the test instead.
const long = 100 * time.Hour

func (b *bed) get() *pending { return b.getWith(b.Context(), Request{}) }

func (b *bed) getKey(key any) *pending { return b.getWith(b.Context(), Request{Key: key}) }

func (b *bed) getWith(ctx context.Context, r Request) *pending {
	p := &pending{b: b, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		ctx, cancel := context.WithTimeout(ctx, long)
		defer cancel()
		p.l, p.err = b.s.GetWith(ctx, r)
		p.at = time.Now()
	}()
	return p
}

// waits says that the get has no answer and will not get one of its own accord.
func (p *pending) waits() {
	p.b.Helper()
	synctest.Wait()
	if isClosed(p.done) {
		require.FailNow(p.b, "the get should wait", "it has %+v, %v", p.l, p.err)
	}
}

// lease is what the get brings, now.
func (p *pending) lease() *Lease[*thing] {
	p.b.Helper()
	synctest.Wait()
	require.True(p.b, isClosed(p.done), "the get waits")
	require.NoError(p.b, p.err)
	return p.l
}

// fails is the error that the get brings, now.
func (p *pending) fails() error {
	p.b.Helper()
	synctest.Wait()
	require.True(p.b, isClosed(p.done), "the get waits")
	require.Error(p.b, p.err)
	return p.err
}

// put puts a lease and lets everything settle.
func (b *bed) put(l *Lease[*thing]) {
	b.Helper()
	require.NoError(b, l.Put())
	synctest.Wait()
}

// putDead puts a lease whose resource was killed.
func (b *bed) putDead(l *Lease[*thing]) {
	b.Helper()
	require.ErrorIs(b, l.Put(), ErrRevoked)
	synctest.Wait()
}

func (b *bed) discard(l *Lease[*thing]) {
	b.Helper()
	require.NoError(b, l.Discard())
	synctest.Wait()
}

// A stop holds the next borrower that comes to a point.
type stop struct {
	b       *bed
	reached chan struct{}
	release chan struct{}
}

func (b *bed) holdAt(p point) {
	if st := b.stops[p].Swap(nil); st != nil {
		close(st.reached)
		<-st.release
	}
}

func (b *bed) stopAt(p point) *stop {
	st := &stop{b: b, reached: make(chan struct{}), release: make(chan struct{})}
	b.stops[p].Store(st)
	return st
}

// holds says that a borrower is held.
func (st *stop) holds() {
	st.b.Helper()
	synctest.Wait()
	require.True(st.b, isClosed(st.reached), "nobody came to the point")
}

// goes lets the borrower go on and everything settle.
func (st *stop) goes() {
	close(st.release)
	synctest.Wait()
}

// shelved is how many slots lie on the shelf, at the top and below.
func (b *bed) shelved() int { return b.s.shelved() }

// holdDesk stops the supervisor between two messages, until goes.
func (b *bed) holdDesk() *stop {
	b.Helper()
	st := &stop{b: b, reached: make(chan struct{}), release: make(chan struct{})}
	require.True(b, b.s.send(message[*thing]{kind: askMessage, ask: func(*machine[*thing], time.Duration) {
		close(st.reached)
		<-st.release
	}}))
	st.holds()
	return st
}

// in runs f in a goroutine and gives a channel that is closed when it is done.
func in(f func()) chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// ended is a context that has ended.
func (b *bed) ended() context.Context {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	return ctx
}

// wakes lists the moments, since its call, at which the desk settles while
// something happens: each settle asks how many are on the shelf.
func (b *bed) wakes(during func()) (at []time.Duration) {
	b.Helper()
	begun, moments := time.Now(), make(chan time.Duration, 10_000)
	_, ok := ask(b.s, func(m *machine[*thing], _ time.Duration) bool {
		m.fx = spy{m.fx, func() { moments <- time.Since(begun) }}
		return true
	})
	require.True(b, ok)
	synctest.Wait()
	require.NotEmpty(b, moments, "the question was not seen")
	for range len(moments) {
		<-moments
	}
	during()
	synctest.Wait()
	for range len(moments) {
		if d := <-moments; len(at) == 0 || d != at[len(at)-1] {
			at = append(at, d)
		}
	}
	return at
}

// spy sees the desk settle.
type spy struct {
	effects[*thing]
	settles func()
}

func (s spy) shelved() int {
	s.settles()
	return s.effects.shelved()
}

// leases are n leases, now.
func (b *bed) leases(n int) (list []*Lease[*thing]) {
	b.Helper()
	for range n {
		list = append(list, b.get().lease())
	}
	return list
}

// rest has n resources open and idle.
func (b *bed) rest(n int) {
	b.Helper()
	for _, l := range b.leases(n) {
		b.put(l)
	}
}

// closed lists the things that have been closed, by number.
func (b *bed) closed() (ids []int64) {
	synctest.Wait()
	for _, th := range b.all() {
		if th.closes.Load() > 0 {
			ids = append(ids, th.id)
		}
	}
	return ids
}
