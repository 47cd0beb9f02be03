//go:build unix

package pooltest

import (
	"context"
	"crypto/rand"
	"os/exec"
	"strconv"
	"strings"
)

// An authentication is how a private server knows its own clients from other users of the machine.
type authentication struct {
	password string
	method   string    // as in pg_hba.conf
	settings []setting // that the stored password depends on; initdb takes them too
}

// newAuthentication takes the password of WithScram or, where that is empty, makes up a random one. Nobody guesses a random one, so
// it is stored in the cheapest form that the version knows: a test suite connects thousands of times, and PostgreSQL's usual form
// costs the client some milliseconds each time.
func newAuthentication(ctx context.Context, password, initdb string) (authentication, error) {
	if password != "" {
		return authentication{password: password, method: "scram-sha-256"}, nil
	}
	version, err := majorVersion(ctx, initdb)
	if err != nil {
		return authentication{}, err
	}
	if version < 16 { // has no scram_iterations
		return authentication{password: rand.Text(), method: "md5"}, nil
	}
	return authentication{rand.Text(), "scram-sha-256", []setting{{"scram_iterations", "1"}}}, nil
}

// majorVersion asks initdb, whose answer is such as "initdb (PostgreSQL) 15.18".
func majorVersion(ctx context.Context, initdb string) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errStartLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, initdb, "--version")
	cmd.Env = programEnv()
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return 0, &ProgramError{"initdb", strings.TrimSpace(string(out)), err}
	}
	return strconv.Atoi(number.FindString(string(out)))
}
