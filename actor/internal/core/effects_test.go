package core

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The world as the machine's Effects.

func (w *world) Waiting() int { return len(w.waiting) }

func (w *world) Idle() (below, top int) { return len(w.below), w.lying() - len(w.below) }

func (w *world) Give(sl *Slot) *Slot {
	w.at("give")
	if sl.recalled || w.slots[sl].unwanted {
		w.fail("%d is given, and is to be closed", sl.ID)
	}
	w.own(sl, machine, inLine)
	if w.drawn == sl {
		w.drawn = nil
	}
	if w.shut {
		w.fail("%d is given while the gate is shut", sl.ID)
	}
	if len(w.waiting) > 0 {
		if len(w.hand) >= w.handRoom {
			w.own(sl, inLine, machine)
			return sl
		}
		w.printf("give %d to %s", sl.ID, w.waiting[0].name)
		w.answer(sl)
		return nil
	}
	if w.lying() >= w.room {
		w.own(sl, inLine, machine)
		return sl
	}
	if w.top == nil {
		w.top = sl
	} else {
		w.below = append(w.below, sl)
	}
	w.printf("lay %d", sl.ID)
	return nil
}

func (w *world) Match() *Slot {
	w.at("match")
	if w.shut {
		return nil
	}
	for len(w.waiting) > 0 {
		sl := w.take()
		if sl == nil {
			return nil
		}
		w.own(sl, inLine, machine)
		if rest := w.Give(sl); rest != nil {
			return rest
		}
	}
	return nil
}

func (w *world) Return(sl *Slot, top bool) *Slot {
	w.at("return")
	w.drawn = nil
	w.own(sl, machine, inLine)
	switch {
	case w.lying() >= w.room:
		w.own(sl, inLine, machine)
		return sl
	case top && w.top == nil:
		w.top = sl
	default:
		w.below = append(w.below, sl)
	}
	return w.Match()
}

func (w *world) Draw() *Slot {
	w.at("draw")
	if len(w.below) == 0 {
		return nil
	}
	sl := w.below[0]
	w.below = w.below[1:]
	return w.draw(sl)
}

func (w *world) DrawTop() *Slot {
	w.at("top")
	sl := w.top
	if sl == nil {
		return nil
	}
	w.top = nil
	return w.draw(sl)
}

func (w *world) draw(sl *Slot) *Slot {
	if w.slots[sl].revoked {
		return sl
	}
	w.own(sl, inLine, machine)
	if d := w.drawn; !w.shut && d != nil && d.state == Out {
		w.fail("the machine hides %d and %d", d.ID, sl.ID)
	}
	w.drawn = sl
	return sl
}

func (w *world) Refuse(why Refusal, err error) bool {
	w.at("refuse")
	if len(w.waiting) == 0 || len(w.hand) >= w.handRoom {
		return false
	}
	b := w.waiting[0]
	w.waiting = w.waiting[1:]
	w.hand = append(w.hand, answered{to: b})
	w.printf("refuse %s: %s", b.name, refusalText(why, err))
	return true
}

func (w *world) Dismiss(g *NoWait, why Refusal, err error) {
	b := g.Body.(*borrower)
	i := slices.Index(w.waiting, b)
	if i < 0 { // an answer is on its way
		return
	}
	w.waiting = slices.Delete(w.waiting, i, i+1)
	w.leave(b)
	w.printf("dismiss %s: %s", b.name, refusalText(why, err))
}

func (w *world) Shut() {
	w.at("shut")
	w.shut = true
	w.printf("shut")
}

func (w *world) Open() {
	w.at("open")
	if w.ended {
		w.fail("the gate opens after the end")
	}
	w.shut = false
	w.printf("open")
}

func (w *world) SetFull(full bool) {
	w.at("full")
	w.full = full
	if full {
		w.printf("full")
	} else {
		w.printf("not full")
	}
}

func (w *world) End() {
	if w.ended || !w.shut {
		w.fail("End was called twice, or with the gate open")
	}
	w.ended = true
	w.printf("end")
}

func (w *world) WatchIdle() {
	w.at("few")
	if !w.fewIdle {
		w.fewIdle = true
		w.printf("watch idle")
	}
}

func (w *world) WatchLeases() {
	w.at("unlent")
	if !w.unlent {
		w.unlent = true
		w.printf("watch leases")
	}
}

func (w *world) Recall(sl *Slot) {
	if w.slots[sl].recalls++; w.slots[sl].recalls > 1 {
		w.fail("%d is recalled twice", sl.ID)
	}
	w.printf("recall %d", sl.ID)
}

func (w *world) Revoke(sl *Slot, why Reason, held time.Duration) {
	r := w.slots[sl]
	if r.revoked || r.taken || r.closes > 0 {
		w.fail("%d is revoked, and gone before", sl.ID)
	}
	r.revoked, r.owner = true, nobody
	after := ""
	if held > 0 {
		after = fmt.Sprintf(" after %v", held)
	}
	w.printf("revoke %d: %v%s", sl.ID, why, after)
}

func (w *world) TakeCard(sl *Slot) (since time.Duration, ok bool) {
	if w.cfg.MaxLease == 0 {
		return 0, false
	}
	l, ok := w.lent[sl]
	return l.since, ok
}

func (w *world) PutCard(*Slot) {}

func (w *world) Start(j *Job) {
	r := w.slots[j.Slot]
	switch {
	case j.Kind == OpenJob:
		w.checkDemand() // before a race: it is what the machine saw
		w.slots[j.Slot] = &record{owner: helpers}
	case j.Kind == KillJob:
		if r.kills++; r.kills > 1 {
			w.fail("%d is killed twice", j.Slot.ID)
		}
	default:
		if r.closes > 0 || r.revoked || r.taken {
			w.fail("%v begins, and it is gone", jobText(j))
		}
		if j.Kind == CloseJob {
			r.closes++
		}
		w.own(j.Slot, machine, helpers)
		if w.drawn == j.Slot {
			w.drawn = nil
		}
	}
	w.jobs = append(w.jobs, j)
	w.at("start")
	w.printf("start %s", jobText(j))
}

func (w *world) Cancel(j *Job) {
	w.printf("cancel %s", jobText(j))
}

func (w *world) Answer(c *Waiter, o Outcome, err error) {
	if !w.open[c] {
		w.fail("%v is answered twice", c.Body)
	}
	delete(w.open, c)
	if c.For == Quiet && o == Holds {
		w.quiet = true
	}
	if c.For == Ended && o == Holds {
		w.closed = true
		w.checkEnd()
	}
	w.printf("answer %v: %s", c.Body, outcomeText(o, err))
	if jobs := w.m.Unfinished(w.now); c.For == Ended && o == Holds && len(jobs) > 0 {
		var names []string
		for _, j := range jobs {
			names = append(names, jobText(j))
		}
		w.printf("unfinished: %s", strings.Join(names, ", "))
	}
}

func (w *world) Tell(e Event) {
	if !w.events {
		return
	}
	s := e.Kind.String()
	if e.Slot != nil {
		s += fmt.Sprintf(" %d", e.Slot.ID)
	}
	if e.N > 0 {
		s += fmt.Sprintf(" (%d)", e.N)
	}
	if e.Reason != ReasonNone {
		s += ": " + e.Reason.String()
	}
	if e.Held > 0 {
		s += fmt.Sprintf(" after %v", e.Held)
	}
	switch {
	case e.Kind == EventRefused && e.Outcome != Holds:
		s += ": " + outcomeText(e.Outcome, e.Err)
	case e.Kind == EventRefused:
		s += ": " + refusalText(e.Refusal, e.Err)
	case e.Err != nil:
		s += ": " + e.Err.Error()
	}
	w.printf("event %s", s)
}

// Jitter is all of most: a scene is the same each time.
func (w *world) Jitter(most time.Duration) time.Duration { return most }

// What the commands that look print.

func (w *world) stat() {
	s := w.m.Stat(w.now)
	var parts []string
	for _, p := range []struct {
		name string
		n    uint64
	}{
		{"limit", uint64(s.Limit)}, {"open", uint64(s.Open)}, {"idle", uint64(s.Idle)}, {"leased", uint64(s.Leased)},
		{"repairing", uint64(s.Repairing)}, {"opening", uint64(s.Opening)}, {"closing", uint64(s.Closing)},
		{"failures", uint64(s.Failures)}, {"leases", s.Leases}, {"waits", s.Waits}, {"opened", s.Opened},
		{"closed", s.Closed}, {"expired", s.Expired}, {"unneeded", s.Unneeded}, {"taken", s.Taken},
		{"leaked", s.Leaked}, {"revoked", s.Revoked}, {"dials-failed", s.DialsFailed},
		{"close-failed", s.CloseFailed}, {"refused", s.Refused}, {"cancelled", s.Cancelled},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", p.name, p.n))
		}
	}
	if s.WaitTime > 0 {
		parts = append(parts, fmt.Sprintf("wait-time=%v", s.WaitTime))
	}
	if s.Paused {
		parts = append(parts, "paused")
	}
	if s.Err != nil {
		parts = append(parts, "err="+s.Err.Error())
	}
	w.printf("%s", strings.Join(parts, " "))
}

func (w *world) printLine() {
	s := "idle:"
	for _, sl := range w.below {
		s += fmt.Sprintf(" %d", sl.ID)
	}
	if w.top != nil {
		s += fmt.Sprintf(" top %d", w.top.ID)
	}
	s += "; waiting:"
	for _, b := range w.waiting {
		s += " " + b.name
	}
	if w.shut {
		s += "; shut"
	}
	w.printf("%s", s)
}

func (w *world) printBooks() {
	ids := make([]uint64, 0, len(w.byID))
	for id := range w.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var parts []string
	for _, id := range ids {
		if sl := w.byID[id]; sl.state != Gone {
			s := fmt.Sprintf("%d %v", id, sl.state)
			if sl.recalled && sl.state.open() {
				s += " recalled"
			}
			if sl.Proven {
				s += " proven"
			}
			parts = append(parts, s)
		}
	}
	if n := w.m.count[Opening]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d opening", n))
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	w.printf("%s", strings.Join(parts, ", "))
}
