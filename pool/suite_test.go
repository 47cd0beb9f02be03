package pool_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// differences are those of pgxpool's own tests that assert what this pool does
// differently on purpose. The README's table has the reasons.
var differences = []string{
	"TestPoolBackgroundConnectionsContext",     // a connect in the background may take 2 minutes, as any other, not 1
	"TestPoolInitialConnectionError",           // during the backoff a get has the error of the last connect, and makes none
	"TestPoolAcquireCanceledDuringStalledPing", // ShouldPing is not asked about a connection just opened
	"TestPoolAcquireDestroysExpiredIdleConn",   // an idle connection is closed when it expires, not at the next get
	"TestConnReleaseClosesConnInTransaction",   // rolled back and kept
	"TestConnReleaseClosesConnInFailedTransaction",
}

// TestPgxpoolsOwnTests runs the tests of pgxpool, as they come with pgx, on this
// pool: of each file only the import is changed.
func TestPgxpoolsOwnTests(t *testing.T) {
	pgx := strings.TrimSpace(command(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5"))
	here, err := os.Getwd()
	require.NoError(t, err)
	suite := filepath.Join(here, "suite") // exists in the overlay alone
	overlay := map[string]string{}
	for pattern, to := range map[string]string{"pgxpool/*_test.go": suite, "internal/pgmock/pgmock.go": filepath.Join(suite, "pgmock")} {
		files, err := filepath.Glob(filepath.Join(pgx, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, "pgx comes without %s", pattern)
		for _, file := range files {
			overlay[filepath.Join(to, filepath.Base(file))] = adopted(t, file)
		}
	}
	config, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(file, config, 0o600))

	program := filepath.Join(t.TempDir(), "suite.test")
	command(t, "go", "test", "-c", "-vet=off", "-o", program, "-overlay", file, "./suite")
	t.Setenv("PGX_TEST_DATABASE", server.Database(t))
	out := command(t, program, "-test.v", "-test.skip", "^("+strings.Join(differences, "|")+")$")
	passed := strings.Count(out, "\n--- PASS")
	require.Greater(t, passed, 50, out)
	t.Logf("%d of pgxpool's tests pass, %d are left out", passed, len(differences))
}

// adopted is a copy of one of pgx's files that imports this pool.
func adopted(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte(`"github.com/jackc/pgx/v5/pgxpool"`), []byte(`pgxpool "github.com/pgactor/pgactor/pool"`))
	text = bytes.ReplaceAll(text, []byte("github.com/jackc/pgx/v5/internal/pgmock"), []byte("github.com/pgactor/pgactor/pool/suite/pgmock"))
	to := filepath.Join(t.TempDir(), filepath.Base(file))
	require.NoError(t, os.WriteFile(to, text, 0o600))
	return to
}

func command(t *testing.T, name string, args ...string) string {
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}
