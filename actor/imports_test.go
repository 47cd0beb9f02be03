package actor_test

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The packages stand on one another, and an arrow back would be a cycle of ideas even where the compiler allows it.
// They talk through channels alone; pooltest, which runs a server rather than a pool, is free to use a lock.
var (
	forbiddenArrows = map[string][]string{"actor": {"pool", "persistent"}, "pool": {"persistent"}}
	mayLock         = []string{"pool/pooltest"}

	// The layers of actor, from the lowest up. The supervisor's package may use both of the
	// first two, which do not know each other.
	mayImport = map[string][]string{
		"actor/internal/line": {"context", "errors", "math", "time"},
		"actor/internal/core": {"time", "errors", "fmt", "math"},
	}
	forbiddenLayers = map[string][]string{
		"actor": {"actor/keyed"}, "actor/internal/line": {"actor/internal/core"}, "actor/keyed": {"actor/internal"},
	}
)

const module = "github.com/pgactor/pgactor"

func TestImports(t *testing.T) {
	for _, folder := range []string{"actor", "pool", "persistent"} {
		files := sourcesIn(t, folder)
		assert.NotEmpty(t, files, folder)
		for _, file := range files {
			imports, err := importsOf(filepath.Join("..", file), nil)
			require.NoError(t, err)
			assert.Empty(t, objections(filepath.ToSlash(file), imports))
		}
	}
}

// sourcesIn lists the Go files below a folder of the module, but not its tests; the list is empty where there is no such folder.
func sourcesIn(t *testing.T, folder string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("..", folder), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			path, err = filepath.Rel("..", path)
			files = append(files, path)
		}
		return err
	})
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return files
}

// importsOf reads the imports of a file, or of source where that is given.
func importsOf(file string, source any) (imports []string, err error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, path)
	}
	return imports, nil
}

// objections lists what is wrong with a file's imports; the file is named by its path in the module, with slashes.
func objections(file string, imports []string) (found []string) {
	object := func(path, why string) { found = append(found, fmt.Sprintf("%s imports %s: %s", file, path, why)) }
	for _, path := range imports {
		if (path == "sync" || path == "sync/atomic") && !within(file, mayLock) {
			object(path, "channels only")
		}
		own, isOwn := strings.CutPrefix(path, module+"/")
		if within(file, []string{"actor"}) && !isStandard(path) && !(isOwn && within(own, []string{"actor"})) {
			object(path, "actor needs the standard library alone")
		}
		for folder, allowed := range mayImport {
			if path, own := path, own; inFolder(file, folder) && !slices.Contains(allowed, path) && !slices.Contains(allowed, own) {
				object(path, "not one of the few that "+folder+" needs")
			}
		}
		for from, to := range forbiddenLayers {
			if isOwn && inFolder(file, from) && within(own, to) {
				object(path, "an arrow back")
			}
		}
		for from, to := range forbiddenArrows {
			if isOwn && within(file, []string{from}) && within(own, to) {
				object(path, "an arrow back")
			}
		}
	}
	return found
}

func within(path string, folders []string) bool {
	for _, folder := range folders {
		if path == folder || strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}

// inFolder reports whether a file lies in a folder itself.
func inFolder(file, folder string) bool { return path.Dir(file) == folder }

// Only paths outside the standard library begin with a domain.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && path != "C"
}

func TestObjections(t *testing.T) {
	for _, test := range []struct {
		file, source string
		want         []string
	}{
		{"actor/a.go", `package actor; import ("context"; "runtime/debug")`, nil},
		{"actor/a.go", `package actor; import "sync"`, []string{"sync: channels only"}},
		{"actor/deep/a.go", `package deep; import lock "sync/atomic"`, []string{"sync/atomic: channels only"}},
		{"pool/p.go", `package pool; import . "sync"`, []string{"sync: channels only"}},
		{"persistent/p.go", `package persistent; import _ "sync"`, []string{"sync: channels only"}},
		{"pool/pooltest/p.go", `package pooltest; import "sync"`, nil},
		{"pool/pooltester/p.go", `package pooltester; import "sync"`, []string{"sync: channels only"}},
		{"actor/a.go", "package actor; import `github.com/jackc/pgx/v5`",
			[]string{"github.com/jackc/pgx/v5: actor needs the standard library alone"}},
		{"actor/a.go", `package actor; import "github.com/pgactor/pgactor/actor/internal/core"`, nil},
		{"actor/a.go", `package actor; import "github.com/pgactor/pgactor/actor/keyed"`, []string{"github.com/pgactor/pgactor/actor/keyed: an arrow back"}},
		{"actor/keyed/k.go", `package keyed; import "github.com/pgactor/pgactor/actor"`, nil},
		{"actor/keyed/k.go", `package keyed; import "github.com/pgactor/pgactor/actor/internal/core"`,
			[]string{"github.com/pgactor/pgactor/actor/internal/core: an arrow back"}},
		{"actor/internal/core/c.go", `package core; import ("time"; "errors"; "fmt")`, nil},
		{"actor/internal/core/c.go", `package core; import "context"`, []string{"context: not one of the few that actor/internal/core needs"}},
		{"actor/internal/line/l.go", `package line; import "github.com/pgactor/pgactor/actor/internal/core"`, []string{
			"github.com/pgactor/pgactor/actor/internal/core: not one of the few that actor/internal/line needs",
			"github.com/pgactor/pgactor/actor/internal/core: an arrow back"}},
		{"actor/a.go", `package actor; import "C"`, []string{"C: actor needs the standard library alone"}},
		{"actor/a.go", `package actor; import "github.com/pgactor/pgactor/pool"`, []string{
			"github.com/pgactor/pgactor/pool: actor needs the standard library alone",
			"github.com/pgactor/pgactor/pool: an arrow back"}},
		{"pool/p.go", `package pool; import ("github.com/pgactor/pgactor/actor"; "github.com/jackc/pgx/v5")`, nil},
		{"pool/p.go", `package pool; import "github.com/pgactor/pgactor/persistent"`,
			[]string{"github.com/pgactor/pgactor/persistent: an arrow back"}},
		{"pool/pooltest/p.go", `package pooltest; import "github.com/pgactor/pgactor/persistent"`,
			[]string{"github.com/pgactor/pgactor/persistent: an arrow back"}},
		{"persistent/p.go", `package persistent; import ("github.com/pgactor/pgactor/actor"; "github.com/pgactor/pgactor/pool")`, nil},
	} {
		imports, err := importsOf(test.file, test.source)
		require.NoError(t, err)
		var want []string
		for _, objection := range test.want {
			want = append(want, test.file+" imports "+objection)
		}
		assert.Equal(t, want, objections(test.file, imports))
	}
}
