package pool_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rows of a batch that were left when its results were closed: to pgx, they are what
// is read next on the connection, which is another borrower's by then.
func TestRowsOfABatchEndWithItsResults(t *testing.T) {
	p, _ := threaded(t, 1, 1)
	rows := func(late func(pgx.Rows) error) func(pgx.BatchResults) func() error {
		return func(results pgx.BatchResults) func() error {
			rows, err := results.Query()
			require.NoError(t, err)
			require.True(t, rows.Next())
			return func() error { return late(rows) }
		}
	}
	for name, begin := range map[string]func(pgx.BatchResults) func() error{
		"Close":  rows(func(rows pgx.Rows) error { rows.Close(); return rows.Err() }),
		"Next":   rows(func(rows pgx.Rows) error { assert.False(t, rows.Next()); return rows.Err() }),
		"Scan":   rows(func(rows pgx.Rows) error { return rows.Scan(nil) }),
		"Values": rows(func(rows pgx.Rows) error { _, err := rows.Values(); return err }),
		"a row": func(results pgx.BatchResults) func() error {
			row := results.QueryRow()
			return func() error { return row.Scan(nil) }
		},
	} {
		var b pgx.Batch
		b.Queue("select generate_series(1, 10)")
		results := p.SendBatch(background(t), &b)
		late := begin(results)
		require.NoError(t, results.Close())

		next, err := p.Query(background(t), "select generate_series(101, 110)")
		require.NoError(t, err)
		require.True(t, next.Next())
		assert.Error(t, late(), name)
		n := 1
		for next.Next() {
			n++
		}
		require.NoError(t, next.Err())
		assert.Equal(t, 10, n, "%s: the next borrower's rows", name)
	}
}
