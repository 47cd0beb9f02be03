// Package pooltest runs a throwaway PostgreSQL for tests, examples and benchmarks, as net/http/httptest does for HTTP.
//
//	func TestMain(m *testing.M) {
//		server, err := pooltest.Start(context.Background())
//		// …
//		code := m.Run()
//		server.Close()
//		os.Exit(code)
//	}
//
//	func TestQuery(t *testing.T) {
//		conn, err := pgx.Connect(t.Context(), server.Database(t)) // a database of this test's own
//		// …
//	}
//
// [Start] makes a private cluster: it can be stopped, crashed and restarted on the same port, and takes options for passwords,
// TLS and settings. [Open] uses the server that DATABASE_URL names, where it is set, and is otherwise Start.
//
// # What it needs
//
// The programs initdb and postgres, version 13 or later: on PATH, where pg_config says, or in one of the usual folders. Where
// there are none the error is [ErrNotInstalled], whose text says what to install; [AllowInstall] lets the package do it on
// Debian and Ubuntu. A private cluster needs a Unix (Linux, macOS, BSD); elsewhere Start returns [ErrUnsupported] and Open
// needs DATABASE_URL.
//
// PostgreSQL refuses to run as root, so a test that runs as root (in a container, say) runs it as the user postgres, or
// nobody where there is no postgres.
//
// # What it leaves behind
//
// Nothing. Everything lives in one temporary folder, and a watchdog, a small shell script in a session of its own, made that
// folder. It reads from a pipe that only the test process can write to. When the pipe ends, because of [Server.Close], an
// interrupt, a test timeout's panic, os.Exit or SIGKILL, it ends PostgreSQL and removes the folder. It cannot act where it is
// killed too, as when a whole container is removed.
//
// # What it is not
//
// It is not durable (fsync is off), and unless [WithScram] is given it trusts whoever can connect to the loopback interface,
// as superuser. On a machine shared with people you do not trust, use WithScram.
//
// # Concurrency
//
// A [Server] may be used by any number of goroutines. Stop, Crash, Restart and Close take turns. A running Server has no
// goroutine of its own (one, with [WithLog]) and, once closed, leaves none, so it does not disturb a leak detector.
package pooltest
