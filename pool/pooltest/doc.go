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
// [Start] makes a private cluster: it can be stopped, crashed and restarted on the same port, have a standby, and takes options
// for passwords, TLS and settings. [Open] uses the server that DATABASE_URL names, where it is set, and is otherwise Start.
//
// # Faults
//
// A [Proxy] stands before a server and makes the network misbehave: [Server.Proxy] for one test, [NewProxy] otherwise. Each
// fault is one line, and acts at once, on all connections or one. [Proxy.Heal] ends what is a state and not an event:
//
//	proxy.Delay(pooltest.ToClient, 50*time.Millisecond) // answers come late; DelayFunc: by dice
//	proxy.Throttle(pooltest.BothWays, 64<<10)           // bytes per second
//	proxy.BlackHole(pooltest.BothWays)                  // nothing arrives, nothing is closed; Lift
//	proxy.Reset(pooltest.BothWays)                      // connections end with an RST
//	proxy.HangUp(pooltest.ToServer)                     // half-open: the session ends, the client is not told
//	proxy.Refuse()                                      // new connections are refused
//	proxy.AcceptOnly()                                  // they are accepted, and nobody answers
//	proxy.AcceptsThenCloses()                           // cancel requests get their end too early, as from some poolers
//	proxy.DropSYN()                                     // dialing gets no answer (Linux)
//	proxy.Retarget(standby.ConnString())                // they go to another server
//	proxy.ConnOf(conn.PgConn().Conn()).Reset(…)         // one connection only
//	proxy.Stat().Accepted                               // how many were dialed
//
// The server itself can do more: [Server.Stop] ends sessions with SQLSTATE 57P01, [Server.Crash] ends them without a word, and
// after both the server refuses connections until [Server.Restart]; [Server.Drain] waits for its sessions and refuses new ones
// with 57P03. [Server.Standby] makes a standby, where writes fail with 25006 until [Server.Promote]; with the setting
// hot_standby off it answers 57P03 until then, like a server that starts up for as long as a test likes. For 53300, too many
// connections, start one with WithSetting("max_connections", "5"): the sixth connection of the user postgres is refused, and
// the third of a user who is no superuser, as superuser_reserved_connections is 3.
//
// # What it needs
//
// The programs initdb and postgres, version 13 or later: on PATH, where pg_config says, or in one of the usual folders. Where
// there are none the error is [ErrNotInstalled], whose text says what to install; [AllowInstall] lets the package do it on
// Debian and Ubuntu. A standby needs pg_basebackup too, which is with them in every usual package. A private cluster needs a
// Unix (Linux, macOS, BSD); elsewhere Start returns [ErrUnsupported] and Open needs DATABASE_URL. A Proxy works everywhere, and
// before any server.
//
// PostgreSQL refuses to run as root, so a test that runs as root (in a container, say) runs it as the user postgres, or
// nobody where there is no postgres.
//
// # What it leaves behind
//
// Nothing. Everything lives in one temporary folder for each server, and a watchdog, a small shell script in a session of its
// own, made that folder. It reads from a pipe that only the test process can write to. When the pipe ends, because of
// [Server.Close], an interrupt, a test timeout's panic, os.Exit or SIGKILL, it ends PostgreSQL and removes the folder. It cannot
// act where it is killed too, as when a whole container is removed.
//
// # What it is not
//
// It is not durable (fsync is off).
//
// # Who may connect
//
// A connection needs the password, which is random unless [WithScram] chooses it: a superuser of PostgreSQL can run programs
// as the server's account, and every user of the machine can reach the loopback interface. The connection strings have the password.
// It is in no argument and in no environment, and in files only while initdb reads it, and for a standby as long as that
// lives; they belong to the server's account and nobody else can read them. The check of the password makes a connect
// slower. Roles that a test makes need a password too, if they are to connect.
//
// # Concurrency
//
// A [Server] may be used by any number of goroutines, and so may a [Proxy]. Stop, Crash, Drain, Restart, Standby, Promote and
// Close take turns. A running Server has no goroutine of its own (one, with [WithLog]) and, once closed, leaves none, so it does
// not disturb a leak detector. A Proxy has one, and five for each connection; Close waits for them.
package pooltest
