package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// A file is all that a run measured, and where.
type file struct {
	Machine machine   `json:"machine"`
	Plan    plan      `json:"plan"`
	Studies []outcome `json:"studies"`
}

// An outcome is what a study found.
type outcome struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Units []string `json:"units"`
	Rows  []row    `json:"rows"`
}

// A row is what was found in one setting.
type row struct {
	Params     []param     `json:"params"`
	Contenders []contender `json:"contenders"`
}

func (r row) of(peer string) *contender {
	for i := range r.Contenders {
		if r.Contenders[i].Peer == peer {
			return &r.Contenders[i]
		}
	}
	return nil
}

// ratio is that of the first peer to pgxpool, if both have the unit, and more than
// next to nothing of it.
func (r row) ratio(unit string) (found ratio, ok bool) {
	ours, theirs := r.Contenders[0], r.of(rivalPgxpool.name)
	if theirs == nil || theirs == &r.Contenders[0] || len(ours.Samples[unit]) == 0 || len(theirs.Samples[unit]) == 0 || median(theirs.Samples[unit]) < 0.5 {
		return found, false
	}
	return paired(ours.Samples[unit], theirs.Samples[unit]), true
}

type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	OS       string `json:"os"`
	Go       string `json:"go"`
	Pgx      string `json:"pgx"`
	Postgres string `json:"postgres"`
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores of %s, %s, %s, pgx %s, PostgreSQL %s", m.Cores, m.CPU, m.OS, m.Go, m.Pgx, m.Postgres)
}

func thisMachine(postgres string) machine {
	m := machine{
		CPU:      cpu(),
		Cores:    runtime.GOMAXPROCS(0),
		OS:       runtime.GOOS + "/" + runtime.GOARCH,
		Go:       runtime.Version(),
		Postgres: postgres,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/jackc/pgx/v5" {
				m.Pgx = dep.Version
			}
		}
	}
	return m
}

// cpu is the processor's name where Linux tells it.
func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func (f *file) write(path string) error {
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
