package pool

import (
	"context"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A connection string may name several hosts, and a host may have several addresses. pgx
// tries them in turn. Each host has its time, so that one that is silent leaves the next
// its own, and what has failed before another address succeeded is tried last the next
// time.

// connectTime is how long a host may take with all its addresses, as in pgxpool without a
// connect_timeout, unless that is longer. BeforeConnect and AfterConnect may take as long.
const connectTime = 2 * time.Minute

// connectBudget is how long the connect to all hosts may take, with the hooks. A host that
// is not the preferred one is tried twice.
func (c *Config) connectBudget() time.Duration {
	hosts := map[hostPort]bool{}
	for _, f := range alternatives(c.ConnConfig) {
		hosts[hostOf(f)] = true
	}
	n := time.Duration(1)
	if len(hosts) > 1 { // with some values of sslmode each is there twice
		n += time.Duration(len(alternatives(c.ConnConfig)))
	}
	return n * min(max(connectTime, c.ConnConfig.ConnectTimeout), math.MaxInt64/n)
}

type hostPort struct {
	host string
	port uint16
}

func hostOf(f *pgconn.FallbackConfig) hostPort { return hostPort{f.Host, f.Port} }

// alternatives are the hosts of a configuration, in the order in which they are tried. With
// some values of sslmode a host is there twice.
func alternatives(c *pgx.ConnConfig) []*pgconn.FallbackConfig {
	first := &pgconn.FallbackConfig{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}
	return append([]*pgconn.FallbackConfig{first}, c.Fallbacks...)
}

// A hostRoute is what one connect knows of the ways to the server.
type hostRoute struct {
	found map[string]addresses  // of each host
	at    map[hostPort][]string // as DialFunc gets them
	tried []string              // in this order
}

// addresses are the answer of a LookupFunc.
type addresses struct {
	list []string
	err  error
}

// route looks up the hosts of cc, and puts the addresses that failed the last time behind
// the others, and likewise the hosts. A connect with cc and a context that life is an
// ownDial of goes by the route, which learns the addresses that are tried. To others
// cc shows what it was.
func (p *Pool) route(ctx, life context.Context, cc *pgx.ConnConfig) *hostRoute {
	r := &hostRoute{map[string]addresses{}, map[hostPort][]string{}, nil}
	bad := <-p.bad // what others learn meanwhile comes too late for this one
	p.bad <- bad
	most := 1
	hosts := alternatives(cc)
	for _, h := range hosts {
		if _, known := r.at[hostOf(h)]; !known {
			r.at[hostOf(h)] = r.lookUp(ctx, cc, h, bad)
			most = max(most, len(r.at[hostOf(h)]))
		}
	}
	if len(bad) > 0 {
		hosts = putLast(hosts, func(h *pgconn.FallbackConfig) bool { return allIn(bad, r.at[hostOf(h)]) })
		cc.Host, cc.Port, cc.TLSConfig, cc.Fallbacks = hosts[0].Host, hosts[0].Port, hosts[0].TLSConfig, hosts[1:]
	}
	if cc.ConnectTimeout <= 0 {
		cc.ConnectTimeout = connectTime
	}
	// pgx gives so much to each address.
	cc.ConnectTimeout = min(cc.ConnectTimeout, max(cc.ConnectTimeout, connectTime)/time.Duration(most))
	lookUp, dial := cc.LookupFunc, cc.DialFunc
	cc.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		if ctx.Value(ownDial{}) != life {
			return lookUp(ctx, host)
		}
		return r.found[host].list, r.found[host].err
	}
	cc.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(ownDial{}) == life { // not to cancel a statement, later
			r.tried = append(r.tried, address)
		}
		return dial(ctx, network, address)
	}
	return r
}

// lookUp finds the addresses of a host, with the bad ones last.
func (r *hostRoute) lookUp(ctx context.Context, cc *pgx.ConnConfig, h *pgconn.FallbackConfig, bad badAddresses) (list []string) {
	if network, address := pgconn.NetworkAddress(h.Host, h.Port); network == "unix" {
		return []string{address}
	}
	a, known := r.found[h.Host]
	if !known {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		a.list, a.err = cc.LookupFunc(ctx, h.Host)
	}
	a.list = putLast(a.list, func(ip string) bool { return bad[dialed(ip, h.Port)] })
	r.found[h.Host] = a
	for _, ip := range a.list {
		list = append(list, dialed(ip, h.Port))
	}
	return list
}

// dialed is the address that pgx dials for an answer of LookupFunc, which may name a port.
func dialed(ip string, port uint16) string {
	if _, _, err := net.SplitHostPort(ip); err == nil {
		return ip
	}
	return net.JoinHostPort(ip, strconv.Itoa(int(port)))
}

// badAddresses are those that were tried in vain before another one succeeded.
type badAddresses map[string]bool

// learn notes what a connect that succeeded has found out.
func (p *Pool) learn(r *hostRoute) {
	if len(r.tried) == 0 {
		return
	}
	old, bad := <-p.bad, badAddresses{}
	for _, list := range r.at { // what is no address of a host any more is forgotten
		for _, address := range list {
			if old[address] {
				bad[address] = true
			}
		}
	}
	for _, address := range r.tried {
		bad[address] = true
	}
	delete(bad, r.tried[len(r.tried)-1])
	p.bad <- bad
}

// forget has the next connect try the hosts in the order of the connection string.
func (p *Pool) forget() {
	<-p.bad
	p.bad <- nil
}

func allIn(bad badAddresses, list []string) bool {
	for _, address := range list {
		if !bad[address] {
			return false
		}
	}
	return len(list) > 0
}

// putLast returns list with those for which f holds behind the others, in their order.
func putLast[T any](list []T, f func(T) bool) []T {
	var front, back []T
	for _, v := range list {
		if f(v) {
			back = append(back, v)
		} else {
			front = append(front, v)
		}
	}
	return append(front, back...)
}
