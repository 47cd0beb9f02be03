package core

import "time"

// A Slot is the record of one resource, from the moment at which it begins to be
// opened. It has one owner at any time: the machine, a helper, a borrower, or the
// line. The first group of fields belongs to the owner; the rest is the machine's,
// whoever the owner is.
type Slot struct {
	Body any // the caller's own record; the machine does not look at it

	// The owner's.
	Since     time.Duration // when it was last lent, opened or repaired: it has not rested for longer
	Proven    bool          // opened or repaired, and not lent since
	Lent      bool          // lent since it was opened: a get was content with it
	Uses      uint64        // leases since the machine last counted them
	Waits     uint64        // of those, the leases that a get had to wait for
	Waited    time.Duration // how long these gets waited, in all
	WaitEnded time.Duration // when the last of them ended to wait

	// The machine's. Others may read ID, which never changes once the slot is open.
	ID       uint64
	state    State
	index    int  // in Machine.slots, while it is open
	recalled bool // to be closed when it comes back
	why      Reason
	opened   time.Duration
	epoch    uint64 // of the outage, when it was dialed
	expires  time.Duration
	verified uint64 // the value of Machine.suspicions when it last proved to work
}

// State says what becomes of a slot.
type State uint8

const (
	// Opening: a helper opens the resource. The slot takes a place.
	Opening State = iota
	// Out: the resource is lent, or idle in the line. The machine cannot tell which.
	Out
	// Kept: it is idle and the machine has it: the gate is shut, or the line has no room.
	Kept
	// Repairing: a helper cleans it, looks at it or checks it.
	Repairing
	// Closing: a helper closes or kills it. The slot still takes a place, since servers
	// count a connection for a while after its client has closed it.
	Closing
	// Gone: it takes no place. A helper may still be at work on it.
	Gone

	states
)

var stateNames = [...]string{
	Opening: "opening", Out: "out", Kept: "kept", Repairing: "repairing", Closing: "closing", Gone: "gone",
}

// String names the state.
func (s State) String() string {
	if s >= states {
		return "unknown state"
	}
	return stateNames[s]
}

// open reports whether a slot in this state has an open resource that can be lent, now
// or later.
func (s State) open() bool { return s == Out || s == Kept || s == Repairing }

// Recalled reports whether the slot is to be closed when it comes back.
func (sl *Slot) Recalled() bool { return sl.recalled }

// move changes the state of sl. It alone does, and keeps the counts and the list of
// open slots.
func (m *Machine) move(sl *Slot, to State) {
	from := sl.state
	if from == to {
		return
	}
	m.count[from]--
	m.count[to]++
	sl.state = to
	switch {
	case !from.open() && to.open():
		sl.index = len(m.slots)
		m.slots = append(m.slots, sl)
		if !sl.recalled {
			m.usable++
		}
	case from.open() && !to.open():
		last := len(m.slots) - 1
		m.slots[sl.index] = m.slots[last]
		m.slots[sl.index].index = sl.index
		m.slots[last] = nil
		m.slots = m.slots[:last]
		if !sl.recalled {
			m.usable--
		}
	}
}

// recall has sl closed, for the reason why, as soon as its owner brings it back.
func (m *Machine) recall(sl *Slot, why Reason) {
	if sl.recalled {
		return
	}
	sl.recalled, sl.why = true, why
	m.fx.Recall(sl)
	if sl.state.open() {
		m.usable--
	}
}

// open is the number of open resources: out, kept or being repaired.
func (m *Machine) open() int { return len(m.slots) }

// room is how many more resources there may be.
func (m *Machine) room() int {
	return m.cfg.MaxOpen - m.open() - m.count[Opening] - m.count[Closing]
}

// tally adds what was counted in sl since the machine last had it.
func (m *Machine) tally(sl *Slot) {
	m.stats.Leases += sl.Uses
	m.stats.Waits += sl.Waits
	m.stats.WaitTime += sl.Waited
	if sl.Waits > 0 && sl.WaitEnded > m.surplus.began {
		m.surplus.waited = true // a get found nothing idle
	}
	sl.Uses, sl.Waits, sl.Waited = 0, 0, 0
}
