package pooltest

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotInstalled means that initdb and postgres were found nowhere.
	ErrNotInstalled = errors.New("pooltest: PostgreSQL (initdb, postgres) not found: install it " +
		"(Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql), " +
		"pass pooltest.AllowInstall(), or set DATABASE_URL and use pooltest.Open")

	// ErrUnsupported means that this operating system cannot run a private cluster.
	ErrUnsupported = fmt.Errorf("pooltest: a private PostgreSQL needs a Unix: set DATABASE_URL and use pooltest.Open (%w)",
		errors.ErrUnsupported)

	// ErrExternal is returned by Stop, Crash, Drain, Restart, Standby, Promote and CatchUp when the server is the one that
	// DATABASE_URL names: it is not ours to stop or to copy.
	ErrExternal = errors.New("pooltest: the server is external (DATABASE_URL): " +
		"only a private one (pooltest.Start) can be stopped or copied")

	// ErrClosed is returned by Stop, Crash, Drain, Restart, Standby, Promote, CatchUp and CreateDatabase after Close.
	ErrClosed = errors.New("pooltest: server closed")

	// ErrStopped is returned by Standby, Promote and CatchUp when the server that they need is stopped.
	ErrStopped = errors.New("pooltest: server stopped")

	// ErrNotStandby is returned by Promote and CatchUp when the server is no standby, or has been promoted.
	ErrNotStandby = errors.New("pooltest: the server is not a standby")
)

// An OptionError says which option was refused, and why.
type OptionError struct {
	Option string // the option's name, such as "WithSetting"
	Value  string // what it was given; a password is not shown
	Reason string // one phrase
}

// Error names the option and its value in one line.
func (e *OptionError) Error() string {
	return fmt.Sprintf("pooltest: %s(%s): %s", e.Option, e.Value, e.Reason)
}

// A ProgramError says that initdb, pg_basebackup or postgres failed, or was not ready in time.
type ProgramError struct {
	Program string // "initdb", "pg_basebackup" or "postgres"
	Log     string // the last lines that it wrote; may be empty
	Err     error  // what happened: its exit, or the context's error
}

// Error is one line with the cause, followed by the last lines of the program's log.
func (e *ProgramError) Error() string {
	text := fmt.Sprintf("pooltest: %s: %v", e.Program, e.Err)
	if e.Log == "" {
		return text
	}
	return text + "\n\t" + strings.ReplaceAll(e.Log, "\n", "\n\t")
}

// Unwrap returns Err.
func (e *ProgramError) Unwrap() error { return e.Err }
