package pooltest

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A finder looks for the folder that holds both initdb and postgres, of one version.
type finder struct {
	path   string   // a list as in PATH; searched first
	config string   // the program pg_config, or empty
	usual  []string // patterns of the folders where packages put them, searched last; of one pattern the highest version first
}

var usualFolders = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // PostgreSQL's own packages for Red Hat and its kin
	"/usr/libexec/postgresql*",                           // Alpine
	"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
	"/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	"/opt/local/lib/postgresql*/bin",                     // MacPorts
	"/usr/local/pgsql/bin",                               // built from source
}

func newFinder() finder {
	return finder{path: os.Getenv("PATH"), config: "pg_config", usual: usualFolders}
}

func (f finder) find(ctx context.Context) (folder string, err error) {
	for _, folder := range filepath.SplitList(f.path) {
		if filepath.IsAbs(folder) && holdsServer(folder) {
			return folder, nil
		}
	}
	if folder := f.askConfig(ctx); folder != "" && holdsServer(folder) {
		return folder, nil
	}
	for _, pattern := range f.usual {
		folders, _ := filepath.Glob(pattern)
		slices.SortFunc(folders, byVersionDown)
		for _, folder := range folders {
			if holdsServer(folder) {
				return folder, nil
			}
		}
	}
	return "", ErrNotInstalled
}

// askConfig asks pg_config, which may belong to a client library without a server, and so is only a hint.
func (f finder) askConfig(ctx context.Context) string {
	if f.config == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, f.config, "--bindir").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func holdsServer(folder string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(folder, program))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

var number = regexp.MustCompile(`\d+`)

// byVersionDown orders folders by the numbers in their names, so that 15 comes before 9.6; a name without a number, such as
// "latest", comes last.
func byVersionDown(a, b string) int {
	return slices.CompareFunc(number.FindAllString(b, -1), number.FindAllString(a, -1), func(x, y string) int {
		m, _ := strconv.Atoi(x)
		n, _ := strconv.Atoi(y)
		return cmp.Compare(m, n)
	})
}
