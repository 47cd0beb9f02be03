package keyed

import (
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/pgactor/pgactor/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 18: with a note in hand nobody calls anybody. Whatever the layer calls here calls
// the layer back, under the same key: in a bubble a note that is kept is a deadlock.

func TestRule18ANoteIsNeverKept(t *testing.T) {
	var called sync.Map
	var nosy atomic.Bool // what it calls may call it
	var b *bed
	pry := func(who string) {
		called.Store(who, true)
		if !nosy.CompareAndSwap(false, true) {
			return
		}
		defer nosy.Store(false)
		b.table.Stat()
		b.table.Complete([]actor.LeaseInfo{{ID: 1}, {ID: 2}, {ID: 3}})
		_ = b.table.Put(context.Background(), "no such key", false)
		if e := b.table.find("k"); e != nil {
			e.note <- <-e.note
		}
	}
	c := Config[*thing]{
		EndGrace: time.Second, MaxLease: time.Minute, Timeout: time.Minute,
		OnEnd:   func(*thing) { pry("OnEnd") },
		Origin:  func(context.Context) Origin { pry("Origin"); return nosyOrigin(func() { pry("Holder") }) },
		Explain: func(*actor.WaitError) { pry("Explain") },
		ShowKey: func(key any) any { pry("ShowKey"); return key },
		OnLeak:  func(uint64, actor.Holder) {},
	}
	inBed(t, 3, c, func(bb *bed) {
		b = bb
		b.pool.looks = func(_ *fakeLease, call string) { pry(call) }
		b.pool.judge = func(*thing) { pry("judge") }
		get := b.table.config.Get
		b.table.config.Get = func(ctx context.Context, p Patience) (Lease[*thing], error) { pry("Get"); return get(ctx, p) }
		ctx := func() *nosyContext {
			return &nosyContext{Context: b.Context(), done: make(chan struct{}), asks: func() { pry("context") }}
		}
		bind := func(context.Context, *thing) error { pry("Bind"); return nil }
		one := ctx()
		x := b.get(one, Request[*thing]{Key: "k", Tied: true, Bind: bind}).hold()
		y := b.get(ctx(), Request[*thing]{Key: "k", Tied: true}).hold()
		b.begin(x, "read")
		b.busy(y, "read")
		shared, err := y.Share(ctx(), Request[*thing]{Tied: true})
		require.NoError(b, err)
		b.put(shared)
		_ = b.get(ctx(), Request[*thing]{Key: "k", Tenant: "another"}).fails()
		x.SetDoing("write")
		close(one.done)
		time.Sleep(100 * time.Millisecond)
		_, err = x.Begin("more")
		assert.ErrorIs(b, err, errGone)
		x.End()
		require.NoError(b, b.table.Put(ctx(), "k", true))
		_ = y.Put()
		z := b.get(ctx(), Request[*thing]{Key: "k", Bind: bind}).hold()
		b.table.Complete([]actor.LeaseInfo{{ID: z.ID()}})
		two := ctx()
		killed := b.get(two, Request[*thing]{Key: "k", Tied: true}).hold()
		b.begin(killed, "read")
		close(two.done)
		time.Sleep(2 * time.Second)
		_, err = b.table.Get(ctx(), Request[*thing]{Key: "k"})
		b.revokedIs(err)
		time.Sleep(time.Minute)
		next := b.get(ctx(), Request[*thing]{Key: "k"}).hold() // abandons
		_ = z.Put()
		_, err = next.Take()
		require.NoError(b, err)
		_ = b.get(ctx(), Request[*thing]{Key: "k", Patience: Try}).fails()
		b.put(b.get(ctx(), Request[*thing]{Key: "k"}).hold())
		b.pool.script <- func(context.Context) error { time.Sleep(2 * time.Minute); return errNotNow }
		first := b.get(ctx(), Request[*thing]{Key: "k"})
		second := b.get(ctx(), Request[*thing]{Key: "k"})
		time.Sleep(3 * time.Minute)
		assert.Equal(b, errNotNow, first.fails())
		assert.ErrorIs(b, second.fails(), actor.ErrTimeout)
		b.pool.looks, b.pool.judge = nil, nil
	})
	for _, who := range []string{"OnEnd", "Origin", "Holder", "Explain", "ShowKey", "Get", "Bind", "context", "judge", "Value", "ID", "discard", "kill", "take"} {
		_, was := called.Load(who)
		assert.True(t, was, who)
	}
}

// A nosyOrigin calls itself when it is asked.
type nosyOrigin func()

func (o nosyOrigin) Holder() actor.Holder { o(); return actor.Holder{Holder: "nosy"} }

// The numbered rules of doc.go have each a test of their name.
func TestRulesHaveTests(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	rules := regexp.MustCompile(`(?m)^//  (\d+)\. ([^.]+)\.`).FindAllStringSubmatch(string(doc), -1)
	require.Len(t, rules, 23)
	var tests strings.Builder
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "_test.go") {
			text, err := os.ReadFile(f.Name())
			require.NoError(t, err)
			tests.Write(text)
		}
	}
	for i, r := range rules {
		name := "TestRule" + r[1]
		for word := range strings.FieldsFuncSeq(r[2], func(c rune) bool { return !unicode.IsLetter(c) }) {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
		assert.Equal(t, i+1, atoi(t, r[1]))
		assert.Contains(t, tests.String(), "func "+name+"(t *testing.T)")
	}
}

func atoi(t *testing.T, s string) (n int) {
	for _, c := range s {
		require.True(t, unicode.IsDigit(c))
		n = 10*n + int(c-'0')
	}
	return n
}

// The layer talks through channels alone, and knows of the pool only errors and infos.
func TestImports(t *testing.T) {
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		text, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		if strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		assert.NotRegexp(t, `(?m)"sync(/atomic)?"`, string(text), f.Name())
		for _, used := range regexp.MustCompile(`\bactor\.([A-Z]\w*)`).FindAllStringSubmatch(regexp.MustCompile(`(?m)//.*`).ReplaceAllString(string(text), ""), -1) {
			assert.Contains(t, []string{
				"ErrClosed", "ErrExhausted", "ErrNotLeased", "ErrShared", "ErrTimeout",
				"BusyError", "KeyError", "RevokedError", "WaitError", "Reason", "ReasonUsed", "Holder", "LeaseInfo", "ShownKey",
			}, used[1], f.Name())
		}
	}
}
