package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	tries = 3 // a job that failed so often is given up

	schema = `
		drop schema if exists dropin_listen cascade;
		create schema dropin_listen;
		create table job (
			id int generated always as identity primary key, square float8 not null,
			state text not null default 'new', tries int not null default 0, root float8)`
)

// squares are the jobs: to find the roots. One has none.
var squares = []float64{1, 4, 9, -16, 25, 36, 49, 64, 81, 100}

// workOne does a job that nobody else is at, or returns pgx.ErrNoRows.
func workOne(ctx context.Context, tx pgx.Tx) error {
	var id, tried int
	var square float64
	err := tx.QueryRow(ctx, `select id, square, tries + 1 from job where state = 'new'
		order by id limit 1 for update skip locked`).Scan(&id, &square, &tried)
	if err != nil {
		return err
	}
	// The savepoint lets the job fail without the transaction that has it locked.
	var root *float64
	err = pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		return savepoint.QueryRow(ctx, "select sqrt($1::float8)", square).Scan(&root)
	})
	state := "done"
	if err != nil {
		var refused *pgconn.PgError
		if !errors.As(err, &refused) {
			return err
		}
		state = "new"
		if tried == tries {
			state = "failed"
		}
	}
	_, err = tx.Exec(ctx, "update job set state = $2, tries = $3, root = $4 where id = $1", id, state, tried, root)
	if err != nil || state == "new" {
		return err
	}
	_, err = tx.Exec(ctx, "select pg_notify('job_finished', $1::int::text)", id) // sent by the commit
	return err
}
