package core

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", 0, "of the random runs; 0 draws one")
	steps = flag.Int("steps", 0, "commands of the random runs; 0: 200,000, or 20,000 with -short")
)

// runLength is how many commands one machine gets, most often with an end among the last.
const runLength = 400

// TestRandomRuns draws configurations and commands, and checks the rules after each. A
// failure prints the run as a scene.
func TestRandomRuns(t *testing.T) {
	first, total := *seed, *steps
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	if total == 0 {
		total = 200_000
		if testing.Short() {
			total = 20_000
		}
	}
	t.Logf("-seed=%d -steps=%d", first, total)
	done := map[string]int{}
	for n := uint64(0); total > 0; n++ {
		total -= play(t, first+n, min(runLength, total), done)
	}
	for _, name := range []string{"get", "now", "try", "cancel", "put", "late", "done", "tick", "pause", "resume", "reset", "resize", "closeall", "force", "during"} {
		if *steps == 0 && done[name] == 0 {
			t.Errorf("%s was never drawn", name)
		}
	}
}

// play plays one run, and returns the number of its commands.
func play(t *testing.T, seed uint64, length int, done map[string]int) int {
	p := &player{Rand: rand.New(rand.NewPCG(seed, 1))}
	var story strings.Builder
	p.world = newWorld(func(format string, args ...any) {
		t.Helper()
		t.Fatalf("\n%s%s-seed=%d: %s", story.String(), p.out.String(), seed, fmt.Sprintf(format, args...))
	})
	config := p.config()
	fmt.Fprintf(&story, "%s\n", config)
	p.run(config)
	p.settle()
	for p.left = length; p.left > 0; {
		var batch []string
		for range 1 + p.few(3) {
			c := p.command()
			if c == "" {
				continue
			}
			p.left--
			batch = append(batch, c)
			done[strings.Fields(c)[0]]++
			fmt.Fprintf(&story, "%s\n", c)
			p.run(c)
			if strings.HasPrefix(c, "tick") {
				break
			}
		}
		fmt.Fprintf(&story, "----\n")
		p.settle()
		story.WriteString(p.out.String())
		p.out.Reset()
		story.WriteString("\n")
		if len(batch) == 0 {
			p.left--
		}
	}
	return length
}

// A player draws what happens.
type player struct {
	*rand.Rand
	*world
	left int
	gets int
}

// few is a number below n, most often 0.
func (p *player) few(n int) int { return p.IntN(p.IntN(n) + 1) }

func (p *player) chance(percent int) bool { return p.IntN(100) < percent }

func pick[T any](p *player, of []T) T { return of[p.IntN(len(of))] }

func (p *player) config() string {
	most := 1 + p.few(8)
	words := []string{"config", fmt.Sprintf("max=%d", most)}
	add := func(percent int, format string, args ...any) {
		if p.chance(percent) {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	minOpen, minIdle := 0, 0
	if p.chance(30) {
		minOpen = p.IntN(most + 1)
	}
	if p.chance(30) {
		minIdle = p.IntN(most + 1)
	}
	add(100, "min-open=%d", minOpen)
	add(100, "min-idle=%d", minIdle)
	if least := max(minOpen, minIdle); p.chance(20) {
		add(100, "max-idle=%d", least+p.IntN(most-least+1))
	}
	add(20, "max-age=%v jitter=%v", p.between(time.Second/8, pick(p, []time.Duration{time.Second, 10 * time.Minute})), time.Second)
	add(30, "max-rest=%v", p.between(time.Second, 5*time.Minute))
	add(40, "period=%v", p.between(time.Second, time.Minute))
	add(20, "max-lease=%v", p.between(time.Second, time.Minute))
	add(20, "max-waiting=%d", 1+p.few(4))
	add(30, "dials=%d", 1+p.few(3))
	add(50, "wait")
	add(20, "reconnect=%v", p.between(time.Millisecond, time.Minute))
	add(20, "picky")
	add(50, "look")
	add(60, "clean")
	add(60, "check")
	if slices.Contains(words, "check") {
		add(40, "keepalive")
	}
	add(30, "hand=%d", 1+p.few(3))
	if !strings.Contains(strings.Join(words, " "), "max-idle") {
		add(20, "room=%d", 1+p.few(most))
	}
	return strings.Join(words, " ")
}

func (p *player) between(a, b time.Duration) time.Duration {
	return (a + time.Duration(p.Int64N(int64(b-a)))).Round(time.Millisecond)
}

// held are the numbers of the slots that borrowers hold.
func (p *player) held() (ids []uint64) {
	for sl := range p.lent {
		ids = append(ids, sl.ID)
	}
	slices.Sort(ids)
	return ids
}

// command draws one that makes sense, "" if the one drawn does not.
func (p *player) command() string {
	held := p.held()
	switch n := p.IntN(100); {
	case n < 25:
		p.gets++
		if p.chance(10) {
			return fmt.Sprintf("try g%d", p.gets)
		}
		return fmt.Sprintf("%s g%d", pick(p, []string{"get", "get", "get", "now"}), p.gets)
	case n < 45:
		return p.put(held)
	case n < 70:
		return p.doneCommand()
	case n < 74:
		return p.cancelCommand()
	case n < 84:
		if p.next < Never && p.next > p.now && p.chance(60) {
			return fmt.Sprintf("tick %v", p.next-p.now+time.Duration(p.few(2)))
		}
		return fmt.Sprintf("tick %v", pick(p, []time.Duration{1, time.Millisecond, 10 * time.Millisecond, time.Second, time.Minute}))
	case n < 87:
		p.gets++
		return fmt.Sprintf(pick(p, []string{"pause w%d", "ready w%d", "ready w%d patient", "check w%d"}), p.gets)
	case n < 89:
		var names []string
		for c := range p.open {
			if c.For != Ended {
				names = append(names, c.Body.(string))
			}
		}
		if slices.Sort(names); len(names) > 0 {
			return "giveup " + pick(p, names)
		}
		return ""
	case n < 92:
		return "resume"
	case n < 93:
		return "reset"
	case n < 94:
		most := 1 + p.IntN(8)
		return fmt.Sprintf("resize %d %d", p.few(most+1), most)
	case n < 95:
		return pick(p, []string{"stat", "wake"})
	case n < 98:
		return p.race(held)
	case p.left > runLength/4 && p.chance(98):
		return ""
	case p.chance(50):
		p.gets++
		return fmt.Sprintf("closeall w%d", p.gets)
	case p.m.end.closing:
		return "force"
	}
	return ""
}

func (p *player) put(held []uint64) string {
	if len(held) == 0 {
		return ""
	}
	id := pick(p, held)
	switch n := p.IntN(100); {
	case n < 60:
		return fmt.Sprintf("put %d", id)
	case n < 75:
		return fmt.Sprintf("put %d %s", id, pick(p, []string{"clean", "check"}))
	case n < 85:
		return fmt.Sprintf("put %d %s", id, pick(p, []string{"discard", fmt.Sprint("discard ", uint8(ReasonRefused)), "alarm"}))
	case n < 88:
		return fmt.Sprintf("hijack %d", id)
	case n < 91:
		return fmt.Sprintf("kill %d", id)
	case n < 94:
		return fmt.Sprintf("unfit %d %s", id, pick(p, []string{"", "stale", "suspect"}))
	case p.lying() < p.world.room:
		return fmt.Sprintf("late %d", id)
	}
	return ""
}

func (p *player) cancelCommand() string {
	if names := p.picking(); len(names) > 0 && p.chance(50) {
		return "cancel " + pick(p, names)
	}
	if len(p.waiting) == 0 {
		return ""
	}
	return "cancel " + pick(p, p.waiting).name
}

// picking are the names of the TryGets that wait.
func (p *player) picking() (names []string) {
	for t := range p.pickers {
		names = append(names, t.Body.(*borrower).name)
	}
	slices.Sort(names)
	return names
}

func (p *player) doneCommand() string {
	if len(p.jobs) == 0 {
		return ""
	}
	j := pick(p, p.jobs)
	s := "done " + jobText(j)
	if j.Kind == OpenJob {
		nth := 0
		for _, other := range p.jobs {
			if other.Kind == OpenJob {
				nth++
			}
			if other == j {
				break
			}
		}
		s = fmt.Sprintf("done %d Open", nth)
	}
	if j.Kind == KillJob || !p.chance(25) {
		return s
	}
	s += " err"
	if j.Kind == OpenJob && p.chance(20) {
		s += " permanent"
	}
	if j.Kind.repairs() {
		s += pick(p, []string{"", " stale", " suspect"})
	}
	return s
}

// race has a borrower's step happen before an effect.
func (p *player) race(held []uint64) string {
	if len(p.world.during) > 0 {
		return ""
	}
	p.gets++
	c := fmt.Sprintf("get g%d", p.gets)
	switch {
	case len(held) > 0 && p.chance(40) && !p.shut && p.lying() < p.world.room:
		c = fmt.Sprintf("late %d", pick(p, held))
	case len(held) > 0 && p.chance(50):
		c = fmt.Sprintf("put %d", pick(p, held))
	}
	effect := pick(p, []string{"shut", "open", "give", "match", "draw", "top", "return", "refuse", "start", "full", "few", "unlent"})
	return fmt.Sprintf("during %s %s", effect, c)
}
