package pool

import (
	"context"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
)

// newTracers finds out who wants to be told of what. A tracer that was written
// for pgxpool, as those of OpenTelemetry are, names pgxpool's Pool in its methods:
// it is given a stand-in. One that fits neither is refused, since it would be told
// nothing.
func newTracers(c *Config) (t tracers, err error) {
	configured := c.ConnConfig.Tracer
	parts := []pgx.QueryTracer{configured}
	if m, ok := configured.(*multitracer.Tracer); ok {
		// It passes on to those for pgxpool. Those for this package it does not know.
		parts = append(parts, m.QueryTracers...)
	}
	for _, part := range parts {
		if a, ok := part.(AcquireTracer); ok {
			t.acquire = append(t.acquire, a)
		}
		if r, ok := part.(ReleaseTracer); ok {
			t.release = append(t.release, r)
		}
		if name := unheard(part); name != "" {
			return t, &ConfigError{Field: "ConnConfig.Tracer", Value: fmt.Sprintf("%T", part),
				Reason: "its method " + name + " is neither that of this package's tracers nor of pgxpool's"}
		}
	}
	acquire, acquires := configured.(pgxpool.AcquireTracer)
	release, releases := configured.(pgxpool.ReleaseTracer)
	if !acquires && !releases {
		return t, nil
	}
	standIn, err := newStandIn(c)
	if err != nil {
		return t, err
	}
	if acquires {
		t.acquire = append(t.acquire, foreignAcquire{acquire, standIn})
	}
	if releases {
		t.release = append(t.release, foreignRelease{release, standIn})
	}
	return t, nil
}

// unheard finds a method that looks like a pool tracer's and would never be
// called.
func unheard(part pgx.QueryTracer) string {
	if part == nil {
		return ""
	}
	_, ours := part.(AcquireTracer)
	_, theirs := part.(pgxpool.AcquireTracer)
	_, oursToo := part.(ReleaseTracer)
	_, theirsToo := part.(pgxpool.ReleaseTracer)
	for _, m := range []struct {
		name  string
		heard bool
	}{
		{"TraceAcquireStart", ours || theirs},
		{"TraceAcquireEnd", ours || theirs},
		{"TraceRelease", oursToo || theirsToo},
	} {
		if _, has := reflect.TypeOf(part).MethodByName(m.name); has && !m.heard {
			return m.name
		}
	}
	return ""
}

// newStandIn makes a pgxpool.Pool that has c's settings, is closed and has never
// connected: its Config is of use to a tracer, its Stat says only the sizes.
func newStandIn(c *Config) (*pgxpool.Pool, error) {
	p, err := pgxpool.ParseConfig(c.ConnString())
	if err != nil {
		return nil, &ConfigError{Field: "ConnConfig.Tracer", Value: fmt.Sprintf("%T", c.ConnConfig.Tracer),
			Reason: "was written for pgxpool, which does not take this configuration: " + safeParseError(err).Error()}
	}
	p.ConnConfig = c.ConnConfig.Copy()
	p.MaxConns, p.MinConns, p.MinIdleConns = c.MaxConns, 0, 0 // nothing is to be opened
	p.MaxConnLifetime, p.MaxConnLifetimeJitter = c.MaxConnLifetime, c.MaxConnLifetimeJitter
	p.MaxConnIdleTime, p.HealthCheckPeriod, p.PingTimeout = c.MaxConnIdleTime, c.HealthCheckPeriod, c.PingTimeout
	standIn, err := pgxpool.NewWithConfig(context.Background(), p)
	if err != nil {
		return nil, err
	}
	standIn.Close()
	return standIn, nil
}

// foreignAcquire tells a tracer of pgxpool's.
type foreignAcquire struct {
	tracer  pgxpool.AcquireTracer
	standIn *pgxpool.Pool
}

func (f foreignAcquire) TraceAcquireStart(ctx context.Context, _ *Pool, _ TraceAcquireStartData) context.Context {
	return f.tracer.TraceAcquireStart(ctx, f.standIn, pgxpool.TraceAcquireStartData{})
}

func (f foreignAcquire) TraceAcquireEnd(ctx context.Context, _ *Pool, data TraceAcquireEndData) {
	f.tracer.TraceAcquireEnd(ctx, f.standIn, pgxpool.TraceAcquireEndData(data))
}

// foreignRelease tells a tracer of pgxpool's.
type foreignRelease struct {
	tracer  pgxpool.ReleaseTracer
	standIn *pgxpool.Pool
}

func (f foreignRelease) TraceRelease(_ *Pool, data TraceReleaseData) {
	f.tracer.TraceRelease(f.standIn, pgxpool.TraceReleaseData(data))
}
