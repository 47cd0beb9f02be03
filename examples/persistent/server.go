package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/persistent"
)

// patience is how long a request may take.
const patience = 20 * time.Second

// A service serves the requests of all tenants.
type service struct {
	pool     *persistent.Pool
	roles    map[string]string // of the tenants
	invoices invoices
	journal  journal
	meet     func(ctx context.Context) error // called in the transaction of each invoice, see crowd
}

func newService(p *persistent.Pool, roles map[string]string) *service {
	j := journal{p}
	return &service{pool: p, roles: roles, invoices: invoices{p, j}, journal: j, meet: newCrowd().meet}
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /invoices", s.addInvoice)
	mux.HandleFunc("GET /books", s.showBooks)
	return s.identify(mux)
}

// identify is the middleware: all that is done with the context of a request is done on
// one connection, from the first statement to the end of the request. A request without a
// statement takes none.
func (s *service) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role, ok := s.roles[r.Header.Get("Tenant")] // for real: a login, not just a name
		if !ok {
			http.Error(w, "unknown tenant", http.StatusUnauthorized)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), tenantRole{}, role), patience)
		defer cancel()
		ctx, release := s.pool.Hold(persistent.NewIdentity(ctx))
		defer release()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// addInvoice hands its transaction to nobody: what the repositories do with its context
// is done in it.
func (s *service) addInvoice(w http.ResponseWriter, r *http.Request) {
	var i invoice
	if err := json.NewDecoder(r.Body).Decode(&i); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, r, i, s.pool.InTx(r.Context(), pgx.TxOptions{}, func(ctx context.Context) error {
		if err := s.meet(ctx); err != nil {
			return err
		}
		return s.invoices.Add(ctx, i)
	}))
}

// books are all that a tenant is shown.
type books struct {
	Invoices []invoice
	Journal  []string
}

// showBooks sends two statements outside a transaction. Both are on the connection of the
// request, which has got its role once.
func (s *service) showBooks(w http.ResponseWriter, r *http.Request) {
	var b books
	var err, failed error
	b.Invoices, err = s.invoices.List(r.Context())
	b.Journal, failed = s.journal.entries(r.Context())
	answer(w, r, b, errors.Join(err, failed))
}

func answer(w http.ResponseWriter, r *http.Request, body any, err error) {
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == "23514": // check_violation
		http.Error(w, refused.Message, http.StatusUnprocessableEntity)
		return
	case err != nil:
		id, _ := persistent.Identity(r.Context())
		log.Printf("request %v: %v", id, err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}
