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
//	pgpass            a standby's: the password for its primary
//
// The folder itself is ours, only what is in it belongs to the server's account.
type cluster struct {
	cfg      *config
	auth     authentication
	binaries string
	account  *account // nil: our own user
	folder   string
	port     int
	watch    *watchdog
	log      *logFile
	running  *process // nil: stopped
	primary  *cluster // nil: made by initdb, not as a standby
	keeping  bool     // log for standbys
}

// Each time initdb, pg_basebackup or the server is started it has this long, whatever the caller's context says.
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
	if c.auth, err = newAuthentication(ctx, cfg.password, c.program("initdb")); err != nil {
		return nil, err
	}
	return newPrivate(ctx, c)
}

func newPrivate(ctx context.Context, c *cluster) (*Server, error) {
	if err := c.create(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	s := newServer(c)
	s.tcp, s.socket = c.connStrings()
	if c.cfg.tls {
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
	if err := c.fillFolder(ctx); err != nil {
		return err
	}
	return c.startOnFreePort(ctx)
}

// fillFolder makes the data folder, from nothing or from the primary's.
func (c *cluster) fillFolder(ctx context.Context) error {
	create, configure := c.initdb, c.configure
	if c.primary != nil {
		create, configure = c.baseBackup, c.follow
	}
	if err := create(ctx); err != nil {
		return err
	}
	return configure()
}

// program returns the path of one of PostgreSQL's programs: in the folder of initdb and postgres or, should these be links, where
// postgres really is.
func (c *cluster) program(name string) string {
	path := filepath.Join(c.binaries, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	postgres, err := filepath.EvalSymlinks(filepath.Join(c.binaries, "postgres"))
	if err != nil {
		return path
	}
	return filepath.Join(filepath.Dir(postgres), name)
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
	args := []string{"-D", c.path("data"), "--username=postgres", "--auth=" + c.auth.method, "--encoding=UTF8", "--locale=C",
		"--no-sync", "--wal-segsize=1", // one megabyte: quicker to make and to remove
		"--pwfile=" + c.path("password")}
	for _, s := range c.auth.settings {
		args = append(args, "-c", s.name+"="+s.value)
	}
	if err := c.write("password", c.auth.password+"\n"); err != nil {
		return err
	}
	defer os.Remove(c.path("password"))
	return c.run(ctx, (*process).end, "initdb", args...)
}

// run runs a program to its end, or else calls giveUp.
func (c *cluster) run(ctx context.Context, giveUp func(*process), program string, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errStartLimit)
	defer cancel()
	p, err := c.launch(program, args...)
	if err != nil {
		return err
	}
	if p.wait(ctx) != nil {
		giveUp(p)
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
