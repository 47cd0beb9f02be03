// Package sqlcdb is what sqlc makes of schema.sql and query.sql, for pgx/v5.
package sqlcdb
