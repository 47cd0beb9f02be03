//go:build unix

package pooltest

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInvalidOptions(t *testing.T) {
	for _, test := range []struct {
		option Option
		want   string
	}{
		{WithScram(""), `pooltest: WithScram(""): the password is empty`},
		{WithScram("two\nlines"), "pooltest: WithScram(…): the password contains a line break or NUL"},
		{WithSetting("", "1"), `pooltest: WithSetting("", "1"): this is no name of a parameter`},
		{WithSetting("work_mem = 1\nfsync", "on"), `pooltest: WithSetting("work_mem = 1\nfsync", "on"): this is no name of a parameter`},
		{WithSetting("Port", "5432"), `pooltest: WithSetting("Port", "5432"): pooltest sets this parameter itself`},
		{WithSetting("work_mem", "1\nfsync=on"), `pooltest: WithSetting("work_mem", "1\nfsync=on"): the value contains a line break or NUL`},
		{WithLog(nil), "pooltest: WithLog(nil): there is nothing to write to"},
	} {
		for _, begin := range []func(context.Context, ...Option) (*Server, error){Start, Open} {
			_, err := begin(t.Context(), test.option)
			var refused *OptionError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, test.want, err.Error())
		}
	}
}

func TestWithScram(t *testing.T) {
	const password = "it's a:secret/@?#%&é"
	s := start(t, WithScram(password))
	for _, connString := range []string{s.ConnString(), s.SocketConnString(), s.Database(t)} {
		config, err := pgx.ParseConfig(connString)
		require.NoError(t, err)
		assert.Equal(t, password, config.Password)
		connect(t, connString)
		config.Password = "wrong"
		_, err = pgx.ConnectConfig(t.Context(), config)
		assert.Equal(t, "28P01", sqlState(err))
	}
	stored := ask[string](t, connect(t, s.ConnString()), "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
	assert.True(t, strings.HasPrefix(stored, "SCRAM-SHA-256$"), stored)
	assert.NoFileExists(t, s.engine.(*cluster).path("password"))
}

// Another user of the machine can reach the port, but knows no password. To check ours is cheap: the server keeps it in a form
// that takes no time to compare with.
func TestRandomPassword(t *testing.T) {
	s := start(t)
	config, err := pgx.ParseConfig(s.ConnString())
	require.NoError(t, err)
	random := config.Password
	require.Len(t, random, 26)
	for _, connString := range []string{s.ConnString(), s.SocketConnString(), s.Database(t), s.Proxy(t).ConnString()} {
		conn := connect(t, connString)
		config := conn.Config()
		assert.Equal(t, random, config.Password)
		for _, password := range []string{"", "wrong"} {
			config.Password = password
			_, err := pgx.ConnectConfig(t.Context(), config)
			assert.Contains(t, []string{"28P01", "28000"}, sqlState(err), "%v", err)
		}
	}
	stored := ask[string](t, connect(t, s.ConnString()), "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
	assert.Regexp(t, `^(md5|SCRAM-SHA-256\$1:)`, stored)

	c := s.engine.(*cluster)
	require.NoError(t, filepath.WalkDir(c.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // the server's files come and go
		}
		if content, err := os.ReadFile(path); err == nil {
			assert.NotContains(t, string(content), random, path)
		}
		return nil
	}))
	assert.NotContains(t, strings.Join(c.running.cmd.Args, " "), random)
	assert.NotContains(t, strings.Join(c.running.cmd.Env, " "), random)
}

func TestAuthenticationByVersion(t *testing.T) {
	program := filepath.Join(t.TempDir(), "initdb")
	for version, want := range map[string]authentication{
		"15.18 (Debian 15.18-0+deb12u1)": {method: "md5"},
		"16beta1":                        {method: "scram-sha-256", settings: []setting{{"scram_iterations", "1"}}},
		"18.4":                           {method: "scram-sha-256", settings: []setting{{"scram_iterations", "1"}}},
	} {
		require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho 'initdb (PostgreSQL) "+version+"'\n"), 0o700))
		got, err := newAuthentication(t.Context(), "", program)
		require.NoError(t, err)
		assert.Len(t, got.password, 26)
		got.password = ""
		assert.Equal(t, want, got)
	}
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho no library\nexit 3\n"), 0o700))
	_, err := newAuthentication(t.Context(), "", program)
	var failed *ProgramError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "no library", failed.Log)
}

func TestWithTLS(t *testing.T) {
	s := start(t, WithTLS())
	for _, connString := range []string{s.ConnString(), s.Database(t)} {
		conn := connect(t, connString)
		assert.True(t, ask[bool](t, conn, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
	}
	assert.False(t, ask[bool](t, connect(t, s.SocketConnString()), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))

	config, err := pgx.ParseConfig(s.ConnString())
	require.NoError(t, err)
	assert.False(t, config.TLSConfig.InsecureSkipVerify)
	assert.FileExists(t, s.CertificateFile())

	config.TLSConfig = nil
	_, err = pgx.ConnectConfig(t.Context(), config)
	assert.Equal(t, "28000", sqlState(err), "without TLS")

	config.TLSConfig = &tls.Config{ServerName: "127.0.0.1"}
	_, err = pgx.ConnectConfig(t.Context(), config)
	var distrust *tls.CertificateVerificationError
	assert.ErrorAs(t, err, &distrust, "without the certificate")
}

func TestWithSetting(t *testing.T) {
	s := start(t, WithSetting("max_connections", "7"), WithSetting("work_mem", "1MB"), WithSetting("work_mem", "2MB"),
		WithSetting("search_path", `"it's", a\b`), WithSetting("my.own", ""))
	conn := connect(t, s.ConnString())
	assert.Equal(t, "7", ask[string](t, conn, "SHOW max_connections"))
	assert.Equal(t, "2MB", ask[string](t, conn, "SHOW work_mem"))
	assert.Equal(t, `"it's", a\b`, ask[string](t, conn, "SHOW search_path"))
	assert.Empty(t, ask[string](t, conn, "SHOW my.own"))
}

func TestWithSettingThatTheServerRefuses(t *testing.T) {
	base := shortTempDir(t)
	t.Setenv("TMPDIR", base)
	_, err := Start(t.Context(), AllowInstall(), WithSetting("work_memory", "1"))
	var failed *ProgramError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "postgres", failed.Program)
	assert.EqualError(t, failed.Err, "exit status 1")
	assert.Contains(t, failed.Log, `unrecognized configuration parameter "work_memory"`)
	requireNothingLeft(t, base)
}

func TestWithLog(t *testing.T) {
	log := newLockedBuffer()
	s := start(t, WithLog(log))
	run(t, connect(t, s.ConnString()), "DO $$ BEGIN RAISE WARNING 'to the log'; END $$")
	require.NoError(t, s.Stop(t.Context()))
	assert.Contains(t, log.String(), "to the log")
	assert.Contains(t, log.String(), "database system is shut down")
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWithLogThatFails(t *testing.T) {
	s := start(t, WithLog(failingWriter{}))
	require.NoError(t, s.Restart(t.Context()))
	content, err := os.ReadFile(filepath.Join(s.engine.(*cluster).folder, "log"))
	require.NoError(t, err)
	assert.Contains(t, string(content), "database system is shut down")
}
