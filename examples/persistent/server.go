package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pgactor/pgactor/persistent"
)

// patience is how long a request may take.
const patience = 20 * time.Second

// A book is what the handlers know of the invoices.
type book interface {
	Add(ctx context.Context, i invoice) error
	List(ctx context.Context) ([]invoice, error)
}

type service struct {
	pool     *persistent.Pool
	roles    map[string]string // of the tenants
	invoices book
	journal  journal
	requests atomic.Int64
}

func newService(p *persistent.Pool, roles map[string]string) *service {
	j := journal{p}
	return &service{pool: p, roles: roles, invoices: invoices{p, j}, journal: j}
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /invoices", s.addInvoice)
	mux.HandleFunc("GET /invoices", list(s.invoices.List))
	mux.HandleFunc("GET /journal", list(s.journal.entries))
	return s.identify(mux)
}

// requestID is the identity of a request. As a type of its own it equals no
// identity that other code may use.
type requestID int64

// identify is the middleware: all that is done with the context of a request is
// done on one connection, that of the request. At the end of the request its
// context ends too, and what a handler has forgotten to put is put then.
func (s *service) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role, ok := s.roles[r.Header.Get("Tenant")] // for real: a login, not just a name
		if !ok {
			http.Error(w, "unknown tenant", http.StatusUnauthorized)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		ctx = context.WithValue(ctx, tenantRole{}, role)
		ctx = persistent.WithIdentity(ctx, requestID(s.requests.Add(1)))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// addInvoice hands its transaction to nobody: what the repositories do under the
// identity of the request is done in it.
func (s *service) addInvoice(w http.ResponseWriter, r *http.Request) {
	var i invoice
	if err := json.NewDecoder(r.Body).Decode(&i); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err := pgx.BeginFunc(r.Context(), s.pool, func(pgx.Tx) error { return s.invoices.Add(r.Context(), i) })
	answer(w, r, i, err)
}

// list is a handler that answers with all that read returns.
func list[T any](read func(context.Context) ([]T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		all, err := read(r.Context())
		answer(w, r, all, err)
	}
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
