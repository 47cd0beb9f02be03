package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// errands is what the customers do, one after another.
var errands = []struct{ customer, method, path, body string }{
	{"", "GET", "/health", ""},
	{"ann", "POST", "/products/import", `[
		{"id": 1, "name": "tea", "price": {"cents": 450, "currency": "EUR"}, "stock": 2},
		{"id": 2, "name": "cup", "price": {"cents": 900, "currency": "EUR"}, "stock": 1}]`},
	{"ann", "POST", "/products", `{"id": 3, "name": "pot", "price": {"cents": 2900, "currency": "EUR"}}`},
	{"ann", "POST", "/products", `{"id": 4, "name": "tea"}`}, // there is a tea
	{"ann", "POST", "/products", `{"id": 4`},
	{"ann", "GET", "/products/1", ""},
	{"ann", "GET", "/products/4", ""},
	{"mallory", "GET", "/products", ""},
	{"bob", "POST", "/purchases", `{"products": [1, 2], "coupon": "SPRING"}`},
	{"eve", "POST", "/purchases", `{"products": [1], "coupon": "SPRING"}`},
	{"ann", "POST", "/deliveries", `[{"id": 1, "stock": 9}, {"id": 4, "stock": 9}]`}, // there is no 4
	{"ann", "POST", "/deliveries", `[{"id": 1, "stock": 9}, {"id": 3, "stock": 5}]`},
	{"bob", "POST", "/purchases", `{"products": [1, 2]}`}, // no cup is left
	{"bob", "POST", "/purchases/1/pay", ""},
	{"bob", "POST", "/purchases/1/pay", ""}, // once is enough
	{"ann", "GET", "/report", ""},
	{"ann", "GET", "/products", ""},
	{"ann", "GET", "/summary", ""},
}

// visit runs the errands, and then what takes several customers at once.
func visit(ctx context.Context, url string) error {
	for _, e := range errands {
		status, answer, err := call(ctx, e.method, url+e.path, e.body, "Customer", e.customer)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s %s: %d %s\n", cmp.Or(e.customer, "nobody"), e.method, e.path, status, answer)
	}

	// More customers than connections, and than pots.
	type sale struct {
		status int
		err    error
	}
	sales := make(chan sale)
	for range 12 {
		go func() {
			status, _, err := call(ctx, "POST", url+"/purchases", `{"products": [3]}`, "Customer", "crowd")
			sales <- sale{status, err}
		}()
	}
	count := map[int]int{}
	var err error
	for range 12 {
		s := <-sales
		count[s.status]++
		err = errors.Join(err, s.err)
	}
	if err != nil {
		return err
	}
	fmt.Printf("12 customers want a pot: %d get one, %d do not\n", count[http.StatusOK], count[http.StatusConflict])
	return nil
}

// call makes one request with one header, and returns the answer without its
// line break.
func call(ctx context.Context, method, url, body, header, value string) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set(header, value)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(b)), err
}
