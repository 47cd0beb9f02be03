package main

import (
	"bytes"
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const summary = `6 requests on 6 connections: each had its own, and got it again below, in its transaction
60 requests at once on 6 connections: all were served
acme sees its 22 invoices, its 22 entries in the journal, and nothing else
globex sees its 22 invoices, its 22 entries in the journal, and nothing else
initech sees its 22 invoices, its 22 entries in the journal, and nothing else
afterwards nothing is lent, and the 6 connections have no tenant's role
`

func TestSummary(t *testing.T) {
	defer goleak.VerifyNone(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, summary, out.String())
}

// A server that is not its own is as it was afterwards.
func TestDatabaseURL(t *testing.T) {
	defer goleak.VerifyNone(t)
	server, err := pooltest.Start(t.Context(), pooltest.AllowInstall())
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	superuser := server.ConnString()
	require.NoError(t, execute(t.Context(), superuser,
		"create role maker login createdb createrole password 'pw'; create role visitor login password 'pw'; "+
			"create role painter login createdb password 'pw'"))
	before := contents(t, superuser)

	for _, test := range []struct {
		user, err string
	}{
		{"postgres", ""},
		{"maker", ""},
		{"visitor", "permission denied to create database"},
		{"painter", "permission denied to create role"},
	} {
		t.Run(test.user, func(t *testing.T) {
			t.Setenv("DATABASE_URL", as(t, test.user, superuser))
			var out bytes.Buffer
			err := run(t.Context(), &out)
			if test.err == "" {
				require.NoError(t, err)
				require.Equal(t, summary, out.String())
			} else {
				require.ErrorContains(t, err, test.err)
				require.Empty(t, out.String())
			}
			require.Equal(t, before, contents(t, superuser))
		})
	}
}

// as is a connection string for another user, unless that is the one in it.
func as(t *testing.T, user, connString string) string {
	u, err := url.Parse(connString)
	require.NoError(t, err)
	if user != u.User.Username() {
		u.User = url.UserPassword(user, "pw")
	}
	return u.String()
}

// contents lists the roles and databases of a server.
func contents(t *testing.T, connString string) []string {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, connString)
	require.NoError(t, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "select rolname from pg_roles union all select datname from pg_database order by 1")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}
