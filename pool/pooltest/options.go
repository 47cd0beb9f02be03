package pooltest

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// An Option changes what Start and Open do. An invalid one makes them return an [*OptionError].
type Option func(*config) error

type config struct {
	allowInstall bool
	password     string // of WithScram; empty: a private server makes one up
	tls          bool
	settings     []setting
	log          io.Writer // nil: only the file in the cluster's folder

	privateOnly []string // the options given that an external server cannot honour

	// What depends on the machine; tests put their own here.
	find     func(context.Context) (folder string, err error)                                        // initdb and postgres
	install  func(context.Context, func(context.Context) (string, error)) (folder string, err error) // where find fails
	pickPort func() (int, error)
	accounts []string // whom root runs the server as: the first that exists
}

type setting struct{ name, value string }

func newConfig(opts []Option) (*config, error) {
	cfg := &config{find: newFinder().find, install: install, pickPort: freePort, accounts: []string{"postgres", "nobody"}}
	for _, opt := range opts {
		if err := opt(cfg); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// binaries returns the folder of initdb and postgres.
func (cfg *config) binaries(ctx context.Context) (string, error) {
	folder, err := cfg.find(ctx)
	if err != nil && cfg.allowInstall {
		return cfg.install(ctx, cfg.find)
	}
	return folder, err
}

// AllowInstall lets Start install PostgreSQL where it is missing, with apt-get, on Debian and Ubuntu and as root; it says so
// on stderr. It installs the package postgresql without Debian's default cluster, so that nothing is started. This takes a
// minute or so, at most ten. Several processes may do it at once: one installs, the others wait. Nothing is installed without
// this option.
func AllowInstall() Option {
	return func(cfg *config) error {
		cfg.allowInstall = true
		return nil
	}
}

// WithScram chooses the password that every connection needs, by TCP and by socket, and has it checked as a server in production
// does (scram-sha-256, with PostgreSQL's number of iterations); the connection strings contain it. The password may not be empty
// or contain a line break or NUL. Without this option it is random, and the check costs next to nothing.
func WithScram(password string) Option {
	return func(cfg *config) error {
		switch {
		case password == "":
			return &OptionError{"WithScram", `""`, "the password is empty"}
		case strings.ContainsAny(password, "\r\n\x00"):
			return &OptionError{"WithScram", "…", "the password contains a line break or NUL"}
		}
		cfg.password = password
		cfg.privateOnly = append(cfg.privateOnly, "WithScram")
		return nil
	}
}

// WithTLS makes the server offer TLS, with a certificate made for the occasion, and refuse TCP connections without it.
// ConnString then has sslmode=verify-full and, as sslrootcert, the path of that certificate, so that clients do all the checks
// that they do in production; see [Server.CertificateFile]. The unix socket, as always, knows no TLS.
func WithTLS() Option {
	return func(cfg *config) error {
		cfg.tls = true
		cfg.privateOnly = append(cfg.privateOnly, "WithTLS")
		return nil
	}
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)

// The cluster stands on these: its connection strings, its error messages, its being found and stopped.
var ownSettings = []string{"config_file", "data_directory", "external_pid_file", "hba_file", "ident_file", "include", "include_dir",
	"include_if_exists", "listen_addresses", "log_destination", "logging_collector", "port", "unix_socket_directories"}

// WithSetting sets a parameter of postgresql.conf, such as WithSetting("max_connections", "20"); units are PostgreSQL's, as in
// "16MB" or "5s". It wins over the package's own defaults; of two for one name the later wins. A name or value that PostgreSQL
// refuses makes Start fail with a [*ProgramError] that quotes it. Parameters that the package itself depends on, such as port,
// are refused.
func WithSetting(name, value string) Option {
	return func(cfg *config) error {
		refuse := func(reason string) error {
			return &OptionError{"WithSetting", fmt.Sprintf("%q, %q", name, value), reason}
		}
		switch {
		case !settingName.MatchString(name):
			return refuse("this is no name of a parameter")
		case slices.Contains(ownSettings, strings.ToLower(name)):
			return refuse("pooltest sets this parameter itself")
		case strings.ContainsAny(value, "\r\n\x00"):
			return refuse("the value contains a line break or NUL")
		}
		cfg.settings = append(cfg.settings, setting{name, value})
		cfg.privateOnly = append(cfg.privateOnly, "WithSetting")
		return nil
	}
}

// WithLog copies the server's log to w as it is written; w is used by one goroutine at a time, and its errors are ignored. A w that
// blocks blocks the server. It has no effect on an external server.
func WithLog(w io.Writer) Option {
	return func(cfg *config) error {
		if w == nil {
			return &OptionError{"WithLog", "nil", "there is nothing to write to"}
		}
		cfg.log = w
		return nil
	}
}
