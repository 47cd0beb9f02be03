package actor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A LeaseInfo describes one lease in the supervisor's books; of those who share a
// resource under a key, all in one.
type LeaseInfo struct {
	ID      uint64        // of the resource: 1 for the first opened, and so on
	Key     any           // the key it is lent under, nil without
	Holders int           // leases that share it: 1, or more under one key
	AtLeast time.Duration // how long it has been out; exact under a key, and with Track or MaxLease

	// Recalled says that it will be closed when it is put: it is too old, from
	// before a Reset, or the supervisor is closing.
	Recalled bool

	// With Config.Track, else empty: who took it, as the function and the line that
	// called the pool, and the label of the context. Under a key that is the first of
	// those who hold it now, and Others are the others.
	Holder string
	Label  string
	Others []Holder

	// Leaked says that the lease was garbage collected without a put, with
	// Config.Track; under a key, at least one that Holder and Others name.
	Leaked bool

	// Doing is what the resource is used for in somebody's turn (see Lease.Use), as
	// told by Leases; empty without a key.
	Doing string

	by *origin // of Holder and Label, until they are known
}

// A Holder is one of several who hold a resource under a key.
type Holder struct {
	Holder string
	Label  string
	For    time.Duration // since it got the lease
	Leaked bool

	by *origin
}

// String describes the lease in a few words.
func (l LeaseInfo) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "#%d", l.ID)
	if l.Key != nil {
		fmt.Fprintf(&s, " key %v", l.Key)
	}
	if l.Holders > 1 {
		fmt.Fprintf(&s, " (%d holders)", l.Holders)
	}
	if l.Holder == "" {
		fmt.Fprintf(&s, " for at least %v", round(l.AtLeast))
	} else {
		fmt.Fprintf(&s, " for %v by %s", round(l.AtLeast), named(l.Holder, l.Label))
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

// Leases lists what is lent, keyed or not. The supervisor answers at once.
func (s *Supervisor[R]) Leases() []LeaseInfo {
	type lent struct {
		info  LeaseInfo
		share chan *sharing[R]
	}
	list, _ := ask(s, func(m *machine[R], now time.Duration) (list []lent) {
		m.eachLease(now, func(sl *slot[R]) {
			l := lent{info: m.info(now, sl)}
			if sl.desk.binding != nil {
				l.share = sl.share
			}
			list = append(list, l)
		})
		return list
	})
	var leases []LeaseInfo
	for _, l := range list {
		if l.share != nil { // asked here: who takes a lease away has it while he asks the desk
			note := <-l.share
			l.info.Doing = note.doing
			l.share <- note
		}
		leases = append(leases, s.shown(l.info))
	}
	return leases
}

// leases lists what is lent.
func (m *machine[R]) leases(now time.Duration) (leases []LeaseInfo) {
	m.eachLease(now, func(sl *slot[R]) { leases = append(leases, m.info(now, sl)) })
	return leases
}

// eachLease calls f with every slot that is lent. While the gate is open it first
// walks the shelf, one slot at a time, to know what rests there.
func (m *machine[R]) eachLease(now time.Duration, f func(sl *slot[R])) {
	rests := m.walkShelf(now)
	for _, sl := range m.slots {
		if sl.desk.place == away && !rests[sl] {
			f(sl)
		}
	}
}

// info describes a slot that is lent. The names are for whoever is told to find
// out, see shown.
func (m *machine[R]) info(now time.Duration, sl *slot[R]) LeaseInfo {
	r := &sl.desk
	l := LeaseInfo{ID: r.id, Holders: 1, AtLeast: m.atLeast(now, sl), Recalled: r.recalled}
	if r.binding != nil {
		l.Key, l.Holders = r.binding.key, r.binding.holders
	}
	for i, o := range r.origins() {
		l.Leaked = l.Leaked || o.leaked
		if i == 0 {
			l.by, l.Others = o, m.others(now, sl, o)
		}
	}
	return l
}

// others are those who share a slot with one of its holders.
func (m *machine[R]) others(now time.Duration, sl *slot[R], than *origin) (others []Holder) {
	for _, o := range sl.desk.origins() {
		if o != than {
			others = append(others, Holder{For: now - o.since, Leaked: o.leaked, by: o})
		}
	}
	return others
}

// shown is a lease as users see it. It shares nothing with l.
func (s *Supervisor[R]) shown(l LeaseInfo) LeaseInfo {
	if l.Key != nil && s.cfg.ShowKey != nil {
		l.Key = s.cfg.ShowKey(l.Key)
	}
	if l.by != nil {
		l.Holder, l.Label, l.by = s.cfg.name(l.by), l.by.label, nil
	}
	l.Others = slices.Clone(l.Others)
	for i := range l.Others {
		o := &l.Others[i]
		o.Holder, o.Label, o.by = s.cfg.name(o.by), o.by.label, nil
	}
	return l
}

func (s *Supervisor[R]) showAll(leases []LeaseInfo) []LeaseInfo {
	leases = slices.Clone(leases)
	for i := range leases {
		leases[i] = s.shown(leases[i])
	}
	return leases
}

// explain completes an error of the supervisor's with the names of the holders. The
// error must not be anybody else's yet.
func (s *Supervisor[R]) explain(err error) error {
	switch e := err.(type) {
	case *WaitError:
		e.Leases = s.showAll(e.Leases)
	case *ExhaustedError:
		e.Leases = s.showAll(e.Leases)
	case *TooManyWaitingError:
		e.Leases = s.showAll(e.Leases)
	case *CloseError:
		e.Leases = s.showAll(e.Leases)
	}
	return err
}

// atLeast is how long a lent slot has been out, as far as the desk can tell:
// keyed leases and those granted while the gate is shut pass it, and what is
// still out since the shutting has been out since then.
func (m *machine[R]) atLeast(now time.Duration, sl *slot[R]) time.Duration {
	if sl.desk.binding == nil && !m.shut {
		return 0
	}
	return now - m.leasedAt(sl)
}

// leasedAt is since when a slot is lent at least. If the gate is shut from the start
// that is exact, and so it is for a key.
func (m *machine[R]) leasedAt(sl *slot[R]) time.Duration {
	if b := sl.desk.binding; b != nil {
		return b.since
	}
	return max(m.shutAt, sl.desk.seen)
}

// oldest is how long the longest lease has lasted, as far as is known.
func (m *machine[R]) oldest(now time.Duration) (d time.Duration) {
	for _, sl := range m.slots {
		if sl.desk.place == away {
			d = max(d, m.atLeast(now, sl))
		}
	}
	return d
}

// shownLeases is how many leases an error names at most.
const shownLeases = 10

// blame is what a look at every slot has found. If many give up at once, as they do
// when a server hangs, one look does for all.
type blame struct {
	when   moment
	oldest time.Duration
	leases []LeaseInfo
}

// moment is one in which no lease begins or ends, and what is known of them is the same.
type moment struct {
	now, shutAt time.Duration
	began       uint64 // leases, so far
	leased      int
}

// shortage is how things stand for who gets nothing.
func (m *machine[R]) shortage(now time.Duration) Shortage {
	when := moment{now, m.shutAt, m.stats.leases, m.leased()}
	if m.blame.when != when {
		m.blame = blame{when, m.oldest(now), m.oldestLeases(now)}
	}
	return Shortage{Limit: m.cfg.MaxOpen, Leased: when.leased, Waiting: m.queue.len, Oldest: m.blame.oldest, Leases: m.blame.leases}
}

// oldestLeases are those to blame, with Track.
func (m *machine[R]) oldestLeases(now time.Duration) (leases []LeaseInfo) {
	if !m.cfg.Track {
		return nil
	}
	var lent []*slot[R]
	for _, sl := range m.slots {
		if sl.desk.place == away {
			lent = append(lent, sl)
		}
	}
	slices.SortStableFunc(lent, func(a, b *slot[R]) int { return cmp.Compare(m.leasedAt(a), m.leasedAt(b)) })
	for _, sl := range lent[:min(len(lent), shownLeases)] {
		leases = append(leases, m.info(now, sl))
	}
	return leases
}
