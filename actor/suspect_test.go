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

// The verdict Alarm, ErrAlarm and ErrStale: what broke one resource may have broken the others.

// alarmed is a Config whose resources are what broken says, and a list of those
// that were checked.
func alarmed(most int, verdict *atomic.Int64) (Config[*thing], chan int64) {
	checked := make(chan int64, 100)
	return Config[*thing]{
		MaxOpen: most,
		Judge: func(th *thing) Verdict {
			if th.id == verdict.Load() {
				return Alarm
			}
			return Keep
		},
		Check: func(_ context.Context, th *thing) error {
			checked <- th.id
			if th.id == -verdict.Load() {
				return fmt.Errorf("%w: %d", ErrStale, th.id)
			}
			return nil
		},
	}, checked
}

func numbers(c chan int64) (ids []int64) {
	synctest.Wait()
	for range len(c) {
		ids = append(ids, <-c)
	}
	return ids
}

func TestAnAlarmHasWhatIsIdleChecked(t *testing.T) {
	var broken atomic.Int64
	cfg, checked := alarmed(5, &broken)
	inBed(t, cfg, func(b *bed) {
		all := b.leases(5)
		for _, l := range all[2:] {
			b.put(l)
		}
		broken.Store(1)
		b.put(all[0])
		assert.Equal(b, []int64{1}, b.closed())
		assert.ElementsMatch(b, []int64{3, 4, 5}, numbers(checked), "once each, what is lent not")
		assert.Equal(b, 3, b.s.Stat().Idle)

		broken.Store(2)
		b.put(all[1])
		assert.Equal(b, []int64{1, 2}, b.closed())
		assert.Empty(b, numbers(checked), "an error of the same generation is no news")

		l := b.get().lease()
		broken.Store(l.Value().id)
		b.put(l)
		assert.Len(b, numbers(checked), 2, "one that was checked since is news")
	})
}

// Those opened after an alarm are not in doubt, nor what
// the old ones say of them.
func TestAnAlarmOfAnOldResourceSaysNothingOfNewOnes(t *testing.T) {
	var broken atomic.Int64
	cfg, checked := alarmed(3, &broken)
	inBed(t, cfg, func(b *bed) {
		old := b.leases(2)
		broken.Store(1)
		b.put(old[0])
		fresh := b.get().lease()
		b.put(fresh)
		assert.Empty(b, numbers(checked))
		broken.Store(2)
		b.put(old[1])
		assert.Empty(b, numbers(checked))
		assert.Equal(b, []int64{1, 2}, b.closed())
	})
}

// What was lent during an alarm, and again since, tells of
// the next one.
func TestAnAlarmOfWhatWasLentSinceCounts(t *testing.T) {
	var broken atomic.Int64
	cfg, checked := alarmed(3, &broken)
	cfg.Look = func(*thing) Verdict { return Keep }
	inBed(t, cfg, func(b *bed) {
		all := b.leases(3)
		time.Sleep(time.Second)
		broken.Store(1)
		b.put(all[0])
		b.put(all[1])
		b.put(all[2])
		assert.Empty(b, numbers(checked), "proved by its use")
		time.Sleep(time.Hour)
		l := b.get().lease()
		broken.Store(l.Value().id)
		b.put(l)
		assert.Len(b, numbers(checked), 1, "an hour later")
	})
}

// The check waits for the end of the pause.
func TestAnAlarmInAPauseIsFollowedAfterIt(t *testing.T) {
	var broken atomic.Int64
	cfg, checked := alarmed(3, &broken)
	inBed(t, cfg, func(b *bed) {
		all := b.leases(3)
		b.put(all[1])
		b.put(all[2])
		paused := in(func() { assert.NoError(b, b.s.Pause(b.Context())) })
		synctest.Wait()
		broken.Store(1)
		b.put(all[0])
		<-paused
		assert.Empty(b, numbers(checked))
		require.NoError(b, b.s.Resume())
		assert.ElementsMatch(b, []int64{2, 3}, numbers(checked))
	})
}

func TestErrStaleClosesAGeneration(t *testing.T) {
	var broken atomic.Int64
	cfg, _ := alarmed(4, &broken)
	judge := cfg.Judge
	var doubted atomic.Int64
	cfg.Judge = func(th *thing) Verdict {
		if doubted.Load() == th.id {
			return Check
		}
		return judge(th)
	}
	inBed(t, cfg, func(b *bed) {
		old := b.leases(3)
		b.put(old[2])
		broken.Store(-1)
		doubted.Store(1)
		b.put(old[0])
		assert.Equal(b, []int64{1, 3}, b.closed(), "what rests is closed with it")
		fresh := b.get().lease()
		b.put(fresh)
		broken.Store(-2)
		doubted.Store(2)
		b.put(old[1])
		assert.Equal(b, []int64{1, 2, 3}, b.closed(), "a late one of the old generation hurts nobody")
		assert.Equal(b, 1, b.s.Stat().Idle)
	})
}

func TestErrAlarmOfACleanHasWhatIsIdleChecked(t *testing.T) {
	checked := make(chan int64, 10)
	cfg := Config[*thing]{
		MaxOpen: 2,
		Judge:   func(*thing) Verdict { return Clean },
		Clean: func(_ context.Context, th *thing) error {
			if th.id == 1 {
				return errors.Join(ErrAlarm, errors.New("gone"))
			}
			return nil
		},
		Check: func(_ context.Context, th *thing) error { checked <- th.id; return nil },
	}
	inBed(t, cfg, func(b *bed) {
		both := b.leases(2)
		b.put(both[1])
		b.put(both[0])
		require.Equal(b, []int64{1}, b.closed())
		assert.Equal(b, []int64{2}, numbers(checked))
	})
}
