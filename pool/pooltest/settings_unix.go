//go:build unix

package pooltest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// configure completes what initdb has written: the settings, who may connect and, with TLS, the certificate. Port and sockets
// are not among the settings but on the command line, where nobody can overrule them.
func (c *cluster) configure() error {
	settings := []setting{
		{"fsync", "off"},
		{"full_page_writes", "off"},
		{"shared_buffers", "16MB"},
		{"dynamic_shared_memory_type", "mmap"}, // in the folder, not in /dev/shm, where a crash would leave it
		{"timezone", "UTC"},
		{"log_timezone", "UTC"},
		{"password_encryption", "scram-sha-256"}, // the default only since version 14
	}
	if c.cfg.tls {
		if err := c.writeCertificate(); err != nil {
			return err
		}
		settings = append(settings, c.tlsSettings()...)
	}
	return errors.Join(c.addSettings(append(settings, c.cfg.settings...)), c.write("data/pg_hba.conf", c.access()))
}

func (c *cluster) tlsSettings() []setting {
	return []setting{{"ssl", "on"}, {"ssl_cert_file", c.path("tls.crt")}, {"ssl_key_file", c.path("tls.key")}}
}

func (c *cluster) addSettings(settings []setting) error {
	file, err := os.OpenFile(c.path("data/postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	quote := strings.NewReplacer(`'`, `''`, `\`, `\\`)
	for _, s := range settings {
		_, failed := fmt.Fprintf(file, "%s = '%s'\n", s.name, quote.Replace(s.value))
		err = errors.Join(err, failed)
	}
	return errors.Join(err, file.Close())
}

// access is the text of pg_hba.conf.
func (c *cluster) access() string {
	host := "host"
	if c.cfg.tls {
		host = "hostssl"
	}
	var text strings.Builder
	for _, database := range []string{"all", "replication"} {
		fmt.Fprintf(&text, "local %s all %s\n", database, c.auth.method)
		fmt.Fprintf(&text, "%s %s all 127.0.0.1/32 %s\n", host, database, c.auth.method)
	}
	return text.String()
}

func (c *cluster) writeCertificate() error {
	certificate, key, err := newCertificate(time.Now())
	if err != nil {
		return err
	}
	return errors.Join(c.write("tls.crt", string(certificate)), c.write("tls.key", string(key)))
}

func (c *cluster) connStrings() (tcp, socket string) {
	login := url.UserPassword("postgres", c.auth.password)
	query := url.Values{"sslmode": {"disable"}}
	if c.cfg.tls {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {c.path("tls.crt")}}
	}
	byTCP := url.URL{Scheme: "postgres", User: login, Host: address(c.port), Path: "/postgres", RawQuery: query.Encode()}
	query = url.Values{"host": {c.path("socket")}, "port": {strconv.Itoa(c.port)}}
	bySocket := url.URL{Scheme: "postgres", User: login, Path: "/postgres", RawQuery: query.Encode()}
	return byTCP.String(), bySocket.String()
}
