package line

import (
	"fmt"
	"slices"
)

// A ledger follows, step by step, where each token, answer and value of a line is, by what
// a step did to the channels. It knows nothing of how the line works, so a step that
// loses something, or makes it twice, does not add up. Only one goroutine may run at a time.
type ledger struct {
	line  *Line[int]
	top   []int // what lies in each channel, first to come first; an error is 0
	idle  []int
	hand  []int
	want  int
	alive map[int]bool // values that were opened and not closed
}

// An account is what one goroutine has at the moment.
type account struct {
	values   []int // lent to it, or on their way through its call
	tokens   int   // taken and not yet answered
	waiting  bool  // it has joined and has no answer
	answers  int   // received since it joined
	sawOpen  bool  // its last look at the gate saw it open
	borrower bool
}

func newLedger(l *Line[int]) *ledger { return &ledger{line: l, alive: map[int]bool{}} }

// book accounts for what the last step of a has done. joiner is whose token a posts.
func (g *ledger) book(a, joiner *account) error {
	l := g.line
	changes := 0
	for _, c := range []struct {
		before, after int
	}{{len(g.top), len(l.top)}, {len(g.idle), len(l.idle)}, {len(g.hand), len(l.hand)}, {g.want, len(l.want)}} {
		if c.before != c.after {
			changes++
		}
	}
	if changes > 1 {
		return fmt.Errorf("%d channels changed in one step", changes)
	}
	if err := g.bookWant(len(l.want)-g.want, a, joiner); err != nil {
		return err
	}
	if err := g.bookHand(len(l.hand)-len(g.hand), a); err != nil {
		return err
	}
	if err := bookValues(&g.top, l.top, a); err != nil {
		return fmt.Errorf("top: %w", err)
	}
	if err := bookValues(&g.idle, l.idle, a); err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	return nil
}

func (g *ledger) bookWant(change int, a, joiner *account) error {
	g.want += change
	switch {
	case change == 0:
	case change == -1:
		a.tokens++
	case change == 1 && a.tokens > 0:
		a.tokens--
	case change == 1 && joiner != nil && !joiner.waiting:
		joiner.waiting, joiner.answers = true, 0
	default:
		return fmt.Errorf("want changed by %d", change)
	}
	return nil
}

func (g *ledger) bookHand(change int, a *account) error {
	switch change {
	case 0:
		return nil
	case 1:
		if a.tokens--; a.tokens < 0 {
			return fmt.Errorf("rule 1: an answer is sent without a token")
		}
		sent := contents(g.line.hand)[len(g.hand)]
		g.hand = append(g.hand, sent.value)
		if sent.err != nil {
			return nil
		}
		return a.lose(sent.value)
	case -1:
		if a.answers++; !a.waiting {
			return fmt.Errorf("rule 1: an answer is received without waiting")
		}
		a.waiting = false
		if v := g.hand[0]; v != 0 {
			a.values = append(a.values, v)
		}
		g.hand = g.hand[1:]
		return nil
	default:
		return fmt.Errorf("hand changed by %d", change)
	}
}

// bookValues moves a value between the channel c, of which was is the last known content,
// and a.
func bookValues(was *[]int, c chan int, a *account) error {
	change := len(c) - len(*was)
	if change == 0 {
		return nil
	}
	if a.borrower && !a.sawOpen {
		return fmt.Errorf("rule 4: a borrower moves a value though it has not seen the gate open")
	}
	switch change {
	case 1:
		laid := contents(c)[len(*was)]
		*was = append(*was, laid)
		return a.lose(laid)
	case -1:
		a.values = append(a.values, (*was)[0])
		*was = (*was)[1:]
		return nil
	default:
		return fmt.Errorf("the channel changed by %d", change)
	}
}

// lose takes v off what a has.
func (a *account) lose(v int) error {
	i := slices.Index(a.values, v)
	if i < 0 {
		return fmt.Errorf("value %d is passed on by a goroutine that has %v: it is in two places", v, a.values)
	}
	a.values = slices.Delete(a.values, i, i+1)
	return nil
}

// check adds up. under are the values on their way in messages.
func (g *ledger) check(accounts []*account, under []int, limit int) error {
	tokens, waiters := 0, 0
	places := slices.Concat(g.top, g.idle, under)
	for _, v := range g.hand {
		if v != 0 {
			places = append(places, v)
		}
	}
	for _, a := range accounts {
		tokens += a.tokens
		if a.waiting {
			waiters++
		}
		places = append(places, a.values...)
	}
	if sum := g.want + tokens + len(g.hand); sum != waiters {
		return fmt.Errorf("rule 1: %d tokens + %d claimed + %d answers for %d waiters", g.want, tokens, len(g.hand), waiters)
	}
	slices.Sort(places)
	if len(places) != len(g.alive) || len(slices.Compact(places)) != len(g.alive) {
		return fmt.Errorf("values %v are in some place, %d are alive", places, len(g.alive))
	}
	if len(g.alive) > limit {
		return fmt.Errorf("%d values are alive, the limit is %d", len(g.alive), limit)
	}
	return nil
}

// contents is what lies in c, first to come first. Nobody else may use c meanwhile.
func contents[T any](c chan T) []T {
	all := make([]T, 0, len(c))
	for range len(c) {
		v := <-c
		all = append(all, v)
		c <- v
	}
	return all
}
