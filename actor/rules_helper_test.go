package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rules 10 and 11: places, graces, and helpers that come to grief.

func TestRule10ClosingTakesAPlaceUntilItIsGone(t *testing.T) {
	closing := func(context.Context, *thing) error { time.Sleep(100 * time.Millisecond); return errServer }
	inBed(t, Config[*thing]{MaxOpen: 2, Close: closing}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		begun := time.Now()
		b.discard(x)
		w := b.get()
		w.waits()
		assert.Equal(b, 1, b.s.Stat().Closing)
		time.Sleep(100 * time.Millisecond)
		b.put(w.lease())
		assert.Equal(b, 100*time.Millisecond, w.at.Sub(begun))
		assert.EqualValues(b, 2, b.mostLive.Load(), "invariant 1")
		assert.EqualValues(b, 1, b.s.Stat().CloseFailed)
		b.put(y)
	})
}

func TestRule10OrUntilTheGraceIsOver(t *testing.T) {
	closing := func(ctx context.Context, th *thing) error {
		if th.id == 1 {
			<-ctx.Done()
			time.Sleep(time.Hour)
		}
		return nil
	}
	inBed(t, Config[*thing]{MaxOpen: 1, Close: closing}, func(b *bed) {
		b.discard(b.get().lease())
		begun := time.Now()
		w := b.get()
		<-w.done
		assert.Equal(b, 500*time.Millisecond, w.at.Sub(begun))
		b.put(w.lease())
		time.Sleep(time.Hour) // the late report does not free the place again
		assert.Zero(b, b.s.Stat().Closing)
	})
}

// ways are the two ways in which a function does not return.
var ways = map[string]func(){
	"panics": func() { panic("out of luck") },
	"exits":  runtime.Goexit,
}

// once calls f the first time.
func once(f func()) func() {
	done := false
	return func() {
		if !done {
			done = true
			f()
		}
	}
}

// borrower runs f as a goroutine of its own that may panic or exit.
func borrower(f func()) (panicked any) {
	<-in(func() {
		defer func() { panicked = recover() }()
		f()
	})
	return panicked
}

func TestRule11HelperThatDoesNotReturnStillReports(t *testing.T) {
	for way, not := range ways {
		run := func(name string, cfg Config[*thing], play func(b *bed)) {
			t.Run(name+" "+way, func(t *testing.T) {
				cfg.MaxOpen = 1
				inBed(t, cfg, func(b *bed) {
					play(b)
					b.put(b.get().lease()) // the place is free, the pool goes on
					assert.Zero(b, b.s.Stat().Mending+b.s.Stat().Closing+b.s.Stat().Dialing)
				})
			})
		}
		fail := once(not)
		run("Open", Config[*thing]{}, func(b *bed) {
			b.opening = func(context.Context, int64) error { fail(); return nil }
			err := b.get().fails()
			assert.ErrorIs(b, err, ErrUnavailable)
			assert.ErrorContains(b, err, map[string]string{"panics": "Open panicked: out of luck", "exits": "Open ended its goroutine"}[way])
			assert.EqualValues(b, 1, b.s.Stat().DialsFailed)
			time.Sleep(10 * time.Millisecond)
		})
		failPermanent := once(not)
		run("Permanent", Config[*thing]{Permanent: func(error) bool { failPermanent(); return false }}, func(b *bed) {
			b.opening = failing(0, 1)
			b.get().fails()
			time.Sleep(10 * time.Millisecond)
		})
		failClose := once(not)
		run("Close", Config[*thing]{Close: func(context.Context, *thing) error { failClose(); return nil }}, func(b *bed) {
			b.discard(b.get().lease())
			assert.EqualValues(b, 1, b.s.Stat().CloseFailed)
		})
		for _, v := range []Verdict{Clean, Check} {
			failMend := once(not)
			first := true
			mend := func(context.Context, *thing) error { failMend(); return nil }
			run([]string{Clean: "Clean", Check: "Check"}[v], Config[*thing]{
				Clean: mend, Check: mend,
				Judge: func(*thing) Verdict {
					if first {
						first = false
						return v
					}
					return Keep
				},
			}, func(b *bed) {
				b.put(b.get().lease())
				assert.EqualValues(b, 1, b.thing(1).closes.Load())
			})
		}
		failJudge := once(not)
		run("keyed Judge", Config[*thing]{Judge: func(*thing) Verdict { failJudge(); return Keep }}, func(b *bed) {
			b.put(b.getKey("k").lease())
			assert.EqualValues(b, 1, b.thing(1).closes.Load())
		})
		failLook := once(not)
		run("keyed Look", Config[*thing]{Look: func(*thing) Verdict { failLook(); return Keep }}, func(b *bed) {
			b.put(b.get().lease())
			time.Sleep(time.Second)
			b.put(b.getKey("k").lease())
			assert.EqualValues(b, 1, b.thing(1).closes.Load())
		})
		failKill := once(not)
		run("Kill", Config[*thing]{
			Kill:  func(*thing) { failKill() },
			Clean: func(ctx context.Context, _ *thing) error { time.Sleep(6 * time.Second); return nil },
			Judge: func(th *thing) Verdict { return map[int64]Verdict{1: Clean}[th.id] },
		}, func(b *bed) {
			b.put(b.get().lease())
			time.Sleep(7 * time.Second)
			assert.EqualValues(b, 1, b.thing(1).kills.Load())
			assert.EqualValues(b, 1, b.thing(1).closes.Load())
		})

		// In the borrower's goroutine it costs the resource, and goes on.
		inBorrower := func(name string, cfg Config[*thing], play func(b *bed)) {
			run("borrower's "+name, cfg, func(b *bed) {
				panicked := borrower(func() { play(b) })
				if way == "panics" {
					assert.Equal(b, "out of luck", panicked)
				}
				synctest.Wait()
				assert.EqualValues(b, 1, b.thing(1).closes.Load())
			})
		}
		failJudge2 := once(not)
		inBorrower("Judge", Config[*thing]{Judge: func(*thing) Verdict { failJudge2(); return Keep }}, func(b *bed) {
			l, _ := b.s.Get(b.Context())
			l.Put()
		})
		failLook2 := once(not)
		inBorrower("Look", Config[*thing]{Look: func(*thing) Verdict { failLook2(); return Keep }}, func(b *bed) {
			l, _ := b.s.Get(b.Context())
			l.Put()
			time.Sleep(time.Second)
			b.s.Get(b.Context())
		})
	}
}

func TestRule11SupervisorOutlivesALateOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t, things: make(chan *thing, 8)}
		b.s = b.start(Config[*thing]{MaxOpen: 2, OpenTimeout: time.Second})
		b.opening = func(ctx context.Context, n int64) error {
			if n == 1 {
				time.Sleep(time.Hour)
			}
			return nil
		}
		w := b.get()
		<-w.done
		b.put(w.lease())
		time.Sleep(2 * time.Second)
		assert.Zero(t, b.s.Stat().Dialing, "its place is free")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []int{1, 0}, []int{b.s.Stat().Open, b.s.Stat().Closing})
		assert.EqualValues(t, 1, b.thing(2).closes.Load(), "nobody may use what came too late")
		assert.NoError(t, b.s.CloseAll(t.Context()))
		b.audit()
	})
}

func TestRule11StatAnswersWhileEverybodyIsStuck(t *testing.T) {
	release := make(chan struct{})
	hang := func(context.Context, *thing) error { <-release; return nil }
	inBed(t, Config[*thing]{MaxOpen: 4, Clean: hang, Close: hang, Judge: func(*thing) Verdict { return Clean }}, func(b *bed) {
		release = make(chan struct{})
		x, y, lent, keyed := b.get().lease(), b.get().lease(), b.get().lease(), b.getKey("k").lease()
		b.put(x)
		b.discard(y)
		b.opening = func(context.Context, int64) error { <-release; return nil }
		time.Sleep(time.Second) // the place of y is free, its Close still hangs
		w, v := b.get(), b.get()
		v.waits()
		st := b.s.Stat() // invariant 11
		assert.Equal(b, Stat{
			Limit: 4, Open: 3, Leased: 2, Mending: 1, Dialing: 1, Waiting: 2, Keys: 1,
			Leases: st.Leases, Opened: 4, Waited: 4,
		}, st)
		time.Sleep(time.Second)
		leases := b.s.Leases()
		require.Len(b, leases, 2, "invariant 11")
		assert.ElementsMatch(b, []any{nil, "k"}, []any{leases[0].Key, leases[1].Key})
		close(release)
		b.put(w.lease())
		b.put(v.lease())
		b.put(lent)
		b.put(keyed)
	})
}

func TestHungCleanIsKilled(t *testing.T) {
	killed := make(chan struct{})
	clean := func(context.Context, *thing) error { <-killed; return errors.New("killed") }
	cfg := Config[*thing]{
		MaxOpen: 1, Clean: clean, Judge: func(th *thing) Verdict { return map[int64]Verdict{1: Clean}[th.id] },
		Kill: func(*thing) { close(killed) },
	}
	inBed(t, cfg, func(b *bed) {
		killed = make(chan struct{})
		b.put(b.get().lease())
		begun := time.Now()
		w := b.get()
		<-w.done
		assert.Equal(b, 5250*time.Millisecond, w.at.Sub(begun), "CleanTimeout and a grace")
		synctest.Wait()
		assert.EqualValues(b, []int64{1, 1}, []int64{b.thing(1).kills.Load(), b.thing(1).closes.Load()})
		b.put(w.lease())
	})
}

func TestVerdicts(t *testing.T) {
	for _, v := range []Verdict{Keep, Clean, Check, Discard} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			var did []string
			cfg := Config[*thing]{
				MaxOpen: 1, Judge: func(*thing) Verdict { return v },
				Clean: func(context.Context, *thing) error { did = append(did, "clean"); return nil },
				Check: func(context.Context, *thing) error { did = append(did, "check"); return nil },
				Close: func(context.Context, *thing) error { did = append(did, "close"); return nil },
			}
			inBed(t, cfg, func(b *bed) {
				b.put(b.get().lease())
				assert.Equal(b, map[Verdict][]string{Clean: {"clean"}, Check: {"check"}, Discard: {"close"}}[v], did)
			})
		})
	}
}
