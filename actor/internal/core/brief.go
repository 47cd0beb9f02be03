package core

import (
	"fmt"
	"time"
)

// A dial whose resource does not last was of no use: a server that ends every session at
// once, or a check that refuses all that it sees, would be dialed as fast as it answers. So
// a resource that proves unfit within a second counts as a dial that failed. One alone may
// be bad luck and is forgiven. What the pool or its borrower closes on purpose does not
// count.

// fresh is how long a resource must last for its dial to count as a success.
const fresh = time.Second

// lose counts the end of sl, which proved unfit, if it has not lasted.
func (m *Machine) lose(now time.Duration, sl *Slot, why Reason, wrong error) {
	o, age := &m.outage, now-sl.opened
	if m.end.closing || sl.epoch != o.epoch || age >= fresh {
		return
	}
	if o.failures == 0 && m.anyLasted(now) {
		o.lost = 0
	}
	if o.lost++; o.lost == 1 {
		o.epoch++ // others of its age that end with it are forgiven too
		return
	}
	err := fmt.Errorf("lost %v after it was opened: %v", age.Round(time.Microsecond), why)
	if wrong != nil {
		err = fmt.Errorf("%w: %w", err, wrong)
	}
	o.dials++
	m.countFailure(now, err, false)
	o.brief, o.lent = true, sl.Lent
}

// endBrief ends an outage of resources that do not last, once one has lasted that was
// opened after the last that had not.
func (m *Machine) endBrief(now time.Duration) {
	if m.outage.failures > 0 && m.outage.lost > 0 && m.anyLasted(now) {
		m.heal()
	}
}

// anyLasted reports whether one of the open resources shows that what is opened now lasts.
func (m *Machine) anyLasted(now time.Duration) bool {
	for _, sl := range m.slots {
		if m.lasted(now, sl) {
			return true
		}
	}
	return false
}

// onTrial reports whether, in an outage of resources that do not last, one that was opened
// since may show whether the next will.
func (m *Machine) onTrial(now time.Duration) bool {
	if m.outage.failures == 0 || m.outage.lost < 2 {
		return false
	}
	for _, sl := range m.slots {
		if sl.epoch == m.outage.epoch && now-sl.opened < fresh {
			return true
		}
	}
	return false
}

// lasted reports whether sl shows that what is opened now lasts.
func (m *Machine) lasted(now time.Duration, sl *Slot) bool {
	return sl.epoch == m.outage.epoch && now-sl.opened >= fresh
}

// served reports whether sl, which is closed for want of room, shows the same: a borrower
// has had it, and put it as fit. Where little is kept idle nothing lasts for a second.
func (m *Machine) served(sl *Slot, why Reason) bool {
	return sl.epoch == m.outage.epoch && why == ReasonExcess && !sl.Proven
}

// forbearing reports whether waiters are kept though dials are held back. Resources that
// break in use can be had, and what is refused before its first use may be followed by one
// that is not, until more than limit have been.
func (o *outage) forbearing(limit int) bool { return o.brief && (o.lent || o.lost <= limit) }
