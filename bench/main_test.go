// Package bench measures pgactor's pool beside its peers, in one run and in
// turns, so that the ratio says something on a noisy machine too.
package bench

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/pgactor/pgactor/pool/pooltest"
)

// server is where all benchmarks connect to.
var server *pooltest.Server

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	s, err := pooltest.Open(context.Background(), pooltest.AllowInstall())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Close()
	server = s
	return m.Run()
}
