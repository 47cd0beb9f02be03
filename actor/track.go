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

// An Origin names the borrower of a lease, with Config.Track. It is made by the borrower and
// holds no names yet: they are found by the goroutine that is told.
type Origin struct {
	stack    [depth]uintptr // the borrower's callers, the innermost first
	callers  int            // of stack, those that are there
	label    string
	since    time.Time
	wrappers []string
	leaked   bool // the supervisor's
}

// depth is how many callers are kept. The pool's own are ten at most.
const depth = 32

// Origin is that of a get that the calling goroutine makes with ctx; nil without
// Config.Track.
func (s *Supervisor[R]) Origin(ctx context.Context) *Origin {
	if !s.cfg.Track {
		return nil
	}
	o := &Origin{since: time.Now(), wrappers: s.cfg.Wrappers}
	o.callers = runtime.Callers(2, o.stack[:])
	if s.cfg.Label != nil {
		o.label = s.cfg.Label(ctx)
	}
	return o
}

// Holder names the function and the line that took the lease, and for how long it has
// been held. It may be called from any goroutine.
func (o *Origin) Holder() Holder {
	return Holder{Holder: o.name(), Label: o.label, For: time.Since(o.since)}
}

// name is the innermost function that is not of the pool.
func (o *Origin) name() (name string) {
	frames := runtime.CallersFrames(o.stack[:o.callers])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			name = fmt.Sprintf("%s %s:%d", f.Function, path.Base(f.File), f.Line)
		}
		if !more || !o.wraps(f) {
			return name
		}
	}
}

var ownPackage = reflect.TypeFor[Origin]().PkgPath()

// wraps reports whether a frame is one of the pool's. Its tests are not.
func (o *Origin) wraps(f runtime.Frame) bool {
	if strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	p := packageOf(f.Function)
	return p == ownPackage || strings.HasPrefix(p, ownPackage+"/") || slices.Contains(o.wrappers, p)
}

// packageOf is the import path in the name of a function: up to the first dot of its
// last element, in which dots of the path itself are escaped.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		function = function[:slash+dot]
	}
	return strings.ReplaceAll(function, "%2e", ".")
}

// A leak is a lease that was garbage collected.
type leak[R any] struct {
	slot   *slot[R]
	origin *Origin
}

// track begins the lease of sl, which has a card. A lease that is watched is allocated on
// its own, and nothing that lives on with the slot may point to it.
func (g *get[R]) track(sl *slot[R]) *Lease[R] {
	o := g.origin(sl)
	g.layCard(sl, o)
	if o == nil {
		return sl.lease()
	}
	l := &Lease[R]{slot: sl}
	sl.watch = runtime.AddCleanup(l, g.Supervisor.leaked, leak[R]{sl, o})
	return l
}

// origin is that of the lease of sl that begins. If Config.Label panics, sl is given away
// while the panic goes on.
func (g *get[R]) origin(sl *slot[R]) *Origin {
	returned := false
	defer func() {
		if !returned {
			g.putBack(sl, Keep, ReasonNone)
		}
	}()
	o := g.Origin(g.ctx)
	returned = true
	return o
}

// leaked is called by the runtime.
func (s *Supervisor[R]) leaked(lost leak[R]) {
	s.post(func(l *loop[R], now time.Duration) { l.leaked(now, lost) })
}

// leaked notes a lease that nobody can put any more. Its resource stays lent: the
// borrower may have kept that.
func (l *loop[R]) leaked(now time.Duration, lost leak[R]) {
	since, lent := l.TakeCard(lost.slot.Slot)
	if !lent {
		return
	}
	if o := lost.slot.seen.origin; o == lost.origin && !o.leaked && !isClosed(lost.slot.gone) {
		o.leaked = true
		l.machine.Leaked()
		l.tellPublic(Event{Kind: EventLeaked, ID: lost.slot.ID, Lease: l.info(lost.slot, now-since)})
	}
	l.PutCard(lost.slot.Slot)
}

// NoteLeak is the news of a layer above that h, who held a lease of the resource ID with
// others, has lost it. It counts in [Stat].Leaked and is told as EventLeaked.
func (s *Supervisor[R]) NoteLeak(id uint64, h Holder) {
	s.post(func(l *loop[R], _ time.Duration) {
		l.machine.Leaked()
		info := LeaseInfo{ID: id, Holders: 1, AtLeast: h.For, Holder: h.Holder, Label: h.Label, Leaked: true}
		l.tellPublic(Event{Kind: EventLeaked, ID: id, Lease: &info})
	})
}
