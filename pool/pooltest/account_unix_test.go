//go:build unix

package pooltest

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMayPass(t *testing.T) {
	base := shortTempDir(t)
	require.NoError(t, os.Chown(base, os.Getuid(), os.Getgid()))
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	for _, test := range []struct {
		mode                 os.FileMode
		owner, group, others bool
	}{
		{0o700, true, false, false},
		{0o710, true, true, false},
		{0o711, true, true, true},
		{0o701, true, false, true},
		{0o644, false, false, false},
	} {
		folder := filepath.Join(base, strconv.FormatUint(uint64(test.mode), 8))
		require.NoError(t, os.Mkdir(folder, 0o700))
		inner := filepath.Join(folder, "inner")
		require.NoError(t, os.Mkdir(inner, 0o711))
		require.NoError(t, os.Chmod(inner, 0o711))
		require.NoError(t, os.Chmod(folder, test.mode))
		t.Cleanup(func() { os.Chmod(folder, 0o700) }) // or it could not be removed
		assert.Equal(t, test.owner, (&account{uid, gid + 1}).mayPass(folder), "owner %v", test.mode)
		assert.Equal(t, test.group, (&account{uid + 1, gid}).mayPass(folder), "group %v", test.mode)
		assert.Equal(t, test.others, (&account{uid + 1, gid + 1}).mayPass(folder), "others %v", test.mode)
		if test.owner {
			assert.Equal(t, test.others, (&account{uid + 1, gid + 1}).mayPass(inner), "a folder above, %v", test.mode)
		}
	}
}

func TestTMPDIRThatTheServerCannotUse(t *testing.T) {
	private := shortTempDir(t)
	require.NoError(t, os.Chmod(private, 0o700))
	long := filepath.Join(shortTempDir(t), strings.Repeat("x", 60))
	require.NoError(t, os.Mkdir(long, 0o755))
	for _, folder := range []string{private, long, filepath.Join(private, "missing")} {
		t.Setenv("TMPDIR", folder)
		base, err := baseFolder(&account{12345, 12345})
		require.NoError(t, err)
		assert.NotEqual(t, folder, base)
	}

	t.Setenv("TMPDIR", private)
	s, err := Start(t.Context(), AllowInstall())
	require.NoError(t, err)
	connect(t, s.SocketConnString())
	require.NoError(t, s.Close())
}

func TestServerIsNotRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	s := start(t, func(cfg *config) error {
		cfg.accounts = []string{"no-such-user", "nobody"}
		return nil
	})
	c := s.engine.(*cluster)
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	info, err := os.Stat(c.path("data/postmaster.pid"))
	require.NoError(t, err)
	assert.Equal(t, nobody.Uid, strconv.FormatUint(uint64(info.Sys().(*syscall.Stat_t).Uid), 10))

	_, err = serverAccount([]string{"no-such-user", "neither"})
	assert.ErrorContains(t, err, "no-such-user, neither")
}
