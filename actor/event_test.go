package actor

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 18: OnEvent on a Supervisor, in virtual time.

// heard lists what events a channel holds.
func heard(events chan Event) (list []string) {
	synctest.Wait()
	for range len(events) {
		list = append(list, (<-events).String())
	}
	return list
}

func TestEventsTellOfALife(t *testing.T) {
	events := make(chan Event, 100)
	var began time.Time
	cfg := Config[*thing]{MaxOpen: 1, OnEvent: func(e Event) {
		assert.Equal(t, 2*time.Second, e.At.Sub(began).Round(2*time.Second))
		events <- e
	}}
	inBed(t, cfg, func(b *bed) {
		events = make(chan Event, 100)
		began = time.Now()
		time.Sleep(2 * time.Second)
		b.discard(b.get().lease())
		b.put(b.get().lease())
		require.NoError(b, b.s.Resize(0, 2))
		require.NoError(b, b.s.Reset())
		assert.Equal(b, []string{"opened #1 (1)", "closed #1: discarded", "opened #2 (1)", "resized (2)", "reset", "closed #2: reset"}, heard(events))
		require.NoError(b, b.s.CloseAll(b.Context()))
		_, err := b.s.Get(b.Context())
		require.ErrorIs(b, err, ErrClosed)
		assert.Equal(b, []string{"closing", "ended"}, heard(events), "what comes after the end is not told of")
	})
}

func TestEventsTellWhyABorrowersResourceIsClosed(t *testing.T) {
	events := make(chan Event, 100)
	verdict := Keep
	panics := false
	cfg := Config[*thing]{
		MaxOpen: 1, LookAfter: time.Second, OnEvent: func(e Event) { events <- e },
		Look:    func(*thing) Verdict { return Discard },
		Prepare: func(context.Context, *thing, bool) (Verdict, error) { v := verdict; verdict = Keep; return v, nil },
		Judge: func(*thing) Verdict {
			if panics {
				panic("no judge")
			}
			return Keep
		},
	}
	inBed(t, cfg, func(b *bed) {
		events = make(chan Event, 100)
		b.put(b.get().lease())
		time.Sleep(time.Second)
		b.put(b.get().lease()) // Look
		verdict = Discard
		l := b.get().lease() // Prepare
		panics = true
		assert.Panics(b, func() { _ = l.Put() })
		panics = false
		assert.Equal(b, []string{"opened #1 (1)", "closed #1: broken", "opened #2 (1)", "closed #2: refused by Prepare", "opened #3 (1)", "closed #3: a hook panicked"}, heard(events))
		require.NoError(b, b.s.CloseAll(b.Context()))
	})
}

// A slow OnEvent slows nobody: it misses events, and is told how many.
func TestRule18ASlowOnEventMissesEventsAndIsToldHowMany(t *testing.T) {
	events := make(chan Event, 5000)
	release := make(chan struct{})
	cfg := Config[*thing]{MaxOpen: 1, OnEvent: func(e Event) { <-release; events <- e }}
	inBed(t, cfg, func(b *bed) {
		events, release = make(chan Event, 5000), make(chan struct{})
		x := b.get().lease()
		const tries = eventsKept + 99
		for range tries {
			_, err := b.s.TryGet(b.Context())
			require.Equal(b, ErrExhausted, err)
		}
		close(release) // one is in the hook, so many behind it, the rest dropped
		synctest.Wait()
		b.put(x)
		require.NoError(b, b.s.Reset())
		got := heard(events)
		assert.Len(b, got, 1+eventsKept+3)
		assert.Equal(b, []string{"refused: pool exhausted (1 of 1 in use, 0 others waiting)", "events dropped (99)", "reset", "closed #1: reset"}, got[len(got)-4:])
		require.NoError(b, b.s.CloseAll(b.Context()))
	})
}

// CloseAll waits for OnEvent, but not for ever, and the last event is never dropped.
func TestRule18CloseAllWaitsAGraceForOnEventAndTheLastEventIsNeverDropped(t *testing.T) {
	events := make(chan Event, 5000)
	release := make(chan struct{})
	cfg := Config[*thing]{MaxOpen: 1, OnEvent: func(e Event) { <-release; events <- e }}
	inBed(t, cfg, func(b *bed) {
		events, release = make(chan Event, 5000), make(chan struct{})
		b.put(b.get().lease())
		for range eventsKept + 10 {
			_ = b.s.Resize(0, 1)
		}
		began := time.Now()
		require.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, 250*time.Millisecond, time.Since(began))
		require.True(b, isClosed(b.s.closed))
		close(release)
		got := heard(events)
		assert.Equal(b, []string{"events dropped (12)", "ended"}, got[len(got)-2:], "with closing and closed")
	})
}

// A program that ends after CloseAll has had its last event.
func TestRule18CloseAllReturnsAfterTheLastEvent(t *testing.T) {
	events := make(chan Event, 100)
	cfg := Config[*thing]{MaxOpen: 1, OnEvent: func(e Event) { time.Sleep(20 * time.Millisecond); events <- e }}
	inBed(t, cfg, func(b *bed) {
		events = make(chan Event, 100)
		b.put(b.get().lease())
		require.NoError(b, b.s.CloseAll(b.Context()))
		require.Len(b, events, 4)
		assert.Equal(b, []string{"opened #1 (1)", "closing", "closed #1: pool closing", "ended"}, heard(events))
	})
}

func TestRule11AnOnEventThatPanicsOrExitsCostsItsEvent(t *testing.T) {
	events := make(chan Event, 100)
	cfg := Config[*thing]{MaxOpen: 3, OnEvent: func(e Event) {
		switch {
		case e.N == 1:
			panic("no hook")
		case e.N == 2:
			runtime.Goexit()
		case e.Kind == EventEnded:
			defer panic("no end")
		}
		events <- e
	}}
	inBed(t, cfg, func(b *bed) {
		events = make(chan Event, 100)
		x := b.leases(2)
		synctest.Wait()
		st := b.s.Stat()
		assert.EqualValues(b, 2, st.EventPanics)
		assert.EqualError(b, st.EventPanic, "OnEvent ended its goroutine")
		for _, l := range append(x, b.get().lease()) {
			b.put(l)
		}
		require.NoError(b, b.s.CloseAll(b.Context()))
		assert.Equal(b, []string{"opened #3 (3)", "closing", "closed #1: pool closing", "closed #2: pool closing", "closed #3: pool closing", "ended"}, sortedMiddle(heard(events)))
	})
}

// sortedMiddle puts in order what helpers did at the same time.
func sortedMiddle(events []string) []string {
	middle := events[2 : len(events)-1]
	for i := range middle {
		for j := i + 1; j < len(middle); j++ {
			if middle[j] < middle[i] {
				middle[i], middle[j] = middle[j], middle[i]
			}
		}
	}
	return events
}

// OnEvent may ask the supervisor.
func TestRule18OnEventMayAskTheSupervisor(t *testing.T) {
	asked := make(chan Stat, 10)
	var s *Supervisor[*thing]
	cfg := Config[*thing]{MaxOpen: 1, OnEvent: func(e Event) {
		if e.Kind == EventOpened {
			asked <- s.Stat()
		}
	}}
	inBed(t, cfg, func(b *bed) {
		asked, s = make(chan Stat, 10), b.s
		b.put(b.get().lease())
		synctest.Wait()
		assert.EqualValues(b, 1, (<-asked).Opened)
		require.NoError(b, b.s.CloseAll(b.Context()))
	})
}

func TestRule18AnEventOfATrackedLeaseNamesItsHolder(t *testing.T) {
	events := make(chan Event, 100)
	cfg := tracked()
	cfg.MaxLease, cfg.OnEvent = time.Second, func(e Event) { events <- e }
	inBed(t, cfg, func(b *bed) {
		events = make(chan Event, 100)
		x := takeOne(b, labelled(b, "report"))
		time.Sleep(time.Second)
		assert.Equal(b, []string{"opened #1 (1)", "revoked #1 for 1s by " + taker + " (report): held too long"}, heard(events))
		assert.ErrorIs(b, x.Put(), ErrRevoked)
		require.NoError(b, b.s.CloseAll(b.Context()))
	})
}

// The end of an outage says how many Opens have failed, and for how long it went on.
func TestEventOutageEndedTellsHowManyFailedAndForHowLong(t *testing.T) {
	events := make(chan Event, 100)
	cfg := Config[*thing]{
		MaxOpen: 1, Outage: WaitForServer, BackoffMin: time.Second, BackoffMax: time.Second, OnEvent: func(e Event) { events <- e },
	}
	inBed(t, cfg, func(b *bed) {
		events = make(chan Event, 100)
		b.opening = failing(0, 1, 2, 3)
		w := b.get()
		time.Sleep(time.Minute)
		b.put(w.lease())
		got := heard(events)
		require.Len(b, got, 6)
		assert.Equal(b, []string{
			"open failed (1): server is down", "outage began: server is down", "open failed (2): server is down",
			"open failed (3): server is down", "opened #1 (1)",
		}, got[:5])
		assert.Regexp(b, `^outage ended \(3\) after \S+s$`, got[5])
	})
}
