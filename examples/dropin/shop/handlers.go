package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	errSoldOut    = errors.New("sold out")
	errBadRequest = errors.New("bad request")
)

// price is the composite type of the same name.
type price struct {
	Cents    int32  `json:"cents"`
	Currency string `json:"currency"`
}

type product struct {
	ID    int32  `json:"id"`
	Name  string `json:"name"`
	Price price  `json:"price"`
	Stock int32  `json:"stock"`
}

func (s shop) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(context.Context, *http.Request) (any, error){
		"GET /health":              s.health,
		"GET /products":            s.products,
		"GET /products/{id}":       s.product,
		"POST /products":           s.addProduct,
		"POST /products/import":    s.importProducts,
		"POST /deliveries":         s.deliver,
		"GET /summary":             s.summary,
		"POST /purchases":          s.buy,
		"POST /purchases/{id}/pay": s.pay,
		"GET /report":              s.report,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			patience, err := time.ParseDuration(r.Header.Get("Patience"))
			if err != nil {
				patience = 30 * time.Second
			}
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			defer cancel()
			ctx = context.WithValue(ctx, customerKey{}, r.Header.Get("Customer"))
			answer, err := handle(ctx, r)
			status := statusOf(err)
			if err != nil {
				answer = http.StatusText(status)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			if err := json.NewEncoder(w).Encode(answer); err != nil {
				log.Print(err)
			}
		})
	}
	return mux
}

func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, errBadRequest):
		return http.StatusBadRequest
	case errors.Is(err, errBlocked):
		return http.StatusForbidden
	case errors.Is(err, pgx.ErrNoRows):
		return http.StatusNotFound
	case errors.Is(err, errSoldOut), isDuplicate(err):
		return http.StatusConflict
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	log.Print(err)
	return http.StatusInternalServerError
}

// isDuplicate reports whether err is PostgreSQL's unique_violation.
func isDuplicate(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505"
}

// body reads a request's JSON.
func body[T any](r *http.Request) (v T, err error) {
	if err = json.NewDecoder(r.Body).Decode(&v); err != nil {
		err = fmt.Errorf("%w: %w", errBadRequest, err)
	}
	return v, err
}

func (s shop) health(ctx context.Context, _ *http.Request) (any, error) {
	return map[string]int32{"max_conns": s.pool.Stat().MaxConns()}, s.pool.Ping(ctx)
}

func (s shop) products(ctx context.Context, _ *http.Request) (any, error) {
	rows, err := s.pool.Query(ctx, "select id, name, price, stock from product order by id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[product])
}

func (s shop) product(ctx context.Context, r *http.Request) (any, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return nil, errBadRequest
	}
	p := product{ID: int32(id)}
	err = s.pool.QueryRow(ctx, "select name, price, stock from product where id = $1", id).Scan(&p.Name, &p.Price, &p.Stock)
	return p, err
}

func (s shop) addProduct(ctx context.Context, r *http.Request) (any, error) {
	p, err := body[product](r)
	if err != nil {
		return nil, err
	}
	tag, err := s.pool.Exec(ctx, "insert into product values ($1, $2, $3, $4)", p.ID, p.Name, p.Price, p.Stock)
	return tag.String(), err
}

func (s shop) importProducts(ctx context.Context, r *http.Request) (any, error) {
	ps, err := body[[]product](r)
	if err != nil {
		return nil, err
	}
	return s.pool.CopyFrom(ctx, pgx.Identifier{"product"}, []string{"id", "name", "price", "stock"},
		pgx.CopyFromSlice(len(ps), func(i int) ([]any, error) {
			return []any{ps[i].ID, ps[i].Name, ps[i].Price, ps[i].Stock}, nil
		}))
}

// deliver puts a whole delivery in stock, or, if a product is unknown, nothing
// of it. The begin travels with the updates, in one round trip.
func (s shop) deliver(ctx context.Context, r *http.Request) (any, error) {
	ps, err := body[[]product](r)
	if err != nil {
		return nil, err
	}
	stock := make([]int32, len(ps))
	var batch pgx.Batch
	batch.BeginTx(pgx.TxOptions{})
	for i, p := range ps {
		batch.Queue("update product set stock = stock + $2 where id = $1 returning stock", p.ID, p.Stock).
			QueryRow(func(row pgx.Row) error { return row.Scan(&stock[i]) })
	}
	results := s.pool.SendBatch(ctx, &batch)
	tx := results.Tx()
	defer tx.Rollback(ctx) // after the commit: nothing
	if err := results.Close(); err != nil {
		return nil, err
	}
	return stock, tx.Commit(ctx)
}

func (s shop) summary(ctx context.Context, _ *http.Request) (any, error) {
	var sum struct {
		Prices    []price  `json:"prices"`
		Customers []string `json:"customers"`
		Paid      int      `json:"paid"`
	}
	var batch pgx.Batch
	batch.Queue("select array_agg(price order by id) from product").
		QueryRow(func(row pgx.Row) error { return row.Scan(&sum.Prices) })
	batch.Queue("select distinct customer from purchase order by customer").
		Query(func(rows pgx.Rows) (err error) {
			sum.Customers, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
	batch.Queue("select count(*) from purchase where paid").
		QueryRow(func(row pgx.Row) error { return row.Scan(&sum.Paid) })
	err := s.pool.SendBatch(ctx, &batch).Close()
	return sum, err
}

// buy takes products from the stock: all of them, or none. A coupon that was
// used before is left out, which does not hinder the purchase.
func (s shop) buy(ctx context.Context, r *http.Request) (any, error) {
	order, err := body[struct {
		Products []int32
		Coupon   string
	}](r)
	if err != nil {
		return nil, err
	}
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx) // after the commit: nothing
	var receipt struct {
		ID       int32 `json:"id"`
		Cents    int32 `json:"cents"`
		Discount bool  `json:"discount"`
	}
	for _, id := range order.Products {
		var p price
		err := tx.QueryRow(ctx, "update product set stock = stock - 1 where id = $1 and stock > 0 returning price", id).Scan(&p)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errSoldOut
		}
		if err != nil {
			return nil, err
		}
		receipt.Cents += p.Cents
	}
	err = tx.QueryRow(ctx, "insert into purchase (products) values ($1) returning id", order.Products).Scan(&receipt.ID)
	if err != nil {
		return nil, err
	}
	if order.Coupon != "" {
		if receipt.Discount, err = redeem(ctx, tx, receipt.ID, order.Coupon); err != nil {
			return nil, err
		}
	}
	return receipt, tx.Commit(ctx)
}

// redeem uses a coupon, and reports whether it was still unused. It does so
// behind a savepoint, without which a refused update would fail all of tx.
func redeem(ctx context.Context, tx pgx.Tx, id int32, coupon string) (bool, error) {
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return false, err
	}
	_, err = savepoint.Exec(ctx, "update purchase set coupon = $2 where id = $1", id, coupon)
	if isDuplicate(err) {
		return false, savepoint.Rollback(ctx)
	}
	if err != nil {
		return false, err
	}
	return true, savepoint.Commit(ctx)
}

func (s shop) pay(ctx context.Context, r *http.Request) (any, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return nil, errBadRequest
	}
	return "paid", pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update purchase set paid = true where id = $1 and not paid", id)
		if err == nil && tag.RowsAffected() == 0 {
			return pgx.ErrNoRows
		}
		return err
	})
}

// report takes an hour, of which it gets a moment. The pool drops the
// connection, which pgx has to close in order to give up.
func (s shop) report(ctx context.Context, _ *http.Request) (any, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = conn.Exec(ctx, "select pg_sleep(3600)")
	return nil, err
}
