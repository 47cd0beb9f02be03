package pool

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// IsPermanent reports whether waiting cannot heal a connect that failed with err: the
// server, or a hook, has answered, and said no for a reason that time does not change. It
// is what Config.IsPermanent stands for when it is nil, and what one that knows more may
// fall back on.
//
//   - Of what the server says, the classes 08 (connection), 53 (resources), 55 and 57
//     (operator intervention: shutting down, starting up), 58 (system) and 40 change with
//     time; anything else does not: wrong password, no such database or role, no privilege,
//     an invalid setting in the connection string. 08P01 does not either, unless it is one
//     of the states of a server that PgBouncer reports with it.
//   - TLS that the server refuses, and a certificate that does not verify, are permanent.
//   - So is the error of BeforeConnect or AfterConnect, of Config or ConnConfig, unless it
//     comes from the network, from a context, or from the server as above.
//   - No answer, such as a refused or lost connection, a name that is not found or a
//     timeout, is never permanent, and neither is a server that target_session_attrs rules
//     out: the next failover may make it the right one.
//
// With several hosts all must have failed for good, but for a wrong password, no such
// database and no privilege: after these no other host is tried.
func IsPermanent(err error) bool {
	if err == nil {
		return false
	}
	return isPermanent(err, false)
}

// A hookError is the error of one of the user's hooks.
type hookError struct{ error }

func (e hookError) Unwrap() error { return e.error }

// isPermanent looks at err, and at what it wraps. said reports whether a hook has returned
// it, so that it is an answer whatever it is.
func isPermanent(err error, said bool) bool {
	switch e := err.(type) {
	case hookError:
		return isPermanent(e.error, true)
	case *pgconn.PgError:
		return isFinal(e)
	case *pgconn.NotPreferredError:
		return false
	case *tls.CertificateVerificationError, x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError,
		tls.RecordHeaderError:
		return true
	case net.Error:
		return isAlert(e)
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return isPermanent(inner, said)
		}
	case interface{ Unwrap() []error }:
		return allPermanent(e.Unwrap(), said)
	}
	switch err {
	case context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed:
		return false
	}
	return said || err.Error() == "server refused TLS connection" // pgconn has no type for it
}

// allPermanent reports whether every one of the alternatives that failed did so for good,
// or one for a reason that ends the search.
func allPermanent(errs []error, said bool) bool {
	all := len(errs) > 0
	for _, err := range errs {
		var e *pgconn.PgError
		if errors.As(err, &e) && (e.Code == "28P01" || e.Code == "3D000" || e.Code == "42501") {
			return true
		}
		all = all && isPermanent(err, said)
	}
	return all
}

// isFinal reports whether what the server says does not change with time.
func isFinal(e *pgconn.PgError) bool {
	if e.Code == "08P01" {
		return !isPassing(e)
	}
	switch class := e.Code[:min(2, len(e.Code))]; class {
	case "08", "53", "55", "57", "58", "40", "":
		return false
	}
	return true
}

// isPassing reports whether a protocol violation is none: PgBouncer gives this code to all
// that it says itself, also that the server behind it cannot be reached now. Errors of
// PostgreSQL name the routine that raised them.
func isPassing(e *pgconn.PgError) bool {
	if e.Routine != "" {
		return false
	}
	for _, words := range []string{
		"server_login_retry", "server login has been failing", "cannot connect to server", "query_wait_timeout",
		"client_login_timeout", "max_client_conn", "no more connections", "server down", "shut down", "shutting down", "paus",
	} {
		if strings.Contains(e.Message, words) {
			return true
		}
	}
	return false
}

// isAlert reports whether err is an alert of TLS that the peer has sent: it refuses us.
func isAlert(err net.Error) bool {
	var e *net.OpError
	return errors.As(err, &e) && e.Op == "remote error"
}

// permanent returns IsPermanent, or what the configuration has in its place.
func (c *Config) permanent() func(error) bool {
	if c.IsPermanent != nil {
		return c.IsPermanent
	}
	return IsPermanent
}
