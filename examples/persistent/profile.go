package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
)

// tenantRole is the key of the role of a request's tenant in its context.
type tenantRole struct{}

// profile gives the connection of a request the role of its tenant, before the request
// gets it, and takes the role away before anybody else does. If that fails the pool
// resets the whole session, or closes the connection. A program whose requests leave more
// behind, such as settings or temporary tables, leaves OnUnbind out: then the session is
// reset each time.
var profile = persistent.Profile{
	// A connection with the role of one tenant is refused to a context of another.
	Tenant: func(ctx context.Context) (any, error) {
		role, ok := ctx.Value(tenantRole{}).(string)
		if !ok {
			return nil, errors.New("the context carries no tenant") // the login user sees all
		}
		return role, nil
	},
	OnBind: func(ctx context.Context, role any, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "select set_config('role', $1, false)", role) // SET ROLE takes no parameter
		return err
	},
	OnUnbind: func(ctx context.Context, _ any, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "reset role")
		return err
	},
}
