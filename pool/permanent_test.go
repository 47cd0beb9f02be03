package pool_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

func TestIsPermanent(t *testing.T) {
	says := func(code string) error {
		return fmt.Errorf("server error: %w", &pgconn.PgError{Code: code, Message: "no", Routine: "f"})
	}
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	bouncer := func(message string) error { return &pgconn.PgError{Code: "08P01", Message: message} }
	for name, k := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                                {nil, false},
		"wrong password":                     {says("28P01"), true},
		"no entry in pg_hba.conf":            {says("28000"), true},
		"no such database":                   {says("3D000"), true},
		"no privilege":                       {says("42501"), true},
		"no such parameter":                  {says("42704"), true},
		"invalid value":                      {says("22023"), true},
		"protocol violation":                 {says("08P01"), true},
		"not supported":                      {says("0A000"), true},
		"shutting down":                      {says("57P01"), false},
		"crashed":                            {says("57P02"), false},
		"starting up":                        {says("57P03"), false},
		"too many connections":               {says("53300"), false},
		"connection failure":                 {says("08006"), false},
		"PgBouncer's server is down":         {bouncer("server login has been failing, try again later (server_login_retry)"), false},
		"PgBouncer is full":                  {bouncer("no more connections allowed (max_client_conn)"), false},
		"PgBouncer knows no such user":       {bouncer("no such user: x"), true},
		"refused":                            {refused, false},
		"lost":                               {io.ErrUnexpectedEOF, false},
		"timeout":                            {context.DeadlineExceeded, false},
		"no such host":                       {&net.DNSError{Err: "no such host", IsNotFound: true}, false},
		"not the primary":                    {fmt.Errorf("ValidateConnect failed: %w", errors.New("read only connection")), false},
		"a standby, if it must be":           {&pgconn.NotPreferredError{}, false},
		"unknown authority":                  {fmt.Errorf("tls error: %w", untrusted), true},
		"another name":                       {x509.HostnameError{}, true},
		"an alert":                           {&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, true},
		"one host says no":                   {errors.Join(says("28000"), refused), false},
		"all hosts say no":                   {errors.Join(says("28000"), says("22023")), true},
		"one knows no such database":         {errors.Join(refused, says("3D000")), true},
		"a server that answers with no code": {&pgconn.PgError{}, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, k.want, pool.IsPermanent(k.err)) })
	}
}

// A refusal is a way in which a connect ends that says no.
type refusal struct {
	name, connString string
	change           func(c *pgx.ConnConfig)
	before           func(context.Context, *pgx.ConnConfig) error
	after            func(context.Context, *pgx.Conn) error
	code             string // of the server's error; "": it has none
}

var errTenant = errors.New("no such tenant")

// refusals are those that waiting cannot heal.
func refusals(t *testing.T) []refusal {
	a := newAdmin(t)
	with := func(parameter, value string) string {
		u, err := url.Parse(a.url)
		require.NoError(t, err)
		q := u.Query()
		q.Set(parameter, value)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return []refusal{
		{name: "no privilege", connString: a.outsider(), code: "42501"},
		{name: "no such parameter", connString: with("no_such_parameter", "1"), code: "42704"},
		{name: "an invalid value", connString: with("work_mem", "plenty"), code: "22023"},
		{name: "a protocol violation", connString: a.url, code: "08P01", change: func(c *pgx.ConnConfig) {
			c.DialFunc = says(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "invalid startup packet"})
		}},
		{name: "TLS refused", connString: with("sslmode", "require"), change: func(c *pgx.ConnConfig) { c.DialFunc = withoutTLS }},
		{name: "BeforeConnect", connString: a.url, before: func(context.Context, *pgx.ConnConfig) error { return errTenant }},
		{name: "AfterConnect", connString: a.url, after: func(context.Context, *pgx.Conn) error { return errTenant }},
		{name: "AfterConnect's statement", connString: a.url, code: "42P01", after: func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, "select from no_such_table")
			return err
		}},
	}
}

// outsider returns the database's address for a role that may not connect to it.
func (a *admin) outsider() string {
	u, err := url.Parse(a.url)
	require.NoError(a.t, err)
	role := "outsider_of_" + u.Path[1:]
	_, err = a.conn.Exec(background(a.t), fmt.Sprintf(`revoke connect on database %s from public; create role %s login password 'few'`,
		pgx.Identifier{u.Path[1:]}.Sanitize(), pgx.Identifier{role}.Sanitize()))
	require.NoError(a.t, err)
	a.t.Cleanup(func() {
		_, err := a.conn.Exec(background(a.t), "drop role "+pgx.Identifier{role}.Sanitize())
		require.NoError(a.t, err)
	})
	u.User = url.UserPassword(role, "few")
	return u.String()
}

// says returns a DialFunc of a server that answers every connect with e.
func says(e *pgproto3.ErrorResponse) pgconn.DialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			b := pgproto3.NewBackend(theirs, theirs)
			if _, err := b.ReceiveStartupMessage(); err == nil {
				b.Send(e)
				_ = b.Flush()
			}
		}()
		return ours, nil
	}
}

// withoutTLS is the DialFunc of a server that has no TLS.
func withoutTLS(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		if _, err := pgproto3.NewBackend(theirs, theirs).ReceiveStartupMessage(); err == nil {
			_, _ = theirs.Write([]byte{'N'})
		}
	}()
	return ours, nil
}

// WaitForServer waits for what can heal, and for nothing else.
func waitsInVain(t *testing.T) string {
	all := refusals(t)
	for _, r := range all {
		p := made(t, r.connString, func(c *pool.Config) {
			c.MaxConns, c.OutagePolicy = 1, pool.WaitForServer
			c.BeforeConnect, c.AfterConnect = r.before, r.after
			if r.change != nil {
				r.change(c.ConnConfig)
			}
		})
		for what, f := range map[string]func(context.Context) error{
			"get":       func(ctx context.Context) error { _, err := p.GetConn(ctx); return err },
			"WaitReady": func(ctx context.Context) error { require.NoError(t, p.Resize(1, 1)); return p.WaitReady(ctx) },
		} {
			err := f(background(t))
			require.ErrorIs(t, err, pool.ErrUnavailable, "%s: %s", r.name, what)
			require.NotErrorIs(t, err, context.DeadlineExceeded, "%s: %s", r.name, what)
			var e *pgconn.PgError
			switch {
			case r.code != "":
				require.ErrorAs(t, err, &e, r.name)
				require.Equal(t, r.code, e.Code, r.name)
			case r.before != nil || r.after != nil:
				require.ErrorIs(t, err, errTenant, r.name)
			}
		}
	}
	waitsForTheServer(t)
	userDecides(t)
	return fmt.Sprintf("%d refused at once", len(all))
}

// What can heal is waited for, and the event and the error say why.
func waitsForTheServer(t *testing.T) {
	events := make(chan pool.Event, 1000)
	p := made(t, "host=h user=u sslmode=disable", func(c *pool.Config) {
		c.MaxConns, c.MinConns, c.OutagePolicy = 1, 1, pool.WaitForServer
		c.ConnConfig.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil }
		c.ConnConfig.DialFunc = says(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"})
		c.OnEvent = func(e pool.Event) { events <- e }
	})
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	go func() {
		for e := range events {
			if e.Kind == pool.EventNotReady && e.Err != nil {
				cancel()
			}
			if e.Kind == pool.EventEnded {
				return
			}
		}
	}()
	err := p.WaitReady(ctx)
	require.ErrorIs(t, err, context.Canceled, "an event tells why it waits")
	require.ErrorContains(t, err, "starting up")
}

// IsPermanent in the configuration has the last word.
func userDecides(t *testing.T) {
	errSoon := errors.New("no tenant yet")
	asked := 0
	p := made(t, server.Database(t), func(c *pool.Config) {
		c.MaxConns, c.OutagePolicy = 1, pool.WaitForServer
		c.IsPermanent = func(err error) bool { return !errors.Is(err, errSoon) && pool.IsPermanent(err) }
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			if asked++; asked < 3 {
				return errSoon
			}
			return nil
		}
	})
	get(t, p).Release()
}

func waitsInVainThere(t *testing.T) string {
	all := refusals(t)
	refused := 0
	for _, r := range all {
		config, err := pgxpool.ParseConfig(r.connString)
		require.NoError(t, err)
		config.BeforeConnect, config.AfterConnect = r.before, r.after
		if r.change != nil {
			r.change(config.ConnConfig)
		}
		p, err := pgxpool.NewWithConfig(background(t), config)
		require.NoError(t, err)
		if _, err = p.Acquire(background(t)); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			refused++
		}
		p.Close()
	}
	return fmt.Sprintf("%d of %d refused at once", refused, len(all))
}
