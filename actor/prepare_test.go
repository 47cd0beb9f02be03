package actor

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Prepare: the last word before a resource is handed out.

// A rehearsal is a Prepare that follows a script, and notes what it and the
// helpers are asked.
type rehearsal struct {
	did    chan string
	script chan func(ctx context.Context) (Verdict, error)
}

func newRehearsal() *rehearsal {
	return &rehearsal{make(chan string, 100), make(chan func(context.Context) (Verdict, error), 100)}
}

// says has the next Preparations end so. After them it is Keep.
func (p *rehearsal) says(v Verdict, err error) *rehearsal {
	p.script <- func(context.Context) (Verdict, error) { return v, err }
	return p
}

func (p *rehearsal) prepare(ctx context.Context, th *thing, proven bool) (Verdict, error) {
	p.did <- fmt.Sprintf("prepare %d %v", th.id, proven)
	select {
	case f := <-p.script:
		return f(ctx)
	default:
		return Keep, nil
	}
}

// noted is a helper's function. That of a mend takes a moment, in which the
// borrower that caused it asks again.
func (p *rehearsal) noted(what string, takes time.Duration) func(context.Context, *thing) error {
	return func(_ context.Context, th *thing) error {
		p.did <- fmt.Sprint(what, " ", th.id)
		time.Sleep(takes)
		return nil
	}
}

func (p *rehearsal) all() (did []string) {
	synctest.Wait()
	for range len(p.did) {
		did = append(did, <-p.did)
	}
	return did
}

func (p *rehearsal) config() Config[*thing] {
	return Config[*thing]{
		MaxOpen: 2, Prepare: p.prepare,
		Clean: p.noted("clean", time.Millisecond), Check: p.noted("check", time.Millisecond), Close: p.noted("close", 0),
		Judge: func(th *thing) Verdict { p.did <- fmt.Sprint("judge ", th.id); return Keep },
	}
}

var errNotNow = errors.New("not now")

func TestPrepare(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(p *rehearsal)
		err    error
		id     int64    // of what is lent
		did    []string // 1 rests
	}{
		{"keep", func(p *rehearsal) {}, nil, 1, []string{"prepare 1 false"}},
		{"an error keeps it, judged", func(p *rehearsal) { p.says(Keep, errNotNow) }, errNotNow, 0, []string{"prepare 1 false", "judge 1"}},
		{"an error and clean", func(p *rehearsal) { p.says(Clean, errNotNow) }, errNotNow, 0, []string{"prepare 1 false", "clean 1"}},
		{"an error and discard", func(p *rehearsal) { p.says(Discard, errNotNow) }, errNotNow, 0, []string{"prepare 1 false", "close 1"}},
		{"discard", func(p *rehearsal) { p.says(Discard, nil) }, nil, 2, []string{"prepare 1 false", "close 1", "prepare 2 true"}},
		{"clean", func(p *rehearsal) { p.says(Clean, nil) }, nil, 1, []string{"prepare 1 false", "clean 1", "prepare 1 true"}},
		{"check", func(p *rehearsal) { p.says(Check, nil) }, nil, 1, []string{"prepare 1 false", "check 1", "prepare 1 true"}},
		{"check, then discard", func(p *rehearsal) { p.says(Check, nil).says(Discard, nil) }, nil, 2,
			[]string{"prepare 1 false", "check 1", "prepare 1 true", "close 1", "prepare 2 true"}},
		{"an error of the second", func(p *rehearsal) { p.says(Check, nil).says(Keep, errNotNow) }, errNotNow, 0,
			[]string{"prepare 1 false", "check 1", "prepare 1 true", "judge 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newRehearsal()
			inBed(t, p.config(), func(b *bed) {
				b.rest(1)
				p.all()
				c.script(p)
				w := b.get()
				<-w.done
				if c.err != nil {
					assert.Equal(b, c.err, w.fails())
				} else {
					assert.Equal(b, c.id, w.lease().Value().id)
				}
				time.Sleep(time.Second) // until a repair has ended
				assert.ElementsMatch(b, c.did, p.all())
				if c.err == nil {
					b.put(w.l)
				} else {
					assert.Equal(b, b.s.Stat().Open, b.s.Stat().Idle, "nothing is lent")
				}
			})
		})
	}
}

func TestPrepareKnowsWhatIsProven(t *testing.T) {
	p := newRehearsal()
	inBed(t, p.config(), func(b *bed) {
		x := b.get().lease()
		assert.Equal(b, []string{"prepare 1 true"}, p.all(), "just opened")
		w := b.get()
		assert.Equal(b, []string{"prepare 2 true"}, p.all())
		y := w.lease()
		third := b.get()
		third.waits()
		b.put(x)
		b.put(third.lease())
		assert.Contains(b, p.all(), "prepare 1 false", "handed on by a put")
		b.put(y)
	})
}

func TestPrepareHasTheContextOfTheGet(t *testing.T) {
	p := newRehearsal()
	inBed(t, p.config(), func(b *bed) {
		b.rest(1)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		p.script <- func(ctx context.Context) (Verdict, error) {
			<-ctx.Done()
			return Keep, ctx.Err()
		}
		began := time.Now()
		_, err := b.s.Get(ctx)
		assert.Equal(b, context.DeadlineExceeded, err)
		assert.Equal(b, time.Second, time.Since(began))
		assert.Equal(b, 1, b.s.Stat().Idle, "kept")
	})
}

func TestRule06AGetWhoseResourceIsRefusedWaitsAtTheEndOfTheLine(t *testing.T) {
	p := newRehearsal()
	cfg := p.config()
	cfg.MaxOpen = 1
	inBed(t, cfg, func(b *bed) {
		x := b.get().lease()
		first := b.get()
		first.waits()
		second := b.get()
		second.waits()
		p.says(Discard, nil)
		b.put(x)
		l := second.lease()
		assert.EqualValues(b, 2, l.Value().id)
		first.waits()
		p.says(Check, nil)
		b.put(l)
		time.Sleep(time.Second)
		assert.EqualValues(b, 2, first.lease().Value().id, "it is repaired for the get that has it")
		b.put(first.l)
	})
}

func TestPrepareThatDoesNotReturn(t *testing.T) {
	for way, not := range ways {
		t.Run(way, func(t *testing.T) {
			p := newRehearsal()
			inBed(t, p.config(), func(b *bed) {
				fail := func(context.Context) (Verdict, error) { not(); return Keep, nil }
				for i, c := range []struct {
					rest int
					get  func()
				}{
					{0, func() { b.s.Get(b.Context()) }}, // opened for it
					{1, func() { b.s.Get(b.Context()) }}, // from the shelf
					{1, func() { b.s.TryGet(b.Context()) }},
				} {
					b.rest(c.rest)
					p.script <- fail
					panicked := borrower(c.get)
					if way == "panics" {
						assert.Equal(b, "out of luck", panicked, "it goes on")
					}
					assert.Len(b, b.closed(), i+1)
					assert.Zero(b, b.s.Stat().Open)
				}
				b.put(b.get().lease())
			})
		})
	}
}

// Whatever it says, a get comes to an end.
func TestPrepareRefusesForEver(t *testing.T) {
	for _, v := range []Verdict{Clean, Check, Discard, 77} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			p := newRehearsal()
			inBed(t, p.config(), func(b *bed) {
				for range 50 {
					p.says(v, nil)
				}
				ctx, cancel := context.WithTimeout(b.Context(), long)
				defer cancel()
				_, err := b.s.Get(ctx)
				assert.ErrorIs(b, err, ErrUnavailable)
				assert.ErrorContains(b, err, "refused 3 resources")
				assert.NotErrorIs(b, err, context.DeadlineExceeded)
				asked := 3 // MaxOpen, and the one that was too many
				if v == Clean || v == Check {
					asked *= 2 // once more when it is repaired
				}
				assert.Len(b, p.script, 50-asked)
				synctest.Wait()
				assert.Zero(b, b.s.Stat().Leased)
			})
		})
	}
}

// What rested may all be refused: then one is opened.
func TestPrepareRefusesWhatRested(t *testing.T) {
	p := newRehearsal()
	cfg := p.config()
	cfg.MaxOpen = 5
	inBed(t, cfg, func(b *bed) {
		b.rest(5)
		for range 5 {
			p.says(Discard, nil)
		}
		l, err := b.s.Get(b.Context())
		require.NoError(b, err)
		b.put(l)
		assert.Len(b, b.closed(), 5)
		synctest.Wait()
		assert.Equal(b, 1, b.s.Stat().Open)
	})
}

func TestPrepareAndTryGet(t *testing.T) {
	p := newRehearsal()
	inBed(t, p.config(), func(b *bed) {
		b.rest(2)
		p.says(Discard, nil)
		l, err := b.s.TryGet(b.Context())
		require.NoError(b, err)
		assert.EqualValues(b, 2, l.Value().id, "the other one")
		b.put(l)
		p.says(Check, nil)
		l, err = b.s.TryGet(b.Context())
		require.NoError(b, err, "it waits for the check, as for a look")
		assert.EqualValues(b, 2, l.Value().id)
		b.put(l)
		p.says(Keep, errNotNow)
		_, err = b.s.TryGet(b.Context())
		assert.Equal(b, errNotNow, err)
		assert.Equal(b, 1, b.s.Stat().Idle)
		assert.EqualValues(b, 2, b.dials.Load(), "nothing is opened")
	})
}

func TestPrepareThatHangsIsALease(t *testing.T) {
	p := newRehearsal()
	inBed(t, p.config(), func(b *bed) {
		release := make(chan struct{})
		p.script <- func(context.Context) (Verdict, error) { <-release; return Keep, nil }
		w := b.get()
		w.waits()
		assert.Equal(b, 1, b.s.Stat().Leased)
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.Len(b, c.Leases, 1)
		close(release)
		assert.ErrorIs(b, w.lease().Put(), ErrRevoked)
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
	})
}

// A get that has a resource checked waits for that one: the others are there for gets
// that come meanwhile. The repair counts as a lease.
func TestPrepareWaitsForWhatItHasChecked(t *testing.T) {
	p := newRehearsal()
	cfg := p.config()
	cfg.MaxOpen = 5
	inBed(t, cfg, func(b *bed) {
		b.rest(5)
		p.all()
		p.says(Check, nil)
		ctx, cancel := context.WithTimeout(b.Context(), 500*time.Microsecond)
		defer cancel()
		w := b.getWith(ctx)
		w.waits()
		assert.Equal(b, []string{"prepare 1 false", "check 1"}, p.all())
		b.counts(5, 1, 4)
		other := b.get().lease()
		assert.NotEqualValues(b, 1, other.Value().id, "a get that comes meanwhile gets another")
		b.put(other)
		time.Sleep(500 * time.Microsecond) // the check takes longer: the get ends, the resource stays
		assert.ErrorIs(b, w.fails(), context.DeadlineExceeded)
		time.Sleep(time.Second)
		b.counts(5, 0, 5)
		assert.EqualValues(b, 5, b.opens.Load())
	})
}

// slowCheck is a Config whose resources must be checked at every get, which takes so
// long, unless they are proven.
func slowCheck(takes time.Duration, checks *atomic.Int64) Config[*thing] {
	return Config[*thing]{
		MaxOpen: 10,
		Prepare: func(_ context.Context, _ *thing, proven bool) (Verdict, error) {
			if proven {
				return Keep, nil
			}
			return Check, nil
		},
		Check: func(context.Context, *thing) error {
			checks.Add(1)
			time.Sleep(takes)
			return nil
		},
	}
}

func TestPrepareLeavesACheckThatTakesMoreThanASecondAndTriesAnother(t *testing.T) {
	var checks atomic.Int64
	inBed(t, slowCheck(1500*time.Millisecond, &checks), func(b *bed) {
		b.rest(2)
		require.NoError(b, b.s.Resize(0, 2))
		checks.Store(0)
		time.Sleep(time.Second)
		began := time.Now()
		w := b.get()
		<-w.done
		require.NoError(b, w.err)
		assert.Equal(b, 2*time.Second, w.at.Sub(began), "it leaves two checks after a second each; the first is done by then")
		time.Sleep(10 * time.Second)
		assert.LessOrEqual(b, checks.Load(), int64(2), "and another after a second")
		b.put(w.l)
	})
}

func TestTryGetWaitsForOneCheckAndForASecondAtMost(t *testing.T) {
	var checks atomic.Int64
	inBed(t, slowCheck(4*time.Second, &checks), func(b *bed) {
		b.rest(3)
		time.Sleep(time.Second)
		began := time.Now()
		var err error
		got := in(func() { _, err = b.s.TryGet(b.Context()) })
		<-got
		assert.Equal(b, ErrExhausted, err)
		assert.Equal(b, time.Second, time.Since(began))
		assert.EqualValues(b, 1, checks.Load())
		time.Sleep(10 * time.Second)
		b.counts(3, 0, 3)
	})
}

func TestRepairThatPrepareDemandsAndThatFailsClosesTheResource(t *testing.T) {
	p := newRehearsal()
	cfg := p.config()
	cfg.Clean = func(context.Context, *thing) error { return errServer }
	inBed(t, cfg, func(b *bed) {
		b.rest(1)
		p.says(Clean, nil)
		l := b.get().lease()
		assert.EqualValues(b, 2, l.Value().id)
		assert.Equal(b, []int64{1}, b.closed())
		b.put(l)
	})
}

func TestRepairThatPrepareDemandsAndThatHangsIsKilled(t *testing.T) {
	p := newRehearsal()
	cfg := p.config()
	release := make(chan struct{})
	cfg.MaxOpen, cfg.Check = 1, func(context.Context, *thing) error { <-release; return nil }
	inBed(t, cfg, func(b *bed) {
		release = make(chan struct{})
		b.rest(1)
		p.says(Check, nil)
		began := time.Now()
		w := b.get()
		<-w.done
		assert.Equal(b, 5250*time.Millisecond, w.at.Sub(began), "CheckTimeout and a grace")
		b.put(w.lease())
		close(release)
		synctest.Wait()
		assert.EqualValues(b, []int64{1, 0}, []int64{b.thing(1).kills.Load(), b.thing(1).closes.Load()})
	})
}
