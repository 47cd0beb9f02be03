//go:build !linux

package pool_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func foundAfter(t *testing.T, _ pgconn.DialFunc) time.Duration {
	t.Skip("reads the options of a socket on Linux only")
	return 0
}
