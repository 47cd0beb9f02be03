package actor

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		for name, key := range map[string]any{"unkeyed": nil, "keyed": "k"} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				p := newRehearsal()
				inBed(t, p.config(), func(b *bed) {
					b.rest(1)
					p.all()
					c.script(p)
					w := b.getKey(key)
					<-w.done
					if c.err != nil {
						assert.Equal(b, c.err, w.fails())
					} else {
						assert.Equal(b, c.id, w.lease().Value().id)
					}
					time.Sleep(time.Second) // until a mend has ended
					did := slices.Clone(c.did)
					if i := slices.Index(did, "prepare 2 true"); key != nil && i > 0 {
						did[i] = "prepare 2 false" // a helper looks at each of them
					}
					assert.ElementsMatch(b, did, p.all())
					if c.err == nil {
						b.put(w.l)
					} else {
						assert.Equal(b, b.s.Stat().Open, b.s.Stat().Idle, "nothing is lent")
					}
				})
			})
		}
	}
}

func TestPrepareSeesWhatIsProven(t *testing.T) {
	p := newRehearsal()
	inBed(t, p.config(), func(b *bed) {
		x := b.get().lease()
		assert.Equal(b, []string{"prepare 1 true"}, p.all(), "just opened")
		w := b.getKey(nil)
		assert.Equal(b, []string{"prepare 2 true"}, p.all())
		y := w.lease()
		third := b.get()
		third.waits()
		b.put(x)
		b.put(third.lease())
		assert.Contains(b, p.all(), "prepare 1 false", "handed on by the desk")
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
		begun := time.Now()
		_, err := b.s.Get(ctx)
		assert.Equal(b, context.DeadlineExceeded, err)
		assert.Equal(b, time.Second, time.Since(begun))
		assert.Equal(b, 1, b.s.Stat().Idle, "kept")
	})
}

// Who is given another one keeps the place in the queue.
func TestPrepareKeepsThePlace(t *testing.T) {
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
		<-first.done
		l := first.lease()
		assert.EqualValues(b, 2, l.Value().id)
		second.waits()
		p.says(Check, nil)
		b.put(l)
		<-second.done
		b.put(second.lease())
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
					{1, func() { b.s.TryGet() }},
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
				p.script <- fail
				err := b.getKey("k").fails()
				assert.ErrorContains(b, err, map[string]string{"panics": "Prepare panicked: out of luck", "exits": "Prepare ended its goroutine"}[way])
				assert.Len(b, b.closed(), 4)
				b.put(b.getKey("k").lease())
			})
		})
	}
}

// Whatever it says, a get comes to an end.
func TestPrepareRefusesForEver(t *testing.T) {
	for _, v := range []Verdict{Clean, Check, Discard, 77} {
		for name, key := range map[string]any{"unkeyed": nil, "keyed": "k"} {
			t.Run(fmt.Sprint(v, " ", name), func(t *testing.T) {
				p := newRehearsal()
				inBed(t, p.config(), func(b *bed) {
					for range 50 {
						p.says(v, nil)
					}
					ctx, cancel := context.WithTimeout(b.Context(), long)
					defer cancel()
					_, err := b.s.GetWith(ctx, Request{Key: key})
					assert.ErrorIs(b, err, ErrUnavailable)
					assert.ErrorContains(b, err, "refused 3 resources")
					assert.NotErrorIs(b, err, context.DeadlineExceeded)
					if key == nil {
						assert.Len(b, p.script, 47, "MaxOpen, and the one that was too many")
					}
					synctest.Wait()
					assert.Zero(b, b.s.Stat().Leased)
				})
			})
		}
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
		l, err := b.s.TryGet()
		require.NoError(b, err)
		assert.EqualValues(b, 2, l.Value().id, "the other one")
		b.put(l)
		p.says(Check, nil)
		l, err = b.s.TryGet()
		require.NoError(b, err, "it waits for the check, as for a look")
		assert.EqualValues(b, 2, l.Value().id)
		b.put(l)
		p.says(Keep, errNotNow)
		_, err = b.s.TryGet()
		assert.Equal(b, errNotNow, err)
		assert.Equal(b, 1, b.s.Stat().Idle)
		assert.EqualValues(b, 2, b.dials.Load(), "nothing is opened")
	})
}

func TestPrepareUnderAKey(t *testing.T) {
	type nameKey struct{}
	p := newRehearsal()
	inBed(t, p.config(), func(b *bed) {
		named := func(name string) context.Context { return context.WithValue(b.Context(), nameKey{}, name) }
		var seen []any
		look := func(v Verdict, err error) {
			p.script <- func(ctx context.Context) (Verdict, error) {
				deadline, ok := ctx.Deadline()
				seen = append(seen, ctx.Value(nameKey{}), ok && time.Until(deadline) == 5*time.Second)
				time.Sleep(100 * time.Millisecond)
				return v, err
			}
		}
		gets := func() (all []*pending) {
			for _, name := range []string{"first", "second", "third"} {
				w := b.getWith(named(name), Request{Key: "k"})
				w.waits()
				all = append(all, w)
			}
			time.Sleep(100 * time.Millisecond)
			return all
		}
		look(Keep, nil)
		all := gets()
		for _, w := range all {
			assert.EqualValues(b, 1, w.lease().Value().id)
		}
		late := b.getKey("k").lease()
		assert.Len(b, p.all(), 1, "once per binding")
		for _, w := range all {
			b.put(w.l)
		}
		b.put(late)
		p.all()

		look(Keep, errNotNow)
		for _, w := range gets() {
			assert.Equal(b, errNotNow, w.fails())
		}
		assert.Equal(b, []any{"first", true, "first", true}, seen, "values of the first, and CleanTimeout")
		assert.Len(b, p.all(), 2, "prepared and judged")
		assert.Equal(b, []int{1, 1, 0}, []int{b.s.Stat().Open, b.s.Stat().Idle, b.s.Stat().Keys})
		b.put(b.getKey("k").lease())
	})
}

// A Clean that fails closes what Prepare sent to it, and is not held against
// those who wait.
func TestPrepareUnderAKeyAndACleanThatFails(t *testing.T) {
	p := newRehearsal()
	cfg := p.config()
	cfg.Clean = func(context.Context, *thing) error { return errServer }
	inBed(t, cfg, func(b *bed) {
		p.says(Clean, nil)
		l := b.getKey("k").lease()
		assert.EqualValues(b, 2, l.Value().id)
		b.put(l)
	})
}

// Several keys at once are each prepared once, whatever order they are ready in.
func TestPrepareUnderSeveralKeys(t *testing.T) {
	var prepared atomic.Int64
	prepare := func(_ context.Context, th *thing, _ bool) (Verdict, error) {
		prepared.Add(1)
		time.Sleep(time.Second / 2)
		return Keep, nil
	}
	inBed(t, Config[*thing]{MaxOpen: 10, MaxDials: 10, Prepare: prepare}, func(b *bed) {
		begun := time.Now()
		var all []*pending
		for i := range 10 {
			all = append(all, b.getKey(i))
		}
		time.Sleep(time.Second / 2)
		for _, w := range all {
			b.put(w.lease())
			assert.Equal(b, time.Second/2, w.at.Sub(begun))
		}
		assert.EqualValues(b, 10, prepared.Load())
	})
}

func TestPrepareThatHangsIsNamed(t *testing.T) {
	cfg := Config[*thing]{MaxOpen: 1, Prepare: func(context.Context, *thing, bool) (Verdict, error) {
		time.Sleep(time.Hour)
		return Keep, nil
	}}
	inBed(t, cfg, func(b *bed) {
		w := b.getKey("k")
		w.waits()
		var c *CloseError
		require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
		assert.Equal(b, []string{"Prepare"}, c.Hooks)
		assert.Empty(b, c.Leases)
		assert.Equal(b, ErrClosed, w.fails())
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.True(b, isClosed(b.s.closed))
	})
}

// In the borrower it is lent while Prepare goes on.
func TestPrepareThatHangsInTheBorrowerIsALease(t *testing.T) {
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

// Who has a resource checked waits for that one: the others are left alone, and
// there for who comes meanwhile.
func TestPrepareWaitsForWhatItHasChecked(t *testing.T) {
	p := newRehearsal()
	cfg := p.config()
	cfg.MaxOpen, cfg.GetTimeout = 5, 500*time.Microsecond
	inBed(t, cfg, func(b *bed) {
		b.rest(5)
		p.all()
		p.says(Check, nil)
		w := b.get()
		w.waits()
		assert.Equal(b, []string{"prepare 1 false", "check 1"}, p.all())
		assert.Equal(b, 4, b.s.Stat().Idle)
		other := b.get().lease()
		assert.EqualValues(b, 2, other.Value().id, "who comes meanwhile gets another")
		b.put(other)
		p.all()

		// The check takes longer than GetTimeout: the get ends, the resource stays.
		time.Sleep(500 * time.Microsecond)
		assert.ErrorIs(b, w.fails(), ErrTimeout)
		time.Sleep(time.Second)
		assert.Equal(b, 5, b.s.Stat().Idle)
		assert.EqualValues(b, 5, b.opens.Load())
	})
	cfg.GetTimeout = 0
	inBed(t, cfg, func(b *bed) {
		b.rest(5)
		p.all()
		p.says(Check, nil)
		w := b.get()
		<-w.done
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.Equal(b, []string{"prepare 1 false", "check 1", "prepare 1 true"}, p.all())
		b.put(w.l)
	})
}
