package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// many is more requests than connections.
const many = 60

// A client is the users of all tenants.
type client struct {
	url string
	out io.Writer
}

// visit has the tenants write invoices, all at the same time, and looks at what
// they see.
func (c client) visit(ctx context.Context) error {
	defer http.DefaultClient.CloseIdleConnections()
	if err := together(ctx, connections, c.write); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d requests on %d connections: each had its own, and got it again below, in its transaction\n",
		connections, connections)
	if err := together(ctx, many, c.writeAndSee); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d requests at once on %d connections: all were served\n", many, connections)
	for _, tenant := range tenants {
		if err := c.refuse(ctx, tenant); err != nil {
			return err
		}
		if err := c.look(ctx, tenant, (connections+many)/len(tenants)); err != nil {
			return err
		}
	}
	return nil
}

// together runs an errand n times at once, for each tenant as often. The error is
// the first.
func together(ctx context.Context, n int, errand func(ctx context.Context, tenant string) error) error {
	results := make(chan error)
	for i := range n {
		go func() { results <- errand(ctx, tenants[i%len(tenants)]) }()
	}
	var err error
	for range n {
		err = cmp.Or(err, <-results)
	}
	return err
}

// write sends an invoice.
func (c client) write(ctx context.Context, tenant string) error {
	return c.call(ctx, tenant, "POST", "/invoices", invoice{"a customer of " + tenant, 100}, http.StatusOK, nil)
}

// refuse sends an invoice that the database refuses, when it is in the journal
// already.
func (c client) refuse(ctx context.Context, tenant string) error {
	return c.call(ctx, tenant, "POST", "/invoices", invoice{"nobody of " + tenant, 0}, http.StatusUnprocessableEntity, nil)
}

func (c client) writeAndSee(ctx context.Context, tenant string) error {
	if err := c.write(ctx, tenant); err != nil {
		return err
	}
	_, err := c.see(ctx, tenant)
	return err
}

// see reads all that a tenant is shown, which must be its own.
func (c client) see(ctx context.Context, tenant string) (b books, err error) {
	if err := c.call(ctx, tenant, "GET", "/books", nil, http.StatusOK, &b); err != nil {
		return b, err
	}
	for _, i := range b.Invoices {
		err = cmp.Or(err, ownedBy(tenant, i.Customer))
	}
	for _, entry := range b.Journal {
		err = cmp.Or(err, ownedBy(tenant, entry))
	}
	return b, err
}

func ownedBy(tenant, text string) error {
	if !strings.HasSuffix(text, " of "+tenant) {
		return fmt.Errorf("%s sees what is not its own: %q", tenant, text)
	}
	return nil
}

// look has a tenant see n invoices and as many entries in the journal.
func (c client) look(ctx context.Context, tenant string, n int) error {
	b, err := c.see(ctx, tenant)
	if err != nil {
		return err
	}
	if len(b.Invoices) != n || len(b.Journal) != n {
		return fmt.Errorf("%s sees %d invoices and %d entries in the journal, and should see %d",
			tenant, len(b.Invoices), len(b.Journal), n)
	}
	fmt.Fprintf(c.out, "%s sees its %d invoices, its %d entries in the journal, and nothing else\n", tenant, n, n)
	return nil
}

// call makes a request, and reads the answer into result if there is one.
func (c client) call(ctx context.Context, tenant, method, path string, body any, want int, result any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Tenant", tenant)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if b, err = io.ReadAll(response.Body); err != nil {
		return err
	}
	if response.StatusCode != want {
		return fmt.Errorf("%s %s of %s: %s: %s", method, path, tenant, response.Status, bytes.TrimSpace(b))
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(b, result)
}
