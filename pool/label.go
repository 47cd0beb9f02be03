package pool

import (
	"context"
	"path"
	"reflect"

	"github.com/jackc/pgx/v5"
)

// Who holds a connection, with Config.TrackLeases.

type labelled struct{}

// WithLabel says what gets with this context, or one derived from it, are for, such
// as the name of a job: with Config.TrackLeases it stands with the holder of the
// connection, in [LeaseInfo], errors and events.
func WithLabel(ctx context.Context, label string) context.Context {
	return context.WithValue(ctx, labelled{}, label)
}

// label is what WithLabel put there.
func label(ctx context.Context) string {
	l, _ := ctx.Value(labelled{}).(string)
	return l
}

// wrappers are the packages through which connections are got. Their caller holds the
// connection.
var wrappers = func() []string {
	here := reflect.TypeFor[Config]().PkgPath()
	pgxs := reflect.TypeFor[pgx.Conn]().PkgPath() // for pgx.BeginFunc
	return []string{here, path.Join(path.Dir(here), "persistent"), pgxs}
}()
