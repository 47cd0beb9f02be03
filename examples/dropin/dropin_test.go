// Package dropin_test shows that pgactor is a drop-in for pgxpool. The programs
// in the folders beside it are written for pgxpool. Each is built as it is, and
// once more with one line changed, the import of pgxpool, and must say the same
// both times.
package dropin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/pgactor/pgactor/pool" // built by the test: another pool is another result
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
)

const (
	pgxpoolImport = `	"github.com/jackc/pgx/v5/pgxpool"`
	pgactorImport = `	pgxpool "github.com/pgactor/pgactor/pool"`
)

func TestDropIn(t *testing.T) {
	server, err := pooltest.Open(t.Context(), pooltest.AllowInstall())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	for _, program := range []string{"shop", "listen"} {
		t.Run(program, func(t *testing.T) {
			want := run(t, build(t, program), server.Database(t))
			require.NotEmpty(t, want)
			got := run(t, build(t, program, "-overlay", overlay(t, program)), server.Database(t))
			require.Equal(t, want, got)
		})
	}
}

// overlay returns a file that makes the go command read the program's main.go
// with the import of pgactor in place of that of pgxpool.
func overlay(t *testing.T, program string) string {
	original, err := filepath.Abs(filepath.Join(program, "main.go"))
	require.NoError(t, err)
	source, err := os.ReadFile(original)
	require.NoError(t, err)
	lines := strings.Split(string(source), "\n")
	changed := slices.Clone(lines)
	differ := 0
	for i, line := range lines {
		if line == pgxpoolImport {
			changed[i] = pgactorImport
			differ++
		}
	}
	require.Equal(t, 1, differ, "lines to change in %s", original)

	dir := t.TempDir()
	replacement := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(replacement, []byte(strings.Join(changed, "\n")), 0o600))
	b, err := json.Marshal(map[string]map[string]string{"Replace": {original: replacement}})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, b, 0o600))

	// No other file of the program may bring pgxpool in again.
	imports := output(t, exec.CommandContext(t.Context(), "go", "list", "-overlay", file, "-f", `{{join .Imports " "}}`, "./"+program))
	require.Contains(t, strings.Fields(imports), "github.com/pgactor/pgactor/pool")
	require.NotContains(t, strings.Fields(imports), "github.com/jackc/pgx/v5/pgxpool")
	return file
}

// build builds the program, with the race detector if the test has it.
func build(t *testing.T, program string, flags ...string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the first one, with the race detector, builds net/http
	defer cancel()
	binary := filepath.Join(t.TempDir(), program+".exe") // Windows insists on the ending
	args := append([]string{"build", "-o", binary}, flags...)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	output(t, exec.CommandContext(ctx, "go", append(args, "./"+program)...))
	return binary
}

// run runs the program on a database and returns what it says.
func run(t *testing.T, binary, database string) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary)
	command.Env = append(os.Environ(), "DATABASE_URL="+database)
	return output(t, command)
}

// output returns the standard output of a command that must succeed.
func output(t *testing.T, command *exec.Cmd) string {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	require.NoError(t, err, "%s\n%s%s", command, &stdout, &stderr)
	return stdout.String()
}
