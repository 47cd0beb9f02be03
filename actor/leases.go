package actor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// A LeaseInfo describes one lease.
type LeaseInfo struct {
	ID      uint64        // of the resource: 1 for the first opened, and so on
	AtLeast time.Duration // how long it has been lent, with Track or MaxLease; else 0

	// Recalled: it will be closed when it is put: it is too old, from before a
	// Reset, or the supervisor is closing.
	Recalled bool

	// With Config.Track, else empty: who took it, as the function and the line that called
	// the pool, and the label of the context.
	Holder string
	Label  string

	// Leaked: the lease was garbage collected without a put, with Config.Track.
	Leaked bool

	// What a layer above knows, see Config.Complete: the key under which the lease is
	// shared, as [ShownKey] has it, how many share it (else 1), the others (Holder and Label are the first of
	// them), and what it is used for.
	Key     any
	Holders int
	Others  []Holder
	Doing   string

	by *Origin // of Holder and Label, until they are known
}

// A Holder is one of several who hold a lease together.
type Holder struct {
	Holder string
	Label  string
	For    time.Duration // since it got the lease
	Leaked bool
}

// String describes the lease in a few words.
func (l LeaseInfo) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "#%d", l.ID)
	if l.Key != nil {
		fmt.Fprintf(&s, " key %s", keyText(l.Key))
	}
	if l.Holders > 1 {
		fmt.Fprintf(&s, " (%d holders)", l.Holders)
	}
	if l.AtLeast > 0 {
		fmt.Fprintf(&s, " for %v", round(l.AtLeast))
	}
	if l.Holder != "" {
		fmt.Fprintf(&s, " by %s", named(l.Holder, l.Label))
	}
	for _, o := range l.Others {
		fmt.Fprintf(&s, " and %s", named(o.Holder, o.Label))
	}
	if l.Leaked {
		s.WriteString(", leaked")
	}
	return s.String()
}

func named(holder, label string) string {
	if label == "" {
		return holder
	}
	return fmt.Sprintf("%s (%s)", holder, label)
}

// Leases lists what is lent. The supervisor answers at once.
func (s *Supervisor[R]) Leases() []LeaseInfo {
	leases, _ := ask(s, func(l *loop[R], now time.Duration) []LeaseInfo { return l.leases(now) })
	return s.shown(leases)
}

// leases lists what is lent, without names.
func (l *loop[R]) leases(now time.Duration) (leases []LeaseInfo) {
	if !l.cfg.carded() {
		l.machine.EachLent(now, func(sl *core.Slot) { leases = append(leases, *l.info(of[R](sl), 0)) })
		return leases
	}
	l.machine.EachOut(func(sl *core.Slot) {
		if since, lent := l.TakeCard(sl); lent {
			leases = append(leases, *l.info(of[R](sl), now-since))
			l.PutCard(sl)
		}
	})
	return leases
}

// info describes a slot that is lent. If it has a card, the supervisor has taken it.
func (l *loop[R]) info(sl *slot[R], held time.Duration) *LeaseInfo {
	i := &LeaseInfo{ID: sl.ID, Holders: 1, AtLeast: held, Recalled: sl.Recalled(), by: sl.seen.origin}
	i.Leaked = i.by != nil && i.by.leaked
	return i
}

// shown is a list of leases as users see it. It shares nothing with leases, and runs in
// the goroutine that is told.
func (s *Supervisor[R]) shown(leases []LeaseInfo) []LeaseInfo {
	leases = slices.Clone(leases)
	for i := range leases {
		if by := leases[i].by; by != nil {
			leases[i].Holder, leases[i].Label, leases[i].by = by.name(), by.label, nil
		}
	}
	if s.cfg.Complete != nil && len(leases) > 0 {
		s.cfg.Complete(leases)
	}
	return leases
}

// named completes an error with the names of the holders. The error must not be anybody
// else's yet.
func (s *Supervisor[R]) named(err error) error {
	switch e := err.(type) {
	case *WaitError:
		e.Leases = s.shown(e.Leases)
	case *ExhaustedError:
		e.Leases = s.shown(e.Leases)
	case *TooManyWaitingError:
		e.Leases = s.shown(e.Leases)
	case *CloseError:
		e.Leases = s.shown(e.Leases)
	}
	return err
}

// shownLeases is how many leases an error names at most.
const shownLeases = 10

// Culprits are the oldest leases at one moment. When a server hangs many gets give up at
// once: one look serves all.
type culprits struct {
	at     time.Duration
	leases []LeaseInfo
}

// culprits looks at the leases, unless it has just looked.
func (l *loop[R]) culprits(now time.Duration) []LeaseInfo {
	if l.looked.leases == nil || l.looked.at != now {
		leases := l.leases(now)
		slices.SortStableFunc(leases, func(a, b LeaseInfo) int { return cmp.Compare(b.AtLeast, a.AtLeast) })
		l.looked = culprits{now, leases[:min(len(leases), shownLeases)]}
	}
	return l.looked.leases
}
