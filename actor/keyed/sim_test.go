package keyed

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/require"
)

// A simulation: one client does what it likes, step by step, and a model as simple as
// possible says what must come of it. After each step everybody rests, and the model,
// what the pool was asked, and the notes are compared.
//
//	go test -run TestSimulation ./actor/keyed -keyed.seed 42 -v

var (
	seedFlag  = flag.Uint64("keyed.seed", 0, "run the random tests with this seed alone, and log each step")
	seedsFlag = flag.Int("keyed.seeds", 100, "how many seeds TestSimulation tries")
)

const (
	simGrace    = 100 * time.Millisecond
	simMaxLease = time.Second
	simKeys     = 3
	simPlaces   = 2
)

// A simHold is the model of a hold.
type simHold struct {
	*Hold[*thing]
	name     int
	binding  *simBinding
	client   *simClient
	tied     bool
	own      bool
	put      bool
	exposed  bool
	out      bool // it has not come back
	reported bool
	endedAt  time.Time
}

// ended reports whether the hold has ended.
func (h *simHold) ended() bool { return h.put || h.tied && h.client.ended }

func (h *simHold) used() bool { return h.binding.turn == h || h.exposed }

// A simBinding is the model of an entry that is bound.
type simBinding struct {
	key       int
	holds     []*simHold // all, in the order of the grants
	turn      *simHold
	doing     string
	discard   bool
	deadSince time.Time // zero: it is not
	abandoned bool
}

func (b *simBinding) count(f func(h *simHold) bool) (n int) {
	for _, h := range b.holds {
		if f(h) {
			n++
		}
	}
	return n
}

func (b *simBinding) live() int  { return b.count(func(h *simHold) bool { return !h.ended() }) }
func (b *simBinding) out() int   { return b.count(func(h *simHold) bool { return h.out }) }
func (b *simBinding) dead() bool { return !b.deadSince.IsZero() }

// A simClient is a context.
type simClient struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  bool
}

// A simGet is a get that waits.
type simGet struct {
	*pending
	key       int
	client    *simClient
	tied, own bool
}

type sim struct {
	*bed
	rng      *rand.Rand
	clients  []*simClient
	gets     []*simGet // that wait, in the order in which they came
	holds    []*simHold
	bindings map[*entry[*thing]]*simBinding
	granted  int
	vain     int // gets whose context ended: each may have been granted
	reported int
	steps    map[string]int
	loud     bool
}

func (s *sim) did(format string, args ...any) {
	if s.loud {
		s.Logf("%6v "+format, append([]any{time.Since(time.Unix(946684800, 0))}, args...)...)
	}
}

// current is the binding that serves a key.
func (s *sim) current(key int) *simBinding {
	for _, b := range s.bindings {
		if b.key == key && !b.abandoned && b.live() > 0 {
			return b
		}
	}
	return nil
}

func (s *sim) fetches(key int) bool {
	return slices.ContainsFunc(s.gets, func(g *simGet) bool { return g.key == key })
}

func (s *sim) client() *simClient {
	if len(s.clients) > 0 && s.rng.IntN(2) == 0 {
		return s.clients[s.rng.IntN(len(s.clients))]
	}
	c := &simClient{}
	c.ctx, c.cancel = context.WithCancelCause(s.Context())
	s.clients = append(s.clients, c)
	return c
}

func (s *sim) get() {
	key, c := s.rng.IntN(simKeys), s.client()
	r := Request[*thing]{Key: key, Tied: s.rng.IntN(2) == 0, Own: s.rng.IntN(4) == 0, Patience: Patience(s.rng.IntN(4) / 3 * 2)}
	cur, fetched, idle := s.current(key), s.fetches(key), s.pool.idles()
	refused := cur != nil && cur.dead()
	if refused && !c.ended && time.Since(cur.deadSince) >= simMaxLease {
		refused, cur.abandoned = false, true
		cur = nil
	}
	g := &simGet{s.bed.get(c.ctx, r), key, c, r.Tied, r.Own}
	s.did("get %d tied %v own %v %v: done %v, %v", key, r.Tied, r.Own, r.Patience, isClosed(g.done), g.err)
	switch {
	case c.ended:
		g.refused()
	case refused:
		s.revokedIs(g.fails())
	case cur != nil:
		require.Same(s, g.hold().ref.entry, cur.holds[0].ref.entry)
		s.grant(g)
	case r.Patience == Try && (fetched || idle == 0):
		require.Equal(s, actor.ErrExhausted, g.fails())
	case isClosed(g.done):
		require.False(s, fetched, "the others wait")
		s.grant(g)
	default:
		s.gets = append(s.gets, g)
	}
}

func (s *sim) grant(g *simGet) *simHold {
	h := &simHold{Hold: g.hold(), name: s.granted, client: g.client, tied: g.tied, own: g.own, out: true}
	s.granted++
	e := h.ref.entry
	if s.bindings[e] == nil {
		s.bindings[e] = &simBinding{key: g.key}
	}
	h.binding = s.bindings[e]
	h.binding.holds = append(h.binding.holds, h)
	s.holds = append(s.holds, h)
	return h
}

// endOf notes the end of a hold.
func (s *sim) endOf(h *simHold) {
	h.endedAt = time.Now()
	s.back(h)
}

// back notes that a reference has come back, if it has.
func (s *sim) back(h *simHold) {
	if h.out && h.ended() && !h.used() {
		h.out = false
	}
}

func (s *sim) cancel(c *simClient) {
	if c.ended {
		return
	}
	s.did("cancel")
	was := map[*simHold]bool{}
	for _, h := range s.holds {
		was[h] = h.ended()
	}
	c.ended = true
	c.cancel(errGone)
	synctest.Wait()
	for _, h := range s.holds {
		if h.ended() && !was[h] {
			s.endOf(h)
		}
	}
	s.gets = slices.DeleteFunc(s.gets, func(g *simGet) bool {
		switch {
		case g.client != c:
			return false
		case isClosed(g.done) && g.err == nil: // the end of another hold of c came first
			if h := s.grant(g); h.ended() {
				s.endOf(h)
			}
		default:
			g.lost()
			s.vain++ // or it was granted in that moment
		}
		return true
	})
}

// isRefused reports whether a use of h must be refused, and checks err.
func (s *sim) isRefused(h *simHold, err error) bool {
	switch {
	case h.put:
		require.Equal(s, actor.ErrNotLeased, err)
	case h.ended():
		require.ErrorIs(s, err, actor.ErrNotLeased)
		require.ErrorIs(s, err, errGone)
	case h.binding.dead():
		s.revokedIs(err)
	case h.binding.turn != nil:
		var busy *actor.BusyError
		require.ErrorAs(s, err, &busy)
		require.Equal(s, h.binding.doing, busy.Doing)
	default:
		return false
	}
	return true
}

func (s *sim) begin(h *simHold) {
	doing := fmt.Sprint("turn of ", h.name)
	th, err := h.Begin(doing)
	s.did("begin %d: %v", h.name, err)
	if s.isRefused(h, err) {
		require.Nil(s, th)
		return
	}
	require.NoError(s, err)
	h.binding.turn, h.binding.doing = h, doing
}

func (s *sim) end(h *simHold) {
	s.did("end %d", h.name)
	h.End()
	if h.binding.turn == h {
		h.binding.turn, h.binding.doing = nil, ""
		s.back(h)
	}
}

func (s *sim) setDoing(h *simHold) {
	h.SetDoing("something new")
	if h.binding.turn == h {
		h.binding.doing = "something new"
	}
}

func (s *sim) expose(h *simHold) {
	s.did("expose %d", h.name)
	require.Equal(s, h.ended(), h.Expose() == nil)
	h.exposed = h.exposed || !h.ended()
}

func (s *sim) put(h *simHold, discard bool, by func() error) {
	err := by()
	s.did("put %d discard %v: %v", h.name, discard, err)
	switch {
	case h.put:
		require.Equal(s, actor.ErrNotLeased, err)
		return
	case h.ended():
		require.NoError(s, err)
	case h.binding.dead():
		s.revokedIs(err)
	default:
		require.NoError(s, err)
	}
	h.binding.discard = h.binding.discard || discard && h.out
	first := !h.ended()
	h.put, h.exposed = true, false
	if first {
		s.endOf(h)
	} else {
		s.back(h)
	}
}

func (s *sim) putKey(key int, c *simClient) {
	var newest *simHold
	cur := s.current(key)
	if cur != nil {
		for _, h := range cur.holds {
			if !h.ended() && !h.own && (newest == nil || h.client == c || newest.client != c) {
				newest = h
			}
		}
	}
	if newest != nil && newest.client != c && c.ended {
		newest = nil
	}
	s.did("put of key %d", key)
	if newest == nil {
		err := s.table.Put(c.ctx, key, false)
		if c.ended {
			require.NoError(s, err)
		} else {
			require.Equal(s, actor.ErrNotLeased, err)
		}
		return
	}
	s.put(newest, false, func() error { return s.table.Put(c.ctx, key, false) })
}

func (s *sim) take(h *simHold) {
	_, err := h.Take()
	s.did("take %d: %v", h.name, err)
	b := h.binding
	if s.isRefused(h, err) {
		if !h.ended() && b.dead() {
			h.put, h.exposed = true, false
			s.endOf(h)
		}
		return
	}
	if b.out() > 1 {
		require.Equal(s, actor.ErrShared, err)
		return
	}
	require.NoError(s, err)
	h.put, h.exposed, h.out = true, false, false
}

func (s *sim) revoke() {
	s.pool.mu.Lock()
	var id int64
	if n := len(s.pool.lent); n > 0 {
		id = s.pool.lent[s.rng.IntN(n)].th.id
	}
	s.pool.mu.Unlock()
	for e, b := range s.bindings {
		if id != 0 && e.value.id == id && !b.dead() && b.out() > 0 {
			s.did("revoke %d", id)
			s.pool.revoke(id, actor.ReasonHeld)
			b.deadSince = time.Now()
		}
	}
}

// rest lets everybody do what there is to do, and compares.
func (s *sim) rest() {
	synctest.Wait()
	for _, h := range s.holds { // the graces that are over
		if h.out && h.ended() && time.Since(h.endedAt) >= simGrace {
			if b := h.binding; !b.dead() {
				b.deadSince = h.endedAt.Add(simGrace)
			}
			for _, other := range h.binding.holds { // the first to overstay kills
				if other.out && other.ended() && h.binding.deadSince.After(other.endedAt.Add(simGrace)) && h.binding.live()+h.binding.out() > 0 {
					h.binding.deadSince = minTime(h.binding.deadSince, other.endedAt.Add(simGrace))
				}
			}
			if h.binding.turn == h {
				h.binding.turn, h.binding.doing = nil, ""
			}
			h.exposed, h.out = false, false
		}
	}
	s.gets = slices.DeleteFunc(s.gets, func(g *simGet) bool {
		if isClosed(g.done) {
			s.grant(g)
		}
		return isClosed(g.done)
	})
	s.compare()
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (s *sim) compare() {
	var lent, isLent []int64
	keys := map[int]int{}
	for e, b := range s.bindings {
		if b.out() > 0 && !b.dead() {
			lent = append(lent, e.value.id)
			info := []actor.LeaseInfo{{ID: e.id}}
			s.table.Complete(info)
			require.Equal(s, []actor.LeaseInfo{{ID: e.id, Key: b.key, Holders: b.out(), Doing: b.doing, AtLeast: time.Since(e.since)}}, info)
		}
		if b.live() > 0 && !b.abandoned {
			keys[b.key]++
		}
		s.check(e, b)
	}
	s.pool.mu.Lock()
	for _, l := range s.pool.lent {
		isLent = append(isLent, l.th.id)
	}
	s.pool.mu.Unlock()
	slices.Sort(lent)
	slices.Sort(isLent)
	require.Equal(s, lent, isLent, "what is lent")
	waiting := len(s.gets)
	for key := range simKeys {
		require.LessOrEqual(s, keys[key], 1, "one key, one resource")
		if s.fetches(key) {
			waiting--
			require.Zero(s, keys[key], "nobody waits for a key that is bound")
			require.Len(s, lent, simPlaces, "nobody waits beside a place")
		}
	}
	st := s.table.Stat()
	require.Equal(s, []int{len(keys), waiting}, []int{st.Keys, st.Waiting}, "keys, waiting")
	require.GreaterOrEqual(s, int(st.Holds), s.granted)
	require.LessOrEqual(s, int(st.Holds), s.granted+s.vain)
	for _, h := range s.holds {
		require.Equal(s, h.ended(), h.Ended())
		if !h.out || h.binding.abandoned {
			h.reported = true
		}
	}
	reported := 0
	for _, h := range s.holds {
		if h.reported {
			reported++
		}
	}
	s.reported += len(s.reports())
	require.Equal(s, reported, s.reported, "OnEnd")
}

// check compares a note with the model, and with itself.
func (s *sim) check(e *entry[*thing], b *simBinding) {
	n := <-e.note
	defer func() { e.note <- n }()
	require.Zero(s, n.waiting.len)
	var refs, want []*ref[*thing]
	for h := n.refs.first; h != nil; h = h.next {
		refs = append(refs, h)
		require.True(s, h.out)
		require.Same(s, e, h.entry)
	}
	for _, h := range b.holds {
		if h.out {
			want = append(want, h.ref)
		}
	}
	require.Equal(s, len(want), n.refs.len)
	for i, h := range refs {
		require.Same(s, want[i], h, "the oldest first")
	}
	require.Equal(s, b.live(), n.live)
	state := bound
	switch {
	case len(want) == 0:
		state = over
	case b.live() == 0 || b.abandoned:
		state = draining
	}
	require.Equal(s, state, n.state)
	if b.turn == nil {
		require.Nil(s, n.user)
	} else {
		require.Same(s, b.turn.ref, n.user)
	}
}

func (s *sim) step() {
	kinds := []string{"get", "get", "get", "cancel", "begin", "begin", "end", "end", "doing", "expose", "put", "put", "discard", "key", "take", "sleep", "sleep", "revoke"}
	kind := kinds[s.rng.IntN(len(kinds))]
	s.steps[kind]++
	var h *simHold
	if n := len(s.holds); n > 0 {
		h = s.holds[max(0, n-1-s.rng.IntN(8))] // one of the last
	}
	switch {
	case kind == "get":
		s.get()
	case kind == "sleep":
		d := time.Duration(s.rng.IntN(150)) * time.Millisecond
		if s.rng.IntN(10) == 0 {
			d = simMaxLease
		}
		s.did("sleep %v", d)
		time.Sleep(d)
	case kind == "cancel" && len(s.clients) > 0:
		s.cancel(s.clients[s.rng.IntN(len(s.clients))])
	case kind == "revoke" && s.rng.IntN(3) == 0:
		s.revoke()
	case kind == "key" && len(s.clients) > 0:
		s.putKey(s.rng.IntN(simKeys), s.clients[s.rng.IntN(len(s.clients))])
	case h == nil:
	case kind == "begin":
		s.begin(h)
	case kind == "end":
		s.end(h)
	case kind == "doing":
		s.setDoing(h)
	case kind == "expose" && s.rng.IntN(3) == 0:
		s.expose(h)
	case kind == "put":
		s.put(h, false, h.Put)
	case kind == "discard":
		s.put(h, true, h.Discard)
	case kind == "take":
		s.take(h)
	}
	s.rest()
}

// finish ends everything.
func (s *sim) finish() {
	for _, c := range s.clients {
		s.cancel(c)
		s.rest()
	}
	for _, h := range s.holds {
		if err := h.Put(); err != nil {
			require.True(s, errors.Is(err, actor.ErrNotLeased) || errors.Is(err, actor.ErrRevoked), "%v", err)
		}
	}
	time.Sleep(time.Hour)
	require.Empty(s, s.gets)
	require.Len(s, s.reports(), s.granted-s.reported)
}

func simulate(t *testing.T, seed uint64, loud bool) {
	inBed(t, simPlaces, Config[*thing]{EndGrace: simGrace, MaxLease: simMaxLease}, func(b *bed) {
		s := &sim{bed: b, rng: rand.New(rand.NewPCG(seed, 1)), bindings: map[*entry[*thing]]*simBinding{}, steps: map[string]int{}, loud: loud}
		for range 300 {
			s.step()
		}
		s.finish()
	})
}

func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		simulate(t, *seedFlag, true)
		return
	}
	for range *seedsFlag {
		seed := rand.Uint64()
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { simulate(t, seed, false) }) {
			t.Fatalf("run it again with -keyed.seed %d -v", seed)
		}
	}
}
