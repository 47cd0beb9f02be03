//go:build !unix

package pooltest

import "context"

// startPrivate cannot keep its promises here: there is no watchdog without a Unix shell, sessions and signals.
func startPrivate(context.Context, *config) (*Server, error) { return nil, ErrUnsupported }
