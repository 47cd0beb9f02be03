//go:build !linux

package pooltest

import (
	"context"
	"fmt"
)

func install(context.Context, func(context.Context) (string, error)) (string, error) {
	return "", fmt.Errorf("%w; AllowInstall works on Debian and Ubuntu, as root", ErrNotInstalled)
}
