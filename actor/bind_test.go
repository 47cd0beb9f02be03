package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Bind: what is done to a resource for the key it is bound to.

// A binder is a Bind that follows a script, and notes what it and the others are
// asked. What Bind did to a thing, Judge finds and Clean undoes.
type binder struct {
	*rehearsal
	binds chan func(ctx context.Context) error // after them it is nil
	owner sync.Map                             // of a *thing: the key that Bind was called with
}

func newBinder() *binder {
	return &binder{rehearsal: newRehearsal(), binds: make(chan func(context.Context) error, 100)}
}

type nameKey struct{}

func (p *binder) bind(ctx context.Context, key any, th *thing) error {
	what := fmt.Sprintf("bind %d %v", th.id, key)
	if name := ctx.Value(nameKey{}); name != nil {
		what += fmt.Sprint(" for ", name)
	}
	p.did <- what
	if owner, had := p.owner.Swap(th, key); had {
		p.did <- fmt.Sprintf("thing %d is %v's", th.id, owner)
	}
	select {
	case f := <-p.binds:
		return f(ctx)
	default:
		return nil
	}
}

// takes has the next Bind take a second, and end so.
func (p *binder) takes(err error) {
	p.binds <- func(context.Context) error { time.Sleep(time.Second / 2); return err }
}

func (p *binder) owns(b *bed, th *thing, key any) {
	b.Helper()
	owner, _ := p.owner.Load(th)
	assert.Equal(b, key, owner)
}

// ownsNone says that everything that Bind did is undone.
func (p *binder) ownsNone(b *bed) {
	b.Helper()
	p.owner.Range(func(th, key any) bool {
		assert.Fail(b, "not undone", "thing %d for %v", th.(*thing).id, key)
		return true
	})
}

func (p *binder) config() Config[*thing] {
	return Config[*thing]{
		MaxOpen: 1, Bind: p.bind, Close: p.noted("close", 0),
		Judge: func(th *thing) Verdict {
			p.did <- fmt.Sprint("judge ", th.id)
			if _, has := p.owner.Load(th); has {
				return Clean
			}
			return Keep
		},
		Clean: func(_ context.Context, th *thing) error {
			p.did <- fmt.Sprint("clean ", th.id)
			p.owner.Delete(th)
			return nil
		},
	}
}

// binding is a request for a key that Bind is called for.
func (b *bed) binding(key any, name string) (*pending, func()) {
	ctx, cancel := context.WithCancelCause(context.WithValue(b.Context(), nameKey{}, name))
	p := b.getAs(ctx, Request{Key: key, Bind: true})
	synctest.Wait()
	return p, func() { cancel(errGone); synctest.Wait() }
}

func TestBindOncePerBinding(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		p.takes(nil)
		first, cancel := b.binding("k", "first")
		second, cancelSecond := b.binding("k", "second")
		defer cancelSecond()
		plain := b.getKey("k")
		for _, w := range []*pending{first, second, plain} {
			w.waits()
		}
		assert.Equal(b, []string{"bind 1 k for first"}, p.all())
		time.Sleep(time.Second / 2)
		late, cancelLate := b.binding("k", "late")
		defer cancelLate()
		for _, w := range []*pending{first, second, plain, late} {
			b.put(w.lease())
		}
		assert.Equal(b, []string{"judge 1", "clean 1"}, p.all(), "with the last")
		cancel()

		b.put(b.getKey("j").lease())
		assert.Equal(b, []string{"judge 1"}, p.all(), "a get that does not ask for it")
		other, cancel := b.binding("j", "other")
		defer cancel()
		b.put(other.lease())
		assert.Equal(b, []string{"bind 1 j for other", "judge 1", "clean 1"}, p.all())
	})
}

// Of several who wait the first is asked, whoever comes later.
func TestBindIsForTheFirst(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		x := b.get().lease()
		first, stopFirst := b.binding("k", "first")
		defer stopFirst()
		second := b.getKey("k")
		second.waits()
		third, stopThird := b.binding("k", "third")
		defer stopThird()
		b.put(x)
		for _, w := range []*pending{first, second, third} {
			b.put(w.lease())
		}
		assert.Equal(b, []string{"judge 1", "bind 1 k for first", "judge 1", "clean 1"}, p.all())

		x = b.get().lease()
		plain := b.getKey("k")
		plain.waits()
		second, stopSecond := b.binding("k", "second")
		defer stopSecond()
		b.put(x)
		b.put(plain.lease())
		b.put(second.lease())
		assert.Equal(b, []string{"judge 1", "judge 1"}, p.all())
	})
}

// The first asks for none, and gives up while the resource is looked at: who is the
// first then is asked.
func TestBindIsForWhoIsTheFirstThen(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.Prepare = p.prepare
	inBed(t, cfg, func(b *bed) {
		p.script <- func(context.Context) (Verdict, error) { time.Sleep(time.Second / 2); return Keep, nil }
		ctx, cancel := context.WithCancelCause(b.Context())
		plain := b.getAs(ctx, Request{Key: "k"})
		plain.waits()
		second, stop := b.binding("k", "second")
		defer stop()
		second.waits()
		cancel(errGone)
		plain.lost()
		time.Sleep(time.Second / 2)
		p.owns(b, second.lease().Value(), "k")
		assert.Equal(b, []string{"prepare 1 false", "prepare 1 false", "bind 1 k for second"}, p.all())
		b.put(second.l)
	})
}

// What Prepare keeps, and Bind has not seen, is kept.
func TestBindIsNotCalledAndNobodyJudges(t *testing.T) {
	for _, binds := range []bool{false, true} {
		p := newBinder()
		cfg := p.config()
		cfg.Prepare, cfg.Judge = p.prepare, nil
		inBed(t, cfg, func(b *bed) {
			p.says(Keep, errNotNow)
			assert.Equal(b, errNotNow, b.getAs(b.Context(), Request{Key: "k", Bind: binds}).fails())
			assert.Empty(b, b.closed(), "binds %v", binds)
			b.counts(1, 0, 1, 0)
		})
	}
}

// Nobody judges what was bound: it is kept.
func TestBindWithoutAJudge(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.Judge = nil
	inBed(t, cfg, func(b *bed) {
		for range 3 {
			w, cancel := b.binding("k", "first")
			b.put(w.lease())
			cancel()
			l := b.getKey("k").lease()
			p.owns(b, l.Value(), "k")
			b.put(l)
			p.all()
		}
		assert.Empty(b, b.closed())
	})
}

// What is at the desk beside it, or comes with it, does not hide what Bind changed.
func TestBindForNobodyAndOthers(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.MaxOpen = 3
	cfg.Clean = func(_ context.Context, th *thing) error {
		if _, had := p.owner.LoadAndDelete(th); !had {
			p.did <- fmt.Sprint("cleaned in vain ", th.id)
		}
		time.Sleep(time.Second/2 + 1)
		return nil
	}
	inBed(t, cfg, func(b *bed) {
		leases := b.leases(2)
		p.takes(nil)
		w, cancel := b.binding("k", "first") // thing 3
		w.waits()
		p.owner.Store(leases[0].Value(), "somebody")
		require.NoError(b, leases[0].Put()) // cleaned until just after Bind
		cancel()
		w.lost()
		desk := b.holdDesk()
		time.Sleep(time.Second)
		desk.goes()
		time.Sleep(time.Second)
		p.ownsNone(b)
		b.put(leases[1])
		b.counts(3, 0, 3, 0)
		p.all()

		require.NoError(b, b.s.Pause(b.Context())) // all are at the desk
		require.NoError(b, b.s.Resume())
		p.takes(nil)
		w, cancel = b.binding("k", "first")
		w.waits()
		require.NoError(b, b.s.Pause(b.Context()))
		cancel()
		w.lost()
		time.Sleep(2 * time.Second)
		p.ownsNone(b)
		b.counts(3, 0, 3, 0)
		require.NoError(b, b.s.Resume())
		assert.Empty(b, b.closed())
	})
}

func TestBindHasTheValuesAndTheTime(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.CheckTimeout = 7 * time.Second
	inBed(t, cfg, func(b *bed) {
		p.binds <- func(ctx context.Context) error {
			deadline, ok := ctx.Deadline()
			if !ok || time.Until(deadline) != 7*time.Second {
				return errors.New("not CheckTimeout")
			}
			time.Sleep(time.Second / 2)
			return ctx.Err()
		}
		w, cancel := b.binding("k", "first")
		other, stop := b.binding("k", "other")
		defer stop()
		cancel() // its values are still there, and its end is not Bind's
		w.lost()
		time.Sleep(time.Second / 2)
		b.put(other.lease())
		assert.Equal(b, []string{"bind 1 k for first", "judge 1", "clean 1"}, p.all())
	})
}

func TestBindThatIgnoresItsContext(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		p.binds <- func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		begun := time.Now()
		w, cancel := b.binding("k", "first")
		defer cancel()
		<-w.done
		assert.ErrorIs(b, w.fails(), context.DeadlineExceeded)
		assert.Equal(b, 5*time.Second, w.at.Sub(begun))
		assert.Zero(b, b.thing(1).kills.Load())
		p.binds <- func(context.Context) error { time.Sleep(time.Hour); return nil }
		w, cancel = b.binding("k", "second")
		defer cancel()
		begun = time.Now()
		<-w.done
		assert.Equal(b, 5250*time.Millisecond, w.at.Sub(begun), "killed, and another is opened")
		assert.EqualValues(b, 2, w.lease().Value().id)
		assert.EqualValues(b, 1, b.thing(1).kills.Load())
		b.put(w.l)
		time.Sleep(time.Hour)
		assert.Equal(b, []int64{1}, b.closed())
	})
}

func TestBindThatHangsIsNamed(t *testing.T) {
	for hook, prepare := range map[string]func(context.Context, *thing, bool) (Verdict, error){
		"Bind": nil, "Prepare or Bind": func(context.Context, *thing, bool) (Verdict, error) { return Keep, nil },
	} {
		cfg := Config[*thing]{MaxOpen: 1, Prepare: prepare, Bind: func(context.Context, any, *thing) error { time.Sleep(time.Hour); return nil }}
		inBed(t, cfg, func(b *bed) {
			w, cancel := b.binding("k", "first")
			defer cancel()
			var c *CloseError
			require.ErrorAs(b, b.s.CloseAll(b.ended()), &c)
			assert.Equal(b, []string{hook}, c.Hooks)
			assert.Equal(b, ErrClosed, w.fails())
			time.Sleep(time.Hour)
		})
	}
}

func TestBindAfterPrepare(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.Prepare = p.prepare
	inBed(t, cfg, func(b *bed) {
		p.says(Clean, nil)
		w, cancel := b.binding("k", "first")
		defer cancel()
		b.put(w.lease())
		assert.Equal(b, []string{"prepare 1 false", "clean 1", "prepare 1 true", "bind 1 k for first", "judge 1", "clean 1"}, p.all())
		p.says(Keep, errNotNow)
		w, cancel = b.binding("k", "second")
		defer cancel()
		assert.Equal(b, errNotNow, w.fails())
		assert.Equal(b, []string{"prepare 1 false", "judge 1"}, p.all(), "Bind is not called")
		assert.Empty(b, b.closed())
		p.says(Discard, nil)
		w, cancel = b.binding("k", "third")
		defer cancel()
		b.put(w.lease())
		assert.ElementsMatch(b, []string{"prepare 1 false", "close 1", "prepare 2 false", "bind 2 k for third", "judge 2", "clean 2"}, p.all())
	})
}

// What Bind does not do, or half, is told to all who wait, and undone.
func TestBindFails(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		p.takes(errNotNow)
		first, cancel := b.binding("k", "first")
		defer cancel()
		second := b.getKey("k")
		second.waits()
		other := b.get()
		other.waits()
		time.Sleep(time.Second / 2)
		assert.Equal(b, errNotNow, first.fails())
		assert.Equal(b, errNotNow, second.fails())
		assert.EqualValues(b, 1, other.lease().Value().id)
		assert.Equal(b, []string{"bind 1 k for first", "judge 1", "clean 1"}, p.all(), "once")
		p.ownsNone(b)
		b.put(other.l)
		p.all()
		b.counts(1, 0, 1, 0)
		w, cancel := b.binding("k", "again")
		defer cancel()
		b.put(w.lease())
		assert.Equal(b, []string{"bind 1 k for again", "judge 1", "clean 1"}, p.all())
		assert.EqualValues(b, 1, b.dials.Load())
	})
}

func TestBindFailsAndNobodyJudges(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.Judge = nil
	inBed(t, cfg, func(b *bed) {
		p.takes(errNotNow)
		w, cancel := b.binding("k", "first")
		defer cancel()
		time.Sleep(time.Second / 2)
		assert.Equal(b, errNotNow, w.fails())
		assert.Equal(b, []int64{1}, b.closed(), "who knows what it did")

		// The same if nobody waits any more.
		p.takes(nil)
		w, cancel = b.binding("k", "second")
		w.waits()
		cancel()
		w.lost()
		time.Sleep(time.Second / 2)
		assert.Equal(b, []int64{1, 2}, b.closed())
		b.put(b.getKey("k").lease())
	})
}

func TestBindFailsAndTheCleanToo(t *testing.T) {
	for name, change := range map[string]func(cfg *Config[*thing]){
		"discard": func(cfg *Config[*thing]) { cfg.Judge = func(*thing) Verdict { return Discard } },
		"clean":   func(cfg *Config[*thing]) { cfg.Clean = func(context.Context, *thing) error { return errServer } },
		"panic":   func(cfg *Config[*thing]) { cfg.Judge = func(*thing) Verdict { panic("out of luck") } },
		"exit":    func(cfg *Config[*thing]) { cfg.Judge = func(*thing) Verdict { runtime.Goexit(); return Keep } },
	} {
		t.Run(name, func(t *testing.T) {
			p := newBinder()
			cfg := p.config()
			change(&cfg)
			inBed(t, cfg, func(b *bed) {
				p.takes(errNotNow)
				w, cancel := b.binding("k", "first")
				defer cancel()
				time.Sleep(time.Second / 2)
				assert.Equal(b, errNotNow, w.fails(), "it is Bind's that they are told")
				assert.Equal(b, []int64{1}, b.closed())
			})
		})
	}
}

func TestBindThatDoesNotReturn(t *testing.T) {
	for way, not := range ways {
		for name, prepare := range map[string]func(context.Context, *thing, bool) (Verdict, error){
			"Bind": nil, "Prepare or Bind": func(context.Context, *thing, bool) (Verdict, error) { return Keep, nil },
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				p := newBinder()
				cfg := p.config()
				cfg.Prepare = prepare
				inBed(t, cfg, func(b *bed) {
					p.binds <- func(context.Context) error { time.Sleep(time.Second / 2); not(); return nil }
					first, cancel := b.binding("k", "first")
					defer cancel()
					second := b.getKey("k")
					second.waits()
					third := b.get()
					time.Sleep(time.Second / 2)
					for _, w := range []*pending{first, second} {
						assert.ErrorContains(b, w.fails(), name+map[string]string{"panics": " panicked: out of luck", "exits": " ended its goroutine"}[way])
					}
					assert.Equal(b, []int64{1}, b.closed())
					assert.EqualValues(b, 2, third.lease().Value().id)
					b.put(third.l)
					again, cancel := b.binding("k", "again")
					defer cancel()
					b.put(again.lease())
				})
			})
		}
	}
}

// Nobody waits for the key any more when Bind is done: what it did is undone before
// the resource is anybody's.
func TestBindForNobody(t *testing.T) {
	for _, c := range []struct {
		name string
		next func(b *bed) *pending // who comes while Bind runs
		then []string              // what is done for it
	}{
		{"nobody", nil, nil},
		{"without key", func(b *bed) *pending { return b.get() }, nil},
		{"another key", func(b *bed) *pending { return b.getKey("j") }, nil},
		{"another key, bound", func(b *bed) *pending { w, _ := b.binding("j", "next"); return w }, []string{"bind 1 j for next"}},
		{"the same key", func(b *bed) *pending { return b.getKey("k") }, nil},
		{"the same key, bound", func(b *bed) *pending { w, _ := b.binding("k", "next"); return w }, []string{"bind 1 k for next"}},
	} {
		for _, earlier := range []bool{false, true} { // than the end of the first
			for _, way := range []string{"ends", "reset", "swept", "shrunk", "paused"} {
				t.Run(fmt.Sprintf("%s earlier %v %s", c.name, earlier, way), func(t *testing.T) {
					p := newBinder()
					cfg := p.config()
					inBed(t, cfg, func(b *bed) {
						p.takes(nil)
						w, cancel := b.binding("k", "first")
						w.waits()
						var next *pending
						come := func() {
							if c.next != nil {
								next = c.next(b)
								next.waits()
							}
						}
						joins := earlier && (c.name == "the same key" || c.name == "the same key, bound")
						if earlier && !joins {
							come()
						}
						cancel()
						w.lost()
						if !earlier || joins {
							come()
						}
						assert.Equal(b, []string{"bind 1 k for first"}, p.all())
						switch way {
						case "reset":
							require.NoError(b, b.s.Reset())
						case "shrunk":
							require.NoError(b, b.s.Resize(0, 5))
							require.NoError(b, b.s.Resize(0, 1))
						case "paused":
							require.NoError(b, b.s.Pause(b.Context()), "nothing is lent")
						case "swept":
							// The sweep comes with the report, and finds the slot in the hands.
							desk := b.holdDesk()
							time.Sleep(time.Second / 2)
							require.True(b, b.s.send(message[*thing]{kind: nudgeMessage}))
							desk.goes()
						}
						if way != "swept" {
							time.Sleep(time.Second / 2)
						}
						if way == "reset" {
							did := p.all()
							require.NotEmpty(b, did)
							assert.Equal(b, "close 1", did[0])
							if next != nil {
								b.put(next.lease())
							}
							return
						}
						did := p.all()
						if way == "paused" {
							assert.Equal(b, []string{"judge 1", "clean 1"}, did, "at once")
							b.counts(1, 0, 1, 0)
							require.NoError(b, b.s.Resume())
							did = append(did, p.all()...)
						}
						assert.Equal(b, append([]string{"judge 1", "clean 1"}, c.then...), did)
						if next != nil {
							assert.EqualValues(b, 1, next.lease().Value().id)
							b.put(next.l)
						}
						p.ownsNone(b)
						b.counts(1, 0, 1, 0)
						assert.EqualValues(b, 1, b.dials.Load())
					})
				})
			}
		}
	}
}

// While the pool is paused who waits for the key waits on, and Bind is undone.
func TestBindInAPause(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		p.takes(nil)
		w, cancel := b.binding("k", "first")
		defer cancel()
		w.waits()
		require.NoError(b, b.s.Pause(b.Context()))
		time.Sleep(time.Second / 2)
		w.waits()
		assert.Equal(b, []string{"bind 1 k for first", "judge 1", "clean 1"}, p.all())
		require.NoError(b, b.s.Resume())
		l := w.lease()
		assert.Equal(b, []string{"bind 1 k for first"}, p.all())
		p.owns(b, l.Value(), "k")
		b.put(l)
	})
}

// Too many after a shrink: what Bind changed is judged, closed, and not lent.
func TestBindInAShrink(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.MaxOpen = 3
	inBed(t, cfg, func(b *bed) {
		x := b.get().lease()
		p.takes(nil)
		w, cancel := b.binding("k", "first")
		w.waits()
		require.NoError(b, b.s.Resize(0, 1))
		cancel()
		w.lost()
		time.Sleep(time.Second / 2)
		b.counts(1, 1, 0, 0)
		assert.Equal(b, []int64{2}, b.closed())
		b.put(x)
		assert.Empty(b, b.closed()[1:])
	})
}

// Some of those who wait give up: the others get what is bound.
func TestBindForTheRest(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		p.takes(nil)
		first, cancel := b.binding("k", "first")
		first.waits()
		rest := b.getKey("k")
		rest.waits()
		cancel()
		first.lost()
		time.Sleep(time.Second / 2)
		assert.Equal(b, []string{"bind 1 k for first"}, p.all())
		p.owns(b, rest.lease().Value(), "k")
		b.put(rest.l)
	})
}

// A resource that is no good any more is not bound, however Bind ends.
func TestBindOfWhatIsRecalled(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		p.takes(nil)
		w, cancel := b.binding("k", "first")
		defer cancel()
		w.waits()
		require.NoError(b, b.s.Reset())
		time.Sleep(time.Second / 2)
		assert.EqualValues(b, 2, w.lease().Value().id)
		assert.Equal(b, []string{"bind 1 k for first", "close 1", "bind 2 k for first"}, p.all())
		b.put(w.l)
	})
}

// However long Bind takes, nothing else is bound meanwhile.
func TestBindThatTakesLong(t *testing.T) {
	p := newBinder()
	cfg := p.config()
	cfg.MaxOpen = 8
	inBed(t, cfg, func(b *bed) {
		p.binds <- func(context.Context) error { time.Sleep(4 * time.Second); return nil }
		begun := time.Now()
		w, cancel := b.binding("k", "first")
		defer cancel()
		<-w.done
		assert.Equal(b, 4*time.Second, w.at.Sub(begun))
		assert.EqualValues(b, 1, w.lease().Value().id)
		assert.EqualValues(b, 1, b.dials.Load())
		assert.Equal(b, []string{"bind 1 k for first"}, p.all())
		b.counts(1, 1, 0, 1)
		b.put(w.l)
		b.counts(1, 0, 1, 0)
	})
}

// What is kept by MinIdle, looked at in rounds, or laid on the shelf, is clean.
func TestBindAndTheShelf(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		b.rest(1)
		p.all()
		p.takes(nil)
		w, cancel := b.binding("k", "first")
		w.waits()
		cancel()
		w.lost()
		time.Sleep(time.Second/2 - 1)
		assert.Zero(b, b.shelved())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		assert.Equal(b, 1, b.shelved())
		assert.Equal(b, []string{"bind 1 k for first", "judge 1", "clean 1"}, p.all())
		l, err := b.s.TryGet()
		require.NoError(b, err)
		p.ownsNone(b)
		b.put(l)
	})
}

func TestBindAndPatience(t *testing.T) {
	for _, patience := range []Patience{NoWait, TryOnly} {
		p := newBinder()
		cfg := p.config()
		inBed(t, cfg, func(b *bed) {
			b.rest(1)
			p.all()
			p.takes(nil)
			w := b.getAs(b.Context(), Request{Key: "k", Bind: true, Patience: patience})
			w.waits()
			time.Sleep(time.Second / 2)
			b.put(w.lease())
			p.all()
			p.binds <- func(context.Context) error { time.Sleep(2 * time.Second); return nil }
			begun := time.Now()
			w = b.getAs(b.Context(), Request{Key: "k", Bind: true, Patience: patience})
			<-w.done
			if patience == TryOnly {
				assert.Equal(b, ErrExhausted, w.fails())
				assert.Equal(b, time.Second, w.at.Sub(begun))
				time.Sleep(time.Second)
			} else {
				assert.Equal(b, 2*time.Second, w.at.Sub(begun))
				b.put(w.lease())
			}
			assert.Equal(b, []string{"bind 1 k", "judge 1", "clean 1"}, p.all())
			b.counts(1, 0, 1, 0)
		})
	}
}

func TestBindAndTied(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		ctx, cancel := context.WithCancelCause(b.Context())
		x := b.getAs(ctx, Request{Key: "k", Bind: true, Tied: true}).lease()
		next, stop := b.binding("j", "next")
		defer stop()
		next.waits()
		p.all()
		cancel(errGone)
		l := next.lease()
		assert.Equal(b, []string{"judge 1", "clean 1", "bind 1 j for next"}, p.all())
		b.gone(x)
		b.put(l)
	})
}

func TestBindAndCloseAll(t *testing.T) {
	p := newBinder()
	inBed(t, p.config(), func(b *bed) {
		p.takes(nil)
		w, cancel := b.binding("k", "first")
		defer cancel()
		w.waits()
		var err error
		done := in(func() { err = b.s.CloseAll(b.Context()) })
		assert.Equal(b, ErrClosed, w.fails())
		<-done
		require.NoError(b, err)
		assert.Equal(b, []string{"bind 1 k for first", "close 1"}, p.all())
	})
}

func TestBindRequestsThatCannotBe(t *testing.T) {
	bind := func(context.Context, any, *thing) error { return nil }
	for _, c := range []struct {
		cfg   Config[*thing]
		q     Request
		field string
		text  string
	}{
		{Config[*thing]{}, Request{Tied: true}, "Tied", "invalid Tied true: needs a Key"},
		{Config[*thing]{}, Request{Own: true}, "Own", "invalid Own true: needs a Key"},
		{Config[*thing]{Bind: bind}, Request{Bind: true}, "Bind", "invalid Bind true: needs a Key"},
		{Config[*thing]{Bind: bind}, Request{Bind: true, Tied: true}, "Tied", "invalid Tied true: needs a Key"},
		{Config[*thing]{}, Request{Bind: true, Key: "k"}, "Bind", "invalid Bind true: needs Config.Bind"},
		{Config[*thing]{}, Request{Bind: true}, "Bind", "invalid Bind true: needs Config.Bind"},
	} {
		c.cfg.MaxOpen = 1
		inBed(t, c.cfg, func(b *bed) {
			for _, ctx := range []context.Context{b.Context(), b.ended()} {
				l, err := b.s.GetWith(ctx, c.q)
				assert.Nil(b, l)
				var bad *ConfigError
				require.ErrorAs(b, err, &bad)
				assert.Equal(b, c.field, bad.Field)
				assert.EqualError(b, err, c.text)
			}
			_, err := b.s.GetWith(b.Context(), Request{Key: []int{1}, Tied: true})
			var k *KeyError
			assert.ErrorAs(b, err, &k)
			assert.Zero(b, b.dials.Load())
		})
	}
	_, err := Start(t.Context(), Config[int]{
		Open: func(context.Context) (int, error) { return 1, nil }, Close: func(context.Context, int) error { return nil },
		MaxOpen: 1, EndGrace: -1,
	})
	assert.EqualError(t, err, "invalid EndGrace -1ns: must not be negative")
}
