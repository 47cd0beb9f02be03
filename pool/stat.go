package pool

import (
	"time"

	"github.com/pgactor/pgactor/actor"
	"github.com/pgactor/pgactor/actor/keyed"
)

// Stat is a snapshot of how a pool stands, with pgxpool's methods and a few
// more. Counts of acquires lag by the connections that are lent.
type Stat struct {
	actor actor.Stat
	keyed keyed.Stat
}

// Stat tells how the pool stands. The supervisor answers at once, whatever
// borrowers are doing; after the end it is the last word.
func (p *Pool) Stat() *Stat { return &Stat{p.desk.Stat(), p.keys.Stat()} }

// Actor is all that the supervisor knows.
func (s *Stat) Actor() actor.Stat { return s.actor }

// AcquireCount is how many connections have been acquired so far, also those that
// PrepareConn then refused.
func (s *Stat) AcquireCount() int64 { return int64(s.actor.Leases + s.keyed.Holds - s.keyed.Fetched) }

// AcquireDuration is how long they have waited in all: the time of a get that
// found an idle connection is not counted.
func (s *Stat) AcquireDuration() time.Duration { return s.actor.WaitTime }

// AcquiredConns is how many connections are not idle: lent, or being rolled
// back, checked or hooked after that.
func (s *Stat) AcquiredConns() int32 { return int32(s.actor.Leased + s.actor.Mending) }

// CanceledAcquireCount is how many gets ended while they waited, by their context
// or by AcquireTimeout; calls of Pause and WaitReady count too.
func (s *Stat) CanceledAcquireCount() int64 { return int64(s.actor.Cancelled) }

// ConstructingConns is how many connections are being opened.
func (s *Stat) ConstructingConns() int32 { return int32(s.actor.Dialing) }

// EmptyAcquireCount is how many gets have succeeded after a wait, since no
// connection was idle.
func (s *Stat) EmptyAcquireCount() int64 { return int64(s.actor.Waited) }

// EmptyAcquireWaitTime is how long those have waited in all.
func (s *Stat) EmptyAcquireWaitTime() time.Duration { return s.actor.WaitTime }

// IdleConns is how many connections are idle.
func (s *Stat) IdleConns() int32 { return int32(s.actor.Idle) }

// MaxConns is the most connections there may be; see [Pool.Resize].
func (s *Stat) MaxConns() int32 { return int32(s.actor.Limit) }

// MinConns is how many connections are kept open; see [Pool.Resize]. pgxpool has no such
// number.
func (s *Stat) MinConns() int32 { return int32(s.actor.Minimum) }

// TotalConns is the sum of ConstructingConns, AcquiredConns and IdleConns.
func (s *Stat) TotalConns() int32 {
	return s.ConstructingConns() + s.AcquiredConns() + s.IdleConns()
}

// NewConnsCount is how many connections have been opened so far; connects that
// failed do not count.
func (s *Stat) NewConnsCount() int64 { return int64(s.actor.Opened) }

// MaxLifetimeDestroyCount is how many of them reached MaxConnLifetime.
func (s *Stat) MaxLifetimeDestroyCount() int64 { return int64(s.actor.Expired) }

// MaxIdleDestroyCount is how many were closed because of MaxConnIdleTime.
func (s *Stat) MaxIdleDestroyCount() int64 { return int64(s.actor.Unneeded) }

// RevokedCount is how many leases were revoked: by MaxLeaseTime or CloseAll, or since
// their use went on after their end. pgxpool has no such number.
func (s *Stat) RevokedCount() int64 { return int64(s.actor.Revoked) }

// LeakedCount is how many leases were garbage collected without a put, with
// TrackLeases. pgxpool has no such number.
func (s *Stat) LeakedCount() int64 { return int64(s.actor.Leaked) }

// WaitingAcquires is how many gets wait now. pgxpool has no such number.
func (s *Stat) WaitingAcquires() int32 { return int32(s.actor.Waiting + s.keyed.Waiting) }

// ClosingConns is how many connections are being closed; they count against
// MaxConns until the server has let go of them. pgxpool has no such number.
func (s *Stat) ClosingConns() int32 { return int32(s.actor.Closing) }

// BoundKeys is how many keys have a connection. pgxpool has no such number.
func (s *Stat) BoundKeys() int32 { return int32(s.keyed.Keys) }
