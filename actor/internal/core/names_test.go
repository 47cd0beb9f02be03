package core

import (
	"errors"
	"fmt"
	"testing"
)

// Every value of an enum has a name of its own, and others are said to be unknown.
func TestNames(t *testing.T) {
	for _, enum := range []struct {
		first, end int
		name       func(int) fmt.Stringer
	}{
		{0, int(states), func(i int) fmt.Stringer { return State(i) }},
		{int(EventOpened), int(EventEnded) + 1, func(i int) fmt.Stringer { return EventKind(i) }},
		{0, int(ReasonUsed) + 1, func(i int) fmt.Stringer { return Reason(i) }},
		{0, int(KillJob) + 1, func(i int) fmt.Stringer { return JobKind(i) }},
		{0, int(Alarm) + 1, func(i int) fmt.Stringer { return Verdict(i) }},
	} {
		unknown := enum.name(enum.end).String()
		if enum.name(255).String() != unknown {
			t.Errorf("%v: not the name of what is unknown", enum.name(255))
		}
		seen := map[string]bool{unknown: true}
		for i := enum.first; i < enum.end; i++ {
			if s := enum.name(i).String(); s == "" || seen[s] {
				t.Errorf("%d is %q", i, s)
			} else {
				seen[s] = true
			}
		}
	}
	if s := EventKind(0).String(); s != "unknown event" {
		t.Errorf("no event is %q", s)
	}
}

func TestTwoErrorsAreBothFound(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	if err := both(a, b); !errors.Is(err, a) || !errors.Is(err, b) || err.Error() != "a; b" {
		t.Errorf("both are %v", err)
	}
	if both(a, nil) != a || both(nil, b) != b || both(nil, nil) != nil {
		t.Error("one error is not itself")
	}
}

// The queue of kept slots takes the room of the slots in it, however many have passed
// through.
func TestQueueDoesNotGrow(t *testing.T) {
	var q queue
	slots := [3]*Slot{{ID: 0}, {ID: 1}, {ID: 2}}
	for _, sl := range slots {
		q.push(sl)
	}
	for i := range 10_000 {
		sl := q.pop()
		if sl != slots[i%3] {
			t.Fatalf("%d: %d came first", i, sl.ID)
		}
		if i%7 == 0 {
			q.pushFirst(sl)
			if q.len() != 3 || q.pop() != sl {
				t.Fatalf("%d: %d is not the first again", i, sl.ID)
			}
		}
		q.push(sl)
	}
	if q.len() != 3 || cap(q.slots) > 100 {
		t.Errorf("%d slots take the room of %d", q.len(), cap(q.slots))
	}
	for range 3 {
		q.pop()
	}
	if q.pop() != nil || q.len() != 0 {
		t.Error("an empty queue has a slot")
	}
	q.pushFirst(slots[1])
	if q.pop() != slots[1] {
		t.Error("pushFirst into an empty queue")
	}
}
