package pool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestReports recreates what users of other pools have reported, with this pool and,
// where it has the situation, with pgxpool, and prints what each makes of it:
//
//	go test ./pool -run TestReports -v
//
// Each report asserts what is right for this pool; of pgxpool it only says what happens.
// The files reports_*_test.go have them by subject.
func TestReports(t *testing.T) {
	var table strings.Builder
	for _, r := range slices.Concat(reportsOfNetworks, reportsOfErrors, reportsOfSupply, reportsOfMigrants) {
		t.Run(r.name, func(t *testing.T) {
			rival := "–"
			if r.them != nil {
				rival = r.them(t)
			}
			fmt.Fprintf(&table, "| `%s` %s | %s | %s |\n", r.name, r.more, rival, r.us(t))
		})
	}
	t.Logf("\n| `TestReports/…` | pgxpool | pgactor |\n|---|---|---|\n%s", &table)
}

// A report is one situation, and what is seen of each pool in it.
type report struct {
	name, more string
	us         func(t *testing.T) (seen string) // fails t where the pool does wrong
	them       func(t *testing.T) (seen string) // pgxpool; nil: it has no such situation
}
