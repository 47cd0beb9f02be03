package actor

import (
	"runtime"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
)

// A slot is one resource with what the machine and its borrowers know of it. It has one
// owner at any time: the supervisor, a helper, a borrower, or the line. Ownership moves
// with the pointer through a channel.
type slot[R any] struct {
	*core.Slot
	value R
	sup   *Supervisor[R]

	// The supervisor alone closes these, at any time. recall asks the owner to bring the
	// slot; gone is closed when the slot is revoked. After gone is closed anybody may read fate.
	recall chan struct{}
	gone   chan struct{}
	fate   *RevokedError

	// card has the card of the lease while there is one, see card.go; nil where nothing
	// is tracked. seen is the card while the supervisor looks at it.
	card chan card
	seen card

	// The owner's: handles for leases, made in batches, and what finds a leaked lease.
	leases []Lease[R] // made and not used yet
	made   int        // how many were made the last time
	watch  runtime.Cleanup
}

// How many handles are made at once: a few at first, since many pools have a connection
// that is seldom used, and twice as many each time. An allocation shared by so many leases
// is lost in the noise, and so is the memory that one long lease keeps.
const (
	fewestLeases = 4
	mostLeases   = 64
)

func newSlot[R any](s *Supervisor[R], of *core.Slot, value R) *slot[R] {
	sl := &slot[R]{Slot: of, value: value, sup: s, recall: make(chan struct{}), gone: make(chan struct{})}
	if s.cfg.carded() {
		sl.card = make(chan card, 1)
	}
	of.Body = sl
	return sl
}

// lease makes the handle of the lease that begins. The caller owns sl.
func (sl *slot[R]) lease() *Lease[R] {
	if len(sl.leases) == 0 {
		sl.made = min(max(2*sl.made, fewestLeases), mostLeases)
		sl.leases = make([]Lease[R], sl.made)
	}
	l := &sl.leases[0]
	sl.leases = sl.leases[1:]
	l.slot = sl
	sl.Lent = true
	return l
}

// revoked returns the error of a lease of sl that was revoked, nil if it was not.
func (sl *slot[R]) revoked() error {
	if isClosed(sl.gone) {
		return sl.fate
	}
	return nil
}

// isClosed reports whether c, which is only ever closed, is.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A card names the holder of a lease. The get lays it in the slot's channel of one, and the
// put takes it out before anything else. The supervisor takes it out to read it, or to
// revoke the lease, and puts it back: a put that comes in that moment waits for
// nanoseconds. So a revocation and a put have exactly one winner.
type card struct {
	since  time.Duration
	origin *Origin // nil without Config.Track
}

// carded reports whether leases have cards.
func (c *Config[R]) carded() bool { return c.Track || c.MaxLease > 0 }

// layCard begins a lease that has a card.
func (s *Supervisor[R]) layCard(sl *slot[R], o *Origin) {
	s.at(beforeLayingCard)
	sl.card <- card{s.now(), o}
	if s.cfg.MaxLease == 0 {
		return
	}
	select {
	case <-s.unlent: // the supervisor sleeps, since nothing was lent
		s.send(message[R]{kind: lentMessage})
	default:
	}
}
