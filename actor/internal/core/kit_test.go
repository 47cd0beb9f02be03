package core

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A world runs a machine alone. It is the machine's Effects, with a line, borrowers and
// helpers that are plain data, and a clock that a command moves. A command is a line of
// text; what the machine and the borrowers did is appended to out.
//
// # The language of scenes
//
// The files in testdata hold scenes. A scene ends where the next begins:
//
//	scene: a put serves the first waiter
//	config max=1
//	borrow a
//	get b c
//	----
//
//	put 1
//	----
//	put 1 to b
//
// The commands up to ---- are a batch: they happen one after the other, then the machine
// handles the messages that they sent and settles, as often as there is reason to. It
// settles only if it got a message or its deadline has come, so a scene also shows who
// wakes the machine. After ---- comes what happened, up to an empty line. A line that
// begins with # is a comment. go test -update writes what happens into the files; read
// the difference.
//
// config, first in a scene if at all, has the settings of [Config], and those of the world:
//
//	max=N min-open=N min-idle=N max-idle=N max-age=D jitter=D max-rest=D max-lease=D
//	max-waiting=N dials=N period=D backoff=MIN,MAX reconnect=D wait nowait keepalive look clean check
//	room=N    idle slots in the line; max or max-idle if it is not given
//	hand=N    answers of the line that may be on their way at once, 1000
//	events    events are shown
//	picky     gets are content with nothing: what they have counts as not lent yet
//
// max is 2, dials 8, period a minute, backoff 10ms,200ms if they are not given; wait is
// WaitForServer.
//
// Setting up, of which nothing is shown:
//
//	borrow NAME...       each gets a resource; one is opened if none is idle
//	rest N               N are opened and put: they lie idle
//
// Borrowers. Gets have names, slots have the numbers in which they were opened:
//
//	get NAME...          Get; with nowait it is GetNoWait
//	now NAME...          GetNoWait
//	try NAME...          TryGet; it waits 800 ms for what is being repaired
//	receive              those whose answers are on their way receive them (for races: they
//	                     do in any case before the machine settles again)
//	cancel NAME          the get, or TryGet, gives up its wait
//	put N [VERDICT [R]]  the holder puts slot N; R is the number of the reason
//	late N               so does a holder that had looked at the gate before it was shut
//	hijack N             the holder takes the resource out of the pool
//	kill N               the layer above revokes the lease
//	unfit N [stale] [suspect]    a repair by the holder has failed
//	leak                 a lease was garbage collected
//
// Helpers. done ends the first job of its kind; if none is under way the machine settles
// first. With ERR it has failed (unfit: ErrUnfit):
//
//	done [NTH] Open [ERR] [permanent]
//	done Look|Clean|Check|Close|Kill N [ERR] [stale] [suspect]
//
// The rest of the machine's face:
//
//	ready NAME [patient], check NAME, pause NAME, giveup NAME, resume, reset, resize MIN MAX, closeall NAME, force
//	wake                 the machine settles, without a reason
//	tick D               D passes, from deadline to deadline; the time, with a colon, comes
//	                     before what happens then
//	during [NTH] EFFECT COMMAND
//	                     a race: a borrower's command happens just before the next effect,
//	                     or the Nth from now: shut, open, give, match, draw, top, return,
//	                     refuse, start, full, few, unlent
//
// Looks, which come after the rest of their batch:
//
//	stat                 counts that are not zero
//	line                 what lies in the line, and who waits there
//	books                what every slot is doing, and whether it is proven
//	lent                 what borrowers hold, as far as the machine can tell
//	holds                whether a Ready or a Pause would be answered at once
//
// What happens: give N to NAME, lay N, refuse NAME: WHY, start JOB, cancel JOB, recall N,
// revoke N: WHY, answer NAME: OUTCOME, shut, open, full, not full, end, watch idle, watch
// leases are the machine's effects; "next D" is its deadline when that has changed. What
// borrowers do begins with the name of a get, or is a put.
type world struct {
	m    *Machine
	cfg  Config
	now  time.Duration
	next time.Duration // the deadline that Settle returned
	told time.Duration // the deadline that was printed last
	out  strings.Builder
	fail func(format string, args ...any) // a rule is broken, or a command makes no sense

	quietly bool // the deadline is not printed
	noWait  bool // gets do not wait for borrowers

	inbox  []func()
	during []hook
	events bool
	picky  bool

	// The line.
	waiting  []*borrower
	below    []*Slot
	top      *Slot
	room     int
	hand     []answered
	handRoom int
	shut     bool
	full     bool
	ended    bool
	fewIdle  bool // the next get that leaves too few says so
	unlent   bool // so does the next that begins a lease

	names   map[string]*borrower
	lent    map[*Slot]lease
	jobs    []*Job // that have not reported
	slots   map[*Slot]*record
	byID    map[uint64]*Slot
	calls   map[string]*Waiter
	open    map[*Waiter]bool // not answered
	pickers map[*Picker]bool // not answered
	quiet   bool             // a Pause has returned
	drawn   *Slot            // out of the line, with the gate open, in the machine's hands
	before  int              // places after the last settle
	grown   int              // places that late dials have taken since
	closed  bool             // CloseAll has been answered
}

type hook struct {
	nth             int
	effect, command string
}

// A borrower is one get.
type borrower struct {
	name   string
	began  time.Duration
	waits  bool
	noWait *NoWait // nil of a plain Get
}

type answered struct {
	to   *borrower
	slot *Slot
}

type lease struct {
	by    string
	since time.Duration
}

// A record is what the world knows of a slot: who owns it, and how it ended.
type record struct {
	owner          owner
	closes, kills  int
	revoked, taken bool
	recalls        int
	opened         bool
	unwanted       bool // it came too late, or is of a dial from before a reset
}

type owner uint8

const (
	helpers owner = iota
	machine
	inLine
	onItsWay // answered, and not received
	lentOut
	nobody
)

func (o owner) String() string {
	return [...]string{"a helper", "the machine", "the line", "an answer", "a borrower", "nobody"}[o]
}

func newWorld(fail func(string, ...any)) *world {
	return &world{
		fail: fail, names: map[string]*borrower{}, lent: map[*Slot]lease{}, slots: map[*Slot]*record{},
		byID: map[uint64]*Slot{}, calls: map[string]*Waiter{}, open: map[*Waiter]bool{}, pickers: map[*Picker]bool{}, told: Never,
	}
}

// configure makes the machine, from the words of a config command.
func (w *world) configure(words []string) {
	c := Config{
		MaxOpen: 2, MaxIdle: NoLimit, MaxDials: 8, BackoffMin: 10 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
		OpenTimeout: 2 * time.Minute, CleanTimeout: 5 * time.Second, CheckTimeout: 3 * time.Second,
		CloseGrace: 250 * time.Millisecond, CheckPeriod: time.Minute,
	}
	w.handRoom, w.room = 1000, -1
	numbers := map[string]*int{
		"max": &c.MaxOpen, "min-open": &c.MinOpen, "min-idle": &c.MinIdle, "max-idle": &c.MaxIdle,
		"max-waiting": &c.MaxWaiting, "dials": &c.MaxDials, "hand": &w.handRoom, "room": &w.room,
	}
	durations := map[string]*time.Duration{
		"max-age": &c.MaxAge, "jitter": &c.AgeJitter, "max-rest": &c.MaxRest, "period": &c.CheckPeriod, "max-lease": &c.MaxLease,
		"reconnect": &c.ReconnectTimeout,
	}
	flags := map[string]*bool{
		"wait": &c.WaitForServer, "nowait": &w.noWait, "keepalive": &c.KeepAlive, "look": &c.Look, "clean": &c.Clean,
		"check": &c.Check, "events": &w.events, "picky": &w.picky,
	}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case numbers[key] != nil:
			*numbers[key] = w.number(value)
		case durations[key] != nil:
			*durations[key] = w.duration(value)
		case flags[key] != nil:
			*flags[key] = true
		case key == "backoff":
			least, most, _ := strings.Cut(value, ",")
			c.BackoffMin, c.BackoffMax = w.duration(least), w.duration(most)
		default:
			w.fail("config: what is %q?", word)
		}
	}
	if w.room < 0 {
		if w.room = c.MaxOpen; c.MaxIdle < NoLimit {
			w.room = c.MaxIdle
		}
	}
	w.cfg = c
	w.m = New(c, w)
	w.settle() // as the supervisor does, before it reads the first message
}

func (w *world) number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		w.fail("%v", err)
	}
	return n
}

func (w *world) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		w.fail("%v", err)
	}
	return d
}

func (w *world) printf(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

// batch runs commands, and then the machine.
func (w *world) batch(commands []string) {
	if w.m == nil && !strings.HasPrefix(commands[0], "config") {
		w.configure(nil)
	}
	var looks []string
	for _, c := range commands {
		if slices.Contains([]string{"stat", "line", "books", "lent", "holds"}, c) {
			looks = append(looks, c)
		} else {
			w.run(c)
		}
	}
	w.settle()
	for _, c := range looks {
		w.run(c)
		w.settle()
	}
}

// settle is the supervisor's loop until it would wait.
func (w *world) settle() {
	for n := 0; ; n++ {
		w.receive()
		if w.shut { // what a late put has laid
			for _, sl := range w.takeAll() {
				w.inbox = append(w.inbox, func() { w.put(sl, Keep, ReasonNone) })
			}
		}
		if len(w.inbox) == 0 && w.next > w.now {
			break
		}
		if n == 10_000 {
			w.fail("the machine does not come to rest")
		}
		inbox := w.inbox
		w.inbox = nil
		for _, f := range inbox {
			f()
		}
		w.next = w.m.Settle(w.now)
		w.checkSettled()
	}
	w.check()
	if w.next != w.told && !w.quietly {
		w.told = w.next
		if w.next == Never {
			w.printf("next never")
		} else {
			w.printf("next %v", w.next)
		}
	}
}

// tick passes d, from deadline to deadline.
func (w *world) tick(d time.Duration) {
	w.settle()
	w.quietly = true
	defer func() { w.quietly = false; w.settle() }()
	for end := w.now + d; w.now < end; {
		w.now = min(end, w.next)
		if w.now < w.next {
			return
		}
		at := w.out.Len()
		w.settle()
		if happened := w.out.String()[at:]; happened != "" {
			rest := w.out.String()[:at]
			w.out.Reset()
			fmt.Fprintf(&w.out, "%s%v:\n%s", rest, w.now, happened)
		}
	}
}

// run does one command.
func (w *world) run(command string) {
	words := strings.Fields(command)
	m, args := w.m, words[1:]
	arg := func(i int) string {
		if i >= len(args) {
			w.fail("%s: too few words", command)
		}
		return args[i]
	}
	message := func(f func()) { w.inbox = append(w.inbox, f) }
	switch words[0] {
	case "config":
		w.configure(args)
	case "get":
		for _, n := range args {
			w.get(n)
		}
	case "now":
		for _, n := range args {
			w.getNow(n)
		}
	case "borrow":
		w.silently(func() {
			for _, n := range args {
				w.borrow(n)
			}
		})
	case "rest":
		w.silently(func() {
			n := w.number(arg(0))
			for i := range n {
				w.borrow(fmt.Sprint("rest", i))
			}
			for i := range n {
				w.giveBack(w.holderOf(fmt.Sprint("rest", i)), Keep, ReasonNone)
			}
			w.settle()
		})
	case "try":
		for _, n := range args {
			w.try(n)
		}
	case "receive":
		w.receive()
	case "cancel":
		w.cancel(arg(0))
	case "put":
		v, why := Keep, ReasonNone
		if len(args) > 1 {
			v, why = Verdict(slices.Index(verdictNames[:], args[1])), ReasonDiscarded // unknown if it is none
		}
		if len(args) > 2 {
			why = Reason(w.number(args[2]))
		}
		w.giveBack(w.holding(arg(0)), v, why)
	case "late":
		sl := w.holding(arg(0))
		w.letGo(sl)
		w.passAfter(sl)
	case "hijack":
		sl := w.holding(arg(0))
		delete(w.lent, sl)
		message(func() {
			if m.Hijack(sl) {
				w.own(sl, lentOut, nobody)
				w.slots[sl].taken = true
			} else {
				w.printf("too late")
			}
		})
	case "kill":
		sl := w.holding(arg(0))
		l := w.lent[sl]
		delete(w.lent, sl)
		message(func() { m.Kill(w.now, sl, ReasonUsed, w.now-l.since) })
	case "unfit":
		sl := w.holding(arg(0))
		r := Result{Err: errors.New("no"), Why: ReasonUnfit, Stale: slices.Contains(args, "stale"), Suspect: slices.Contains(args, "suspect")}
		delete(w.lent, sl)
		message(func() {
			if sl.state == Out {
				w.own(sl, lentOut, machine)
			}
			m.Unfit(w.now, sl, r)
		})
	case "leak":
		message(m.Leaked)
	case "done":
		w.done(args)
	case "ready", "check", "pause", "closeall":
		condition := map[string]Condition{"ready": Filled, "check": Checked, "pause": Quiet, "closeall": Ended}[words[0]]
		wait := &Waiter{For: condition, Patient: slices.Contains(args, "patient"), Body: arg(0)}
		w.calls[arg(0)], w.open[wait] = wait, true
		message(func() {
			switch condition {
			case Filled:
				m.Ready(wait)
			case Checked:
				m.CheckIdle(wait)
			case Quiet:
				m.Pause(wait)
			case Ended:
				m.CloseAll(w.now, wait)
			}
		})
	case "giveup":
		wait := w.calls[arg(0)]
		if wait == nil {
			w.fail("%s: nobody of that name", command)
		}
		message(func() {
			if m.GiveUp(wait) {
				delete(w.open, wait)
			} else {
				w.printf("too late")
			}
		})
	case "holds":
		w.printf("filled %v, quiet %v", m.Holds(Filled), m.Holds(Quiet))
	case "resume":
		message(func() { w.quiet = false; m.Resume() })
	case "reset":
		message(m.Reset)
	case "resize":
		least, most := w.number(arg(0)), w.number(arg(1))
		message(func() { m.Resize(least, most) })
	case "force":
		message(func() { m.Force(w.now) })
	case "tick":
		w.tick(w.duration(arg(0)))
	case "wake":
		message(func() {})
	case "during":
		h := hook{nth: 1}
		if n, err := strconv.Atoi(arg(0)); err == nil {
			h.nth, args = n, args[1:]
		}
		h.effect, h.command = arg(0), strings.Join(args[1:], " ")
		w.during = append(w.during, h)
	case "stat":
		message(w.stat)
	case "line":
		w.printLine()
	case "books":
		w.printBooks()
	case "lent":
		message(func() {
			ids := "lent:"
			m.EachLent(w.now, func(sl *Slot) { ids += fmt.Sprintf(" %d", sl.ID) })
			ids += "; out:"
			m.EachOut(func(sl *Slot) { ids += fmt.Sprintf(" %d", sl.ID) })
			w.printf("%s", ids)
		})
	default:
		w.fail("what is %q?", command)
	}
}

// silently does something that is not shown.
func (w *world) silently(f func()) {
	before := w.out.String()
	f()
	w.out.Reset()
	w.out.WriteString(before)
}

// borrow has name hold a resource.
func (w *world) borrow(name string) {
	w.settle()
	w.get(name)
	w.settle()
	if b := w.names[name]; b.waits {
		w.run("done Open")
		w.settle()
		if b.waits {
			w.fail("%s was not served", name)
		}
	}
}

// holderOf is the slot that name holds.
func (w *world) holderOf(name string) *Slot {
	for sl, l := range w.lent {
		if l.by == name {
			return sl
		}
	}
	w.fail("%s holds nothing", name)
	return nil
}

// at is the moment before an effect: a borrower's command may happen.
func (w *world) at(effect string) {
	for i, h := range w.during {
		if h.effect == effect {
			if w.during[i].nth--; w.during[i].nth > 0 {
				return
			}
			w.during = slices.Delete(w.during, i, i+1)
			if !w.possible(h.command) {
				return
			}
			w.run(h.command)
			return
		}
	}
}

// possible reports whether a command of a race still makes sense.
func (w *world) possible(command string) bool {
	words := strings.Fields(command)
	switch words[0] {
	case "put", "late":
		sl := w.byID[uint64(w.number(words[1]))]
		_, held := w.lent[sl]
		return held
	case "cancel":
		b := w.names[words[1]]
		return b != nil && b.waits
	}
	return true
}

// Helpers.

func (w *world) done(args []string) {
	nth := 1
	if n, err := strconv.Atoi(args[0]); err == nil {
		nth, args = n, args[1:]
	}
	kind := JobKind(slices.Index(jobNames[:], args[0]))
	args = args[1:]
	id := uint64(0)
	if kind != OpenJob {
		id, args = uint64(w.number(args[0])), args[1:]
	}
	j := w.running(kind, id, nth)
	if j == nil { // it may begin when the machine has settled
		w.settle()
		if j = w.running(kind, id, nth); j == nil {
			w.fail("no such %v is running", kind)
			return
		}
	}
	w.jobs = remove(w.jobs, j)
	r := Result{Cleaned: kind == CleanJob, Why: ReasonUnfit}
	for _, word := range args {
		switch word {
		case "permanent":
			r.Permanent = true
		case "stale":
			r.Stale = true
		case "suspect":
			r.Suspect = true
		case "unfit":
			r.Err, r.Why = ErrUnfit, ReasonBroken
		default:
			r.Err = errors.New(word)
		}
	}
	w.inbox = append(w.inbox, func() { w.report(j, r) })
}

// running is the nth job of a kind that is done to a slot, nil if there is none.
func (w *world) running(kind JobKind, id uint64, nth int) *Job {
	for _, j := range w.jobs {
		if j.Kind == kind && j.Slot.ID == id {
			if nth--; nth == 0 {
				return j
			}
		}
	}
	return nil
}

func (w *world) report(j *Job, r Result) {
	rec := w.slots[j.Slot]
	switch {
	case j.Kind == OpenJob && r.Err != nil:
		w.own(j.Slot, helpers, nobody)
	case j.Kind == OpenJob:
		w.own(j.Slot, helpers, machine)
		rec.opened = true
		rec.unwanted = j.late() || j.resets != w.m.resets
		if j.late() {
			w.grown++
		}
	case j.Kind.repairs():
		w.own(j.Slot, helpers, machine)
	case j.Kind == CloseJob:
		w.own(j.Slot, helpers, nobody)
	}
	w.m.Done(w.now, j, r)
	if j.Kind == OpenJob && r.Err == nil {
		w.byID[j.Slot.ID] = j.Slot
	}
}

func refusalText(why Refusal, err error) string {
	s := [...]string{"closed", "unavailable", "exhausted", "crowded", "paused"}[why]
	if err != nil {
		s += ": " + err.Error()
	}
	return s
}

func outcomeText(o Outcome, err error) string {
	s := [...]string{"holds", "hopeless", "resumed", "refused"}[o]
	if err != nil {
		s += ": " + err.Error()
	}
	return s
}

// jobText is the kind of a job, and the number of its slot.
func jobText(j *Job) string {
	if j.Kind == OpenJob {
		return j.Kind.String()
	}
	return fmt.Sprintf("%v %d", j.Kind, j.Slot.ID)
}
