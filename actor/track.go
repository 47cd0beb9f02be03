package actor

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"
)

// With Config.Track every lease has an origin. It travels with the ticket to the
// desk, whose books keep it with the slot, or the key, for as long as the lease
// lasts. It is made by the borrower and names nothing yet: who is told of it finds
// out the names, in a goroutine of his own.

// An origin is what is known of who took a lease.
type origin struct {
	callers []uintptr // the borrower's call stack, the innermost first
	label   string

	// The supervisor's.
	since  time.Duration
	leaked bool
}

// depth is how many callers are kept. The pool's own are ten at most.
const depth = 32

// origin is that of the get that the calling goroutine makes, nil without Track.
func (s *Supervisor[R]) origin(ctx context.Context) *origin {
	if !s.cfg.Track {
		return nil
	}
	var callers [depth]uintptr
	o := &origin{callers: slices.Clone(callers[:runtime.Callers(3, callers[:])])}
	if s.cfg.Label != nil {
		o.label = s.cfg.Label(ctx)
	}
	return o
}

// A tracking is the borrower's side: whoever ends the lease stops it.
type tracking struct {
	*origin
	cleanup runtime.Cleanup // zero for a lease that its context ends
}

// stop says that the lease ends in the proper way.
func (t *tracking) stop() {
	if t != nil {
		t.cleanup.Stop()
	}
}

// who is the origin of a lease, nil without Track.
func (t *tracking) who() *origin {
	if t == nil {
		return nil
	}
	return t.origin
}

// A lost lease was garbage collected before its put.
type lost[R any] struct {
	slot   *slot[R]
	origin *origin
}

// watch has the desk told if l is lost. So nothing that lives on with the slot may
// keep a pointer to l, and l is allocated on its own.
func (s *Supervisor[R]) watch(l *Lease[R], sl *slot[R], o *origin) *tracking {
	return &tracking{o, runtime.AddCleanup(l, s.noteLost, lost[R]{sl, o})}
}

// noteLost is called by the runtime.
func (s *Supervisor[R]) noteLost(l lost[R]) {
	_ = s.tellNow(func(m *machine[R], now time.Duration) { m.lost(now, l.slot, l.origin) })
}

// lost notes a lease that nobody can put any more. Its resource stays lent: the
// borrower may have kept that.
func (m *machine[R]) lost(now time.Duration, sl *slot[R], o *origin) {
	if sl.desk.place != away || o.leaked || !slices.Contains(sl.desk.origins(), o) {
		return
	}
	o.leaked = true
	m.stats.leaked++
	m.tellOfLease(now, EventLeaked, sl, ReasonNone, o)
}

// origins are those of the present leases of a slot that is lent, the oldest first.
func (r *record[R]) origins() []*origin {
	switch {
	case r.binding != nil:
		return r.binding.origins
	case r.origin != nil:
		return []*origin{r.origin}
	default:
		return nil
	}
}

// name is the function that took the lease: the innermost that is not of the pool.
func (c *Config[R]) name(o *origin) (name string) {
	frames := runtime.CallersFrames(o.callers)
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			name = fmt.Sprintf("%s %s:%d", f.Function, path.Base(f.File), f.Line)
		}
		if !more || !c.wraps(f) {
			return name
		}
	}
}

var ownPackage = reflect.TypeFor[Request]().PkgPath()

// wraps says that a frame is one of the pool's. Its tests are not.
func (c *Config[R]) wraps(f runtime.Frame) bool {
	if strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	p := packageOf(f.Function)
	return p == ownPackage || slices.Contains(c.Wrappers, p)
}

// packageOf is the import path in the name of a function: up to the first dot of
// its last element, in which dots of the path itself are escaped.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		function = function[:slash+dot]
	}
	return strings.ReplaceAll(function, "%2e", ".")
}
