package pool

import (
	"context"

	"github.com/pgactor/pgactor/actor/keyed"
)

// Hold has the connection of the key in ctx stay the key's between its uses: from the
// first one with the context that Hold returns, or with one derived from it, until release
// is called or ctx ends. Without it every verb gets a connection and puts it back, and the
// next one may have another. Hold takes no connection, so it never waits; if nothing is
// done with the context, none is taken.
//
// What a connection loses at its put, it loses at the release: an open transaction, and
// what OnBind and the holders did. If the connection dies, or is closed under its
// borrowers, the uses that follow fail: what belongs to its session is lost. A
// [Conn.Hijack] is refused meanwhile.
//
// A key may be held several times, one within the other: it is held until all are
// released. A release that is called again does nothing; where ctx never ends, it must be
// called: pgx keeps the context of the last statement, so TrackLeases does not find a hold
// that is dropped. If ctx has no key, or none that can be one, Hold returns it as it is:
// gets with it say why.
func (k *Keyed) Hold(ctx context.Context) (held context.Context, release func()) {
	key, err := k.keying.Key(ctx)
	bound := boundKey{&k.keying, key}
	if err != nil || keyed.CheckKey(bound) != nil {
		return ctx, func() {}
	}
	sc := scopeOf(ctx, bound)
	h := &keeper{pool: k.pool, ctx: ctx, outer: sc.keeper, pin: make(chan pin, 1)}
	h.pin <- pin{}
	sc.keeper = h
	return context.WithValue(ctx, bound, &sc), h.release
}

// A scope is what a context says of the connection of a key: it is the context's value
// under the key, which is a boundKey.
type scope struct {
	keeper *keeper    // of the innermost Hold; nil: none
	tx     *scopeOfTx // of the innermost InTx; nil: none
}

// scopeOf returns what ctx says of the connection of key.
func scopeOf(ctx context.Context, key any) (sc scope) {
	if of, ok := ctx.Value(key).(*scope); ok {
		sc = *of
	}
	return sc
}

// A keeper keeps the connection of a key between its uses.
type keeper struct {
	pool  *Pool
	ctx   context.Context // its end is that of the keeper
	outer *keeper         // of the same key, around it
	pin   chan pin        // of one
}

// A pin is what a keeper has. It lies in a channel of one: the goroutine that has taken it
// out puts it back after a few instructions.
type pin struct {
	conn     *Conn // shares what the last use had; nil before the first
	released bool
}

// keep has the keeper, and those around it, share the connection of c, which its caller
// has just got for tenant. If a tracer panics, c goes back.
func (h *keeper) keep(c *Conn, tenant any) {
	done := false
	defer c.releaseUnless(&done)
	for ; h != nil; h = h.outer {
		if h.lacks(c) {
			h.share(c, tenant)
		}
	}
	done = true
}

// lacks reports whether the keeper is to share the connection of c, and does not.
func (h *keeper) lacks(c *Conn) bool {
	p := <-h.pin
	h.pin <- p
	return !p.released && h.ctx.Err() == nil && (p.conn == nil || p.conn.hold().ID() != c.hold().ID())
}

// share shares the connection of c, unless the keeper was released meanwhile. An error
// says that c has ended, or that its connection is dead: its user will find out.
func (h *keeper) share(c *Conn, tenant any) {
	conn, err := h.pool.again(h.ctx, c, keyed.Request[*session]{Tenant: tenant, Tied: true, Own: true})
	if err != nil {
		return
	}
	p := <-h.pin
	if !p.released {
		p.conn, conn = conn, p.conn
	}
	h.pin <- p
	conn.Release()
}

// release ends the keeper.
func (h *keeper) release() {
	p := <-h.pin
	h.pin <- pin{released: true}
	p.conn.Release()
}
