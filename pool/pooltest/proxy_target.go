package pooltest

import (
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// An endpoint is where a server listens.
type endpoint struct {
	network, address string // as for net.Dial
	connString       string
}

// parseTarget reads a connection string, or an address as host:port.
func parseTarget(target string) (endpoint, error) {
	if !strings.ContainsAny(target, "=/") {
		if _, _, err := net.SplitHostPort(target); err != nil {
			return endpoint{}, fmt.Errorf("pooltest: neither an address nor a connection string: %w", err)
		}
		return endpoint{"tcp", target, "postgres://" + target + "/"}, nil
	}
	config, err := pgconn.ParseConfig(target)
	if err != nil {
		return endpoint{}, fmt.Errorf("pooltest: %w", err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	return endpoint{network, address, target}, nil
}

// withAddress returns connString, a URL or a list of key=value, with addr (host:port) instead of its hosts and ports. It reads
// the URL as PostgreSQL's clients do, so that lists of hosts, which net/url refuses, can be replaced too.
func withAddress(connString, addr string) string {
	scheme, rest, isURL := strings.Cut(connString, "://")
	if !isURL || (scheme != "postgres" && scheme != "postgresql") {
		host, port, _ := net.SplitHostPort(addr)
		return connString + " host=" + host + " port=" + port // of two the later wins
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	authority, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		addr = authority[:at+1] + addr
	}
	connString = scheme + "://" + addr
	if hasPath {
		connString += "/" + path
	}
	query = dropParameters(query, func(name string) bool { // these win over the authority
		return name == "host" || name == "hostaddr" || name == "port"
	})
	if !hasQuery || query == "" {
		return connString
	}
	return connString + "?" + query
}
