package core

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write what the scenes in testdata do into them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScenes plays the scenes in testdata; see world for their language.
func TestScenes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenes: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { playFile(t, f) })
	}
}

// playFile plays the scenes of a file, and compares or updates it.
func playFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	parts := strings.Split("\n"+string(text), "\nscene: ")
	now.WriteString(strings.TrimPrefix(parts[0], "\n"))
	seen := map[string]bool{}
	for i, part := range parts[1:] {
		title, body, _ := strings.Cut(part, "\n")
		if seen[title] {
			t.Errorf("two scenes: %s", title)
		}
		seen[title] = true
		after := ""
		t.Run(title, func(t *testing.T) { after = playScene(t, body) })
		if i > 0 || parts[0] != "" {
			now.WriteString("\n")
		}
		fmt.Fprintf(&now, "scene: %s\n%s", title, after)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(file, []byte(now.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// playScene plays one scene, and returns it with what happened.
func playScene(t *testing.T, body string) string {
	var now strings.Builder
	command := ""
	w := newWorld(func(format string, args ...any) {
		t.Helper()
		t.Fatalf("at %q: %s\nso far:\n%s", command, fmt.Sprintf(format, args...), now.String())
	})
	for i, block := range strings.Split(strings.TrimSpace(body), "\n\n") {
		input, want, _ := strings.Cut(block+"\n", "----\n")
		var commands []string
		for line := range strings.Lines(input) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				commands = append(commands, line)
			}
		}
		if i > 0 {
			now.WriteString("\n")
		}
		fmt.Fprintf(&now, "%s----\n", input)
		command = strings.Join(commands, "; ")
		w.out.Reset()
		w.batch(commands)
		got := w.out.String()
		if want = strings.TrimSuffix(want, "\n"); !*update && want != strings.TrimSuffix(got, "\n") {
			t.Errorf("after\n%s\ngot:\n%s\nwant:\n%s\n", input, got, want)
		}
		now.WriteString(got)
	}
	if len(w.during) > 0 {
		w.fail("%q has never happened", w.during[0].effect)
	}
	return now.String()
}
