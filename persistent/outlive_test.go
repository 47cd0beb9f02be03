package persistent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/persistent"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A callee is code under the identity of its caller, whose context outlives the
// transaction that it takes part in. What becomes of its inserts, one by one, is pinned
// here: each is undone with the transaction (u), kept (k), or refused (r: it knows).
//
// With the context of the identity the pool cannot tell the callee from its caller, who
// goes on after a rollback. With that of InTx no insert is kept that was not the
// transaction's.
func TestCalleesThatOutliveATransaction(t *testing.T) {
	const before, after = 2, 3 // inserts of each callee
	end := func(p *persistent.Pool, tx pgx.Tx, cancel func()) {
		cancel()
		for tx.Conn() != nil { // its lease ends in another goroutine
		}
	}
	for name, row := range map[string]struct {
		keeps bool // the owner's caller has a handle, as Hold has
		end   func(p *persistent.Pool, tx pgx.Tx, cancel func())
		want  string // of two callees in turn, after the end
	}{
		"Rollback":               {false, func(_ *persistent.Pool, tx pgx.Tx, _ func()) { _ = tx.Rollback(context.Background()) }, "kk kk kk"},
		"Rollback, held":         {true, func(_ *persistent.Pool, tx pgx.Tx, _ func()) { _ = tx.Rollback(context.Background()) }, "kk kk kk"},
		"Commit":                 {false, func(_ *persistent.Pool, tx pgx.Tx, _ func()) { _ = tx.Commit(context.Background()) }, "kk kk kk"},
		"its context":            {false, end, "kk kk kk"},
		"its context, held":      {true, end, "rk kk kk"}, // the first use is told, for all
		"Rollback of a left one": {true, func(p *persistent.Pool, tx pgx.Tx, cancel func()) { cancel(); _ = tx.Rollback(context.Background()) }, "kk kk kk"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, sum := ledger(t)
			ctx := as(t, "me")
			if row.keeps {
				var release func()
				ctx, release = p.Hold(ctx)
				defer release()
			}
			owner, cancel := context.WithCancel(ctx)
			defer cancel()
			tx := begin(t, p, owner)
			for range 2 * before {
				exec(t, p, ctx, "insert into n values (1)")
			}
			row.end(p, tx, cancel)
			var got []string
			for range after {
				turns := ""
				for range 2 {
					switch _, err := p.Exec(ctx, "insert into n values (100)"); {
					case err == nil:
						turns += "k"
					default:
						require.ErrorIs(t, err, pool.ErrRolledBack)
						turns += "r"
					}
				}
				got = append(got, turns)
			}
			require.Equal(t, row.want, strings.Join(got, " "))
			want := 100 * strings.Count(row.want, "k")
			if name == "Commit" {
				want += 2 * before
			}
			require.Equal(t, want, sum(), "all that was done before the end is undone, or committed")
		})
	}
}

// However a callee goes on with the context of InTx, nothing of it is kept after the end,
// and it is told each time.
func TestCalleesThatOutliveInTx(t *testing.T) {
	for how, f := range map[string]func(end func()) error{
		"commit":      func(func()) error { return nil },
		"rollback":    func(func()) error { return errHook },
		"a panic":     func(func()) error { panic(errHook) },
		"its context": func(end func()) error { end(); return nil },
	} {
		for _, held := range []bool{false, true} {
			t.Run(fmt.Sprint(how, ", held: ", held), func(t *testing.T) {
				p, a, sum := ledger(t)
				a.exec("create table copied (i int)")
				ctx, end := ending(t, "me")
				release := func() {}
				if held {
					ctx, release = p.Hold(ctx)
				}
				keeps := get(t, p, as(t, "me")) // the connection stays the identity's
				var callee context.Context
				var c *pool.Conn
				var savepoint pgx.Tx
				err := caught(func() error {
					return p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
						callee = context.WithoutCancel(ctx)
						c, savepoint = get(t, p, callee), begin(t, p, callee)
						exec(t, p, callee, "insert into n values (1)")
						exec(t, c, callee, "insert into n values (2)")
						require.NoError(t, savepoint.Commit(callee))
						savepoint = begin(t, c, callee)
						return f(end)
					})
				})
				if how == "commit" {
					require.NoError(t, err)
					require.Equal(t, 3, sum())
				} else {
					require.Error(t, err)
					require.Zero(t, sum())
				}
				closed := func(verb string, err error) { require.ErrorIs(t, err, pgx.ErrTxClosed, verb) }
				for range 2 {
					eachVerb(callee, p, closed)
					eachVerb(callee, c, closed)
					eachVerb(callee, savepoint, closed)
					_, err = p.GetConn(callee)
					closed("GetConn", err)
					closed("InTx", p.InTx(callee, pgx.TxOptions{}, func(context.Context) error { return nil }))
					require.Nil(t, c.Conn())
				}
				require.NoError(t, p.PutConn(c))
				mine := as(t, "me")
				before := sum()
				exec(t, p, mine, "insert into n values (100)")
				require.Equal(t, before+100, sum(), "the identity itself goes on")
				eachVerb(callee, p, closed)
				require.NoError(t, p.PutConn(keeps))
				release()
				awaitQuiet(t, p)
				eachVerb(callee, p, closed) // also when it has another connection, or none
				exec(t, p, mine, "select 1")
			})
		}
	}
}

// Callees keep inserting, at any moment of the owner's rollback: none of their inserts is
// kept, and they count what they were told exactly.
func TestCalleesInsertWhileTheOwnerRollsBack(t *testing.T) {
	const rounds, callees = 60, 3
	p, _, sum := ledger(t)
	var done, busy, told int
	for range rounds {
		ctx := persistent.NewIdentity(background(t))
		type count struct{ done, busy, told int }
		counts := make(chan count, callees)
		inserting := make(chan struct{}, callees)
		var all sync.WaitGroup
		err := p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
			for range callees {
				all.Go(func() {
					var n count
					defer func() { counts <- n }()
					for begun := time.Now(); n.told < 3 && time.Since(begun) < wide; {
						switch _, err := p.Exec(context.WithoutCancel(ctx), "insert into n values (1)"); {
						case err == nil:
							if n.done++; n.done == 1 {
								inserting <- struct{}{}
							}
						case errors.Is(err, pgx.ErrTxClosed):
							n.told++
						default:
							if !assert.ErrorIs(t, err, persistent.ErrIdentityBusy) {
								return
							}
							n.busy++
						}
					}
				})
			}
			for range callees {
				<-inserting
			}
			return errHook
		})
		require.ErrorIs(t, err, errHook)
		all.Wait()
		for range callees {
			n := <-counts
			done, busy, told = done+n.done, busy+n.busy, told+n.told
			require.Equal(t, 3, n.told)
		}
		awaitQuiet(t, p)
		require.Zero(t, sum(), "an insert was kept that was not the transaction's")
	}
	t.Logf("%d inserts undone, %d busy, %d refused", done, busy, told)
	require.GreaterOrEqual(t, done, rounds*callees)
}

// A doneHook is a context that calls f when it is asked for its Done.
type doneHook struct {
	context.Context
	f func()
}

func (c doneHook) Done() <-chan struct{} {
	c.f()
	return c.Context.Done()
}

// The owner rolls back in the middle of a callee's use: at each moment in which that asks
// its context, also when it already has the turn and the rollback is left to it.
func TestRollbackInTheMiddleOfAUse(t *testing.T) {
	p, _, sum := ledger(t)
	ended := true
	for moment := 1; ended; moment++ {
		ended = false
		end, over := make(chan struct{}), make(chan error, 1)
		var callee context.Context
		go func() {
			begun := false
			over <- p.InTx(persistent.NewIdentity(background(t)), pgx.TxOptions{}, func(ctx context.Context) error {
				callee, begun = ctx, true
				end <- struct{}{}
				<-end
				return errHook
			})
			if !begun {
				close(end)
			}
		}()
		<-end
		asked := 0
		live, cancel := context.WithCancel(context.WithoutCancel(callee))
		_, err := p.Exec(doneHook{live, func() {
			if asked++; asked == moment {
				end <- struct{}{}
				assert.ErrorIs(t, <-over, errHook)
				ended = true
			}
		}}, "insert into n values (1)")
		cancel()
		switch {
		case !ended:
			require.NoError(t, err)
			end <- struct{}{}
			require.ErrorIs(t, <-over, errHook)
			require.Greater(t, moment, 2, "the use asks its context before and after it has the turn")
		case err != nil:
			require.ErrorIs(t, err, pgx.ErrTxClosed, "moment %d", moment)
		}
		awaitQuiet(t, p)
		require.Zero(t, sum(), "moment %d", moment)
	}
}

// The transaction ends with the context of InTx, though f goes on: so do the uses of what
// does not end with it.
func TestInTxWhoseContextEnds(t *testing.T) {
	p, _, sum := ledger(t)
	ctx, end := ending(t, "me")
	keeps := get(t, p, as(t, "me"))
	err := p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
		callee := context.WithoutCancel(ctx)
		c := get(t, p, callee)
		exec(t, c, callee, "insert into n values (1)")
		end()
		for range 3 {
			_, err := c.Exec(callee, "insert into n values (10)")
			require.ErrorIs(t, err, pgx.ErrTxClosed)
			_, err = p.Exec(callee, "insert into n values (10)")
			require.ErrorIs(t, err, pgx.ErrTxClosed)
		}
		return p.PutConn(c)
	})
	require.ErrorIs(t, err, errGone)
	exec(t, keeps, as(t, "me"), "select 1") // InTx has said a word
	require.NoError(t, p.PutConn(keeps))
	require.Zero(t, sum())
}

// A transaction in a transaction is a savepoint, and its context ends with either.
func TestInTxNested(t *testing.T) {
	p, _, sum := ledger(t)
	ctx := as(t, "me")
	var outer, inner context.Context
	require.NoError(t, p.InTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(ctx context.Context) error {
		outer = ctx
		require.Equal(t, "serializable", ask[string](t, p, ctx, "show transaction_isolation"))
		exec(t, p, ctx, "insert into n values (1)")
		require.ErrorIs(t, p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
			inner = ctx
			exec(t, p, ctx, "insert into n values (10)")
			return errHook
		}), errHook)
		_, err := p.Exec(inner, "insert into n values (10)")
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		require.NoError(t, p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
			exec(t, p, ctx, "insert into n values (100)")
			return nil
		}))
		var bad *pool.ConfigError
		require.ErrorAs(t, p.InTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(context.Context) error { return nil }), &bad)
		other := persistent.NewIdentity(ctx) // of its own, so in no transaction
		exec(t, p, other, "insert into n values (1000)")
		require.Equal(t, 1000, sum())
		return nil
	}))
	require.Equal(t, 1101, sum())
	_, err := p.Exec(outer, "insert into n values (1)")
	require.ErrorIs(t, err, pgx.ErrTxClosed)

	stays, goOn := make(chan struct{}), make(chan error)
	require.ErrorIs(t, p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
		go func() {
			goOn <- p.InTx(ctx, pgx.TxOptions{}, func(ctx context.Context) error {
				inner = ctx
				close(stays)
				<-goOn
				_, err := p.Exec(ctx, "insert into n values (1)")
				return err
			})
		}()
		<-stays
		return errHook
	}), errHook)
	goOn <- nil
	require.ErrorIs(t, <-goOn, pgx.ErrTxClosed, "of the one within, which outlives the other")
	require.Equal(t, 1101, sum())
}

// A statement that still runs when f has returned is not waited for.
func TestInTxAndAStatementThatStillRuns(t *testing.T) {
	p, a, sum := ledger(t)
	running := make(chan error)
	err := p.InTx(as(t, "me"), pgx.TxOptions{}, func(ctx context.Context) error {
		go func() {
			_, err := p.Exec(ctx, "insert into n select 1 from pg_sleep(0.3)")
			running <- err
		}()
		a.awaitSleep(1)
		return nil
	})
	require.ErrorIs(t, err, persistent.ErrIdentityBusy)
	require.NoError(t, <-running, "it was in the transaction")
	awaitQuiet(t, p)
	require.Zero(t, sum())
}

// A context of InTx does not get another connection when its own is gone.
func TestInTxAndMaxLeaseTime(t *testing.T) {
	t.Parallel()
	p, a := configured(t, func(c *pool.Config) { c.MaxConns, c.MaxLeaseTime = 2, time.Second })
	a.exec("create table n (i int)")
	err := p.InTx(as(t, "me"), pgx.TxOptions{}, func(ctx context.Context) error {
		exec(t, p, ctx, "insert into n values (1)")
		require.Eventually(t, func() bool { return p.Pool().Stat().RevokedCount() == 1 }, wide, tick)
		mine := as(t, "me")
		require.Eventually(t, func() bool { return p.Ping(mine) == nil }, wide, tick, "the identity has another one")
		for range 3 {
			_, err := p.Exec(ctx, "insert into n values (10)")
			require.ErrorIs(t, err, pool.ErrRevoked)
		}
		return nil
	})
	require.ErrorIs(t, err, pool.ErrRevoked)
	require.Zero(t, a.count("select count(*) from n"))
}

// A context that takes on another tenant is refused in the transaction too.
func TestInTxOfAnotherTenant(t *testing.T) {
	p, _ := persisting(t, 1, persistent.WithProfile(setsTenant))
	require.NoError(t, p.InTx(of(t, "acme", "id-1"), pgx.TxOptions{}, func(ctx context.Context) error {
		_, err := p.Exec(context.WithValue(ctx, tenant{}, "evil"), "select 1")
		require.ErrorIs(t, err, persistent.ErrOtherTenant)
		require.Equal(t, "acme", ask[string](t, p, ctx, whose))
		return nil
	}))
	require.ErrorIs(t, p.InTx(background(t), pgx.TxOptions{}, nil), persistent.ErrNoIdentity)
}
