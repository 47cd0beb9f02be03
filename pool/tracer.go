package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
)

// An AcquireTracer is told of every get, if it is the Tracer of
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

// A ReleaseTracer is told of every put of a [Conn] (not of what PutKey puts, or a
// context has ended), if it is the Tracer of
// Config.ConnConfig. It is called in the borrower's goroutine.
type ReleaseTracer interface {
	// TraceRelease is called when a put begins.
	TraceRelease(pool *Pool, data TraceReleaseData)
}

// TraceReleaseData is what a ReleaseTracer learns.
type TraceReleaseData struct {
	Conn *pgx.Conn
}

// tracers are told, one after the other.
type tracers struct {
	acquire []AcquireTracer
	release []ReleaseTracer
}

// traced is a get of which tracers are told.
func (p *Pool) traced(ctx context.Context, r actor.Request) (*Conn, error) {
	for _, t := range p.tracers.acquire {
		ctx = t.TraceAcquireStart(ctx, p.whole(), TraceAcquireStartData{})
	}
	lease, err := p.desk.GetWith(ctx, r)
	c := (*Conn)(lease)
	kept := false
	defer c.releaseUnless(&kept) // if a tracer panics
	data := TraceAcquireEndData{Conn: c.traced(), Err: err}
	if data.Conn == nil && err == nil { // its context has ended it already
		data.Err = endedError(ctx)
	}
	for _, t := range p.tracers.acquire {
		t.TraceAcquireEnd(ctx, p.whole(), data)
	}
	kept = true
	return c, err
}

// traced is the connection for a tracer, which is not to use it.
func (c *Conn) traced() *pgx.Conn {
	if s := c.session(); s != nil {
		return s.conn
	}
	return nil
}

// traceRelease tells tracers of a put. If one panics, the connection is put all
// the same.
func (p *Pool) traceRelease(c *Conn) {
	told := false
	defer func() {
		if !told {
			_ = c.lease().Put()
		}
	}()
	for _, t := range p.tracers.release {
		t.TraceRelease(p.whole(), TraceReleaseData{Conn: c.traced()})
	}
	told = true
}

// releaseUnless puts the connection back, unless it is kept for what the caller
// was given.
func (c *Conn) releaseUnless(kept *bool) {
	if !*kept {
		c.Release()
	}
}
