package actor

import "errors"

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
// by its use.
func (m *machine[R]) alarm(sl *slot[R]) {
	if sl.desk.alarms == m.alarms && !sl.desk.recalled {
		m.alarms++
		m.round.doubt = true
	}
}

// learn is what a mend tells of other slots.
func (m *machine[R]) learn(j *job[R]) {
	sl := j.slot
	switch {
	case j.err == nil:
		sl.desk.alarms = j.alarms
	case errors.Is(j.err, ErrStale) && !sl.desk.recalled:
		m.reset()
	case errors.Is(j.err, ErrAlarm):
		m.alarm(sl)
	}
}

// doubtful says that sl is to be checked because of an alarm.
func (m *machine[R]) doubtful(sl *slot[R]) bool {
	return sl.desk.alarms < m.alarms && m.cfg.Check != nil
}
