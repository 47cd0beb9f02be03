package pool_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// differences are those of pgxpool's own tests that assert what this pool does
// differently on purpose, whatever Compat says. The README's table has the reasons.
var differences = []string{
	"TestPoolBackgroundConnectionsContext",   // a connect in the background may take 2 minutes, as any other, not 1
	"TestPoolInitialConnectionError",         // during the backoff a get has the error of the last connect, and makes none
	"TestPoolAcquireDestroysExpiredIdleConn", // an idle connection is closed when it expires, not at the next get
}

// settled are those that pass with CompatPgxpool alone.
var settled = []string{
	"TestPoolAcquireCanceledDuringStalledPing", // ShouldPing is not asked about a connection just opened, and a ping has 5 seconds
	"TestConnReleaseClosesConnInTransaction",   // rolled back and kept
	"TestConnReleaseClosesConnInFailedTransaction",
}

// TestPgxpoolsOwnTests runs the tests of pgxpool, as they come with pgx, on this
// pool as it is and with CompatPgxpool: of each file only the import is changed, and where
// single connections come from.
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
	for name, skip := range map[string][]string{"none": slices.Concat(differences, settled), "pgxpool": differences} {
		service := filepath.Join(t.TempDir(), "service.conf") // reaches the configurations that a test makes of nothing, too
		require.NoError(t, os.WriteFile(service, []byte("[suite]\npool_compat="+name+"\n[plain]\n"), 0o600))
		t.Run("pool_compat="+name, func(t *testing.T) {
			t.Parallel() // both sleep most of the time
			cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.skip", "^("+strings.Join(skip, "|")+")$")
			database := server.Database(t)
			cmd.Env = append(os.Environ(), "PGSERVICEFILE="+service, "PGSERVICE=suite",
				"PGX_TEST_DATABASE="+database, "PGX_TEST_PLAIN_DATABASE="+withParameter(t, database, "service", "plain"))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			passed := strings.Count(string(out), "\n--- PASS")
			require.Greater(t, passed, 50, "%s", out)
			t.Logf("%d of pgxpool's tests pass, %d are left out", passed, len(skip))
		})
	}
}

// adopted is a copy of one of pgx's files that imports this pool.
func adopted(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte(`"github.com/jackc/pgx/v5/pgxpool"`), []byte(`pgxpool "github.com/pgactor/pgactor/pool"`))
	text = bytes.ReplaceAll(text, []byte("github.com/jackc/pgx/v5/internal/pgmock"), []byte("github.com/pgactor/pgactor/pool/suite/pgmock"))
	text = bytes.ReplaceAll(text, []byte(`pgx.Connect(ctx, os.Getenv("PGX_TEST_DATABASE"))`), []byte(`pgx.Connect(ctx, os.Getenv("PGX_TEST_PLAIN_DATABASE"))`))
	to := filepath.Join(t.TempDir(), filepath.Base(file))
	require.NoError(t, os.WriteFile(to, text, 0o600))
	return to
}

// withParameter returns a connection string in URL form with one more parameter.
func withParameter(t *testing.T, connString, name, value string) string {
	u, err := url.Parse(connString)
	require.NoError(t, err)
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

func command(t *testing.T, name string, args ...string) string {
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}
