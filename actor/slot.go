package actor

import "time"

// A slot is the record of one open resource. It has one owner at any moment:
// the supervisor (its hands or its shelf), a helper, or a borrower. Ownership
// moves with the pointer through a channel; who does not own a slot reads only
// what never changes.
type slot[R any] struct {
	value R
	sup   *Supervisor[R]

	// recall is closed, by the supervisor alone, to ask whoever holds the slot
	// to bring it to the desk.
	recall chan struct{}

	// gone is closed, by the supervisor alone, when the slot is revoked. Who has seen
	// that may read fate, the error of whoever brings it.
	gone chan struct{}
	fate error

	// The owner's.
	since  time.Duration         // when it was last lent or mended; it rests no longer than since then
	uses   uint64                // leases off the shelf since the desk last counted them
	leases *[leaseBatch]Lease[R] // handles, made in batches
	unused int                   // of those, at the end
	track  *tracking             // of the lease, with Track

	// The supervisor's to set when it binds the slot, the holders' to use.
	share chan *sharing[R]

	// The supervisor's, whoever owns the slot.
	desk record[R]
}

// record is what the supervisor's books say of a slot.
type record[R any] struct {
	id       uint64
	place    place
	index    int    // in machine.slots
	recalled bool   // recall is closed
	why      Reason // it was
	expires  time.Duration
	seen     time.Duration // when the desk last had it in its hands
	proven   bool          // opened or mended, and not lent or laid since
	binding  *binding[R]   // the key it is lent under, if any
	origin   *origin       // of the lease, or the last, without key, with Track
	vetted   *binding[R]   // it was looked at for this key, and not lent or laid since
	mended   *ticket[R]    // it was mended for this request, and not lent or laid since
	alarms   uint64        // machine.alarms when it was known to work
	tainted  bool          // Bind changed it for a key, and it is not bound to that
}

// leave notes that the slot is lent or laid: what it was made fit for is over.
func (r *record[R]) leave() {
	r.place, r.proven, r.vetted, r.mended, r.tainted = away, false, nil, nil, false
}

// place is where the books say a slot is.
type place uint8

const (
	away    place = iota // lent, or on the shelf: the desk cannot tell
	inHand               // at the desk
	mending              // with a helper that judges, cleans or checks it
	closing              // with a helper that closes it
	revoked              // taken from its borrower, see revoke.go, or by the borrower from the supervisor
)

// leaseBatch is how many handles are made at once: an allocation amortised
// over so many leases is lost in the noise, and so is the memory that one
// long-lived lease keeps.
const leaseBatch = 64

// lease makes the next handle for the slot's owner.
func (sl *slot[R]) lease() *Lease[R] {
	if sl.unused == 0 {
		sl.leases, sl.unused = new([leaseBatch]Lease[R]), leaseBatch
	}
	l := &sl.leases[leaseBatch-sl.unused]
	sl.unused--
	l.slot = sl
	return l
}

// newLease makes the handle of a lease without key for the slot's owner.
func (s *Supervisor[R]) newLease(sl *slot[R], o *origin) *Lease[R] {
	if o == nil {
		return sl.lease()
	}
	l := &Lease[R]{slot: sl}
	sl.track = s.watch(l, sl, o)
	return l
}

// untrack is the end of the lease.
func (sl *slot[R]) untrack() {
	if sl.track != nil {
		sl.track.stop()
		sl.track = nil
	}
}

// revoked is an error once the slot is taken from its borrower.
func (sl *slot[R]) revoked() error {
	if isClosed(sl.gone) {
		return sl.fate
	}
	return nil
}

// isClosed looks at a channel that is only ever closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
