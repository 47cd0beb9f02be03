//go:build unix

package pooltest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// A cluster is a private PostgreSQL in a folder of its own:
//
//	data/             the database cluster
//	socket/           the unix socket
//	log               what initdb and postgres wrote
//	tls.crt, tls.key  with WithTLS
//
// The folder itself is ours, only what is in it belongs to the server's account.
type cluster struct {
	cfg      *config
	binaries string
	account  *account // nil: our own user
	folder   string
	port     int
	watch    *watchdog
	log      *logFile
	running  *process // nil: stopped
}

// Each time initdb or the server is started it has this long, whatever the caller's context says.
const startLimit = time.Minute

var errStartLimit = errors.New("not ready after " + startLimit.String())

func startPrivate(ctx context.Context, cfg *config) (*Server, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &cluster{cfg: cfg}
	var err error
	if c.binaries, err = cfg.binaries(ctx); err != nil {
		return nil, err
	}
	if c.account, err = serverAccount(cfg.accounts); err != nil {
		return nil, err
	}
	if err := c.create(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	s := newServer(c)
	s.tcp, s.socket = c.connStrings()
	if cfg.tls {
		s.certificate = c.path("tls.crt")
	}
	return s, nil
}

func (c *cluster) create(ctx context.Context) error {
	base, err := baseFolder(c.account)
	if err != nil {
		return err
	}
	c.folder = filepath.Join(base, "pgactor-pooltest-"+randomName())
	if c.watch, err = startWatchdog(c.folder); err != nil {
		return err
	}
	if c.log, err = openLog(c.path("log"), c.cfg.log); err != nil {
		return err
	}
	if err := c.makeFolders(); err != nil {
		return err
	}
	if err := c.initdb(ctx); err != nil {
		return err
	}
	if err := c.configure(); err != nil {
		return err
	}
	return c.startOnFreePort(ctx)
}

func (c *cluster) path(name string) string { return filepath.Join(c.folder, name) }

func (c *cluster) makeFolders() error {
	for _, name := range []string{"data", "socket"} {
		if err := os.Mkdir(c.path(name), 0o700); err != nil {
			return err
		}
		if err := c.account.own(c.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// write makes a file that only the server's account, and root, can read.
func (c *cluster) write(name, content string) error {
	if err := os.WriteFile(c.path(name), []byte(content), 0o600); err != nil {
		return err
	}
	return c.account.own(c.path(name))
}

func (c *cluster) initdb(ctx context.Context) error {
	args := []string{"-D", c.path("data"), "--username=postgres", "--auth=" + c.authentication(), "--encoding=UTF8", "--locale=C",
		"--no-sync", "--wal-segsize=1"} // one megabyte: quicker to make and to remove
	if c.cfg.password != "" {
		if err := c.write("password", c.cfg.password+"\n"); err != nil {
			return err
		}
		defer os.Remove(c.path("password"))
		args = append(args, "--pwfile="+c.path("password"))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errStartLimit)
	defer cancel()
	p, err := c.launch("initdb", args...)
	if err != nil {
		return err
	}
	if p.wait(ctx) != nil {
		p.end()
		return c.failed(p, context.Cause(ctx))
	}
	if !p.cmd.ProcessState.Success() {
		return c.failed(p, errors.New(p.cmd.ProcessState.String()))
	}
	return nil
}

// close removes everything, from any state, also a half-made one.
func (c *cluster) close() error {
	if c.running != nil {
		c.running.end()
		c.running = nil
	}
	if c.log != nil {
		c.log.close()
	}
	if c.watch == nil {
		return nil
	}
	return c.watch.close()
}
