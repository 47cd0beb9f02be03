package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A connection string has a password in it, and where the string cannot be parsed, nobody
// can tell where. So its errors quote nothing of it, however harmless a part looks: they
// name the setting.

// parseError makes the error of a connection string.
func parseError(what string, err error) error {
	return pgconn.NewParseConfigError("connection string", what, err)
}

// safeParseError returns what is known to be harmless of pgx's error.
func safeParseError(err error) error {
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) {
		return parseError("pgx does not accept it", nil)
	}
	bare := *parse
	bare.ConnString = ""
	_, message, _ := strings.Cut(bare.Error(), ": ")
	for _, k := range pgxMessages {
		if !strings.HasPrefix(message, k.begins) {
			continue
		}
		if k.detail == nil {
			return parseError(k.begins, nil)
		}
		return parseError(k.begins, k.detail(parse.Unwrap()))
	}
	return parseError("pgx does not accept it", nil)
}

// pgxMessages are the beginnings of pgx's messages that quote nothing.
var pgxMessages = []struct {
	begins string
	detail func(err error) error // what may be said beyond that, if not nil
}{
	{"failed to parse as URL", hint("a special character in the password, such as @ or /, must be percent-encoded")},
	{"failed to parse as keyword/value", hint("it is neither keyword=value pairs nor a URL that begins with postgres://")},
	{"failed to read service", reason},
	{"invalid sslcertmode", nil},
	{"invalid connect_timeout", nil},
	{"could not match", hint("the numbers of hosts and ports differ")},
	{"invalid port", hint("in a URL, a special character in the password, such as / or @, must be percent-encoded")},
	{"failed to configure TLS", tlsReason},
	{"unknown target_session_attrs value", nil},
	{"invalid min_protocol_version", nil},
	{"invalid max_protocol_version", nil},
	{"min_protocol_version cannot be greater than max_protocol_version", nil},
	{"unknown channel_binding value", nil},
	{"invalid require_auth", nil},
	{"cannot parse statement_cache_capacity", nil},
	{"cannot parse description_cache_capacity", nil},
	{"invalid default_query_exec_mode", nil},
}

func hint(text string) func(error) error { return func(error) error { return errors.New(text) } }

// reason returns why a file could not be read, without its name.
func reason(err error) error {
	var file *fs.PathError
	if errors.As(err, &file) {
		return file.Err
	}
	return nil
}

// tlsReason returns which TLS setting is at fault, and why.
func tlsReason(err error) error {
	for _, begins := range []string{
		"unable to load system certificate pool", "unable to read CA file", "unable to add CA to cert pool",
		"sslmode is invalid", `both "sslcert" and "sslkey" are required`, "unable to read sslkey", "failed to decode sslkey",
		"unable to find sslpassword", "unable to decrypt key", "unable to read cert", "unable to load cert",
	} {
		if err == nil || !strings.HasPrefix(err.Error(), begins) {
			continue
		}
		if why := reason(err); why != nil {
			return fmt.Errorf("%s: %w", begins, why)
		}
		return errors.New(begins)
	}
	return nil
}

// misread finds a connection string that pgx has parsed in a way that its author did not
// mean: what is shown as a host, a user, a database or the name of a parameter has the
// password in it.
func misread(connString string, cc *pgx.ConnConfig) (what string, err error) {
	path, isURL := afterUserinfo(connString)
	hosts := []string{cc.Host}
	for _, f := range cc.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	names := []string{cc.User, cc.Database}
	switch {
	case isURL && strings.Contains(path, "@"):
		return "an @ after the host", errEncode
	case slices.ContainsFunc(hosts, func(h string) bool { return strings.LastIndex(h, "@") > 0 }):
		return "an @ in a host", errEncode
	case slices.ContainsFunc(append(names, hosts...), func(n string) bool { return strings.Contains(n, "://") }):
		return "a URL in place of a host, user or database", errWholeURL
	case isURL && cc.Password == "" && strings.Contains(cc.User, ":"):
		return "a colon in the user, and no password", errColon
	}
	for name := range cc.RuntimeParams {
		if !parameterName.MatchString(name) {
			return "what cannot be a parameter's name", errScheme
		}
	}
	return "", nil
}

var (
	errEncode   = errors.New("a special character in the password, such as @ or /, must be percent-encoded")
	errWholeURL = errors.New("a URL must be the whole connection string")
	errColon    = errors.New("the colon between user and password must not be percent-encoded")
	errScheme   = errors.New("a URL must begin with postgres:// or postgresql://, and a value with spaces must be quoted")
)

// parameterName matches what a server takes for the name of a setting.
var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.$]*$`)

// afterUserinfo returns the hosts and the path of a URL, as pgx finds them.
func afterUserinfo(connString string) (path string, isURL bool) {
	rest, isURL := strings.CutPrefix(connString, "postgres://")
	if !isURL {
		rest, isURL = strings.CutPrefix(connString, "postgresql://")
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	path, _, _ = strings.Cut(rest, "?")
	return path, isURL
}

// notShown stands for a value in an error.
const notShown = "(not shown)"

// plainly returns a value of one of the pool's parameters if it looks like one: another
// may be the rest of a string whose quotes are in the wrong place.
func plainly(value string) string {
	if len(value) > 32 || !plainValue.MatchString(value) {
		return notShown
	}
	return value
}

var plainValue = regexp.MustCompile(`^[A-Za-z0-9_.+-]*$`)
