package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A file is what is drawn of the one that bench writes.
type file struct {
	Machine machine `json:"machine"`
	Plan    struct {
		Rounds int `json:"rounds"`
	} `json:"plan"`
	Studies []study `json:"studies"`
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
	postgres, _, _ := strings.Cut(m.Postgres, " (") // the packager's version says no more
	return fmt.Sprintf("%d cores of %s, %s, %s, pgx %s, PostgreSQL %s", m.Cores, m.CPU, m.OS, m.Go, m.Pgx, postgres)
}

// A study has a row for each setting.
type study struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Rows  []row  `json:"rows"`
}

type row struct {
	Params []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"params"`
	Contenders []struct {
		Peer    string               `json:"peer"`
		Samples map[string][]float64 `json:"samples"` // by unit, one value for each round
	} `json:"contenders"`
}

func read(path string) (*file, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := new(file)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("%s is not a file of bench: %w", path, err)
	}
	if len(f.Studies) == 0 {
		return nil, fmt.Errorf("%s is not a file of bench: %w", path, errNoStudies)
	}
	return f, nil
}

var errNoStudies = errors.New("it has no studies")

// title is what bench calls a study; it has the numbers that all of its settings share.
func (f *file) title(name string) string {
	for _, s := range f.Studies {
		if s.Name == name {
			return s.Title
		}
	}
	return name
}

// rows are those of a study in which the parameter, if it is named, has that value.
func (f *file) rows(name, param, value string) (found []row) {
	for _, s := range f.Studies {
		for _, r := range s.Rows {
			if s.Name == name && (param == "" || r.param(param) == value) {
				found = append(found, r)
			}
		}
	}
	return found
}

// param is a parameter's value, or "".
func (r row) param(name string) string {
	for _, p := range r.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// number is a parameter's value where it is one, and 0 otherwise.
func (r row) number(name string) float64 {
	v, _ := strconv.ParseFloat(r.param(name), 64)
	return v
}

// samples are what a peer measured; none if it was not there.
func (r row) samples(peer, unit string) []float64 {
	for _, c := range r.Contenders {
		if c.Peer == peer {
			return c.Samples[unit]
		}
	}
	return nil
}
