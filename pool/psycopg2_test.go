package pool_test

import (
	"testing"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// What psycopg2's connection pools do, and what is done differently here, call
// by call. The README's table "psycopg2, row by row" tells the same in words.
func TestPsycopg2(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"AbstractConnectionPool: one interface for all pools", abstractPool},
		{"SimpleConnectionPool: exhausted at once", simpleNeverWaits},
		{"SimpleConnectionPool: used by two goroutines", simpleConcurrentUse},
		{"SimpleConnectionPool: closeall does not wait", simpleCloseAllDoesNotWait},
		{"ThreadedConnectionPool: any number of threads", manyThreadsShareFew},
		{"ThreadedConnectionPool: who waits is served in order", waitersAreServedInOrder},
		{"ThreadedConnectionPool: no lock around connect, rollback and close", hangingServerHoldsUpNobody},

		{"minconn: opened by the constructor", opensMinconn},
		{"minconn: a failure is the constructor's", constructorFailures},
		{"minconn: a failure leaves nothing open", constructorLeavesNothingOpen},
		{"minconn: the constructor ends with its context", constructorEndsWithItsContext},
		{"minconn: one that is lost is replaced", lostIsReplaced},
		{"minconn: more are kept", keepsMoreThanMinconn},
		{"maxconn: never more at any moment", neverMoreThanMaxconn},
		{"*args, **kwargs: what psycopg2 passes on to connect", configuredByOptions},
		{"maxconn: sizes are checked", sizesAreChecked},

		{"getconn: an idle connection, else a new one", idleElseNew},
		{"getconn: exhausted", exhaustionTellsHowThingsStand},
		{"getconn: as psycopg2's, an idle one, a new one, or an error at once", noWaitDoesAsPsycopg2},
		{"getconn: as psycopg2's, when the connect fails", noWaitAndAFailingConnect},
		{"getconn: its context has ended", getWithEndedContext},
		{"getconn: closed", closedPoolLendsNothing},
		{"getconn: a connection that ended while idle", endedWhileIdle},
		{"getconn(key): the same key, the same connection", sameKeySameConnection},
		{"getconn(key): a bound key needs no place", boundKeyNeedsNoPlace},
		{"getconn(key): keys never collide", keysNeverCollide},
		{"getconn(key): not comparable", keyThatCannotBeOne},
		{"TryGetConn: idle or exhausted", tryGet},

		{"putconn: an open transaction", openTransaction},
		{"putconn: a rollback that fails", rollbackThatFails},
		{"putconn: a broken connection", brokenConnections},
		{"putconn: half-read rows", halfReadRows},
		{"putconn: session state stays", sessionStateStays},
		{"putconn(key): the wrong key", wrongKeyChangesNothing},
		{"putconn(close=True): closed", closedInsteadOfKept},
		{"putconn(close=True): shared", sharedIsClosedWithItsLastLease},
		{"putconn: foreign connection", foreignConn},
		{"putconn: twice", putTwice},
		{"putconn: use after it", useAfterPut},

		{"closeall: everything is closed", closesEverything},
		{"closeall: borrowers may finish", borrowersMayFinish},
		{"closeall: reaches lent connections", reachesLentConnections},
	} {
		t.Run(row.name, row.test)
	}
}

// The same code uses either pool.
func abstractPool(t *testing.T) {
	a := newAdmin(t)
	simple, err := pool.NewSimple(background(t), 1, 2, a.url)
	require.NoError(t, err)
	threaded, err := pool.NewThreaded(background(t), 1, 2, a.url)
	require.NoError(t, err)
	for name, p := range map[string]pool.ConnectionPool{"simple": simple, "threaded": threaded} {
		t.Run(name, func(t *testing.T) {
			c := get(t, p)
			first := pid(c)
			require.NoError(t, p.PutConn(c))
			c = get(t, p, pool.WithKey("k"))
			require.Equal(t, first, pid(c))
			require.ErrorIs(t, p.PutConn(c, pool.WithKey("other")), pool.ErrWrongKey)
			require.NoError(t, p.PutConn(c, pool.WithKey("k"), pool.WithClose()))
			c = get(t, p)
			require.NotEqual(t, first, pid(c))
			require.NoError(t, p.PutConn(c))
			require.ErrorIs(t, p.PutConn(c), pool.ErrNotLeased)
			require.NoError(t, p.CloseAll(background(t)))
			_, err := p.GetConn(background(t))
			require.ErrorIs(t, err, pool.ErrClosed)
			require.ErrorIs(t, p.CloseAll(background(t)), pool.ErrClosed)
		})
	}
	a.await(0)
}
