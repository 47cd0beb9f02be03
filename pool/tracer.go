package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// An AcquireTracer is told of every get, those of AcquireAllIdle too, if it is the Tracer of
// Config.ConnConfig. It is called in the borrower's goroutine.
type AcquireTracer interface {
	// TraceAcquireStart is called when a get begins. The get goes on with the
	// context that it returns.
	TraceAcquireStart(ctx context.Context, pool *Pool, data TraceAcquireStartData) context.Context
	// TraceAcquireEnd is called when the get ends, with that context.
	TraceAcquireEnd(ctx context.Context, pool *Pool, data TraceAcquireEndData)
}

// TraceAcquireStartData is what an AcquireTracer learns at the start.
type TraceAcquireStartData struct{}

// TraceAcquireEndData is what an AcquireTracer learns at the end: the connection
// or the error.
type TraceAcquireEndData struct {
	Conn *pgx.Conn
	Err  error
}

// A ReleaseTracer is told of every connection that was acquired when its lease ends, by a
// put, a hijack or otherwise, if it is the Tracer of Config.ConnConfig. It is called by the
// goroutine that puts or hijacks it, or, for a lease that its context ended, by one of the
// pool's.
type ReleaseTracer interface {
	// TraceRelease is called when a put or a hijack begins.
	TraceRelease(pool *Pool, data TraceReleaseData)
}

// TraceReleaseData is what a ReleaseTracer learns.
type TraceReleaseData struct {
	Conn *pgx.Conn
}

// tracers has those that are told, in their order.
type tracers struct {
	acquire []AcquireTracer
	release []ReleaseTracer
}

// traced calls get, and tells the tracers of its begin and end.
func (p *Pool) traced(ctx context.Context, get func(context.Context) (*Conn, error)) (*Conn, error) {
	for _, t := range p.tracers.acquire {
		ctx = t.TraceAcquireStart(ctx, p, TraceAcquireStartData{})
	}
	c, err := get(ctx)
	kept := false
	defer c.releaseUnless(&kept) // if a tracer panics
	data := TraceAcquireEndData{Conn: c.traced(), Err: err}
	if data.Conn == nil && err == nil { // its context has ended it already
		data.Err = endedError(ctx)
	}
	for _, t := range p.tracers.acquire {
		t.TraceAcquireEnd(ctx, p, data)
	}
	kept = true
	return c, err
}

// traced returns the connection for a tracer, which must not use it.
func (c *Conn) traced() *pgx.Conn {
	if s := c.session(); s != nil {
		return s.conn
	}
	return nil
}

// tellRelease tells the release tracers of a connection that goes back.
func (p *Pool) tellRelease(conn *pgx.Conn) {
	for _, t := range p.tracers.release {
		t.TraceRelease(p, TraceReleaseData{Conn: conn})
	}
}

// releaseUnless puts the connection back, unless it is kept for what the caller
// was given.
func (c *Conn) releaseUnless(kept *bool) {
	if !*kept {
		c.Release()
	}
}
