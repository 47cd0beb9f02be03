package ecosystem_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/pgactor/pgactor/pool/pooltest"
	"go.uber.org/goleak"
)

// server is the PostgreSQL of this package's tests; each test has a database
// of its own.
var server *pooltest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	s, err := pooltest.Open(context.Background(), pooltest.AllowInstall())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server = s
	code := m.Run()
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
