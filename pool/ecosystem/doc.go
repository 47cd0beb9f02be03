// Package ecosystem shows, by its tests, that what people use with pgxpool
// works unchanged with package pool: code that sqlc generated, scany, pgx's own
// helpers, types registered in AfterConnect, and the tracers otelpgx and
// multitracer, whose methods name *pgxpool.Pool.
//
//	cd pool/ecosystem && go test ./...
//
// It is a module of its own, so that pgactor's users need none of these. Each
// test also passes with pgxpool itself: in the test files, import
//
//	pool "github.com/jackc/pgx/v5/pgxpool"
//
// instead of "github.com/pgactor/pgactor/pool".
//
// What cannot work unchanged: otelpgx.RecordStats. It asks for methods that
// return *pgxpool.Stat and *pgxpool.Config, and nobody but pgxpool can make a
// *pgxpool.Stat.
package ecosystem

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate -f sqlcdb/sqlc.yaml
