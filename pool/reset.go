package pool

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/actor"
)

// DiscardAll takes back everything that was done to a session, by DISCARD ALL: use
// it as Config.ResetSession, or in Keying.OnUnbind. What AfterConnect did is taken
// back too, so the pool calls AfterConnect again after either. pgx's prepared statements go first: DISCARD ALL alone would leave it
// with names that the server has forgotten. Notifications that have been received
// are dropped. It blocks until ctx ends at the latest.
func DiscardAll(ctx context.Context, c *pgx.Conn) error {
	if err := c.DeallocateAll(ctx); err != nil {
		return err
	}
	if err := c.PgConn().Exec(ctx, "discard all").Close(); err != nil {
		return err
	}
	forgetNotifications(c)
	c.PgConn().CustomData()[discarded] = true
	return nil
}

// discarded is the key of the custom data of a connection that DiscardAll was called with.
const discarded = "github.com/pgactor/pgactor/pool.DiscardAll"

// forgetNotifications drops those that pgx has received. A context that has ended
// keeps it from waiting for more.
func forgetNotifications(c *pgx.Conn) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		if n, _ := c.WaitForNotification(ended); n == nil {
			return
		}
	}
}

// reset makes the session as good as new.
func (s *session) reset(ctx context.Context) error {
	if err := DiscardAll(ctx, s.conn); err != nil {
		return err
	}
	return s.restore(ctx)
}

// restore has AfterConnect do again what a reset of the session has undone.
func (s *session) restore(ctx context.Context) error {
	delete(s.conn.PgConn().CustomData(), discarded)
	hook := s.pool.config.AfterConnect
	if hook == nil {
		return nil
	}
	if err := hook(ctx, s.conn); err != nil {
		return err
	}
	if s.state() != actor.Keep {
		return errUnfitAfterConnect
	}
	return nil
}
