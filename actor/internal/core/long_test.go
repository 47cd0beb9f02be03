package core

import (
	"errors"
	"testing"
	"time"
)

// A configuration may say never: durations that are as long as the supervisor lets them
// be can be added to each other.
func TestDurationsMayBeAsLongAsCanBe(t *testing.T) {
	const longest = Never / 8 // as in package actor
	w := newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) })
	w.configure([]string{"max=2", "clean", "check", "keepalive", "wait"})
	c := &w.m.cfg
	for _, d := range []*time.Duration{
		&c.OpenTimeout, &c.CleanTimeout, &c.CheckTimeout, &c.CloseGrace, &c.MaxAge, &c.AgeJitter, &c.MaxRest,
		&c.MaxLease, &c.CheckPeriod, &c.BackoffMax,
	} {
		*d = longest
	}
	w.cfg = *c
	w.batch([]string{"get a"})
	w.batch([]string{"tick 1000h"})
	w.batch([]string{"done Open"})
	w.batch([]string{"put 1 clean"})
	w.batch([]string{"done Clean 1 no", "get b"})
	for range 100 {
		w.m.failed(w.now, &Job{epoch: w.m.outage.epoch}, Result{Err: errors.New("no")})
		if until := w.m.outage.until; until <= w.now || until > w.now+longest {
			t.Fatalf("after %d failures the backoff ends at %v, now is %v", w.m.outage.failures, until, w.now)
		}
	}
	if w.m.outage.until != w.now+longest {
		t.Errorf("the backoff ends at %v, not at its maximum", w.m.outage.until)
	}
	w.batch([]string{"closeall z", "force"})
	if w.next <= w.now {
		t.Errorf("the grace ends at %v, now is %v", w.next, w.now)
	}
}
