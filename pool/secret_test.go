package pool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// secret is the password of these tests, and parts of it, where a connection string that
// its author did not mean so cuts it.
const secret, secretA, secretB = "S3cr3tPassw0rd", "S3cr3t", "Passw0rd"

// secretive are connection strings with the secret: those that can be parsed, and in which
// a name is wrong, or nobody listens; and those that cannot, or mean something else.
var secretive = []string{
	"host=h user=u password=S3cr3tPassw0rd pool_max_con=5",
	"host=h user=u password = S3cr3tPassw0rd pool_max_con=5",
	"host=h user=u password =S3cr3tPassw0rd pool_max_con=5",
	"host=h user=u password= S3cr3tPassw0rd pool_max_con=5",
	"host=h user=u password\t=\tS3cr3tPassw0rd pool_max_con=5",
	"host=h\nuser=u\npassword\n=\nS3cr3tPassw0rd\npool_max_con=5",
	"host=h\tuser=u\tpassword=S3cr3tPassw0rd\tpool_max_con=5",
	"host=h user=u password\r\n=\r\nS3cr3tPassw0rd\r\npool_max_con=5",
	"host=h user=u password='S3cr3tPassw0rd' pool_max_con=5",
	"host=h user=u password = 'S3cr3tPassw0rd' pool_max_con=5",
	"host=h user=u password='a S3cr3tPassw0rd' pool_max_con=5",
	`host=h user=u password='a\' S3cr3tPassw0rd' pool_max_con=5`,
	`host=h user=u password=a\ S3cr3tPassw0rd pool_max_con=5`,
	`host=h user=u password='S3cr3tPassw0rd pool_max_con=5`,
	"host=h user=u password=a S3cr3tPassw0rd pool_max_con=5",
	"host=h user=u PASSWORD=S3cr3tPassw0rd pool_max_con=5",
	"host=h user=u password:S3cr3tPassw0rd pool_max_con=5",
	"host=h user=u password S3cr3tPassw0rd",
	"S3cr3tPassw0rd",
	"host=h sslpassword=S3cr3tPassw0rd pool_max_con=5",
	"host=h sslpassword = 'S3cr3tPassw0rd' pool_max_con=5",
	"host=h password=S3cr3tPassw0rd port=none",
	"host=h password = S3cr3tPassw0rd sslmode=none",
	"host=h password = S3cr3tPassw0rd connect_timeout=x",
	"host=h password = S3cr3tPassw0rd target_session_attrs=x",
	"host=h password = S3cr3tPassw0rd sslrootcert=/nowhere/to/be/found sslmode=verify-full",
	"host=h password = S3cr3tPassw0rd default_query_exec_mode=x",
	"host=h password = S3cr3tPassw0rd statement_cache_capacity=x",
	"host=h password = S3cr3tPassw0rd service=x servicefile=/nowhere",
	"host=h password = S3cr3tPassw0rd pool_max_conns=x",
	"host=h password = S3cr3tPassw0rd pool_max_conns=0",
	"host=h password = S3cr3tPassw0rd pool_ping_timeout=5",
	"host=h pool_max_conns='5 password=S3cr3tPassw0rd'",
	"host=h pool_password=S3cr3tPassw0rd",
	"host=h pool_passwordS3cr3tPassw0rdS3cr3tPassw0rd=1",
	"dbname=postgres://u:S3cr3tPassw0rd@h/db",
	"host=postgres://u:S3cr3tPassw0rd@h/db",
	"user=postgres://u:S3cr3tPassw0rd@h/db",
	"host=u:S3cr3tPassw0rd@h user=u",
	"host=h,u:S3cr3tPassw0rd@h user=u",
	"postgres://u:S3cr3tPassw0rd@h/db?pool_max_con=5",
	"postgresql://u:S3cr3tPassw0rd@h/db?pool_max_con=5",
	"postgres://u:S3cr3tPassw0rd@h/db?pool_max_conns=x",
	"postgres://u:S3cr3tPassw0rd@h:port/db",
	"postgres://u:S3cr3tPassw0rd@h1:1,h2:2,h3/db?pool_max_con=5",
	"postgres://u:S3cr3t%20Passw0rd@h/db?pool_max_con=5",
	"postgres://u:S3cr3t%Passw0rd@h/db",
	"postgres://u:S3cr3t Passw0rd@h/db",
	"postgres://u:S3cr3t@Passw0rd@h/db",
	"postgres://u:S3cr3t/Passw0rd@h/db",
	"postgres://u:123/S3cr3tPassw0rd@h/db",
	"postgres://u:S3cr3t@h/Passw0rd@h/db",
	"postgres://u:S3cr3t:Passw0rd@h/db?pool_max_con=5",
	"postgres://u:S3cr3t?Passw0rd@h/db?pool_max_con=5",
	"postgres://u:S3cr3t#Passw0rd@h/db?pool_max_con=5",
	"postgres://u:S3cr3t[Passw0rd@h/db",
	"postgres://u%3AS3cr3tPassw0rd@h/db",
	"postgres://u@h/db?password=S3cr3tPassw0rd&pool_max_con=5",
	"postgres://u@h/db?pass%77ord=S3cr3tPassw0rd&pool_max_con=5",
	"postgres://u@h/db?password=S3cr3t&Passw0rd",
	"postgres://u@h/db?sslpassword=S3cr3tPassw0rd&pool_max_con=5",
	"postgres:/u:S3cr3tPassw0rd@h/db?sslmode=disable",
	"postgres:u:S3cr3tPassw0rd@h/db?sslmode=disable",
	"POSTGRES://u:S3cr3tPassw0rd@h/db?sslmode=disable",
	" postgres://u:S3cr3tPassw0rd@h/db?sslmode=disable",
	"jdbc:postgresql://u:S3cr3tPassw0rd@h/db?sslmode=disable",
	"pgx://u:S3cr3tPassw0rd@h/db?sslmode=disable",
	"//u:S3cr3tPassw0rd@h/db?sslmode=disable",
	"u:S3cr3tPassw0rd@h/db?sslmode=disable",
	"u:S3cr3tPassw0rd@h/db?sslmode=disable pool_max_con=5",
	"u:S3cr3tPassw0rd@h/db",
	"host=h password=S3cr3tPassw0rd\x00",
}

// No error shows the password, however deep, or how it is printed; nor does what the pool
// tells and logs.
func TestErrorsHideThePassword(t *testing.T) {
	for _, connString := range secretive {
		hidesSecret(t, connString)
	}
}

// hidesSecret checks all that comes of a connection string.
func hidesSecret(t *testing.T, connString string) {
	t.Helper()
	config, err := pool.ParseConfig(connString)
	if err != nil {
		silent(t, connString, err)
		return
	}
	var log bytes.Buffer
	config.OnEvent = pool.LogEvents(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	config.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	config.ConnConfig.DialFunc = func(_ context.Context, network, addr string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("refused: " + addr)}
	}
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err, connString)
	_, err = p.GetConn(background(t))
	silent(t, connString, err)
	silent(t, connString, p.WaitReady(ended()))
	require.NoError(t, p.CloseAll(background(t)))
	require.NotEmpty(t, log.String())
	clean(t, connString, log.String())
	config.MaxConns = 0
	_, err = pool.NewWithConfig(background(t), config)
	silent(t, connString, err)
	config.MaxConns, config.ConnConfig.Tracer = 1, theirTracer{said: make(chan string, 10)}
	if p, err = pool.NewWithConfig(background(t), config); err == nil {
		p.Close()
	} else {
		silent(t, connString, err)
	}
}

// silent checks that an error, and all that it wraps, has no part of the secret.
func silent(t *testing.T, connString string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Error("failed", "error", err)
	clean(t, connString, log.String())
	eachError(err, func(e error) {
		clean(t, connString, fmt.Sprintf("%v %+v %s %q", e, e, e, e))
		if connect := (*pgconn.ConnectError)(nil); errors.As(e, &connect) {
			return // pgx's, it has the whole configuration in it
		}
		clean(t, connString, fmt.Sprintf("%#v", e))
		if text, err := json.Marshal(e); err == nil {
			clean(t, connString, string(text))
		}
	})
}

func clean(t *testing.T, connString, text string) {
	t.Helper()
	for _, part := range []string{secretA, secretB} {
		require.NotContains(t, text, part, "%q", connString)
	}
}

// What is right is still parsed.
func TestParseConfigTakesWhatIsRight(t *testing.T) {
	for connString, password := range map[string]string{
		"postgres://u:S3%40cr%2F3t@h/db":                    "S3@cr/3t",
		"postgres://u:a:b?c#d@h/db":                         "a:b?c#d",
		"postgres://u%40tenant:pw@h/db%40x?options=a@b":     "pw",
		"postgres://u:pw@h/db?application_name=https://x":   "pw",
		"postgres://u:pw@[::1]:5432,h2/db?my.setting=x":     "pw",
		"host=@abstract user=u@tenant password='a b' x_1=1": "a b",
		`user=u password=a\ b dbname=d@x`:                   "a b",
		"postgres:///db?host=/tmp&password=pw":              "pw",
	} {
		config, err := pool.ParseConfig(connString)
		if strings.Contains(connString, "%40x") {
			require.NoError(t, err, connString)
			require.Equal(t, "db@x", config.ConnConfig.Database)
			require.Equal(t, "u@tenant", config.ConnConfig.User)
		}
		require.NoError(t, err, connString)
		require.Equal(t, password, config.ConnConfig.Password, connString)
	}
}

// An error says what is wrong without the string, and why a file cannot be read.
func TestParseConfigSaysWhatIsWrong(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for connString, want := range map[string]string{
		"host=h port=none":                                 "invalid port (in a URL, a special character in the password, such as / or @, must be percent-encoded)",
		"postgres://h/db?connect_timeout=x":                "invalid connect_timeout",
		"host=h target_session_attrs=x":                    "unknown target_session_attrs value",
		"host=a,b port=1,2,3":                              "could not match (the numbers of hosts and ports differ)",
		"host=h sslmode=x":                                 "failed to configure TLS (sslmode is invalid)",
		"host=h sslmode=verify-full sslrootcert=" + empty:  "failed to configure TLS (unable to add CA to cert pool)",
		"host=h sslmode=verify-full sslrootcert=/no/where": "failed to configure TLS (unable to read CA file: no such file or directory)",
		"host=h sslmode=require sslcert=/no/where":         `failed to configure TLS (both "sslcert" and "sslkey" are required)`,
		"host=h default_query_exec_mode=x":                 "invalid default_query_exec_mode",
		"postgres://u:p@ss@h/db":                           "an @ after the host (a special character in the password, such as @ or /, must be percent-encoded)",
		"u:p@h/db?sslmode=disable":                         "what cannot be a parameter's name (a URL must begin with postgres:// or postgresql://, and a value with spaces must be quoted)",
		"u:p@h/db":                                         "failed to parse as keyword/value (it is neither keyword=value pairs nor a URL that begins with postgres://)",
		"host=h pool_max_con=5":                            "unknown parameter (invalid pool_max_con (not shown): is no parameter of this pool; did you mean pool_max_conns?)",
		"host=h pool_max_conns='5 x=y'":                    "cannot parse pool_max_conns (invalid pool_max_conns (not shown): is not a whole number that fits)",
	} {
		_, err := pool.ParseConfig(connString)
		require.EqualError(t, err, "cannot parse `connection string`: "+want)
		var parse *pgconn.ParseConfigError
		require.ErrorAs(t, err, &parse)
		require.Equal(t, strings.Contains(want, "no such file"), errors.Is(err, fs.ErrNotExist))
	}
}

// FuzzParseErrorsHideThePassword puts anything around the password. It is so long that no
// error shows it as the name or the value of a parameter.
func FuzzParseErrorsHideThePassword(f *testing.F) {
	const long = "S3cr3tPassw0rdThatIsLongerThanAnyParameterOfThePool"
	for _, s := range secretive {
		before, after, _ := strings.Cut(strings.NewReplacer(secret, "\x01", secretA, "\x01", secretB, "").Replace(s), "\x01")
		f.Add(before, after)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		_, err := pool.ParseConfig(before + long + after)
		if err == nil {
			return
		}
		eachError(err, func(e error) {
			text := fmt.Sprintf("%v %+v %q %#v", e, e, e, e)
			if strings.Contains(text, long) {
				t.Errorf("%q: %s", before+long+after, text)
			}
		})
	})
}
