package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// A File is all that a run measured.
type File struct {
	Machine Machine `json:"machine"`
	Plan    Plan    `json:"plan"`
	Studies []Study `json:"studies"`
}

// A Machine is where it was measured.
type Machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	OS       string `json:"os"`
	Go       string `json:"go"`
	Pgx      string `json:"pgx"`
	Postgres string `json:"postgres"`
}

func (m Machine) String() string {
	postgres, _, _ := strings.Cut(m.Postgres, " (") // the packager's version says no more
	return fmt.Sprintf("%d cores of %s, %s, %s, pgx %s, PostgreSQL %s", m.Cores, m.CPU, m.OS, m.Go, m.Pgx, postgres)
}

// A Plan is how long was measured.
type Plan struct {
	Rounds int           `json:"rounds"` // how often the peers take turns, where a study says no other
	Turn   time.Duration `json:"turn_ns"`
}

// A Study measured one thing in several settings.
type Study struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Units []string `json:"units"` // of interest, the most important first
	Rows  []Row    `json:"rows"`
}

// A Row is what was measured in one setting.
type Row struct {
	Params     []Param     `json:"params"`
	Contenders []Contender `json:"contenders"`
}

// A Param is one of those that make a setting.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Contender is what one peer's turns measured.
type Contender struct {
	Peer    string               `json:"peer"`
	Samples map[string][]float64 `json:"samples"` // by unit, a value for each round
}

// Param is a parameter's value, or "".
func (r Row) Param(name string) string {
	for _, p := range r.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Samples are what a peer measured; none if it was not there.
func (r Row) Samples(peer, unit string) []float64 {
	for _, c := range r.Contenders {
		if c.Peer == peer {
			return c.Samples[unit]
		}
	}
	return nil
}

// Write writes the file.
func (f *File) Write(path string) error {
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Read reads a file. It is an error if there is no study in it.
func Read(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := new(File)
	err = json.Unmarshal(text, f)
	if err == nil && len(f.Studies) == 0 {
		err = errNoStudies
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a file of bench: %w", path, err)
	}
	return f, nil
}

var errNoStudies = errors.New("it has no studies")
