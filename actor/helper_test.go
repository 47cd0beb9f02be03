package actor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// Rules 1 and 11: places and graces, and hooks that come to grief.

func TestRule01WhatIsBeingClosedTakesAPlaceUntilItIsGone(t *testing.T) {
	closing := func(context.Context, *thing) error { time.Sleep(100 * time.Millisecond); return errServer }
	inBed(t, Config[*thing]{MaxOpen: 2, Close: closing}, func(b *bed) {
		x, y := b.get().lease(), b.get().lease()
		began := time.Now()
		b.discard(x)
		w := b.get()
		w.waits()
		assert.Equal(b, 1, b.s.Stat().Closing)
		time.Sleep(100 * time.Millisecond)
		b.put(w.lease())
		assert.Equal(b, 100*time.Millisecond, w.at.Sub(began))
		assert.EqualValues(b, 2, b.mostLive.Load(), "rule 1")
		assert.EqualValues(b, 1, b.s.Stat().CloseFailed)
		b.put(y)
	})
}

func TestRule01ACloseThatHangsTakesItsPlaceForTwoGraces(t *testing.T) {
	closing := func(ctx context.Context, th *thing) error {
		if th.id == 1 {
			<-ctx.Done()
			time.Sleep(time.Hour)
		}
		return nil
	}
	inBed(t, Config[*thing]{MaxOpen: 1, Close: closing}, func(b *bed) {
		b.discard(b.get().lease())
		began := time.Now()
		w := b.get()
		<-w.done
		assert.Equal(b, 500*time.Millisecond, w.at.Sub(began))
		b.put(w.lease())
		time.Sleep(time.Hour) // the late report does not free the place again
		assert.Zero(b, b.s.Stat().Closing)
	})
}

func TestRule11AHookThatPanicsOrExitsCostsItsResourceAndNotThePool(t *testing.T) {
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
		failJudge := once(not)
		inBorrower("Judge", Config[*thing]{Judge: func(*thing) Verdict { failJudge(); return Keep }}, func(b *bed) {
			l, _ := b.s.Get(b.Context())
			l.Put()
		})
		failLook := once(not)
		inBorrower("Look", Config[*thing]{Look: func(*thing) Verdict { failLook(); return Keep }}, func(b *bed) {
			l, _ := b.s.Get(b.Context())
			l.Put()
			time.Sleep(time.Second)
			b.s.Get(b.Context())
		})
	}
}

func TestRule11AnOpenThatIsTooLateTakesNoPlaceAndIsClosed(t *testing.T) {
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

func TestRule18StatAndLeasesAnswerWhileEverybodyIsStuck(t *testing.T) {
	release := make(chan struct{})
	hang := func(context.Context, *thing) error { <-release; return nil }
	inBed(t, Config[*thing]{MaxOpen: 4, Clean: hang, Close: hang, Judge: func(*thing) Verdict { return Clean }}, func(b *bed) {
		release = make(chan struct{})
		x, y, lent, kept := b.get().lease(), b.get().lease(), b.get().lease(), b.get().lease()
		b.put(x)
		b.discard(y)
		b.opening = func(context.Context, int64) error { <-release; return nil }
		time.Sleep(time.Second) // the place of y is free, its Close still hangs
		w, v := b.get(), b.get()
		v.waits()
		st := b.s.Stat()
		assert.Equal(b, Stat{
			Limit: 4, Open: 3, Leased: 2, Mending: 1, Dialing: 1, Waiting: 2, Leases: st.Leases, Opened: 4, Waited: st.Waited,
		}, st)
		assert.Equal(b, []uint64{2, 2}, []uint64{st.Leases, st.Waited}, "of those that came back")
		time.Sleep(time.Second)
		assert.Len(b, b.s.Leases(), 2)
		close(release)
		b.put(w.lease())
		b.put(v.lease())
		b.put(lent)
		b.put(kept)
	})
}

func TestRule01ACleanThatHangsIsKilledAndItsPlaceIsFree(t *testing.T) {
	killed := make(chan struct{})
	clean := func(context.Context, *thing) error { <-killed; return errors.New("killed") }
	cfg := Config[*thing]{
		MaxOpen: 1, Clean: clean, Judge: func(th *thing) Verdict { return map[int64]Verdict{1: Clean}[th.id] },
		Kill: func(*thing) { close(killed) },
	}
	inBed(t, cfg, func(b *bed) {
		killed = make(chan struct{})
		b.put(b.get().lease())
		began := time.Now()
		w := b.get()
		<-w.done
		assert.Equal(b, 5250*time.Millisecond, w.at.Sub(began), "CleanTimeout and a grace")
		synctest.Wait()
		assert.EqualValues(b, []int64{1, 1}, []int64{b.thing(1).kills.Load(), b.thing(1).closes.Load()})
		b.put(w.lease())
	})
}

func TestAVerdictHasDoneWhatItSays(t *testing.T) {
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
