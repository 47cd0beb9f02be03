package pool

import (
	"context"
	"log/slog"
	"time"

	"github.com/pgactor/pgactor/actor"
)

// LogEvents makes a Config.OnEvent that logs; nil is slog.Default(). An outage is an
// error; what should not happen a warning: the first connect that failed, a connection
// revoked or leaked, events dropped. What an operator does is information, and
// so are the end of an outage, with how many connects failed and for how long, and a
// connection that had to be closed or rolled back for the state it was put in, such as
// one with half-read rows or in a transaction.
// The rest is for debugging: what is opened and closed in the course of things, connects
// that fail during an outage, and gets that failed, whose callers have the error.
//
//	config.OnEvent = pool.LogEvents(slog.Default())
func LogEvents(l *slog.Logger) func(Event) {
	return func(e Event) {
		l := l
		if l == nil {
			l = slog.Default()
		}
		ctx, level := context.Background(), levelOf(e)
		if !l.Enabled(ctx, level) {
			return
		}
		// Of the time of the event, not of the telling.
		r := slog.NewRecord(e.At, level, "pool: "+e.Kind.String(), 0)
		r.AddAttrs(attributes(e)...)
		_ = l.Handler().Handle(ctx, r) // as slog does: nobody is left to tell
	}
}

func levelOf(e Event) slog.Level {
	switch e.Kind {
	case EventOutageBegan, EventOutageLasts:
		return slog.LevelError
	case EventNotReady, EventRevoked, EventLeaked, EventDropped:
		return slog.LevelWarn
	case EventOpenFailed:
		if e.N == 1 {
			return slog.LevelWarn
		}
		return slog.LevelDebug
	case EventCleaned:
		if e.Err != nil {
			return slog.LevelInfo
		}
		return slog.LevelDebug
	case EventOpened, EventTaken, EventRefused, EventCancelled:
		return slog.LevelDebug
	case EventClosed:
		switch e.Reason {
		case ReasonBroken, ReasonPanicked, ReasonUnfit, ReasonOverdue, ReasonLate:
			return slog.LevelInfo
		}
		if e.Err != nil {
			return slog.LevelInfo
		}
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

func attributes(e Event) (list []slog.Attr) {
	if e.ID > 0 {
		list = append(list, slog.Uint64("conn", e.ID))
	}
	if e.Reason != ReasonNone {
		list = append(list, slog.String("reason", e.Reason.String()))
	}
	if e.Err != nil {
		list = append(list, slog.String("error", e.Err.Error())) // not as a LogValuer: always a text, whatever the error
	}
	if e.N > 0 {
		list = append(list, slog.Int("n", e.N))
	}
	if e.Lasted > 0 {
		list = append(list, slog.Duration("lasted", e.Lasted.Round(time.Millisecond)))
	}
	if l := e.Lease; l != nil {
		list = append(list, slog.Duration("held", l.AtLeast.Round(time.Millisecond)))
		if l.Key != nil {
			list = append(list, slog.Any("key", actor.ShownKey(l.Key)))
		}
		if l.Holder != "" {
			list = append(list, slog.String("holder", l.Holder))
		}
		if l.Label != "" {
			list = append(list, slog.String("label", l.Label))
		}
	}
	return list
}
