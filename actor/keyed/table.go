package keyed

import (
	"context"
	"hash/maphash"

	"github.com/pgactor/pgactor/actor"
)

// A Table knows which resource is bound to which key. Its methods may be called from
// any number of goroutines.
type Table[R any] struct {
	config Config[R]
	seed   maphash.Seed
	shards [shardCount]chan *shard[R]
}

// shardCount is how many goroutines may look up keys at a time, if their keys are
// spread well. It is a power of two.
const shardCount = 16

// A shard is a part of the table. It lies in a channel of one: the goroutine that has
// taken it out owns it, and puts it back after a few instructions.
type shard[R any] struct {
	keys    map[any]*entry[R]    // where a get finds its key; nil before the first
	lent    map[uint64]*entry[R] // by the number of the resource: those that have a lease; nil before the first
	granted uint64               // holds of entries that are off keys
	fetched uint64               // leases fetched so far
}

// New makes an empty table. It panics if c lacks what is required.
func New[R any](c Config[R]) *Table[R] {
	c.check()
	if c.EndGrace == 0 {
		c.EndGrace = defaultEndGrace
	}
	if c.ShowKey == nil {
		c.ShowKey = actor.ShownKey
	}
	t := &Table[R]{config: c, seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i] = make(chan *shard[R], 1)
		t.shards[i] <- &shard[R]{}
	}
	return t
}

// shardOf returns the channel of the shard for key, which must be comparable.
func (t *Table[R]) shardOf(key any) chan *shard[R] {
	return t.shards[maphash.Comparable(t.seed, key)%shardCount]
}

// find returns the entry of key, nil if there is none.
func (t *Table[R]) find(key any) *entry[R] {
	at := t.shardOf(key)
	s := <-at
	e := s.keys[key]
	at <- s
	return e
}

// findOrMake returns the entry of the key. If it was made, the caller must fetch for it.
func (t *Table[R]) findOrMake(r *Request[R]) (e *entry[R], made bool) {
	at := t.shardOf(r.Key)
	s := <-at
	e = s.keys[r.Key]
	if e == nil {
		e, made = newEntry(t, at, r), true
		if s.keys == nil {
			s.keys = map[any]*entry[R]{}
		}
		s.keys[r.Key] = e
	}
	at <- s
	return e, made
}

// enlist notes that e has a lease, for Complete.
func (e *entry[R]) enlist() {
	s := <-e.shard
	if s.lent == nil {
		s.lent = map[uint64]*entry[R]{}
	}
	s.lent[e.id] = e
	s.fetched++
	e.shard <- s
}

// unlist takes e, which serves nobody new, off the table, unless somebody has done so
// already; and with returned, off those that have a lease. granted is the number of
// holds that e has granted.
func (e *entry[R]) unlist(returned bool, granted uint64) {
	s := <-e.shard
	if s.keys[e.key] == e {
		delete(s.keys, e.key)
		s.granted += granted
	}
	if returned && s.lent[e.id] == e {
		delete(s.lent, e.id)
	}
	e.shard <- s
}

// Stat says how much a table has to do.
type Stat struct {
	Keys    int    // keys that a resource is bound to
	Waiting int    // gets that wait for what another get fetches, which itself waits in the pool
	Holds   uint64 // holds granted so far
	Fetched uint64 // leases of the pool so far, which they share
}

// Stat looks at every key, one after the other.
func (t *Table[R]) Stat() (st Stat) {
	var entries []*entry[R]
	for _, at := range t.shards {
		s := <-at
		st.Holds += s.granted
		st.Fetched += s.fetched
		for _, e := range s.keys {
			entries = append(entries, e)
		}
		at <- s
	}
	for _, e := range entries {
		n := <-e.note
		if n.state == bound {
			st.Keys++
		}
		st.Waiting += n.waiting.len
		st.Holds += n.granted
		e.note <- n
	}
	return st
}

// Put is PutFor the tenant nil.
func (t *Table[R]) Put(ctx context.Context, key any, discard bool) error {
	return t.PutFor(ctx, key, nil, discard)
}

// PutFor puts the newest hold of a key, those that are their holder's Own aside: of those
// got with ctx, or with a context that ends with it, if there are any, else of all.
// If ctx has ended only the former count, and it is no error if there are none: they
// have gone back. A hold whose resource was revoked counts, and the put is a
// [*actor.RevokedError] then. With discard the resource is closed when its last hold is
// put. Other errors: [*actor.KeyError]; [*TenantError] if the resource is another
// tenant's; ErrNotLeased if the key has no hold, ErrClosed if it has none because the
// pool is closing. PutFor waits for nobody.
func (t *Table[R]) PutFor(ctx context.Context, key, tenant any, discard bool) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := checkTenant(tenant); err != nil {
		return err
	}
	done := ctx.Done()
	if e := t.find(key); e != nil {
		same := e.tenant == tenant
		n := <-e.note
		if n.state.serves() && !same {
			e.note <- n
			return e.otherTenant()
		}
		if h := n.newest(done); same && h != nil {
			return h.putWith(n, discard)
		}
		e.note <- n
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case isClosed(t.config.Closing):
		return actor.ErrClosed
	default:
		return actor.ErrNotLeased
	}
}
