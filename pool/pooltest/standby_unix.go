//go:build unix

package pooltest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// standby makes a cluster that follows c.
func (c *cluster) standby(ctx context.Context, cfg *config) (*Server, error) {
	if _, err := os.Stat(c.program("pg_basebackup")); err != nil {
		return nil, fmt.Errorf("pooltest: a standby needs pg_basebackup beside postgres "+
			"(Debian, Ubuntu: in the package postgresql-client-…): %w", err)
	}
	if err := c.keepForStandby(); err != nil {
		return nil, err
	}
	cfg.tls, cfg.accounts = c.cfg.tls, c.cfg.accounts
	return newPrivate(ctx, &cluster{cfg: cfg, auth: c.auth, binaries: c.binaries, account: c.account, primary: c})
}

// keepForStandby makes the server keep some of its log for standbys that are away. Segments are small here, and by default five
// of them are all that is kept.
func (c *cluster) keepForStandby() error {
	set := func(s setting) bool { return strings.EqualFold(s.name, "wal_keep_size") }
	if c.keeping || slices.ContainsFunc(c.cfg.settings, set) {
		return nil
	}
	if err := c.addSettings([]setting{{"wal_keep_size", "256MB"}}); err != nil {
		return err
	}
	c.keeping = true
	c.running.signal(syscall.SIGHUP)
	return nil
}

// baseBackup copies the primary's data folder.
func (c *cluster) baseBackup(ctx context.Context) error {
	// The password goes through a file, as a command line can be seen by everyone.
	entry := "*:*:*:postgres:" + strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(c.auth.password) + "\n"
	if err := c.write("pgpass", entry); err != nil {
		return err
	}
	// It has no shared memory, but a child that would go on without it for a while.
	return c.run(ctx, (*process).kill, "pg_basebackup", "-d", c.primaryInfo(), "-D", c.path("data"), "--wal-method=stream",
		"--checkpoint=fast", "--no-sync", "--no-manifest", "--no-password")
}

// follow makes what was copied a standby. Its settings come after those of the primary, and so win.
func (c *cluster) follow() error {
	settings := []setting{
		{"primary_conninfo", c.primaryInfo()},
		{"wal_retrieve_retry_interval", "100ms"}, // usually 5s; a promotion may have to wait for the end of it
	}
	if c.cfg.tls {
		settings = append(settings, c.tlsSettings()...)
		for _, name := range []string{"tls.crt", "tls.key"} {
			content, err := os.ReadFile(c.primary.path(name))
			if err != nil {
				return err
			}
			if err := c.write(name, string(content)); err != nil {
				return err
			}
		}
	}
	if err := c.addSettings(append(settings, c.cfg.settings...)); err != nil {
		return err
	}
	return c.write("data/standby.signal", "")
}

// primaryInfo is how to connect to the primary: by socket, which is never TLS.
func (c *cluster) primaryInfo() string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	return fmt.Sprintf("host='%s' port=%d user=postgres passfile='%s'", quote.Replace(c.primary.path("socket")), c.primary.port,
		quote.Replace(c.path("pgpass")))
}

// promote does what pg_ctl does, which as a second program at a time would be one that the watchdog does not know.
func (c *cluster) promote() error {
	if err := os.WriteFile(c.path("data/promote"), nil, 0o600); err != nil { // the server removes it, maybe at once
		return err
	}
	c.running.signal(syscall.SIGUSR1)
	return nil
}
