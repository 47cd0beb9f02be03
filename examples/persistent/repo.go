package main

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A querier is all that a repository knows of the database. That it is a pool, and
// the connection that of the request, is between the pool and the context.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

type invoice struct {
	Customer string `json:"customer"`
	Cents    int32  `json:"cents"`
}

// invoices is the repository that the handlers know. No statement mentions the
// tenant: row-level security does.
type invoices struct {
	db      querier
	journal journal
}

// Add writes an invoice and says so in the journal: both, or, in a transaction,
// none.
func (r invoices) Add(ctx context.Context, i invoice) error {
	if err := r.journal.note(ctx, "an invoice for "+i.Customer); err != nil {
		return err
	}
	_, err := r.db.Exec(ctx, "insert into invoice (customer, cents) values ($1, $2)", i.Customer, i.Cents)
	return err
}

func (r invoices) List(ctx context.Context) ([]invoice, error) {
	rows, err := r.db.Query(ctx, "select customer, cents from invoice order by id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[invoice])
}

// journal is a repository below that one.
type journal struct{ db querier }

func (j journal) note(ctx context.Context, entry string) error {
	_, err := j.db.Exec(ctx, "insert into journal (entry) values ($1)", entry)
	return err
}

func (j journal) entries(ctx context.Context) ([]string, error) {
	rows, err := j.db.Query(ctx, "select entry from journal order by id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
