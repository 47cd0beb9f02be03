//go:build unix

package pooltest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMissingPrograms(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	nowhere := func(cfg *config) error {
		finder := newFinder()
		finder.usual = []string{filepath.Join(empty, "*")}
		cfg.find = finder.find
		return nil
	}
	_, err := Start(t.Context(), nowhere)
	require.ErrorIs(t, err, ErrNotInstalled)
	for _, word := range []string{"apt-get install postgresql", "brew install", "AllowInstall()", "DATABASE_URL"} {
		assert.Contains(t, err.Error(), word)
	}
	assert.NotContains(t, err.Error(), "\n")

	_, err = Start(t.Context(), nowhere, AllowInstall()) // there is no apt-get on this PATH
	require.ErrorIs(t, err, ErrNotInstalled)
	assert.Contains(t, err.Error(), "as root")
}

func TestFinder(t *testing.T) {
	root := t.TempDir()
	program := func(path string, mode os.FileMode, content string) {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
	}
	for _, folder := range []string{"path", "configured", "lib/9.6/bin", "lib/15/bin", "lib/16beta/bin", "app/latest/bin"} {
		program(folder+"/initdb", 0o755, "")
		program(folder+"/postgres", 0o755, "")
	}
	program("client/initdb", 0o755, "") // no postgres
	program("data/initdb", 0o644, "")   // no programs
	program("data/postgres", 0o644, "")
	program("pg_config", 0o755, "#!/bin/sh\necho "+root+"/configured\n")
	program("pg_config_client", 0o755, "#!/bin/sh\necho "+root+"/client\n")
	in := func(paths ...string) (list []string) {
		for _, path := range paths {
			list = append(list, filepath.Join(root, path))
		}
		return list
	}
	list := func(paths ...string) string { return strings.Join(in(paths...), string(os.PathListSeparator)) }
	usual := in("none/*/bin", "lib/*/bin", "app/*/bin")

	for _, test := range []struct {
		name   string
		finder finder
		want   string
	}{
		{"path first", finder{list("client", "data", "path"), root + "/pg_config", usual}, "path"},
		{"a relative path is no path", finder{"path" + string(os.PathListSeparator), "", usual}, "lib/16beta/bin"},
		{"then pg_config", finder{list("client"), root + "/pg_config", usual}, "configured"},
		{"pg_config of a client", finder{"", root + "/pg_config_client", usual}, "lib/16beta/bin"},
		{"no pg_config", finder{"", root + "/no_such_program", in("lib/[0-9]*[0-9]/bin")}, "lib/15/bin"},
		{"a folder without version", finder{"", "", in("app/*/bin")}, "app/latest/bin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.finder.find(context.Background())
			require.NoError(t, err)
			assert.Equal(t, filepath.Join(root, test.want), got)
		})
	}
	_, err := finder{list("client", "data"), "", in("none/*")}.find(context.Background())
	assert.ErrorIs(t, err, ErrNotInstalled)
}

func TestVersionsHighestFirst(t *testing.T) {
	folders := []string{"/v/latest/bin", "/v/9.6/bin", "/v/10/bin", "/v/9.5/bin", "/v/17/bin"}
	slices.SortFunc(folders, byVersionDown)
	assert.Equal(t, []string{"/v/17/bin", "/v/10/bin", "/v/9.6/bin", "/v/9.5/bin", "/v/latest/bin"}, folders)
}
