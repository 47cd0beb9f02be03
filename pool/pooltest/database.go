package pooltest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TB is what Database needs of a test; *testing.T, *testing.B and *testing.F have it.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// How long Database waits for its database to be made, and later dropped.
const databaseLimit = 30 * time.Second

// Database makes a database for one test and returns its connection string, in the form of ConnString. It is dropped when the
// test has ended, with whatever is still connected to it. Either may take 30 seconds at most; a failure is fatal to the test.
func (s *Server) Database(tb TB) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
	defer cancel()
	connString, drop, err := s.CreateDatabase(ctx)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		tb.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), databaseLimit)
		defer cancel()
		if err := drop(ctx); err != nil {
			tb.Fatalf("%v", err)
		}
	})
	return connString
}

// CreateDatabase makes a new, empty database with a name of its own, and returns a connection string for it, in the form of
// ConnString, and a function that drops it, ending the sessions that still use it. Both block until the server has done it or
// ctx ends, and leave no session behind that could be seen in pg_stat_activity. drop may be called again; on a private server
// that is stopped or closed it does nothing: the database goes when the cluster goes. Errors: [ErrClosed], ctx's, or
// PostgreSQL's.
func (s *Server) CreateDatabase(ctx context.Context) (connString string, drop func(context.Context) error, err error) {
	closed, _, err := s.look(ctx)
	if err != nil {
		return "", nil, err
	}
	if closed {
		return "", nil, ErrClosed
	}
	name := "pooltest_" + randomName()
	if err := s.execute(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, fmt.Errorf("pooltest: creating a database: %w", err)
	}
	return withDatabase(s.tcp, name), func(ctx context.Context) error { return s.drop(ctx, name) }, nil
}

func (s *Server) drop(ctx context.Context, name string) error {
	if _, stopped, err := s.look(ctx); err != nil || stopped {
		return err
	}
	if err := s.execute(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("pooltest: dropping a database: %w", err)
	}
	return nil
}

func (s *Server) execute(ctx context.Context, statement string) error {
	return s.administer(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

// administer calls f with a connection to the maintenance database.
func (s *Server) administer(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.tcp)
	if err != nil {
		return err
	}
	return errors.Join(f(conn), hangUp(ctx, conn))
}

// hangUp closes conn and waits until the server has ended the session: pgx's Close alone returns some milliseconds earlier,
// and a test that counts sessions, or has a server with few places, would see ours.
func hangUp(ctx context.Context, conn *pgx.Conn) error {
	if conn.IsClosed() {
		return nil // f failed and has said so
	}
	raw, err := conn.PgConn().Hijack()
	if err != nil {
		return err
	}
	defer raw.Conn.Close()
	stop := context.AfterFunc(ctx, func() { raw.Conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	raw.Frontend.Send(&pgproto3.Terminate{})
	if err := raw.Frontend.Flush(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, raw.Conn); err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil // a reset connection is at its end, too
}

// withDatabase returns connString, a URL or a list of key=value, with another database in it. It reads the URL as PostgreSQL's
// clients do, so that lists of hosts, which net/url refuses, stay as they are.
func withDatabase(connString, name string) string {
	scheme, rest, isURL := strings.Cut(connString, "://")
	if !isURL || (scheme != "postgres" && scheme != "postgresql") {
		return connString + " dbname=" + name // of two the later wins
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	authority, _, _ := strings.Cut(rest, "/")
	connString = scheme + "://" + authority + "/" + name
	if !hasQuery {
		return connString
	}
	if strings.Contains(query, "dbname=") || strings.Contains(query, "database=") { // these win over the path
		query += "&dbname=" + name
	}
	return connString + "?" + query
}

// withoutPool returns connString, a URL or a list of key=value, without the parameters that begin with pool_: they are a pool's,
// and a server refuses a connection that has them.
func withoutPool(connString string) string {
	scheme, rest, isURL := strings.Cut(connString, "://")
	if !isURL || (scheme != "postgres" && scheme != "postgresql") {
		return keyValue.ReplaceAllStringFunc(connString, func(setting string) string {
			if strings.HasPrefix(strings.TrimSpace(setting), "pool_") {
				return ""
			}
			return setting
		})
	}
	rest, query, _ := strings.Cut(rest, "?")
	query = dropParameters(query, func(name string) bool { return strings.HasPrefix(name, "pool_") })
	if query != "" {
		rest += "?" + query
	}
	return scheme + "://" + rest
}

// keyValue matches one of a list of key=value, with the space before it. A value may be quoted.
var keyValue = regexp.MustCompile(`(?s)[ \t\n\r\v\f]*[^= \t\n\r\v\f]+[ \t\n\r\v\f]*=[ \t\n\r\v\f]*` +
	`('([^'\\]|\\.)*'|([^ \t\n\r\v\f\\]|\\.)*)`)

// dropParameters returns the query of a URL without those of its parameters whose name satisfies drop.
func dropParameters(query string, drop func(name string) bool) string {
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), func(parameter string) bool {
		name, _, _ := strings.Cut(parameter, "=")
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		return drop(name)
	}), "&")
}

func randomName() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
