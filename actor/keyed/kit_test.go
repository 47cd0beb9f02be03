package keyed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The kit of all tests: a pool that is a fake, and a bed in which a table lies over it in
// virtual time.

var (
	errGone   = errors.New("the client is gone")
	errNotNow = errors.New("not now")
)

// A thing is what the fake pool lends.
type thing struct {
	id    int64
	uses  int          // guarded by the turns: the race detector tells of two
	turns atomic.Int64 // under way, of a crowd
}

// A fakePool lends things, limit of them at most. It fails the test if a lease ends
// twice, or a thing is lent that is not there any more.
type fakePool struct {
	testing.TB
	places  chan struct{}                    // a token for each thing that may still be lent
	closing chan struct{}                    // closed by close
	script  chan func(context.Context) error // each get first does one of these, if there is one
	judge   func(th *thing)                  // called by each Put
	kills   func(l *fakeLease)               // called by each Kill
	looks   func(l *fakeLease, s string)     // called by each call of a lease, with its name
	timeout time.Duration                    // of Get

	mu     sync.Mutex
	idle   []*thing
	opened int64
	lent   []*fakeLease
	did    []string
}

// A fakeLease is a plain lease of a fakePool.
type fakeLease struct {
	pool  *fakePool
	th    *thing
	since time.Time

	// Guarded by the pool's mu.
	ended   bool
	revoked *actor.RevokedError
}

func newFakePool(t testing.TB, limit int) *fakePool {
	p := &fakePool{TB: t, places: make(chan struct{}, limit), closing: make(chan struct{}), script: make(chan func(context.Context) error, 1000)}
	for range limit {
		p.places <- struct{}{}
	}
	return p
}

// get is Config.Get.
func (p *fakePool) get(ctx context.Context) (Lease[*thing], error) {
	select {
	case f := <-p.script:
		if err := f(ctx); err != nil {
			return nil, err
		}
	default:
	}
	var timeout <-chan time.Time
	if p.timeout > 0 {
		timeout = time.After(p.timeout)
	}
	select {
	case <-p.places:
		return p.lend(), nil
	default:
	}
	select {
	case <-p.places:
		return p.lend(), nil
	case <-ctx.Done():
		return nil, &actor.WaitError{Err: reasonOf(ctx), Cause: actor.ErrExhausted}
	case <-timeout:
		return nil, &actor.WaitError{Err: actor.ErrTimeout, Cause: actor.ErrExhausted}
	case <-p.closing:
		return nil, actor.ErrClosed
	}
}

// getBy is Config.Get. All that a NoWait would wait for is there.
func (p *fakePool) getBy(ctx context.Context, patience Patience) (Lease[*thing], error) {
	switch patience {
	case Wait:
		return p.get(ctx)
	case NoWait:
		select {
		case <-p.places:
			return p.lend(), nil
		default:
			return nil, actor.ErrExhausted
		}
	default:
		return p.tryGet()
	}
}

func (p *fakePool) tryGet() (Lease[*thing], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil, actor.ErrExhausted
	}
	select {
	case <-p.places:
		return p.lendLocked(), nil
	default: // the last place is that of a get
		return nil, actor.ErrExhausted
	}
}

func (p *fakePool) lend() *fakeLease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lendLocked()
}

func (p *fakePool) lendLocked() *fakeLease {
	l := &fakeLease{pool: p, since: time.Now()}
	if n := len(p.idle); n > 0 {
		l.th, p.idle = p.idle[n-1], p.idle[:n-1]
	} else {
		p.opened++
		l.th = &thing{id: p.opened}
	}
	p.lent = append(p.lent, l)
	return l
}

// note notes what was done with a thing.
func (p *fakePool) noteLocked(what string, th *thing) {
	p.did = append(p.did, fmt.Sprint(what, " ", th.id))
}

// all returns what was done since the last call, once everybody rests.
func (p *fakePool) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	did := p.did
	p.did = nil
	return did
}

func (p *fakePool) idles() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.idle) }
func (p *fakePool) lends() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.lent) }

// revoke takes a thing from its holders, as the pool may.
func (p *fakePool) revoke(id int64, why actor.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lent {
		if l.th.id == id {
			l.revokeLocked(why)
			p.noteLocked("revoke", l.th)
			return
		}
	}
	p.Errorf("%d is not lent", id)
}

func (l *fakeLease) revokeLocked(why actor.Reason) {
	now := time.Now()
	l.revoked = &actor.RevokedError{Reason: why, Held: now.Sub(l.since), At: now}
	l.leaveLocked()
}

// leaveLocked frees the place of a lease.
func (l *fakeLease) leaveLocked() {
	p := l.pool
	i := slices.Index(p.lent, l)
	if i < 0 {
		p.Errorf("%d is not lent", l.th.id)
		return
	}
	p.lent = slices.Delete(p.lent, i, i+1)
	p.places <- struct{}{}
}

func (l *fakeLease) seen(call string) {
	if f := l.pool.looks; f != nil {
		f(l, call)
	}
}

func (l *fakeLease) Value() *thing {
	l.seen("Value")
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.ended {
		return nil
	}
	return l.th
}

func (l *fakeLease) ID() uint64 { l.seen("ID"); return uint64(l.th.id) }

func (l *fakeLease) Revoked() error {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.revoked == nil {
		return nil
	}
	return l.revoked
}

// end ends a lease, once. It returns the error of one that was revoked.
func (l *fakeLease) end(what string, keep bool) error {
	l.seen(what)
	if what == "put" && l.pool.judge != nil {
		l.pool.judge(l.th)
	}
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.ended {
		p.Errorf("%s of a lease of %d that has ended", what, l.th.id)
	}
	l.ended = true
	p.noteLocked(what, l.th)
	switch {
	case l.revoked != nil:
		return l.revoked
	case keep:
		p.idle = append(p.idle, l.th)
	}
	if what == "kill" {
		l.revokeLocked(actor.ReasonUsed)
	} else {
		l.leaveLocked()
	}
	return nil
}

func (l *fakeLease) Put() error     { return l.end("put", true) }
func (l *fakeLease) Discard() error { return l.end("discard", false) }

func (l *fakeLease) Kill(why actor.Reason) error {
	assert.Equal(l.pool, actor.ReasonUsed, why)
	if f := l.pool.kills; f != nil {
		f(l)
	}
	return l.end("kill", false)
}

func (l *fakeLease) Take() (*thing, error) {
	if err := l.end("take", false); err != nil {
		return nil, err
	}
	return l.th, nil
}

// A bed is a table over a fakePool, in a bubble of virtual time.
type bed struct {
	*testing.T
	pool  *fakePool
	table *Table[*thing]
	ended chan int64 // what OnEnd was told
}

// inBed runs f with a table over a pool of limit things. At the end nothing must be left.
func inBed(t *testing.T, limit int, c Config[*thing], f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t, pool: newFakePool(t, limit), ended: make(chan int64, 10_000)}
		c := c
		c.Get, c.Closing = b.pool.getBy, b.pool.closing
		if c.OnEnd == nil {
			c.OnEnd = func(th *thing) { b.ended <- th.id }
		}
		b.table = New(c)
		f(b)
		b.rests()
	})
}

// rests checks that nothing is held, lent, or left in the table.
func (b *bed) rests() {
	b.Helper()
	synctest.Wait()
	st := b.table.Stat()
	assert.Zero(b, st.Keys, "bound keys")
	assert.Zero(b, st.Waiting, "gets that wait")
	assert.Zero(b, b.pool.lends(), "leases")
	for _, at := range b.table.shards {
		s := <-at
		assert.Empty(b, s.keys)
		assert.Empty(b, s.lent)
		at <- s
	}
}

// reports are what OnEnd was told since the last call.
func (b *bed) reports() (ids []int64) {
	synctest.Wait()
	for len(b.ended) > 0 {
		ids = append(ids, <-b.ended)
	}
	return ids
}

// did says what the pool was asked to do since the last call.
func (b *bed) did(want ...string) {
	b.Helper()
	synctest.Wait()
	assert.Equal(b, want, b.pool.all())
}

// A pending is a get under way.
type pending struct {
	b    *bed
	done chan struct{}
	h    *Hold[*thing]
	err  error
	at   time.Time // when it was done
}

// get begins a get, and returns when everybody rests.
func (b *bed) get(ctx context.Context, r Request[*thing]) *pending {
	p := &pending{b: b, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.h, p.err = b.table.Get(ctx, r)
		p.at = time.Now()
	}()
	synctest.Wait()
	return p
}

// key is a get of a key by somebody who is not tied.
func (b *bed) key(key any) *pending { return b.get(b.Context(), Request[*thing]{Key: key}) }

// waits checks that the get is not done.
func (p *pending) waits() {
	p.b.Helper()
	synctest.Wait()
	assert.False(p.b, isClosed(p.done), "it waits")
}

// hold is the result of a get that must be done, now.
func (p *pending) hold() *Hold[*thing] {
	p.b.Helper()
	synctest.Wait()
	require.True(p.b, isClosed(p.done), "it is done")
	require.NoError(p.b, p.err)
	require.NotNil(p.b, p.h)
	return p.h
}

// fails is the error of a get that must have failed, now.
func (p *pending) fails() error {
	p.b.Helper()
	synctest.Wait()
	require.True(p.b, isClosed(p.done), "it is done")
	require.Error(p.b, p.err)
	assert.Nil(p.b, p.h)
	return p.err
}

// lost checks that the get has ended with its context, because of errGone.
func (p *pending) lost() {
	p.b.Helper()
	err := p.fails()
	assert.ErrorIs(p.b, err, context.Canceled)
	assert.ErrorIs(p.b, err, errGone)
}

// refused checks that the get has failed since its context had ended before: with that
// error and nothing around it.
func (p *pending) refused() {
	p.b.Helper()
	assert.Equal(p.b, context.Canceled, p.fails())
}

// cancellable is a context that the returned function ends, because of errGone.
func (b *bed) cancellable() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(b.Context())
	return ctx, func() { cancel(errGone); synctest.Wait() }
}

// tied is a hold that the returned function ends.
func (b *bed) tied(key any) (*Hold[*thing], func()) {
	b.Helper()
	ctx, cancel := b.cancellable()
	h := b.get(ctx, Request[*thing]{Key: key, Tied: true}).hold()
	assert.Equal(b, ctx, h.Context())
	return h, cancel
}

// begin begins a turn, now.
func (b *bed) begin(h *Hold[*thing], doing string) *thing {
	b.Helper()
	th, err := h.Begin(doing)
	require.NoError(b, err)
	require.NotNil(b, th)
	return th
}

// busy checks that no turn can begin, and what for.
func (b *bed) busy(h *Hold[*thing], doing string) {
	b.Helper()
	th, err := h.Begin("something else")
	assert.Nil(b, th)
	assert.ErrorIs(b, err, actor.ErrBusy)
	var busy *actor.BusyError
	require.ErrorAs(b, err, &busy)
	assert.Equal(b, actor.BusyError{Key: h.Key(), Doing: doing}, *busy)
}

// put puts a hold, which is no error.
func (b *bed) put(h *Hold[*thing]) {
	b.Helper()
	require.NoError(b, h.Put())
	synctest.Wait()
}

// putDead puts a hold whose resource was revoked.
func (b *bed) putDead(h *Hold[*thing]) {
	b.Helper()
	b.revokedIs(h.Put())
	b.dead(h)
}

// revokedIs checks that err tells of a revoked resource, and returns the whole of it.
func (b *bed) revokedIs(err error) *actor.RevokedError {
	b.Helper()
	var r *actor.RevokedError
	require.ErrorAs(b, err, &r)
	assert.ErrorIs(b, err, actor.ErrRevoked)
	return r
}

// dead checks that a hold was put, whoever did it.
func (b *bed) dead(h *Hold[*thing]) {
	b.Helper()
	synctest.Wait()
	_, err := h.Begin("anything")
	assert.Equal(b, actor.ErrNotLeased, err)
	_, err = h.Take()
	assert.Equal(b, actor.ErrNotLeased, err)
	assert.Nil(b, h.Value())
	assert.Nil(b, h.Expose())
	assert.True(b, h.Ended())
	assert.Equal(b, actor.ErrNotLeased, h.Put())
	assert.Equal(b, actor.ErrNotLeased, h.Discard())
}

// expired checks that the context of a hold has ended it, and that it is put once all the
// same.
func (b *bed) expired(h *Hold[*thing]) {
	b.Helper()
	b.expiredUnput(h)
	b.put(h)
	b.dead(h)
}

func (b *bed) expiredUnput(h *Hold[*thing]) {
	b.Helper()
	_, err := h.Begin("anything")
	_, taken := h.Take()
	for _, err := range []error{err, taken} {
		assert.ErrorIs(b, err, actor.ErrNotLeased)
		assert.ErrorIs(b, err, context.Canceled)
		assert.ErrorIs(b, err, errGone)
		assert.NotErrorIs(b, err, actor.ErrBusy)
	}
	assert.Nil(b, h.Value())
	assert.Nil(b, h.Expose())
	assert.True(b, h.Ended())
	assert.NotNil(b, h.Context())
}

// refs is how many references share what h holds, or held.
func (b *bed) refs(h *Hold[*thing]) int {
	synctest.Wait()
	n := <-h.ref.entry.note
	defer func() { h.ref.entry.note <- n }()
	return n.refs.len
}

// keys is how many keys are bound.
func (b *bed) keys() int { synctest.Wait(); return b.table.Stat().Keys }

// id is the number of what a hold holds.
func (b *bed) id(h *Hold[*thing]) int64 {
	b.Helper()
	require.NotNil(b, h.Value())
	return h.Value().id
}
