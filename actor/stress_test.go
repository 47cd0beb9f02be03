package actor

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stressed resource has a field that only its one owner may touch: the race
// detector tells of two.
type stressed struct {
	owner   int // written by its holder
	holders atomic.Int64
	closes  atomic.Int64
}

// TestStress lets many goroutines do at random what borrowers do, with contexts
// that end at random points. Run it with the race detector.
func TestStress(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config[*stressed]
	}{
		{"room for all", Config[*stressed]{MaxOpen: 64}},
		{"two for all", Config[*stressed]{MaxOpen: 2}},
		{"a few", Config[*stressed]{MaxOpen: 5, MinOpen: 2, LookAfter: time.Nanosecond}},
		{"with cards", Config[*stressed]{MaxOpen: 5, Track: true, MaxLease: time.Minute, GetTimeout: time.Minute}},
		{"with limits", Config[*stressed]{MaxOpen: 5, MinIdle: 2, MaxIdle: 3, MaxAge: 20 * time.Millisecond, MaxRest: 10 * time.Millisecond, CheckPeriod: 5 * time.Millisecond, KeepAlive: true}},
		{"bad server", Config[*stressed]{MaxOpen: 5, Outage: WaitForServer, BackoffMax: 10 * time.Millisecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			stress(t, c.cfg, seed, c.name == "bad server")
		})
	}
}

func stress(t *testing.T, cfg Config[*stressed], seed uint64, bad bool) {
	const workers, operations = 24, 400
	var opens, closes atomic.Int64
	var dice atomic.Uint64 // for the functions below, whose order is nobody's
	chance := func(n uint64) bool { return rand.New(rand.NewPCG(seed, dice.Add(1))).Uint64N(n) == 0 }

	cfg.Open = func(ctx context.Context) (*stressed, error) {
		if chance(8) {
			time.Sleep(time.Millisecond)
		}
		if bad && chance(3) {
			return nil, errServer
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		opens.Add(1)
		return &stressed{}, nil
	}
	cfg.Close = func(_ context.Context, r *stressed) error {
		r.owner = -1
		if r.closes.Add(1) != 1 || r.holders.Load() != 0 {
			t.Error("rule 2: closed twice, or while lent")
		}
		closes.Add(1)
		return nil
	}
	verdict := func(r *stressed) Verdict {
		r.owner = -2
		switch {
		case chance(20):
			return Clean
		case chance(20):
			return Check
		case chance(40):
			return Discard
		}
		return Keep
	}
	mend := func(_ context.Context, r *stressed) error {
		r.owner = -3
		if chance(5) {
			return errServer
		}
		return nil
	}
	cfg.Judge, cfg.Look, cfg.Clean, cfg.Check = verdict, verdict, mend, mend

	s, err := Start(t.Context(), cfg)
	require.NoError(t, err)
	done := make(chan struct{})
	for worker := range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			rng := rand.New(rand.NewPCG(seed, uint64(worker)))
			for range operations {
				borrow(t, s, rng, worker)
			}
		}()
	}
	for left, turns := workers, 0; left > 0; turns++ {
		select {
		case <-done:
			left--
		case <-time.After(100 * time.Microsecond): // an onlooker, who resets now and then
			s.Stat()
			s.Leases()
			switch turns % 100 {
			case 0:
				assert.NoError(t, s.Reset())
			case 30:
				assert.NoError(t, s.Resize(0, max(1, cfg.MaxOpen/2)))
			case 33:
				assert.NoError(t, s.Resize(cfg.MinOpen, cfg.MaxOpen))
			case 60:
				paused, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				_ = s.Pause(paused)
				cancel()
				assert.NoError(t, s.Resume())
			}
		}
	}

	st := s.Stat()
	assert.Zero(t, st.Waiting)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, s.CloseAll(ctx), "a lease is lost")
	st = s.Stat()
	assert.Equal(t, opens.Load(), closes.Load(), "rule 2: opens = closes")
	assert.EqualValues(t, opens.Load(), st.Opened)
	assert.EqualValues(t, closes.Load(), st.Closed)
	assert.Zero(t, st.Open+st.Closing+st.Dialing+st.Leased+st.Mending)
	t.Logf("%d leases, %d opened, %d cancelled, %d refused, %d dials failed", st.Leases, st.Opened, st.Cancelled, st.Refused, st.DialsFailed)
}

// borrow is one operation of one borrower.
func borrow(t *testing.T, s *Supervisor[*stressed], rng *rand.Rand, worker int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch rng.IntN(4) {
	case 0:
		defer time.AfterFunc(time.Duration(rng.IntN(300))*time.Microsecond, cancel).Stop()
	case 1:
		yields := rng.IntN(20)
		go func() { // at any point, in the middle of whatever
			for range yields {
				runtime.Gosched()
			}
			cancel()
		}()
	}
	get, tries := s.Get, rng.IntN(8) == 0
	if tries {
		get = s.TryGet
	}
	l, err := get(ctx)
	if err != nil {
		if errors.Is(err, ErrPaused) && tries {
			return
		}
		if l != nil || !(errors.Is(err, context.Canceled) || errors.Is(err, ErrExhausted) || errors.Is(err, ErrUnavailable)) {
			t.Errorf("rule 5: %v, %v", l, err)
		}
		return
	}
	r := l.Value()
	r.owner = worker
	if r.holders.Add(1) != 1 {
		t.Error("rule 2: two borrowers of one resource")
	}
	work(rng)
	if r.owner != worker && l.Revoked() == nil {
		t.Error("rule 2: another wrote to a lent resource")
	}
	r.holders.Add(-1)
	if r.closes.Load() != 0 {
		t.Error("rule 2: closed while lent")
	}
	if rng.IntN(20) == 0 {
		err = l.Discard()
	} else {
		err = l.Put()
	}
	if err != nil && !errors.Is(err, ErrRevoked) || l.Put() != ErrNotLeased {
		t.Errorf("put: %v", err)
	}
}

func work(rng *rand.Rand) {
	for range rng.IntN(10) {
		runtime.Gosched()
	}
	if rng.IntN(100) == 0 {
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	}
}
