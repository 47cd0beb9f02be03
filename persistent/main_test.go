package persistent_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/pgactor/pgactor/pool/pooltest"
	"go.uber.org/goleak"
)

var server *pooltest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	server, err = pooltest.Open(context.Background(), pooltest.AllowInstall())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		server.Close()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}
