package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/pool/pooltest"
)

var tenants = []string{"acme", "globex", "initech"}

// Who owns a table, or is a superuser, is not held back by its policies. The
// tenants' roles are neither.
const (
	tables = `
		create table invoice (
			id int generated always as identity primary key, tenant name not null default current_user,
			customer text not null, cents int not null constraint "an invoice is about money" check (cents > 0));
		create table journal (
			id int generated always as identity primary key, tenant name not null default current_user,
			entry text not null);
		alter table invoice enable row level security;
		alter table journal enable row level security;
		create policy own on invoice using (tenant = current_user);
		create policy own on journal using (tenant = current_user);`

	// The login user must be a member of a role to set it.
	role = `
		create role %[1]s;
		grant %[1]s to current_user;
		grant select, insert on invoice, journal to %[1]s;`
)

// A database is made for one run of the program.
type database struct {
	connString string
	roles      map[string]string // of the tenants
	server     *pooltest.Server
	dropTables func(context.Context) error
}

// makeDatabase makes a database, and a role for each tenant: roles belong to the
// whole server, so their names are unique.
func makeDatabase(ctx context.Context, server *pooltest.Server) (*database, error) {
	ctx, cancel := uninterrupted(ctx)
	defer cancel()
	connString, drop, err := server.CreateDatabase(ctx)
	if err != nil {
		return nil, needsRights(err)
	}
	run, script := strings.ToLower(rand.Text()[:8]), tables
	roles := map[string]string{}
	for _, tenant := range tenants {
		roles[tenant] = "pgactor_" + run + "_" + tenant
		script += fmt.Sprintf(role, roles[tenant])
	}
	if err := execute(ctx, connString, script); err != nil { // all of it, or nothing
		return nil, errors.Join(needsRights(err), drop(ctx))
	}
	return &database{connString, roles, server, drop}, nil
}

func needsRights(err error) error {
	return fmt.Errorf("making a database and roles, which the user of DATABASE_URL must be allowed to do: %w", err)
}

// uninterrupted is for making and dropping: to be interrupted half-way would leave
// something behind.
func uninterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}

// drop drops the database first: the roles have rights in it.
func (d *database) drop(ctx context.Context) error {
	ctx, cancel := uninterrupted(ctx)
	defer cancel()
	if err := d.dropTables(ctx); err != nil {
		return err
	}
	var script string
	for _, role := range d.roles {
		script += "drop role " + role + ";"
	}
	return execute(ctx, d.server.ConnString(), script)
}

func execute(ctx context.Context, connString, script string) error {
	conn, err := pgx.Connect(ctx, connString)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, script)
	return errors.Join(err, conn.Close(ctx))
}
