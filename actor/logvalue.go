package actor

import "log/slog"

// The errors that know more than their text are slog.LogValuers: a group of that text, as
// msg, and of what a query over logs may ask for.

var (
	_ slog.LogValuer = (*WaitError)(nil)
	_ slog.LogValuer = (*ExhaustedError)(nil)
	_ slog.LogValuer = (*TooManyWaitingError)(nil)
	_ slog.LogValuer = (*CloseError)(nil)
	_ slog.LogValuer = (*RevokedError)(nil)
	_ slog.LogValuer = (*ConfigError)(nil)
	_ slog.LogValuer = (*KeyError)(nil)
	_ slog.LogValuer = (*BusyError)(nil)
)

// logged returns the group of an error.
func logged(err error, also ...slog.Attr) slog.Value {
	return slog.GroupValue(append([]slog.Attr{slog.String("msg", err.Error())}, also...)...)
}

// attrs are the numbers of a shortage.
func (s *Shortage) attrs() []slog.Attr {
	list := []slog.Attr{
		slog.Int("limit", s.Limit), slog.Int("leased", s.Leased), slog.Int("opening", s.Opening),
		slog.Int("mending", s.Mending), slog.Int("closing", s.Closing), slog.Int("waiting", s.Waiting),
	}
	if s.Oldest > 0 {
		list = append(list, slog.Duration("oldest", s.Oldest))
	}
	return list
}

// LogValue returns msg, waited, and how things stood.
func (e *WaitError) LogValue() slog.Value {
	return logged(e, append(e.attrs(), slog.Duration("waited", e.Waited))...)
}

// LogValue returns msg, and how things stood.
func (e *ExhaustedError) LogValue() slog.Value { return logged(e, e.attrs()...) }

// LogValue returns msg, and how things stood.
func (e *TooManyWaitingError) LogValue() slog.Value { return logged(e, e.attrs()...) }

// LogValue returns msg, and the number of leases that were revoked.
func (e *CloseError) LogValue() slog.Value { return logged(e, slog.Int("revoked", len(e.Leases))) }

// LogValue returns msg, the reason, and for how long the lease had lasted.
func (e *RevokedError) LogValue() slog.Value {
	return logged(e, slog.String("reason", e.Reason.String()), slog.Duration("held", e.Held))
}

// LogValue returns msg and the field.
func (e *ConfigError) LogValue() slog.Value { return logged(e, slog.String("field", e.Field)) }

// LogValue returns msg: the key itself is not shown.
func (e *KeyError) LogValue() slog.Value { return logged(e) }

// LogValue returns msg, and what the key's connection is used for.
func (e *BusyError) LogValue() slog.Value { return logged(e, slog.String("doing", e.Doing)) }
