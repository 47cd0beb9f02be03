package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// A use is one use of a connection, from before a statement is sent until its results
// are closed.
type use struct {
	conn  *Conn
	s     *session
	ctx   context.Context // of the statement
	batch *batchResults   // the use is that of rows in these results
	owner bool            // the end puts conn back
	over  bool            // the use has ended, and everything else is zero
}

// use begins a use of the connection, which must be ended. The error is ErrNotLeased,
// that of the rollback of what was left to the pool, or, on a shared connection, ErrBusy
// or ErrRolledBack. If there is one, or a panic, an owner has put the connection back.
func (c *Conn) use(ctx context.Context, owner bool) (use, error) {
	if c == nil || c.lease == nil {
		return use{}, ErrNotLeased
	}
	begun := false
	if owner {
		defer c.releaseUnless(&begun)
	}
	s, ctx, err := c.lease.begin(ctx)
	if err != nil {
		return use{}, err
	}
	begun = true
	return use{conn: c, s: s, ctx: ctx, owner: owner}, nil
}

// lost returns an error if the use cannot go on: it has ended, or its connection was
// put, or the results that it is part of were closed.
func (u *use) lost() error {
	switch {
	case u.over:
		return errOver
	case u.batch != nil:
		return u.batch.lost()
	default:
		return u.conn.lease.lost()
	}
}

// errOver is the error of rows that no longer have a connection.
var errOver = fmt.Errorf("%w: the rows are closed", ErrNotLeased)

// end ends the use, and lets go of everything. Calling it again does nothing.
func (u *use) end() {
	ended := *u
	*u = use{over: true}
	if ended.over || ended.batch != nil {
		return
	}
	ended.conn.lease.end()
	if ended.owner {
		ended.conn.Release()
	}
}

// endUnless ends the use, unless it is kept for its results.
func (u *use) endUnless(kept *bool) {
	if !*kept {
		u.end()
	}
}

// explain completes the error of a statement of the use, which must not have ended.
func (u *use) explain(err error) error { return u.s.explain(u.ctx, u.conn.lease, err) }

// explain completes the error of a statement of l that was sent with ctx: by the
// RevokedError if the connection was revoked, and by the error of ctx if the end of that
// has ended the statement. The caller must have the session.
func (s *session) explain(ctx context.Context, l lease, err error) error {
	if err == nil {
		return nil
	}
	s.notice(err)
	if revoked := l.revoked(); revoked != nil {
		return explainRevoked(revoked, err)
	}
	return timed(s.explainEnd(ctx, err))
}

// explainRevoked adds why its connection was revoked to the error of a statement. What
// the statement saw of that, such as "conn closed", is not told: only an answer of the
// server's is.
func explainRevoked(revoked, err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return fmt.Errorf("%w: %w", revoked, err)
	}
	return quietly{revoked, err}
}

// A quietly is an error with the text of err alone that is also what also is.
type quietly struct{ err, also error }

func (e quietly) Error() string { return e.err.Error() }

// Unwrap gives errors.Is and errors.As both.
func (e quietly) Unwrap() []error { return []error{e.err, e.also} }
