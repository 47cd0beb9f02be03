package main

import (
	"fmt"
	"strconv"

	"github.com/pgactor/pgactor/bench/result"
)

// A file is what is drawn.
type file struct{ *result.File }

type row struct{ result.Row }

// title is what bench calls a study; it has the numbers that all of its settings share.
func (f file) title(name string) string {
	for _, s := range f.Studies {
		if s.Name == name {
			return s.Title
		}
	}
	return name
}

// rows are those of a study in which the parameter, if it is named, has that value.
func (f file) rows(name, param, value string) (found []row) {
	for _, s := range f.Studies {
		for _, r := range s.Rows {
			if s.Name == name && (param == "" || r.Param(param) == value) {
				found = append(found, row{r})
			}
		}
	}
	return found
}

// number is a parameter's value where it is one, and 0 otherwise.
func (r row) number(name string) float64 {
	v, _ := strconv.ParseFloat(r.Param(name), 64)
	return v
}

// readable is a time with at most three digits that matter.
func readable(ns float64) string {
	units := []string{"ns", "µs", "ms", "s"}
	for len(units) > 1 && ns >= 999.5 {
		ns /= 1000
		units = units[1:]
	}
	return fmt.Sprintf("%.3g %s", ns, units[0])
}
