package actor

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor/internal/line"
	"github.com/stretchr/testify/require"
)

// The kit of this package's tests.
//
//	inBed            plays one schedule with a real Supervisor in virtual time; audits at the end
//	bed.opening      what Open does; takes, failing and server make it slow or fail
//	bed.get          a get in a goroutine of its own: a pending, which waits, has a lease, or fails
//	bed.put, discard give a lease back and let everything settle
//	bed.leases, rest open so many resources: lent, or idle
//	bed.thing, closed look at what was done to the resources
//	bed.stopAt       holds the next goroutine at a step, to make one order of events happen
//	bed.holdLoop     holds the supervisor between two messages
//	bed.watch        calls a function before each step of the line
//	bed.wakes        the moments at which the supervisor does anything
//	in, once, ways   goroutines, and functions that do not return
//
// The simulation has a world of its own, see sim_test.go.

// errServer is the failure of a server.
var errServer = errors.New("server is down")

// A bed is a real Supervisor in a bubble of virtual time, and the resources it lends.
// When the test ends, everything is closed and the bubble sees that no goroutine is left.
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
	stop     atomic.Pointer[stop]
	settles  atomic.Pointer[chan time.Duration] // where the moments of settles are noted
	watcher  atomic.Pointer[func()]             // called at each step of the line
}

// A thing is a resource that knows what was done to it.
type thing struct {
	id            int64
	closes, kills atomic.Int64
}

// inBed plays a schedule with a Supervisor of this Config. The Config's functions are
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

// abandon lets a failed schedule end, so that the failure is reported and not the
// goroutines it leaves.
func (b *bed) abandon() {
	if b.Failed() {
		if st := b.stop.Swap(nil); st != nil {
			close(st.release)
		}
		b.s.CloseAll(b.ended())
		<-b.s.closed
		time.Sleep(long) // hooks that ignore their contexts
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
	cfg.step = func(s line.Step) {
		if f := b.watcher.Load(); f != nil {
			(*f)()
		}
		b.passes(step(s))
	}
	cfg.point = func(p point) {
		if c := b.settles.Load(); p == beforeSettle && c != nil {
			*c <- time.Duration(time.Now().UnixNano())
		}
		b.passes(atPoint(p))
	}
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

// audit checks what must hold once a Supervisor has ended.
func (b *bed) audit() {
	b.Helper()
	synctest.Wait()
	closes := int64(0)
	for _, th := range b.all() {
		c, k := th.closes.Load(), th.kills.Load()
		closes += c
		require.LessOrEqual(b, c, int64(1), "rule 2: thing %d was closed twice", th.id)
		require.LessOrEqual(b, k, int64(1), "rule 2: thing %d was killed twice", th.id)
		require.Positive(b, c+k, "rule 2: thing %d was never closed", th.id)
	}
	if !isClosed(b.s.closed) {
		return
	}
	st := b.s.Stat()
	require.Zero(b, st.Open+st.Closing+st.Dialing+st.Leased+st.Waiting, "%+v", st)
	require.EqualValues(b, st.Closed+st.Taken, closes)
	require.Zero(b, b.s.line.Waiting()+b.s.line.Answers()+b.s.line.Idle(), "the line is not empty")
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

// long is more than any schedule takes: a get that would block for ever fails the test
// instead.
const long = 100 * time.Hour

func (b *bed) get() *pending { return b.getWith(b.Context()) }

// getNow is get by GetNoWait.
func (b *bed) getNow() *pending { return b.getBy(b.Context(), b.s.GetNoWait) }

func (b *bed) getWith(ctx context.Context) *pending { return b.getBy(ctx, b.s.Get) }

func (b *bed) getBy(ctx context.Context, get func(context.Context) (*Lease[*thing], error)) *pending {
	p := &pending{b: b, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		ctx, cancel := context.WithTimeout(ctx, long)
		defer cancel()
		p.l, p.err = get(ctx)
		p.at = time.Now()
	}()
	return p
}

// waits checks that the get has no answer and will not get one of its own accord.
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

func (b *bed) discard(l *Lease[*thing]) {
	b.Helper()
	require.NoError(b, l.Discard())
	synctest.Wait()
}

// take takes a thing from the pool. Its closing is the test's business then.
func (b *bed) take(l *Lease[*thing]) *thing {
	b.Helper()
	th, err := l.Take()
	require.NoError(b, err)
	th.closes.Add(1)
	b.live.Add(-1)
	return th
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

// counts checks how many resources are open, lent and idle, once everything has settled.
func (b *bed) counts(open, leased, idle int) {
	b.Helper()
	synctest.Wait()
	st := b.s.Stat()
	require.Equal(b, []int{open, leased, idle}, []int{st.Open, st.Leased, st.Idle}, "open, leased, idle")
}

// shut reports whether the gate is.
func (b *bed) shut() bool {
	shut, _ := ask(b.s, func(l *loop[*thing], _ time.Duration) bool { return l.shut })
	return shut
}

// An at is a step of the line, or a point.
type at struct {
	line bool
	step uint8
}

func step(s line.Step) at { return at{true, uint8(s)} }
func atPoint(p point) at  { return at{false, uint8(p)} }

// A stop holds the next goroutine that comes to a step.
type stop struct {
	b       *bed
	at      at
	reached chan struct{}
	release chan struct{}
}

func (b *bed) passes(at at) {
	if st := b.stop.Load(); st != nil && st.at == at && b.stop.CompareAndSwap(st, nil) {
		close(st.reached)
		<-st.release
	}
}

// stopAt has the next goroutine that comes to a step held there.
func (b *bed) stopAt(at at) *stop {
	synctest.Wait()
	st := &stop{b: b, at: at, reached: make(chan struct{}), release: make(chan struct{})}
	b.stop.Store(st)
	return st
}

// holds checks that a goroutine is held.
func (st *stop) holds() {
	st.b.Helper()
	synctest.Wait()
	require.True(st.b, isClosed(st.reached), "nobody came to the step")
}

// goes lets the goroutine go on and everything settle.
func (st *stop) goes() {
	close(st.release)
	synctest.Wait()
}

// unreached checks that nobody came to the step, and removes the stop.
func (st *stop) unreached(why string) {
	st.b.Helper()
	synctest.Wait()
	require.False(st.b, isClosed(st.reached), why)
	st.b.stop.Store(nil)
}

// holdLoop stops the supervisor between two messages, until goes.
func (b *bed) holdLoop() *stop {
	b.Helper()
	st := &stop{b: b, reached: make(chan struct{}), release: make(chan struct{})}
	require.True(b, b.s.post(func(*loop[*thing], time.Duration) {
		close(st.reached)
		<-st.release
	}))
	st.holds()
	return st
}

// wakes lists the moments, since its call, at which the supervisor settles while
// something happens.
func (b *bed) wakes(during func()) (moments []time.Duration) {
	b.Helper()
	synctest.Wait()
	began, seen := time.Duration(time.Now().UnixNano()), make(chan time.Duration, 10_000)
	b.settles.Store(&seen)
	during()
	synctest.Wait()
	b.settles.Store(nil)
	for range len(seen) {
		moments = append(moments, <-seen-began)
	}
	return slices.Compact(moments)
}

// watch calls look before each step of the line while something happens.
func (b *bed) watch(look, during func()) {
	synctest.Wait()
	b.watcher.Store(&look)
	during()
	synctest.Wait()
	b.watcher.Store(nil)
}

// in runs f in a goroutine and returns a channel that is closed when it is done.
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

// takes has every Open take so long.
func takes(d time.Duration) func(context.Context, int64) error {
	return func(ctx context.Context, _ int64) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// failing has the Opens whose numbers are given fail after so long.
func failing(d time.Duration, numbers ...int64) func(context.Context, int64) error {
	return func(_ context.Context, n int64) error {
		if slices.Contains(numbers, n) {
			time.Sleep(d)
			return errServer
		}
		return nil
	}
}

// opens is an Open that fails as f says, also while the bed is being made.
func opens(f func(context.Context, int64) error) func(context.Context) (*thing, error) {
	var n atomic.Int64
	return func(ctx context.Context) (*thing, error) { return nil, f(ctx, n.Add(1)) }
}

// server fails Opens while it is down.
type server struct{ down atomic.Bool }

func (s *server) opening(context.Context, int64) error {
	if s.down.Load() {
		return errServer
	}
	return nil
}

// ways are the two ways in which a function does not return.
var ways = map[string]func(){
	"panics": func() { panic("out of luck") },
	"exits":  runtime.Goexit,
}

// once calls f the first time.
func once(f func()) func() {
	done := false
	return func() {
		if !done {
			done = true
			f()
		}
	}
}

// borrower runs f as a goroutine of its own that may panic or exit.
func borrower(f func()) (panicked any) {
	<-in(func() {
		defer func() { panicked = recover() }()
		f()
	})
	return panicked
}
