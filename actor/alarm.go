package actor

import (
	"errors"
	"time"
)

// ErrAlarm is for Clean and Check, and for what Judge has a helper do: an error that
// is ErrAlarm closes the resource as any error does, and has the others checked, as
// the verdict Alarm.
var ErrAlarm = errors.New("others may be broken too")

// ErrStale is for Clean and Check: an error that is ErrStale closes the resource, and
// all that were opened before, as [Supervisor.Reset] does: idle ones now, lent ones
// when they are put. A resource that is older than the last Reset tells nothing new.
var ErrStale = errors.New("its generation is stale")

// alarm puts in doubt what is known to work since before now, unless sl is so
// itself: then its failure is no news. What rests is checked; what is lent is proved
// by its use: if it was lent since the last alarm, its failure is news again.
func (m *machine[R]) alarm(now time.Duration, sl *slot[R]) {
	if sl.desk.recalled || sl.desk.alarms < m.alarms && sl.since <= m.alarmed {
		return
	}
	m.alarms++
	m.alarmed, m.round.doubt = now, true
}

// learn is what a mend tells of other slots.
func (m *machine[R]) learn(now time.Duration, j *job[R]) {
	sl := j.slot
	switch {
	case j.err == nil:
		sl.desk.alarms = j.alarms
	case errors.Is(j.err, ErrStale) && !sl.desk.recalled:
		m.reset()
	case errors.Is(j.err, ErrAlarm):
		m.alarm(now, sl)
	}
}

// doubtful says that sl is to be checked because of an alarm.
func (m *machine[R]) doubtful(sl *slot[R]) bool {
	return sl.desk.alarms < m.alarms && m.cfg.Check != nil
}
