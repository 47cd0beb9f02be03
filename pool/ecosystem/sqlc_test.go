package ecosystem_test

import (
	_ "embed"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/pgactor/pgactor/pool"
	"github.com/pgactor/pgactor/pool/ecosystem/sqlcdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

//go:embed sqlcdb/schema.sql
var schema string

var (
	_ sqlcdb.DBTX = (*pool.Pool)(nil)
	_ sqlcdb.DBTX = (*pool.Conn)(nil)
	_ sqlcdb.DBTX = pgx.Tx(nil)
)

// TestSQLC calls one query of each kind that sqlc knows.
func TestSQLC(t *testing.T) {
	onEach(t, schema, func(t *testing.T, db handle) {
		ctx := background(t)
		q := sqlcdb.New(db)

		phone, err := q.AddPhone(ctx, sqlcdb.AddPhoneParams{Model: "IPhone 12", Condition: sqlcdb.ConditionUsed, Cents: 80000}) // :one
		require.NoError(t, err)
		assert.Equal(t, sqlcdb.Phone{ID: 1, Model: "IPhone 12", Condition: "used", Cents: 80000}, phone)

		n, err := q.ImportPhones(ctx, []sqlcdb.ImportPhonesParams{{Model: "Google Pixel 2", Cents: 90000}, {Model: "Nokia 3310", Cents: 500}}) // :copyfrom
		require.NoError(t, err)
		assert.EqualValues(t, 2, n)

		var calls int
		q.SetCondition(ctx, []sqlcdb.SetConditionParams{ // :batchexec
			{Model: "Google Pixel 2", Condition: sqlcdb.ConditionBroken},
			{Model: "Nokia 3310", Condition: sqlcdb.ConditionBroken},
		}).Exec(func(i int, err error) {
			assert.NoError(t, err, i)
			calls++
		})
		assert.Equal(t, 2, calls)

		q.CentsOf(ctx, []string{"IPhone 12", "no such phone"}).QueryRow(func(i int, cents int32, err error) { // :batchone
			if i == 0 {
				assert.NoError(t, err)
				assert.EqualValues(t, 80000, cents)
			} else {
				assert.ErrorIs(t, err, pgx.ErrNoRows)
			}
			calls++
		})
		assert.Equal(t, 4, calls)

		var models [][]string
		q.ModelsIn(ctx, []sqlcdb.Condition{sqlcdb.ConditionBroken, sqlcdb.ConditionUsed}).Query(func(i int, m []string, err error) { // :batchmany
			assert.NoError(t, err, i)
			models = append(models, m)
		})
		assert.Equal(t, [][]string{{"Google Pixel 2", "Nokia 3310"}, {"IPhone 12"}}, models)

		require.NoError(t, q.Annotate(ctx, sqlcdb.AnnotateParams{ID: 1, Note: pgtype.Text{String: "scratched", Valid: true}})) // :exec

		n, err = q.Discount(ctx, 1000) // :execrows
		require.NoError(t, err)
		assert.EqualValues(t, 2, n)

		phones, err := q.PhonesFrom(ctx, 1000) // :many
		require.NoError(t, err)
		assert.Equal(t, []sqlcdb.Phone{
			{ID: 1, Model: "IPhone 12", Condition: "used", Cents: 79000, Note: pgtype.Text{String: "scratched", Valid: true}},
			{ID: 2, Model: "Google Pixel 2", Condition: "broken", Cents: 89000},
		}, phones)

		tag, err := q.Clear(ctx) // :execresult
		require.NoError(t, err)
		assert.Equal(t, "DELETE 3", tag.String())

		_, err = q.PhoneByModel(ctx, "IPhone 12")
		assert.ErrorIs(t, err, pgx.ErrNoRows)
	})
}

func TestSQLCWithTx(t *testing.T) {
	ctx := background(t)
	p := open(t, server.Database(t))
	_, err := p.Exec(ctx, schema)
	require.NoError(t, err)
	q := sqlcdb.New(p)
	nokia := sqlcdb.AddPhoneParams{Model: "Nokia 3310", Condition: sqlcdb.ConditionNew, Cents: 500}

	tx, err := p.Begin(ctx)
	require.NoError(t, err)
	_, err = q.WithTx(tx).AddPhone(ctx, nokia)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(ctx))
	_, err = q.PhoneByModel(ctx, nokia.Model)
	assert.ErrorIs(t, err, pgx.ErrNoRows)

	tx, err = p.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	require.NoError(t, err)
	_, err = q.WithTx(tx).AddPhone(ctx, nokia)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	_, err = q.PhoneByModel(ctx, nokia.Model)
	assert.NoError(t, err)

	_, err = q.AddPhone(ctx, nokia)
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	assert.Equal(t, "23505", pgErr.Code) // unique_violation
}
