package actor

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/pgactor/pgactor/actor/internal/line"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Rule 17: deadlines are kept, whatever else happens and whatever the wall clock shows.

// The timer fires while the supervisor handles what came before, so the wake is read with
// a clock from before the deadline.
func TestRule17AWakeThatIsReadWithAnOlderClockLosesNoDeadline(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxLease: 50 * time.Millisecond}, func(b *bed) {
		l := b.get().lease()
		began := time.Now()
		w := b.get()
		time.Sleep(40 * time.Millisecond)
		b.s.post(func(*loop[*thing], time.Duration) { time.Sleep(30 * time.Millisecond) })
		<-w.done
		assert.Equal(b, 70*time.Millisecond, w.at.Sub(began))
		assert.ErrorIs(b, l.Put(), ErrRevoked)
		b.put(w.lease())
	})
}

// However busy the inbox is, the supervisor settles in between.
func TestRule17ABusyInboxDelaysNoDeadlineByMoreThanABatch(t *testing.T) {
	inBed(t, Config[*thing]{MaxOpen: 1, MaxAge: time.Second}, func(b *bed) {
		b.rest(1)
		stop := make(chan struct{})
		var asks atomic.Int64
		for range 3 * inboxSize {
			in(func() {
				for !isClosed(stop) {
					b.s.post(func(*loop[*thing], time.Duration) { asks.Add(1); time.Sleep(time.Millisecond) })
				}
			})
		}
		time.Sleep(time.Second + (batch+2)*time.Millisecond)
		st := b.s.Stat()
		close(stop)
		synctest.Wait()
		assert.EqualValues(b, 1, st.Expired)
		assert.Greater(b, asks.Load(), int64(1000))
		time.Sleep(time.Second)
	})
}

// The wall clock is set a year ahead: nothing expires because of it. It is set a year
// back: what is due is done all the same. Virtual time has no wall clock, so this is real.
func TestScenario36TheWallClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	t.Run("ahead", func(t *testing.T) {
		cfg := Config[*thing]{
			MaxOpen: 5, MaxAge: time.Hour, MaxRest: time.Hour, MaxLease: time.Hour, GetTimeout: time.Hour, CheckPeriod: time.Hour,
		}
		waits := make(chan struct{}, 100)
		cfg.step = func(s line.Step) {
			if s == line.Receive {
				waits <- struct{}{}
			}
		}
		s := wall(t, cfg)
		resting, lent := held(t, s, 2), held(t, s, 3)
		for _, l := range resting {
			require.NoError(t, l.Put())
		}
		lent = append(lent, held(t, s, 2)...)
		for len(waits) > 0 {
			<-waits
		}
		waiter := make(chan error)
		go func() {
			l, err := s.Get(t.Context())
			if err == nil {
				err = l.Put()
			}
			waiter <- err
		}()
		<-waits
		jump(t, s, year)
		for _, l := range s.Leases() {
			assert.Less(t, l.AtLeast, time.Hour)
		}
		for _, l := range lent {
			require.NoError(t, l.Put())
		}
		require.NoError(t, <-waiter, "it has not waited for a year")
		for range 100 {
			for _, l := range held(t, s, 5) {
				require.NoError(t, l.Put())
			}
		}
		st := s.Stat()
		assert.Equal(t, []int{5, 5, 0}, []int{st.Open, st.Idle, st.Closing}, "%+v", st)
		assert.Zero(t, st.Expired+st.Unneeded+st.Refused+st.Cancelled+st.Revoked, "%+v", st)
	})
	t.Run("back", func(t *testing.T) {
		s := wall(t, Config[*thing]{MaxOpen: 5, MaxAge: 10 * time.Millisecond, GetTimeout: 500 * time.Millisecond})
		lent := held(t, s, 5)
		jump(t, s, -year)
		_, err := s.Get(t.Context())
		assert.ErrorIs(t, err, ErrTimeout)
		for _, l := range lent {
			require.NoError(t, l.Put())
		}
		require.Eventually(t, func() bool { return s.Stat().Open == 0 }, time.Minute, time.Millisecond)
		assert.EqualValues(t, 5, s.Stat().Expired)
	})
}

// wall starts a Supervisor outside virtual time.
func wall(t *testing.T, cfg Config[*thing]) *Supervisor[*thing] {
	cfg.Open = func(context.Context) (*thing, error) { return &thing{}, nil }
	cfg.Close = func(context.Context, *thing) error { return nil }
	s, err := Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.CloseAll(context.Background())) })
	return s
}

// held gets n leases.
func held(t *testing.T, s *Supervisor[*thing], n int) (list []*Lease[*thing]) {
	for range n {
		l, err := s.Get(t.Context())
		require.NoError(t, err)
		list = append(list, l)
	}
	return list
}

// jump sets the wall clock, as far as a Supervisor can see that: by the difference to the
// time when it began. The monotonic clock does not notice.
func jump(t *testing.T, s *Supervisor[*thing], by time.Duration) {
	seconds := int64(by / time.Second)
	_, ok := ask(s, func(*loop[*thing], time.Duration) bool {
		before := s.began
		began := (*struct { // a time.Time
			wall uint64
			ext  int64
			loc  *time.Location
		})(unsafe.Pointer(&s.began))
		if began.wall>>63 != 0 { // with a reading of the monotonic clock
			began.wall -= uint64(seconds) << 30
		} else {
			began.ext -= seconds
		}
		return assert.Equal(t, by, before.Round(0).Sub(s.began.Round(0)), "time.Time has changed: so must this")
	})
	require.True(t, ok)
}
